extension TimeText {
    /// Nanoseconds since 1970 of a date, or a date and time, as ISO 8601 has them: `2026-01-31`, `2026-01-31T12:34:56.789Z`,
    /// `2026-01-31 12:34+02:00`. Without a zone it is UTC. `nil` for anything else, such as a day that its month does not have.
    package static func unixNano(iso8601 text: String) -> Int64? {
        let bytes = Array(text.utf8)
        guard bytes.count >= 10, bytes[4] == UInt8(ascii: "-"), bytes[7] == UInt8(ascii: "-"),
            let year = number(bytes[0..<4]), let month = number(bytes[5..<7]), let day = number(bytes[8..<10]),
            (1...12).contains(month), (1...daysOfMonth(year, month)).contains(day), (1678...2261).contains(year)
        else { return nil }
        var seconds = days(year: year, month: month, day: day) * 86400
        var nanoseconds: Int64 = 0
        guard bytes.count > 10 else { return seconds * 1_000_000_000 }
        guard bytes[10] == UInt8(ascii: "T") || bytes[10] == UInt8(ascii: " ") || bytes[10] == UInt8(ascii: "t") else { return nil }
        var rest = bytes[11...]
        guard let clock = clock(&rest, &nanoseconds), let zone = zone(rest) else { return nil }
        seconds += clock - zone
        return seconds * 1_000_000_000 + nanoseconds
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> Int64? {
        guard !digits.isEmpty, digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return digits.reduce(0) { $0 * 10 + Int64($1 - 0x30) }
    }

    /// `hh:mm`, `hh:mm:ss` or `hh:mm:ss.fraction`; takes it off the text.
    private static func clock(_ rest: inout ArraySlice<UInt8>, _ nanoseconds: inout Int64) -> Int64? {
        guard rest.count >= 5, rest[rest.startIndex + 2] == UInt8(ascii: ":"), let hour = number(rest.prefix(2)),
            let minute = number(rest.dropFirst(3).prefix(2)), hour < 24, minute < 60
        else { return nil }
        rest = rest.dropFirst(5)
        var seconds = hour * 3600 + minute * 60
        guard rest.first == UInt8(ascii: ":") else { return seconds }
        guard let second = number(rest.dropFirst().prefix(2)), rest.count >= 3, second <= 60 else { return nil }
        seconds += second
        rest = rest.dropFirst(3)
        guard rest.first == UInt8(ascii: ".") || rest.first == UInt8(ascii: ",") else { return seconds }
        let digits = rest.dropFirst().prefix { (0x30...0x39).contains($0) }
        var scale: Int64 = 100_000_000
        for digit in digits.prefix(9) {
            nanoseconds += Int64(digit - 0x30) * scale
            scale /= 10
        }
        rest = rest.dropFirst(1 + digits.count)
        return digits.isEmpty ? nil : seconds
    }

    private static func daysOfMonth(_ year: Int64, _ month: Int64) -> Int64 {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// No place on earth is further from Greenwich.
    private static let zoneMinutesMax: Int64 = 14 * 60

    /// Seconds east of Greenwich, of `Z`, `+hh:mm`, `+hhmm` or `+hh`.
    private static func zone(_ rest: ArraySlice<UInt8>) -> Int64? {
        guard let sign = rest.first else { return 0 }
        if sign == UInt8(ascii: "Z") || sign == UInt8(ascii: "z") { return rest.count == 1 ? 0 : nil }
        guard sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") else { return nil }
        let digits = rest.dropFirst()
        var behind = digits.dropFirst(2)
        if behind.first == UInt8(ascii: ":") {
            behind = behind.dropFirst()
            guard !behind.isEmpty else { return nil }
        }
        guard digits.count >= 2, let hours = number(digits.prefix(2)), behind.isEmpty || behind.count == 2,
            let minutes = behind.isEmpty ? 0 : number(behind), minutes < 60, hours * 60 + minutes <= zoneMinutesMax
        else { return nil }
        return (hours * 3600 + minutes * 60) * (sign == UInt8(ascii: "-") ? -1 : 1)
    }

    /// Days from 1970-01-01 of a date; the inverse of the count that `iso8601(unixNano:)` takes apart.
    private static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}
