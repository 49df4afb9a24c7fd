#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Addresses of machines that begin with the same bits: `10.0.0.0/8`, `fd00::/8`, or one address alone.
package struct AddressRange: Equatable, Sendable {
    /// 16 bytes; an IPv4 address as IPv6 maps it.
    private let bytes: [UInt8]
    /// How many of the bits count, 0 to 128.
    private let bits: Int

    private static let mappedBits = 96

    /// Reads an address, or an address and how many of its bits count; `nil` when the text is neither.
    package init?(_ text: some StringProtocol) {
        let sides = text.split(separator: "/", omittingEmptySubsequences: false)
        guard (1...2).contains(sides.count), let (bytes, isMapped) = Self.bytes(sides[0]) else { return nil }
        var bits = 128
        if sides.count == 2 {
            let most = isMapped ? 128 - Self.mappedBits : 128
            guard sides[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let given = Int(sides[1]), (0...most).contains(given) else { return nil }
            bits = isMapped ? given + Self.mappedBits : given
        }
        self.bytes = bytes
        self.bits = bits
    }

    /// Whether an address, in text, is one of them; what is no address is not.
    package func contains(_ address: some StringProtocol) -> Bool {
        guard let (other, _) = Self.bytes(address) else { return false }
        for bit in 0..<bits where (bytes[bit / 8] ^ other[bit / 8]) & (0x80 >> UInt8(bit % 8)) != 0 { return false }
        return true
    }

    private static func bytes(_ text: some StringProtocol) -> (bytes: [UInt8], isMapped: Bool)? {
        // Behind a percent sign stands the interface of a link-local address.
        let text = String(text.prefix { $0 != "%" })
        var short = in_addr()
        if inet_pton(AF_INET, text, &short) == 1 {
            return ([UInt8](repeating: 0, count: 10) + [0xFF, 0xFF] + withUnsafeBytes(of: short) { Array($0) }, true)
        }
        var long = in6_addr()
        guard inet_pton(AF_INET6, text, &long) == 1 else { return nil }
        return (withUnsafeBytes(of: long) { Array($0) }, false)
    }
}
