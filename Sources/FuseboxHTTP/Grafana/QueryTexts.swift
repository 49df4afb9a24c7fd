import Queries

/// Durations as Go writes them: `1.2s`, `100ms`, `1h30m`; a bare number is seconds.
enum GoDuration {
    private static let units: [(name: String, nanoseconds: Double)] = [
        ("ns", 1), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9), ("d", 86400e9),
    ]

    static func nanoseconds(_ text: String?) throws(QueryError) -> Int64? {
        guard let text else { return nil }
        if let seconds = Double(text), (0...1e9).contains(seconds) { return Int64(seconds * 1e9) }
        var total = 0.0
        var rest = text[...]
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isNumber || $0 == "." }
            rest = rest.dropFirst(digits.count)
            let unit = rest.prefix { !$0.isNumber && $0 != "." }
            rest = rest.dropFirst(unit.count)
            guard let value = Double(digits), let scale = units.first(where: { $0.name == unit })?.nanoseconds else {
                throw .invalid("'\(text)' is not a duration such as 1.2s or 100ms")
            }
            total += value * scale
        }
        guard total < 9e18 else { throw .invalid("'\(text)' is too long: at most 285 years") }
        return Int64(total)
    }
}

/// `key=value key="a value"`, as Grafana's older search sends tags.
enum LogfmtText {
    private static let pairsMax = 32

    static func pairs(_ text: String) throws(QueryError) -> [(key: String, value: String)] {
        var pairs: [(String, String)] = []
        var rest = text[...].drop { $0 == " " }
        while !rest.isEmpty {
            guard let equals = rest.firstIndex(of: "="), pairs.count < pairsMax else {
                throw .invalid("tags takes key=value pairs, at most \(pairsMax)")
            }
            let key = String(rest[..<equals])
            rest = rest[rest.index(after: equals)...]
            var value = ""
            if rest.first == "\"" {
                rest = rest.dropFirst()
                while let character = rest.first, character != "\"" {
                    if character == "\\" { rest = rest.dropFirst() }
                    if let own = rest.first { value.append(own) }
                    rest = rest.dropFirst()
                }
                rest = rest.dropFirst()
            } else {
                value = String(rest.prefix { $0 != " " })
                rest = rest.dropFirst(value.count)
            }
            pairs.append((key, value))
            rest = rest.drop { $0 == " " }
        }
        return pairs
    }
}
