import TelemetryModel

/// A block of rows that all lie in one partition: an insert of it is there whole or not at all.
package struct DayBlock: Equatable, Sendable {
    /// Days since 1970 in UTC.
    package var day: Int64
    package var rowCount: Int
    /// In their order.
    package var columns: [String]
    /// In the format `Native`, not compressed.
    package var bytes: [UInt8]

    init(day: Int64, _ block: NativeBlock) {
        self.day = day
        rowCount = block.rowCount
        columns = block.columns
        bytes = block.bytes
    }
}

/// How rows are parted into days, by which the tables are partitioned.
package enum BlockDays {
    /// Days of which one flight may have rows: each is a request of its own.
    package static let daysMax = 32

    private static let nanosecondsADay: Int64 = 86_400_000_000_000

    /// The day of a time, in UTC.
    package static func day(unixNano: Int64) -> Int64 {
        let (day, rest) = unixNano.quotientAndRemainder(dividingBy: nanosecondsADay)
        return rest < 0 ? day - 1 : day
    }

    /// How many of the first rows lie in `daysMax` days.
    package static func countOfFewDays(_ unixNano: some Sequence<Int64>) -> Int {
        var days: Set<Int64> = []
        var count = 0
        for time in unixNano {
            days.insert(day(unixNano: time))
            guard days.count <= daysMax else { break }
            count += 1
        }
        return count
    }

    /// The rows of each day, ascending by day, and within one by `precedes`.
    static func parted(
        _ unixNano: [Int64], by precedes: (Int, Int) -> Bool
    ) -> [(day: Int64, rows: [Int])] {
        var rows: [Int64: [Int]] = [:]
        for (row, time) in unixNano.enumerated() { rows[day(unixNano: time), default: []].append(row) }
        return rows.sorted { $0.key < $1.key }.map { ($0.key, $0.value.sorted(by: precedes)) }
    }

    /// For each text its place among the distinct ones, in the order of their bytes.
    static func ranks(_ texts: [ArraySlice<UInt8>]) -> [Int] {
        var numbers: [ArraySlice<UInt8>: Int] = [:]
        let own = texts.map { text in
            let number = numbers[text] ?? numbers.count
            numbers[text] = number
            return number
        }
        var ranks = [Int](repeating: 0, count: numbers.count)
        for (rank, entry) in numbers.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }).enumerated() {
            ranks[entry.value] = rank
        }
        return own.map { ranks[$0] }
    }
}
