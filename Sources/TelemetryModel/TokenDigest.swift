/// The SHA-256 of a bearer token: all that a configuration says of it. Tokens are long and random, so one round is enough.
package struct TokenDigest: Equatable, Hashable, Sendable {
    /// What a configuration writes before the digits.
    package static let prefix = "sha256:"

    private let bytes: [UInt8]

    /// The digest of a token.
    package init(token: some StringProtocol) {
        bytes = SHA256.digest(Array(token.utf8))
    }

    /// Reads `sha256:` and 64 hexadecimal digits.
    package init?(text: some StringProtocol) {
        guard text.hasPrefix(Self.prefix) else { return nil }
        let digits = Array(text.utf8.dropFirst(Self.prefix.utf8.count))
        guard digits.count == 64 else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: 64, by: 2) {
            guard let value = UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16),
                digits[index] != UInt8(ascii: "+")
            else { return nil }
            bytes.append(value)
        }
        self.bytes = bytes
    }

    /// As a configuration writes it.
    package var text: String {
        Self.prefix + bytes.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
    }

    /// Whether both are the same, in a time that does not tell how much of them is.
    package func isSame(as other: TokenDigest) -> Bool {
        var difference: UInt8 = 0
        for (left, right) in zip(bytes, other.bytes) { difference |= left ^ right }
        return difference == 0
    }
}

/// A token that lets read one project alone.
package struct ProjectToken: Equatable, Sendable {
    package var project: String
    package var digest: TokenDigest

    package init(project: String, digest: TokenDigest) {
        (self.project, self.digest) = (project, digest)
    }
}
