import ArgumentParser
import Foundation
import TelemetryModel

/// A moment on the command line: `2026-11-21`, `2026-11-21T10:00:00Z`, nanoseconds since 1970, or an age such as `30d`.
struct TimeArgument: ExpressibleByArgument, Equatable {
    private enum Moment: Equatable {
        case unixNano(Int64)
        case age(nanoseconds: Int64)
    }

    private static let second: Int64 = 1_000_000_000
    /// Ages past a thousand years are mistakes.
    private static let ageSecondsMax: Int64 = 1000 * 366 * 86400
    /// Smaller numbers, within 17 minutes of 1970, are ages whose unit was forgotten.
    private static let unixNanoMin: Int64 = 1_000_000_000_000

    private var moment: Moment

    init?(argument: String) {
        if let age = Self.age(argument) {
            moment = .age(nanoseconds: age)
        } else if let nanoseconds = Int64(argument), nanoseconds == 0 || nanoseconds >= Self.unixNanoMin {
            moment = .unixNano(nanoseconds)
        } else if let date = Self.date(argument) {
            let seconds = date.timeIntervalSince1970
            guard seconds > -9e9, seconds < 9e9 else { return nil }
            moment = .unixNano(Int64((seconds * 1000).rounded()) * 1_000_000)
        } else {
            return nil
        }
    }

    /// Nanoseconds since 1970.
    func unixNano(nowUnixNano: Int64) -> Int64 {
        switch moment {
        case .unixNano(let time): time
        case .age(let nanoseconds): nowUnixNano.subtractingSaturated(nanoseconds)
        }
    }

    private static func age(_ text: String) -> Int64? {
        let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400]
        guard let last = text.last, let unit = units[last], let count = Int64(text.dropLast()), count >= 0 else { return nil }
        let (seconds, overflow) = count.multipliedReportingOverflow(by: unit)
        return overflow || seconds > ageSecondsMax ? nil : seconds.multipliedSaturated(by: second)
    }

    private static func date(_ text: String) -> Date? {
        if let date = try? Date(text, strategy: .iso8601) { return date }
        if let date = try? Date(text, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: true)) { return date }
        return try? Date(text, strategy: .iso8601.year().month().day())
    }
}
