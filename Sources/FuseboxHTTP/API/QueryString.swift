import Queries
import TelemetryModel

/// The parameters of a URL, decoded: `%41` and `+` as browsers and curl write them. The first of a name counts, unless all are asked
/// for.
struct QueryString: Sendable {
    /// Parameters of one URL.
    private static let pairsMax = 200

    let pairs: [(name: String, value: String)]

    init(_ query: String?) {
        pairs = (query ?? "").split(separator: "&").prefix(Self.pairsMax).map { part in
            let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return (Self.decoded(sides[0], plusIsSpace: true), sides.count > 1 ? Self.decoded(sides[1], plusIsSpace: true) : "")
        }
    }

    /// The text of the parameter; `nil` when it is missing or empty, since forms send empty fields.
    subscript(_ name: String) -> String? {
        pairs.first { $0.name == name && !$0.value.isEmpty }?.value
    }

    func all(_ name: String) -> [String] {
        pairs.filter { $0.name == name && !$0.value.isEmpty }.map(\.value)
    }

    /// A whole number in a range; `fallback` when it is missing.
    func integer(_ name: String, _ range: ClosedRange<Int>, fallback: Int) throws(QueryError) -> Int {
        guard let text = self[name] else { return fallback }
        guard let value = Int(text), range.contains(value) else {
            throw .invalid("\(name) is '\(text)', but must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    /// `true` or `false`, which is what a missing one is.
    func flag(_ name: String) throws(QueryError) -> Bool {
        switch self[name] {
        case nil, "false": return false
        case "true": return true
        case let text?: throw .invalid("\(name) is '\(text)', but must be true or false")
        }
    }

    /// Milliseconds as nanoseconds.
    func milliseconds(_ name: String) throws(QueryError) -> Int64? {
        guard let text = self[name] else { return nil }
        guard let value = Double(decimal: text).flatMap(TraceSearch.nanoseconds(milliseconds:)) else {
            throw .invalid("\(name) is '\(text)', but must be a number of milliseconds")
        }
        return value
    }

    /// A time, in any form of `MomentText`.
    func time(_ name: String, nowUnixNano: Int64) throws(QueryError) -> Int64? {
        guard let text = self[name] else { return nil }
        do throws(MomentText.Problem) {
            return try MomentText(text).unixNano(nowUnixNano: nowUnixNano)
        } catch {
            throw .invalid("\(name) is '\(text)': \(error.message)")
        }
    }

    /// Percent-decoding; bytes that are not UTF-8 become U+FFFD, a `%` without two digits stays.
    static func decoded(_ text: some StringProtocol, plusIsSpace: Bool = false) -> String {
        var bytes: [UInt8] = []
        let source = Array(text.utf8)
        var index = 0
        while index < source.count {
            if source[index] == UInt8(ascii: "%"), index + 2 < source.count,
                let value = UInt8(String(decoding: source[(index + 1)...(index + 2)], as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                index += 3
                continue
            }
            bytes.append(plusIsSpace && source[index] == UInt8(ascii: "+") ? 0x20 : source[index])
            index += 1
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
