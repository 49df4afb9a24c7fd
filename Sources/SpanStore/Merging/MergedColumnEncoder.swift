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
        appendPresence(&bytes) { column.kinds[$0] != 0 }
        let isOneKind = column.kindSet & (column.kindSet - 1) == 0
        let kind = isOneKind ? AttributeKind(rawValue: UInt8(column.kindSet.trailingZeroBitCount)) : nil
        switch kind {
        case .int:
            entry.encoding = .planes
            let values = rows(of: column).map { Int64(bitPattern: column.payloads[$0]) }
            (entry.minimum, entry.maximum) = Self.appendPlanes(values, to: &bytes)
        case .double:
            entry.encoding = .doubles
            for row in rows(of: column) { bytes.appendLittleEndian(column.payloads[row]) }
        case .bool:
            entry.encoding = .bools
            for row in rows(of: column) { bytes.append(UInt8(truncatingIfNeeded: column.payloads[row])) }
        case .string: appendTexts(column, to: &bytes, &entry)
        case .empty: entry.encoding = .empties
        case .array, .keyValueList, .bytes:
            entry.encoding = kind == .array ? .arrays : kind == .keyValueList ? .keyValueLists : .blobs
            for row in rows(of: column) { Self.appendPrefixed(column.blobs, column.blob(row), to: &bytes) }
        case nil:
            entry.encoding = .mixed
            for row in rows(of: column) { appendMixed(column, row, to: &bytes) }
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
        for (row, old) in order.enumerated() where column.kinds[Int(old)] != 0 {
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
        appendPresence(&bytes) { column.kinds[$0] != 0 }
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

    /// The old rows that have a value, in the new order.
    private func rows(of column: GatheredColumn) -> [Int] {
        var rows: [Int] = []
        rows.reserveCapacity(column.valueCount)
        for row in order where column.kinds[Int(row)] != 0 { rows.append(Int(row)) }
        return rows
    }

    // MARK: Parts

    private func appendPresence(_ bytes: inout [UInt8], _ has: (Int) -> Bool) {
        var present: [Int] = []
        present.reserveCapacity(order.count)
        for (row, old) in order.enumerated() where has(Int(old)) { present.append(row) }
        if present.count == order.count {
            bytes.append(0)
        } else if present.count * 16 >= order.count {
            bytes.append(1)
            var bitmap = [UInt8](repeating: 0, count: (order.count + 7) / 8)
            for row in present { bitmap[row >> 3] |= 1 << UInt8(row & 7) }
            bytes.append(contentsOf: bitmap)
        } else {
            bytes.append(2)
            var next = 0
            for row in present {
                bytes.appendVarint(row - next)
                next = row + 1
            }
        }
    }

    /// Appends integers as byte planes, of their values or of their differences, whichever have fewer bits; gives their range.
    static func appendPlanes(_ values: [Int64], to bytes: inout [UInt8]) -> (minimum: Int64, maximum: Int64) {
        guard let first = values.first else { return (0, 0) }
        var minimum = first
        var maximum = first
        for value in values {
            minimum = min(minimum, value)
            maximum = max(maximum, value)
        }
        let base = UInt64(bitPattern: minimum)
        var plain: [UInt64] = []
        var differences: [UInt64] = []
        plain.reserveCapacity(values.count)
        differences.reserveCapacity(values.count)
        var plainBits = 0
        var differenceBits = 0
        var previous = first
        for value in values {
            let word = UInt64(bitPattern: value) &- base
            let difference = value &- previous
            let zigzag = UInt64(bitPattern: difference << 1 ^ difference >> 63)
            previous = value
            plainBits += 64 - word.leadingZeroBitCount
            differenceBits += 64 - zigzag.leadingZeroBitCount
            plain.append(word)
            differences.append(zigzag)
        }
        let usesDifferences = differenceBits < plainBits
        bytes.append(usesDifferences ? 1 : 0)
        bytes.appendLittleEndian(usesDifferences ? UInt64(bitPattern: first) : base)
        appendPlanes(words: usesDifferences ? differences : plain, to: &bytes)
        return (minimum, maximum)
    }

    private static func appendPlanes(words: [UInt64], to bytes: inout [UInt8]) {
        let all = words.reduce(0, |)
        let width = all.byteWidth
        bytes.append(UInt8(width))
        let start = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: width * words.count))
        bytes.withUnsafeMutableBufferPointer { bytes in
            for plane in 0..<width {
                let shift = UInt64(8 * plane)
                let offset = start + plane * words.count
                for index in words.indices { bytes[offset + index] = UInt8(truncatingIfNeeded: words[index] &>> shift) }
            }
        }
    }

    private func appendTexts(_ column: GatheredColumn, to bytes: inout [UInt8], _ entry: inout ColumnEntry) {
        let source = column.texts.bytes
        entry.valueMask = 0
        for slice in column.texts.ranges { entry.valueMask |= 1 << (ByteHash.hash(source.span.bytes, slice.range) & 63) }
        let distinct = column.texts.count
        if distinct >= Self.dictionaryTrial && distinct * 4 > column.valueCount * 3 {
            entry.encoding = .texts
            for row in rows(of: column) {
                let range = column.text(row)
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
        for row in order where column.kinds[Int(row)] != 0 {
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

    private func appendMixed(_ column: GatheredColumn, _ row: Int, to bytes: inout [UInt8]) {
        MixedValue.append(column, row, to: &bytes)
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
