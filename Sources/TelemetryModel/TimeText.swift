/// Times as text, without a calendar library: proleptic Gregorian, UTC.
public enum TimeText {
    /// `2026-01-31T12:34:56.789Z` for nanoseconds since 1970.
    public static func iso8601(unixNano: Int64) -> String {
        let milliseconds = unixNano.quotientFloor(1_000_000)
        let seconds = milliseconds.quotientFloor(1000)
        let days = seconds.quotientFloor(86400)
        let (year, month, day) = civil(days: days)
        let clock = seconds - days * 86400
        return "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))T\(padded(clock / 3600, 2)):"
            + "\(padded(clock / 60 % 60, 2)):\(padded(clock % 60, 2)).\(padded(milliseconds - seconds * 1000, 3))Z"
    }

    private static func padded(_ value: Int64, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    /// Year, month and day of a number of days since 1970-01-01: years are counted from March, so that the leap day comes last.
    private static func civil(days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468
        let era = shifted.quotientFloor(146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }
}

extension Int64 {
    /// The quotient rounded towards negative infinity; the divisor is positive.
    fileprivate func quotientFloor(_ divisor: Int64) -> Int64 {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }
}
