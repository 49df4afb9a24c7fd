public import TelemetryModel

/// One value of a decoded column; ranges lie in the column's bytes.
public enum DecodedValue {
    case absent
    case integer(Int64)
    case double(Double)
    case bool(Bool)
    case text(Range<Int>)
    /// Bytes, or an array or list in wire encoding.
    case encoded(AttributeKind, Range<Int>)
    /// An attribute without a value.
    case empty
}

/// A column of a segment in memory, by span. Public, as is what it consists of: loops over the rows of a segment are in the targets above
/// (docs/adr/0007).
public struct DecodedColumn {
    /// The values that are there, in the order of their rows.
    public enum Values {
        case integers([Int64])
        case doubles([UInt64])
        case bools([UInt8])
        case dictionary(entries: [Range<Int>], numbers: PackedNumbers)
        case texts([Range<Int>])
        case encoded(AttributeKind, [Range<Int>])
        case fixed([UInt64])
        case mixed([DecodedValue])
        case empties
        /// Rows that hold the wanted values; replaced by them before anyone else sees the column.
        case references(steps: [Int64], outer: [UInt64])
    }

    /// The stream that the ranges of texts lie in.
    public let bytes: [UInt8]
    /// Which spans have a value; `nil` when every span has one.
    public let presence: RowPresence?
    public let values: Values

    init(_ entry: ColumnEntry, stream: [UInt8], spanCount: Int) throws(SegmentError) {
        bytes = stream
        var cursor = try ByteCursor(stream, range: entry.offset..<entry.offset + entry.length)
        presence = try Self.presence(&cursor, spanCount: spanCount, valueCount: entry.valueCount)
        values = try Self.values(&cursor, entry)
    }

    /// Only which spans have a value; `nil` when every span has one.
    package static func presence(_ entry: ColumnEntry, stream: [UInt8], spanCount: Int) throws(SegmentError) -> RowPresence? {
        var cursor = try ByteCursor(stream, range: entry.offset..<entry.offset + entry.length)
        return try presence(&cursor, spanCount: spanCount, valueCount: entry.valueCount)
    }

    init(bytes: [UInt8], presence: RowPresence?, values: Values) {
        self.bytes = bytes
        self.presence = presence
        self.values = values
    }

    private static func presence(
        _ cursor: inout ByteCursor, spanCount: Int, valueCount: Int
    ) throws(SegmentError) -> RowPresence? {
        switch try cursor.byte() {
        case 0:
            guard valueCount == spanCount else { throw .damaged("a full column with too few values") }
            return nil
        case 1:
            let bitmap = try cursor.range((spanCount + 7) / 8)
            let presence = RowPresence(bits(cursor.bytes, bitmap, rowCount: spanCount))
            guard presence.valueCount == valueCount else { throw .damaged("a bitmap that disagrees with its count") }
            return presence
        case 2:
            var bits = RowBits(rowCount: spanCount)
            var row = 0
            for _ in 0..<valueCount {
                row += try cursor.count()
                guard row < spanCount else { throw .damaged("a value past the last span") }
                bits.insert(row)
                row += 1
            }
            return RowPresence(bits)
        default: throw .damaged("an unknown presence")
        }
    }

    /// A bitmap as it is stored, without bits past the last row.
    private static func bits(_ bytes: [UInt8], _ bitmap: Range<Int>, rowCount: Int) -> RowBits {
        var bits = RowBits(rowCount: rowCount)
        for (offset, place) in bitmap.enumerated() { bits.words[offset >> 3] |= UInt64(bytes[place]) << UInt64(8 * (offset & 7)) }
        if rowCount & 63 != 0, let last = bits.words.indices.last { bits.words[last] &= 1 << UInt64(rowCount & 63) &- 1 }
        return bits
    }

    private static func values(_ cursor: inout ByteCursor, _ entry: ColumnEntry) throws(SegmentError) -> Values {
        let count = entry.valueCount
        switch entry.encoding {
        case .integers: return .integers(try integers(&cursor, count))
        case .doubles, .fixed8:
            let words = try fixed(&cursor, count, width: 8)
            return entry.encoding == .doubles ? .doubles(words) : .fixed(words)
        case .fixed4: return .fixed(try fixed(&cursor, count, width: 4))
        case .bools:
            let range = try cursor.range(count)
            return .bools(Array(cursor.bytes[range]))
        case .dictionary: return try dictionary(&cursor, count)
        case .texts: return .texts(try ranges(&cursor, count))
        case .blobs: return .encoded(.bytes, try ranges(&cursor, count))
        case .arrays: return .encoded(.array, try ranges(&cursor, count))
        case .keyValueLists: return .encoded(.keyValueList, try ranges(&cursor, count))
        case .mixed:
            var values: [DecodedValue] = []
            values.reserveCapacity(count)
            for _ in 0..<count { values.append(try mixed(&cursor)) }
            return .mixed(values)
        case .empties: return .empties
        case .planes: return .integers(try planes(&cursor, count))
        case .references: return try references(&cursor, count)
        case .fixed16, .alias: throw .damaged("an encoding that holds no values")
        }
    }

    private static func integers(_ cursor: inout ByteCursor, _ count: Int) throws(SegmentError) -> [Int64] {
        let base = try cursor.littleEndian()
        let width = Int(try cursor.byte())
        guard width <= 8 else { throw .damaged("integers of more than eight bytes") }
        if width == 0 { return [Int64](repeating: Int64(bitPattern: base), count: count) }
        return try fixed(&cursor, count, width: width).map { Int64(bitPattern: $0 &+ base) }
    }

    private static func planes(_ cursor: inout ByteCursor, _ count: Int) throws(SegmentError) -> [Int64] {
        let mode = try cursor.byte()
        let base = try cursor.littleEndian()
        let width = Int(try cursor.byte())
        guard mode <= 1, width <= 8 else { throw .damaged("integers of an unknown kind") }
        let (length, overflow) = count.multipliedReportingOverflow(by: width)
        guard !overflow else { throw .damaged("a column of absurd length") }
        let range = try cursor.range(length)
        return [Int64](unsafeUninitializedCapacity: count) { values, filled in
            cursor.bytes.withUnsafeBufferPointer { bytes in
                let words = UnsafeMutableRawBufferPointer(values).bindMemory(to: UInt64.self)
                words.initialize(repeating: 0)
                for plane in 0..<width {
                    let start = range.lowerBound + plane * count
                    let source = UnsafeBufferPointer(rebasing: bytes[start..<start + count])
                    let shift = UInt64(8 * plane)
                    for index in 0..<count { words[index] |= UInt64(source[index]) &<< shift }
                }
                if mode == 0 {
                    for index in 0..<count { words[index] &+= base }
                } else {
                    var value = base
                    for index in 0..<count {
                        value = value &+ (words[index] >> 1 ^ (0 &- (words[index] & 1)))
                        words[index] = value
                    }
                }
            }
            filled = count
        }
    }

    private static func references(_ cursor: inout ByteCursor, _ count: Int) throws(SegmentError) -> Values {
        let outerCount = try cursor.count()
        let outer = try fixed(&cursor, outerCount, width: 8)
        var steps: [Int64] = []
        steps.reserveCapacity(count)
        var outerSteps = 0
        for _ in 0..<count {
            let word = UInt64(try cursor.count())
            if word == 0 { outerSteps += 1 }
            steps.append(Int64(bitPattern: word >> 1 ^ (0 &- (word & 1))))
        }
        guard outerSteps == outerCount else { throw .damaged("parents that disagree with their count") }
        return .references(steps: steps, outer: outer)
    }

    /// The column with the ids that its references mean.
    func resolvingReferences(in ids: borrowing DecodedColumn, spanCount: Int) throws(SegmentError) -> DecodedColumn {
        guard case .references(let steps, let outer) = values else { return self }
        var resolved: [UInt64] = []
        resolved.reserveCapacity(steps.count)
        var nextOuter = 0
        for row in 0..<spanCount {
            let position = position(row)
            if position < 0 { continue }
            if steps[position] == 0 {
                resolved.append(outer[nextOuter])
                nextOuter += 1
                continue
            }
            let target = row - Int(steps[position])
            guard target >= 0, target < spanCount, let id = ids.integer(target) else {
                throw .damaged("a parent past the last span")
            }
            resolved.append(UInt64(bitPattern: id))
        }
        return DecodedColumn(bytes: bytes, presence: presence, values: .fixed(resolved))
    }

    private static func fixed(_ cursor: inout ByteCursor, _ count: Int, width: Int) throws(SegmentError) -> [UInt64] {
        let (length, overflow) = count.multipliedReportingOverflow(by: width)
        guard !overflow else { throw .damaged("a column of absurd length") }
        let range = try cursor.range(length)
        return words(cursor.bytes, range, count, width: width)
    }

    /// Words of `width` bytes each, which fill the range.
    private static func words(_ bytes: [UInt8], _ range: Range<Int>, _ count: Int, width: Int) -> [UInt64] {
        [UInt64](unsafeUninitializedCapacity: count) { words, filled in
            bytes.withUnsafeBytes { bytes in
                let source = UnsafeRawBufferPointer(rebasing: bytes[range])
                switch width {
                case 1: for index in 0..<count { words[index] = UInt64(source[index]) }
                case 2:
                    for index in 0..<count {
                        words[index] = UInt64(source.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self).littleEndian)
                    }
                case 4:
                    for index in 0..<count {
                        words[index] = UInt64(source.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self).littleEndian)
                    }
                case 8:
                    for index in 0..<count {
                        words[index] = UInt64(source.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self).littleEndian)
                    }
                default:
                    for index in 0..<count {
                        var value: UInt64 = 0
                        for byte in 0..<width { value |= UInt64(source[index * width + byte]) << UInt64(8 * byte) }
                        words[index] = value
                    }
                }
            }
            filled = count
        }
    }

    private static func ranges(_ cursor: inout ByteCursor, _ count: Int) throws(SegmentError) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        ranges.reserveCapacity(count)
        for _ in 0..<count { ranges.append(try cursor.prefixedRange()) }
        return ranges
    }

    private static func dictionary(_ cursor: inout ByteCursor, _ count: Int) throws(SegmentError) -> Values {
        let entryCount = try cursor.count()
        guard entryCount <= cursor.end - cursor.position else { throw .damaged("a dictionary longer than its column") }
        let entries = try ranges(&cursor, entryCount)
        let width = Int(try cursor.byte())
        guard [1, 2, 4].contains(width) else { throw .damaged("dictionary indices of odd width") }
        let (length, overflow) = count.multipliedReportingOverflow(by: width)
        guard !overflow else { throw .damaged("a column of absurd length") }
        let numbers = PackedNumbers(cursor.bytes, try cursor.range(length), width: width, count: count)
        guard numbers.maximum < entryCount else { throw .damaged("an index past its dictionary") }
        return .dictionary(entries: entries, numbers: numbers)
    }

    package static func mixed(_ cursor: inout ByteCursor) throws(SegmentError) -> DecodedValue {
        guard let kind = AttributeKind(rawValue: try cursor.byte()) else { throw .damaged("a value of no kind") }
        switch kind {
        case .empty: return .empty
        case .int: return .integer(Int64(bitPattern: try cursor.littleEndian()))
        case .double: return .double(Double(bitPattern: try cursor.littleEndian()))
        case .bool: return .bool(try cursor.byte() != 0)
        case .string: return .text(try cursor.prefixedRange())
        case .array, .keyValueList, .bytes: return .encoded(kind, try cursor.prefixedRange())
        }
    }

    // MARK: Access

    /// The position of a span's value; -1 when it has none.
    @inlinable
    @inline(__always)
    public func position(_ row: Int) -> Int {
        presence?.position(row) ?? row
    }

    /// Calls `body` with each row that has a value and the value's position.
    @inlinable
    @inline(__always)
    public func forEachPosition(_ spanCount: Int, _ body: (_ row: Int, _ position: Int) -> Void) {
        if let presence { return presence.forEach(body) }
        for row in 0..<spanCount { body(row, row) }
    }

    /// The value of a span.
    @inlinable
    public func value(_ row: Int) -> DecodedValue {
        let position = position(row)
        guard position >= 0 else { return .absent }
        switch values {
        case .integers(let values): return .integer(values[position])
        case .doubles(let values): return .double(Double(bitPattern: values[position]))
        case .bools(let values): return .bool(values[position] != 0)
        case .dictionary(let entries, let numbers): return .text(entries[numbers[position]])
        case .texts(let ranges): return .text(ranges[position])
        case .encoded(let kind, let ranges): return .encoded(kind, ranges[position])
        case .fixed(let values): return .integer(Int64(bitPattern: values[position]))
        case .mixed(let values): return values[position]
        case .empties: return .empty
        case .references: return .absent
        }
    }

    /// Where a span's text lies; `nil` when it has none.
    @inlinable
    @inline(__always)
    public func textRange(_ row: Int) -> Range<Int>? {
        let position = position(row)
        guard position >= 0 else { return nil }
        switch values {
        case .dictionary(let entries, let numbers): return entries[numbers[position]]
        case .texts(let ranges): return ranges[position]
        case .mixed(let values):
            if case .text(let range) = values[position] { return range }
            return nil
        default: return nil
        }
    }

    /// The integer or fixed-width value of a span; `nil` when it has none.
    @inlinable
    @inline(__always)
    public func integer(_ row: Int) -> Int64? {
        let position = position(row)
        guard position >= 0 else { return nil }
        switch values {
        case .integers(let values): return values[position]
        case .fixed(let values): return Int64(bitPattern: values[position])
        default: return nil
        }
    }
}
