import TelemetryModel

/// Writes the columns of a merged segment, in the new order of rows. Formats: SegmentFormat.swift.
struct MergedColumnEncoder {
    /// For each new row the row that it was.
    let order: [UInt32]

    /// A column's bytes, and its line of the directory but for the place.
    struct Encoded {
        var bytes: [UInt8]
        var entry: ColumnEntry
    }

    /// A dictionary is not worth its indices when it has this many entries and they are more than three quarters of the values.
    private static let dictionaryTrial = 48

    /// Encodes a column by the kinds of its values; `nil` when it has none.
    func encode(_ column: GatheredColumn, _ space: ColumnSpace, _ name: String) -> Encoded? {
        guard column.valueCount > 0 else { return nil }
        var entry = entry(space, name, valueCount: column.valueCount)
        var bytes: [UInt8] = []
        let rows = rows(of: column)
        appendPresence(rows, to: &bytes)
        let isOneKind = column.kindSet & (column.kindSet - 1) == 0
        let kind = isOneKind ? AttributeKind(rawValue: UInt8(column.kindSet.trailingZeroBitCount)) : nil
        switch kind {
        case .int:
            entry.encoding = .planes
            let values = rows.old.map { Int64(bitPattern: column.payloads[Int($0)]) }
            (entry.minimum, entry.maximum) = Self.appendPlanes(values, to: &bytes)
        case .double:
            entry.encoding = .doubles
            for row in rows.old { bytes.appendLittleEndian(column.payloads[Int(row)]) }
        case .bool:
            entry.encoding = .bools
            for row in rows.old { bytes.append(UInt8(truncatingIfNeeded: column.payloads[Int(row)])) }
        case .string: appendTexts(column, rows, to: &bytes, &entry)
        case .empty: entry.encoding = .empties
        case .array, .keyValueList, .bytes:
            entry.encoding = kind == .array ? .arrays : kind == .keyValueList ? .keyValueLists : .blobs
            for row in rows.old { Self.appendPrefixed(column.blobs, column.blob(Int(row)), to: &bytes) }
        case nil:
            entry.encoding = .mixed
            for row in rows.old { MixedValue.append(column, Int(row), to: &bytes) }
        }
        entry.length = bytes.count
        return Encoded(bytes: bytes, entry: entry)
    }

    /// Integers of which every row has one, in the new order.
    func encode(integers values: [Int64], _ name: String) -> Encoded {
        var entry = entry(.fixed, name, valueCount: values.count)
        var bytes: [UInt8] = [0]
        entry.encoding = .planes
        (entry.minimum, entry.maximum) = Self.appendPlanes(values, to: &bytes)
        entry.length = bytes.count
        return Encoded(bytes: bytes, entry: entry)
    }

    /// Words of `width` bytes of which every row has one, such as ids.
    func encode(fixed column: GatheredColumn, width: Int, _ name: String) -> Encoded {
        var entry = entry(.fixed, name, valueCount: order.count)
        var bytes: [UInt8] = [0]
        bytes.reserveCapacity(1 + order.count * width)
        entry.encoding = width == 4 ? .fixed4 : .fixed8
        for row in order { bytes.appendLittleEndian(column.payloads[Int(row)], width: width) }
        entry.length = bytes.count
        return Encoded(bytes: bytes, entry: entry)
    }

    /// The column of parents: most are a few rows away, and their ids need not be stored twice. `nil` when there are none.
    ///
    /// - Parameter rowOfSpan: a new row of each span id.
    func encode(parents column: GatheredColumn, rowOfSpan: [UInt64: UInt32], _ name: String) -> Encoded? {
        guard column.valueCount > 0 else { return nil }
        var entry = entry(.fixed, name, valueCount: column.valueCount)
        entry.encoding = .references
        var outer: [UInt64] = []
        var steps: [UInt8] = []
        let rows = rows(of: column)
        for (index, old) in rows.old.enumerated() {
            let row = rows.new.map { Int($0[index]) } ?? index
            let parent = column.payloads[Int(old)]
            if let target = rowOfSpan[parent], Int(target) != row {
                let step = row - Int(target)
                steps.appendVarint(step << 1 ^ step >> (Int.bitWidth - 1))
            } else {
                steps.append(0)
                outer.append(parent)
            }
        }
        var bytes: [UInt8] = []
        appendPresence(rows, to: &bytes)
        bytes.appendVarint(outer.count)
        for id in outer { bytes.appendLittleEndian(id) }
        bytes.append(contentsOf: steps)
        entry.length = bytes.count
        return Encoded(bytes: bytes, entry: entry)
    }

    /// A table that spans refer to by number: its own count, not the spans'.
    static func table(_ name: String, _ bytes: [UInt8], count: Int) -> Encoded {
        let entry = ColumnEntry(
            space: .fixed, name: name, encoding: .blobs, stream: 0, offset: 0, length: bytes.count, valueCount: count, minimum: 0,
            maximum: 0, valueMask: .max)
        return Encoded(bytes: bytes, entry: entry)
    }

    private func entry(_ space: ColumnSpace, _ name: String, valueCount: Int) -> ColumnEntry {
        ColumnEntry(
            space: space, name: name, encoding: .empties, stream: 0, offset: 0, length: 0, valueCount: valueCount, minimum: 0,
            maximum: 0, valueMask: .max)
    }

    /// The rows that have a value, in the new order.
    private struct ValueRows {
        /// What they were.
        var old: [UInt32]
        /// What they are; `nil` when all rows have a value.
        var new: [UInt32]?
    }

    private func rows(of column: GatheredColumn) -> ValueRows {
        guard column.valueCount < order.count else { return ValueRows(old: order, new: nil) }
        var rows = ValueRows(old: [], new: nil)
        // By pointers: each column goes through all rows, most of which have no value in it.
        column.kinds.withUnsafeBufferPointer { kinds in
            rows.new = [UInt32](unsafeUninitializedCapacity: column.valueCount) { new, filled in
                rows.old = [UInt32](unsafeUninitializedCapacity: column.valueCount) { old, count in
                    for (row, before) in order.enumerated() where kinds[Int(before)] != 0 {
                        old[count] = before
                        new[count] = UInt32(truncatingIfNeeded: row)
                        count &+= 1
                    }
                    filled = count
                }
            }
        }
        return rows
    }

    // MARK: Parts

    private func appendPresence(_ rows: ValueRows, to bytes: inout [UInt8]) {
        guard let present = rows.new else { return bytes.append(0) }
        if present.count * 16 >= order.count {
            bytes.append(1)
            var bitmap = [UInt8](repeating: 0, count: (order.count + 7) / 8)
            for row in present { bitmap[Int(row >> 3)] |= 1 << UInt8(row & 7) }
            bytes.append(contentsOf: bitmap)
        } else {
            bytes.append(2)
            var next: UInt32 = 0
            for row in present {
                bytes.appendVarint(Int(row - next))
                next = row + 1
            }
        }
    }

    /// Appends integers as byte planes, of their values or of their differences, whichever have fewer bits; gives their range.
    static func appendPlanes(_ values: [Int64], to bytes: inout [UInt8]) -> (minimum: Int64, maximum: Int64) {
        guard let first = values.first else { return (0, 0) }
        return values.withUnsafeBufferPointer { values in
            var (minimum, maximum, previous) = (first, first, first)
            var differenceBits = 0
            var allDifferences: UInt64 = 0
            for value in values {
                minimum = min(minimum, value)
                maximum = max(maximum, value)
                let word = zigzag(value, behind: previous)
                previous = value
                differenceBits &+= 64 - word.leadingZeroBitCount
                allDifferences |= word
            }
            let base = UInt64(bitPattern: minimum)
            var plainBits = 0
            for value in values { plainBits &+= 64 - (UInt64(bitPattern: value) &- base).leadingZeroBitCount }
            if differenceBits < plainBits {
                bytes.append(1)
                bytes.appendLittleEndian(UInt64(bitPattern: first))
                previous = first
                appendPlanes(values, width: allDifferences.byteWidth, to: &bytes) { value in
                    defer { previous = value }
                    return zigzag(value, behind: previous)
                }
            } else {
                bytes.append(0)
                bytes.appendLittleEndian(base)
                let range = UInt64(bitPattern: maximum) &- base
                appendPlanes(values, width: range.byteWidth, to: &bytes) { UInt64(bitPattern: $0) &- base }
            }
            return (minimum, maximum)
        }
    }

    /// The difference to the value before as a word, small for small differences either way.
    @inline(__always)
    private static func zigzag(_ value: Int64, behind previous: Int64) -> UInt64 {
        let difference = value &- previous
        return UInt64(bitPattern: difference << 1 ^ difference >> 63)
    }

    /// - Parameter word: is asked for each value in turn, once.
    @inline(__always)
    private static func appendPlanes(
        _ values: UnsafeBufferPointer<Int64>, width: Int, to bytes: inout [UInt8], word: (Int64) -> UInt64
    ) {
        bytes.append(UInt8(width))
        guard width > 0 else { return }
        let start = bytes.count
        let count = values.count
        bytes.append(contentsOf: repeatElement(0, count: width * count))
        bytes.withUnsafeMutableBufferPointer { bytes in
            for index in 0..<count {
                var rest = word(values[index])
                var place = start &+ index
                for _ in 0..<width {
                    bytes[place] = UInt8(truncatingIfNeeded: rest)
                    rest &>>= 8
                    place &+= count
                }
            }
        }
    }

    private func appendTexts(_ column: GatheredColumn, _ rows: ValueRows, to bytes: inout [UInt8], _ entry: inout ColumnEntry) {
        let source = column.texts.bytes
        entry.valueMask = 0
        for slice in column.texts.ranges { entry.valueMask |= 1 << (ByteHash.hash(source.span.bytes, slice.range) & 63) }
        let distinct = column.texts.count
        if distinct >= Self.dictionaryTrial && distinct * 4 > column.valueCount * 3 {
            entry.encoding = .texts
            for row in rows.old {
                let range = column.text(Int(row))
                Self.appendPrefixed(source, range.offset..<range.end, to: &bytes)
            }
            return
        }
        entry.encoding = .dictionary
        // Entries go by first appearance in the new order, so that neighbours have close numbers.
        var numbers = [Int32](repeating: -1, count: distinct)
        var next: Int32 = 0
        var entries: [UInt8] = []
        var indices: [Int32] = []
        indices.reserveCapacity(column.valueCount)
        for row in rows.old {
            let text = Int(column.payloads[Int(row)])
            if numbers[text] < 0 {
                numbers[text] = next
                next += 1
                let range = column.texts.ranges[text].range
                Self.appendPrefixed(source, range.offset..<range.end, to: &entries)
            }
            indices.append(numbers[text])
        }
        bytes.appendVarint(Int(next))
        bytes.append(contentsOf: entries)
        let width = next <= 1 << 8 ? 1 : next <= 1 << 16 ? 2 : 4
        bytes.append(UInt8(width))
        for index in indices { bytes.appendLittleEndian(UInt64(index), width: width) }
    }

    static func appendPrefixed(_ source: [UInt8], _ range: Range<Int>, to bytes: inout [UInt8]) {
        bytes.appendVarint(range.count)
        bytes.append(contentsOf: source[range])
    }
}

/// A value with its kind, as mixed columns and overflowing attributes hold it.
enum MixedValue {
    /// Appends the value of a row that has one.
    static func append(_ column: GatheredColumn, _ row: Int, to bytes: inout [UInt8]) {
        guard column.kinds[row] > 0, let kind = AttributeKind(rawValue: column.kinds[row] - 1) else { return }
        bytes.append(kind.rawValue)
        switch kind {
        case .empty: break
        case .int, .double: bytes.appendLittleEndian(column.payloads[row])
        case .bool: bytes.append(UInt8(truncatingIfNeeded: column.payloads[row]))
        case .string:
            let range = column.text(row)
            MergedColumnEncoder.appendPrefixed(column.texts.bytes, range.offset..<range.end, to: &bytes)
        case .array, .keyValueList, .bytes:
            MergedColumnEncoder.appendPrefixed(column.blobs, column.blob(row), to: &bytes)
        }
    }
}
