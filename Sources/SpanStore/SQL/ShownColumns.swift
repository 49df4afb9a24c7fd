/// A column's values in plain memory, as SQLite asks for them: millions of times in a query, so that counting references would be a
/// third of it.
struct ShownColumn {
    enum Kind: UInt8 {
        /// Nobody asked yet.
        case unknown
        /// NULL in every row.
        case null
        case integers
        /// Durations of spans that all have an end: never negative.
        case durations
        case texts
        /// Span ids, shown as their digits.
        case identifiers
        /// A value that is put together.
        case other
    }

    struct TextRange {
        var offset: Int
        var count: Int
    }

    var kind = Kind.unknown
    /// For each row the position of its value, or -1; `nil` when every row has one.
    var positions: UnsafePointer<Int32>?
    var integers: UnsafePointer<Int64>?
    var words: UnsafePointer<UInt64>?
    /// Texts by position, or by number where there are `numbers`, as ranges of `bytes`.
    var ranges: UnsafePointer<TextRange>?
    var numbers: UnsafePointer<UInt32>?
    var bytes: UnsafePointer<UInt8>?

    /// The position of a row's value; -1 for NULL.
    @inline(__always)
    func position(_ row: Int) -> Int { positions.map { Int($0[row]) } ?? row }
}

/// The columns of one segment by their place in SQL, and the memory that they lie in.
final class ShownColumns {
    let columns: UnsafeMutableBufferPointer<ShownColumn>
    private var owned: [UnsafeMutableRawPointer] = []

    init(count: Int) {
        columns = .allocate(capacity: count)
        columns.initialize(repeating: ShownColumn())
    }

    deinit {
        for memory in owned { memory.deallocate() }
        columns.deallocate()
    }

    func set(_ index: Int, _ kind: ShownColumn.Kind) {
        columns[index].kind = kind
    }

    /// Shows a decoded column; as `other` where its values are not all of the kind.
    func set(_ index: Int, _ kind: ShownColumn.Kind, _ column: DecodedColumn) {
        var shown = ShownColumn(kind: kind)
        switch (kind, column.values) {
        case (.integers, .integers(let values)), (.durations, .integers(let values)): shown.integers = keep(values)
        case (.texts, .dictionary(let entries, let numbers)):
            (shown.ranges, shown.bytes) = keep(entries, of: column.bytes)
            shown.numbers = keep(numbers)
        case (.texts, .texts(let ranges)): (shown.ranges, shown.bytes) = keep(ranges, of: column.bytes)
        case (.identifiers, .fixed(let words)): shown.words = keep(words)
        default: return set(index, .other)
        }
        shown.positions = column.positions.map { keep($0) }
        columns[index] = shown
    }

    /// Shows integers of which every row has one.
    func set(_ index: Int, integers: [Int64]) {
        var shown = ShownColumn(kind: .integers)
        shown.integers = keep(integers)
        columns[index] = shown
    }

    /// Shows for each row one of a table's texts, by number.
    ///
    /// - Parameter numbers: below the count of texts; negative where there is none.
    func set(_ index: Int, numbers: [Int32], of texts: [[UInt8]]) {
        var shown = ShownColumn(kind: .texts)
        var bytes: [UInt8] = []
        var ranges: [Range<Int>] = []
        for text in texts {
            let start = bytes.count
            bytes.append(contentsOf: text)
            ranges.append(start..<bytes.count)
        }
        (shown.ranges, shown.bytes) = keep(ranges, of: bytes)
        shown.numbers = keep(numbers.map { UInt32(bitPattern: $0) })
        if numbers.contains(where: { $0 < 0 }) {
            shown.positions = keep(numbers.enumerated().map { $0.element < 0 ? -1 : Int32(truncatingIfNeeded: $0.offset) })
        }
        columns[index] = shown
    }

    private func keep<Element: BitwiseCopyable>(_ values: [Element]) -> UnsafePointer<Element> {
        let memory = UnsafeMutablePointer<Element>.allocate(capacity: max(1, values.count))
        values.withUnsafeBufferPointer { source in
            if let start = source.baseAddress { memory.initialize(from: start, count: source.count) }
        }
        owned.append(UnsafeMutableRawPointer(memory))
        return UnsafePointer(memory)
    }

    /// Texts that lie one after the other in `bytes`.
    private func keep(
        _ ranges: [Range<Int>], of bytes: [UInt8]
    ) -> (UnsafePointer<ShownColumn.TextRange>, UnsafePointer<UInt8>) {
        let lower = ranges.first?.lowerBound ?? 0
        let upper = ranges.last?.upperBound ?? lower
        let places = ranges.map { ShownColumn.TextRange(offset: $0.lowerBound - lower, count: $0.count) }
        return (keep(places), keep(Array(bytes[lower..<upper])))
    }
}
