/// One media range of an `Accept` header, such as `text/plain;version=0.0.4;q=0.3`.
struct AcceptRange: Equatable {
    /// Ranges that are read of one header; those behind are ignored.
    static let rangesMax = 64

    /// Type and subtype in lower case.
    var type: String
    /// Parameters by lower-case name, values without their quotes; the first of equal names counts.
    var parameters: [String: String]

    /// The weight in thousandths, 1000 when none is given; `nil` when it is not a weight.
    var quality: Int? {
        guard let text = parameters["q"] else { return 1000 }
        return Self.thousandths(text)
    }

    /// The ranges of a header, in its order. Never fails: what is no range is left out.
    static func parse(_ header: String) -> [AcceptRange] {
        split(header, at: ",").prefix(rangesMax).compactMap { text in
            let parts = split(text, at: ";")
            guard let type = parts.first, type.utf8.contains(UInt8(ascii: "/")) else { return nil }
            var parameters: [String: String] = [:]
            for part in parts.dropFirst() {
                guard let equals = part.firstIndex(of: "=") else { continue }
                let name = trim(part[..<equals]).lowercased()
                guard parameters[name] == nil else { continue }
                parameters[name] = unquote(trim(part[part.index(after: equals)...]))
            }
            return AcceptRange(type: type.lowercased(), parameters: parameters)
        }
    }

    /// The trimmed parts between separators that are not inside quotes.
    private static func split(_ text: some StringProtocol, at separator: Unicode.Scalar) -> [String] {
        var parts: [String] = []
        var part = String.UnicodeScalarView()
        var isQuoted = false
        var isEscaped = false
        for scalar in text.unicodeScalars {
            if scalar == separator && !isQuoted {
                parts.append(trim(String(part)))
                part.removeAll()
                continue
            }
            if isEscaped {
                isEscaped = false
            } else if scalar == "\"" {
                isQuoted.toggle()
            } else if scalar == "\\" && isQuoted {
                isEscaped = true
            }
            part.append(scalar)
        }
        parts.append(trim(String(part)))
        return parts
    }

    private static func trim(_ text: some StringProtocol) -> String {
        let isBlank = { (character: Character) in character == " " || character == "\t" }
        guard let first = text.firstIndex(where: { !isBlank($0) }), let last = text.lastIndex(where: { !isBlank($0) }) else {
            return ""
        }
        return String(text[first...last])
    }

    private static func unquote(_ text: String) -> String {
        guard text.count >= 2, text.first == "\"", text.last == "\"" else { return text }
        return String(text.dropFirst().dropLast())
    }

    /// Reads `0`, `0.5`, `1.000`; digits past the third are dropped.
    private static func thousandths(_ text: String) -> Int? {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        let isDigits = { (part: Substring) in part.utf8.allSatisfy { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") } }
        guard let whole = parts.first, whole == "0" || whole == "1", parts.allSatisfy(isDigits) else { return nil }
        let fraction = parts.count == 2 ? String(parts[1].prefix(3)) : ""
        guard let value = Int(whole + fraction + String(repeating: "0", count: 3 - fraction.utf8.count)) else { return nil }
        return value <= 1000 ? value : nil
    }
}
