import SegmentFormat

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
    /// Which rows have a value, as in `RowPresence`; `nil` when every row has one.
    var presenceWords: UnsafePointer<UInt64>?
    var presenceRanks: UnsafePointer<UInt32>?
    var integers: UnsafePointer<Int64>?
    var words: UnsafePointer<UInt64>?
    /// Texts by position, or by number where there are `numbers`, as ranges of `bytes`.
    var ranges: UnsafePointer<TextRange>?
    var numbers: UnsafePointer<UInt8>?
    /// Bytes of each number: 1, 2 or 4.
    var numberWidth = 0
    var bytes: UnsafePointer<UInt8>?

    /// The position of a row's value; -1 for NULL.
    @inline(__always)
    func position(_ row: Int) -> Int {
        guard let presenceWords, let presenceRanks else { return row }
        return RowPresence.position(row, word: presenceWords[row >> 6], rank: presenceRanks[row >> 6])
    }

    /// The place of a text in `ranges`, by its position.
    @inline(__always)
    func place(_ position: Int) -> Int {
        guard let numbers else { return position }
        let bytes = UnsafeRawPointer(numbers)
        switch numberWidth {
        case 1: return Int(numbers[position])
        case 2: return Int(bytes.loadUnaligned(fromByteOffset: 2 &* position, as: UInt16.self).littleEndian)
        default: return Int(bytes.loadUnaligned(fromByteOffset: 4 &* position, as: UInt32.self).littleEndian)
        }
    }
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
            (shown.numbers, shown.numberWidth) = (keep(numbers.encoded), numbers.width)
        case (.texts, .texts(let ranges)): (shown.ranges, shown.bytes) = keep(ranges, of: column.bytes)
        case (.identifiers, .fixed(let words)): shown.words = keep(words)
        default: return set(index, .other)
        }
        if let presence = column.presence { show(presence, in: &shown) }
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
        let present = numbers.filter { $0 >= 0 }
        var packed: [UInt8] = []
        packed.reserveCapacity(present.count * 4)
        for number in present { packed.appendLittleEndian(UInt64(number), width: 4) }
        (shown.numbers, shown.numberWidth) = (keep(packed), 4)
        if present.count < numbers.count {
            var bits = RowBits(rowCount: numbers.count)
            for (row, number) in numbers.enumerated() where number >= 0 { bits.insert(row) }
            show(RowPresence(bits), in: &shown)
        }
        columns[index] = shown
    }

    private func show(_ presence: RowPresence, in shown: inout ShownColumn) {
        (shown.presenceWords, shown.presenceRanks) = (keep(presence.bits.words), keep(presence.ranks))
    }

    private func keep<Element: BitwiseCopyable>(_ values: some Collection<Element>) -> UnsafePointer<Element> {
        let memory = UnsafeMutablePointer<Element>.allocate(capacity: max(1, values.count))
        _ = UnsafeMutableBufferPointer(start: memory, count: values.count).initialize(from: values)
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
