/// A moment as people, programs and models write it: one reading for the command line, the API and agents.
///
/// `now`; an age before now, `90s`, `15m`, `0.5h`, `7d`, `2w`, also with a minus before it or ` ago` behind; a date or a time of ISO 8601;
/// nanoseconds since 1970. Other numbers are refused with words: milliseconds or an age without its unit would silently mean 1970.
package struct MomentText: Equatable, Sendable, CustomStringConvertible {
    /// Why a text is no moment, as it goes on behind "since is '…'".
    package struct Problem: Error, Equatable, Sendable, CustomStringConvertible {
        package let message: String

        package var description: String { message }
    }

    private enum Moment: Equatable, Sendable {
        case unixNano(Int64)
        case age(nanoseconds: Int64)
    }

    /// What may be given, for messages.
    package static let forms =
        "an age such as 15m, 6h or 7d, a date or time such as 2026-01-31 or 2026-01-31T12:00:00Z, now, or nanoseconds since 1970"

    /// Ages past a thousand years are mistakes.
    private static let ageSecondsMax: Int64 = 1000 * 366 * 86400
    /// Smaller numbers would be moments before 1973; they are other units of time, or ages.
    private static let unixNanoMin: Int64 = 100_000_000_000_000_000

    private static let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604_800]

    private let moment: Moment
    /// As it was written.
    package let description: String

    package init(_ text: String) throws(Problem) {
        description = text
        if text == "now" {
            moment = .age(nanoseconds: 0)
        } else if let age = Self.age(text) {
            moment = .age(nanoseconds: age)
        } else if let time = TimeText.unixNano(iso8601: text) {
            moment = .unixNano(time)
        } else if let number = Int64(text), number == 0 || number >= Self.unixNanoMin {
            moment = .unixNano(number)
        } else {
            throw Problem(message: Self.problem(text))
        }
    }

    /// Nanoseconds since 1970.
    package func unixNano(nowUnixNano now: Int64) -> Int64 {
        switch moment {
        case .unixNano(let time): time
        case .age(let nanoseconds): now.subtractingSaturated(nanoseconds)
        }
    }

    /// The nanoseconds of `15m` and its like.
    private static func age(_ text: String) -> Int64? {
        var age = text[...]
        if age.hasSuffix(" ago") { age = age.dropLast(4) }
        if age.hasPrefix("-") { age = age.dropFirst() }
        guard let unit = age.last.flatMap({ units[$0] }) else { return nil }
        let count = age.dropLast()
        let parts = count.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count <= 2, parts.allSatisfy({ !$0.isEmpty && $0.allSatisfy { $0.isASCII && $0.isNumber } }) else { return nil }
        if parts.count == 1, let whole = Int64(count) {
            let (seconds, overflow) = whole.multipliedReportingOverflow(by: unit)
            return overflow || seconds > ageSecondsMax ? nil : seconds.multipliedSaturated(by: 1_000_000_000)
        }
        guard let seconds = Double(count).map({ $0 * Double(unit) }), seconds <= Double(ageSecondsMax) else { return nil }
        return Int64(saturating: seconds * 1e9)
    }

    private static func problem(_ text: String) -> String {
        let place = "it must be \(forms)"
        guard let number = Int64(text) else {
            let bytes = Array(text.utf8)
            let isDate = bytes.count >= 10 && bytes[4] == UInt8(ascii: "-") && bytes[7] == UInt8(ascii: "-")
            return isDate ? "that is no date or time; \(place)" : place
        }
        switch number {
        case ..<0: return place
        case 100_000_000..<100_000_000_000: return "that looks like seconds since 1970; \(place)"
        case 100_000_000_000..<100_000_000_000_000: return "that looks like milliseconds since 1970; \(place)"
        case 100_000_000_000_000...: return "that looks like microseconds since 1970; \(place)"
        default: return "a number needs a unit, such as \(number)m; \(place)"
        }
    }
}
