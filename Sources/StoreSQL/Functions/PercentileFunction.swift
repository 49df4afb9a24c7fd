import CSQLite
import SQLite

/// The aggregate `percentile(value, p)`: the value at rank ⌈p/100 · n⌉ of the n values that are not NULL, p from 0 to 100.
///
/// Integers are compared and given as they are, whatever their size; with doubles among them all are ordered as numbers, and a double
/// without a fraction is given as an integer. A text or a BLOB counts as the number that it begins with, as in `sum`.
enum PercentileFunction {
    /// Values that are gathered for one result; more give an error instead of exhausting memory.
    static let valuesMax = 50_000_000

    static func register(on connection: Connection, flags: Int32) throws(SQLiteError) {
        let result = sqlite3_create_function_v2(
            connection.handle, "percentile", 2, flags, nil, nil, { PercentileFunction.step($0, $2) },
            { PercentileFunction.finish($0) }, nil)
        guard result == SQLITE_OK else { throw connection.error(result, "register percentile") }
    }

    /// Numbers in memory of their own; zeroed memory is an empty list.
    private struct List<Element: BitwiseCopyable> {
        private var start: UnsafeMutablePointer<Element>?
        private(set) var count: Int
        private var capacity: Int

        mutating func append(_ value: Element) {
            if count == capacity {
                let grown = UnsafeMutablePointer<Element>.allocate(capacity: max(64, capacity * 2))
                if let start { grown.moveInitialize(from: start, count: count) }
                start?.deallocate()
                start = grown
                capacity = max(64, capacity * 2)
            }
            start?[count] = value
            count += 1
        }

        var values: UnsafeMutableBufferPointer<Element> { UnsafeMutableBufferPointer(start: start, count: count) }

        func deallocate() { start?.deallocate() }
    }

    /// What one group has gathered, in memory that SQLite clears and keeps for it.
    private struct Gathered {
        var integers: List<Int64>
        /// Those that are no integers of 64 bits.
        var doubles: List<Double>
        var percent: Double
    }

    private static func gathered(_ context: OpaquePointer?, create: Bool) -> UnsafeMutablePointer<Gathered>? {
        sqlite3_aggregate_context(context, create ? Int32(MemoryLayout<Gathered>.size) : 0)?
            .assumingMemoryBound(to: Gathered.self)
    }

    private static func step(_ context: OpaquePointer?, _ values: UnsafeMutablePointer<OpaquePointer?>?) {
        guard let gathered = gathered(context, create: true), let value = values?[0], let percent = values?[1] else { return }
        gathered.pointee.percent = sqlite3_value_double(percent)
        let type = sqlite3_value_numeric_type(value)
        guard type != SQLITE_NULL else { return }
        guard gathered.pointee.integers.count + gathered.pointee.doubles.count < valuesMax else {
            sqlite3_result_error(context, "percentile: too many values", -1)
            return
        }
        if type == SQLITE_INTEGER {
            gathered.pointee.integers.append(sqlite3_value_int64(value))
            return
        }
        let double = sqlite3_value_double(value)
        if let integer = Int64(exactly: double) {
            gathered.pointee.integers.append(integer)
        } else {
            gathered.pointee.doubles.append(double)
        }
    }

    private static func finish(_ context: OpaquePointer?) {
        guard let gathered = gathered(context, create: false) else { return sqlite3_result_null(context) }
        let (integers, doubles, percent) = (gathered.pointee.integers, gathered.pointee.doubles, gathered.pointee.percent)
        defer {
            integers.deallocate()
            doubles.deallocate()
        }
        guard let rank = rank(percent, of: integers.count + doubles.count) else { return sqlite3_result_null(context) }
        if doubles.count == 0 {
            sqlite3_result_int64(context, Selection.value(atRank: rank, of: integers.values))
        } else if integers.count == 0 {
            sqlite3_result_double(context, Selection.value(atRank: rank, of: doubles.values))
        } else {
            give(context, rank, integers.values, doubles.values)
        }
    }

    /// The place, from 0, of a percentile among so many sorted values; `nil` of none, or when the percentage is none.
    static func rank(_ percent: Double, of count: Int) -> Int? {
        guard count > 0, (0...100).contains(percent) else { return nil }
        return min(count, max(1, Int((percent / 100 * Double(count)).rounded(.up)))) - 1
    }

    /// The number at a rank of both lists together.
    private static func give(
        _ context: OpaquePointer?, _ rank: Int, _ integers: UnsafeMutableBufferPointer<Int64>,
        _ doubles: UnsafeMutableBufferPointer<Double>
    ) {
        var (sortedIntegers, sortedDoubles) = (integers, doubles)
        sortedIntegers.sort()
        sortedDoubles.sort()
        var (integer, double) = (0, 0)
        while integer + double < rank {
            if comesFirst(integer, integers, double, doubles) { integer += 1 } else { double += 1 }
        }
        if comesFirst(integer, integers, double, doubles) {
            sqlite3_result_int64(context, integers[integer])
        } else {
            sqlite3_result_double(context, doubles[double])
        }
    }

    /// Whether the next number of two sorted lists is the integer.
    private static func comesFirst(
        _ integer: Int, _ integers: UnsafeMutableBufferPointer<Int64>, _ double: Int, _ doubles: UnsafeMutableBufferPointer<Double>
    ) -> Bool {
        guard integer < integers.count else { return false }
        guard double < doubles.count else { return true }
        // A double that is no integer has a fraction, or lies beyond all integers: what is below it can be told exactly.
        guard let below = Int64(exactly: doubles[double].rounded(.down)) else { return doubles[double] > 0 }
        return integers[integer] <= below
    }
}
