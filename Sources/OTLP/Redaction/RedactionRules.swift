package import TelemetryModel

/// What is not to be stored.
package struct RedactionRules: Sendable {
    /// What stands where something was taken out.
    package static let replacement = "[redacted]"

    /// Patterns by name for what is secret nearly everywhere.
    ///
    /// | name | finds |
    /// |---|---|
    /// | `email` | mail addresses |
    /// | `card` | payment card numbers, in groups or not |
    /// | `bearer` | credentials after `Bearer` or `Basic` |
    /// | `jwt` | JSON web tokens |
    /// | `api_key` | keys with the well-known prefixes of providers |
    /// | `private_key` | PEM private keys |
    /// | `assignment` | what is given to a name like password, secret or api_key, in text or JSON |
    package static let detectors: [(name: String, pattern: String)] = [
        ("email", #"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+"#),
        (
            "card",
            #"\b(4[0-9]{3}|5[1-5][0-9]{2}|2[2-7][0-9]{2}|3[47][0-9]{2}|6[0-9]{3})[ -]?[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{1,7}\b"#
        ),
        ("bearer", #"(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{8,}"#),
        ("jwt", #"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"#),
        (
            "api_key",
            #"\b(sk|pk|rk|xox[abeoprs]|xapp|gh[opsur]|github_pat|glpat|hf|npm|fbx|AIza|AKIA|ASIA)[-_]?[A-Za-z0-9_-]{12,}"#
        ),
        ("private_key", #"-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]+(-----END [A-Z ]*PRIVATE KEY-----)?"#),
        (
            "assignment",
            #"(?i)(password|passwd|pwd|secret|api[_-]?key|access[_-]?token|auth[_-]?token|client[_-]?secret|token)[\\]?["']?\s*[=:]\s*[\\]?["']?[^\s"',;&\\]+"#
        ),
    ]

    /// Attribute keys whose values are taken out whole, in lower case; `*` stands for any text.
    private var keys: [[Substring]] = []
    private var patterns: [Pattern] = []

    package init() {}

    package var isEmpty: Bool { keys.isEmpty && patterns.isEmpty }

    /// Adds an attribute key; case does not matter.
    package mutating func add(key: String) {
        keys.append(key.lowercased().split(separator: "*", omittingEmptySubsequences: false))
    }

    package mutating func add(pattern: String) throws(PatternError) {
        patterns.append(try Pattern(pattern))
    }

    /// Adds one of `detectors`.
    package mutating func add(detector name: String) throws(PatternError) {
        guard let detector = Self.detectors.first(where: { $0.name == name }) else {
            let names = Self.detectors.map(\.name).joined(separator: ", ")
            throw PatternError(message: "there is no detector '\(name)'; there are: \(names)")
        }
        try add(pattern: detector.pattern)
    }

    /// Whether the values of an attribute are taken out.
    func hides(key: ArraySlice<UInt8>) -> Bool {
        guard !keys.isEmpty else { return false }
        let name = String(decoding: key, as: UTF8.self).lowercased()
        return keys.contains { Self.matches(name, $0) }
    }

    /// Whether a name is the parts with any text between them.
    private static func matches(_ name: String, _ parts: [Substring]) -> Bool {
        guard let head = parts.first, let tail = parts.last else { return false }
        if parts.count == 1 { return name == head }
        guard name.hasPrefix(head), name.hasSuffix(tail), name.utf8.count >= head.utf8.count + tail.utf8.count else {
            return false
        }
        var rest = name.dropFirst(head.count).dropLast(tail.count)
        for part in parts.dropFirst().dropLast() where !part.isEmpty {
            guard let found = rest.firstRange(of: part) else { return false }
            rest = rest[found.upperBound...]
        }
        return true
    }

    /// The text with what the patterns find taken out; `nil` when they find nothing.
    func redacted(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        var ranges: [Range<Int>] = []
        for pattern in patterns { ranges += pattern.matches(in: text) }
        guard !ranges.isEmpty else { return nil }
        ranges.sort { $0.lowerBound < $1.lowerBound }
        var output: [UInt8] = []
        var position = text.startIndex
        for range in ranges where range.upperBound > position {
            // One that begins inside the last one goes on with it.
            if range.lowerBound >= position {
                output += text[position..<range.lowerBound]
                output += Self.replacement.utf8
            }
            position = range.upperBound
        }
        return output + text[position...]
    }
}
