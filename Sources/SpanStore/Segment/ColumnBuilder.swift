import TelemetryModel

/// One column of a segment while it is being filled, span by span.
///
/// A column starts with the encoding of its first value. Texts begin as a dictionary and become plain when most of them differ;
/// a value of another kind turns an attribute's column to mixed.
struct ColumnBuilder {
    /// A dictionary is given up when it has this many entries and they are more than three quarters of the values.
    private static let dictionaryTrial = 48

    let space: ColumnSpace
    let name: String
    private(set) var encoding: ColumnEncoding?
    /// The spans that have a value, ascending.
    private(set) var rows: [UInt32] = []
    private var integers: [Int64] = []
    private var indices: [UInt32] = []
    private var dictionary = ByteStringTable()
    /// Encoded values of every other encoding.
    private var data: [UInt8] = []
    private var valueMask: UInt64 = 0
    private var minimum = Int64.max
    private var maximum = Int64.min
    /// While every value of a derived column is that of one attribute column, the position of that column: then only `rows` is kept
    /// here, and the values are read from there if a different one comes.
    private(set) var aliasOf: Int?

    init(space: ColumnSpace, name: String) {
        self.space = space
        self.name = name
    }

    var count: Int { rows.count }

    /// Makes the column ready for another segment, keeping its storage.
    mutating func removeAll() {
        encoding = nil
        rows.removeAll(keepingCapacity: true)
        integers.removeAll(keepingCapacity: true)
        indices.removeAll(keepingCapacity: true)
        dictionary.removeAll()
        data.removeAll(keepingCapacity: true)
        valueMask = 0
        minimum = .max
        maximum = .min
        aliasOf = nil
    }

    /// Whether the span already has its value; the later of two attributes with one key wins, so the caller goes backwards.
    @inline(__always)
    func has(_ row: UInt32) -> Bool { rows.last == row }

    // MARK: Aliases

    /// Takes the value that the attribute column at `source` has for the span; `false` when the column must hold values itself.
    @inline(__always)
    mutating func appendAlias(_ row: UInt32, of source: Int) -> Bool {
        if rows.isEmpty { aliasOf = source }
        guard aliasOf == source else { return false }
        rows.append(row)
        return true
    }

    /// Turns an alias into a column with values of its own, copied from the attribute column.
    mutating func resolveAlias(from source: borrowing ColumnBuilder) {
        guard aliasOf != nil else { return }
        aliasOf = nil
        let wanted = rows
        rows.removeAll(keepingCapacity: true)
        var position = 0
        var cursor = ByteCursor(trusted: source.data)
        for row in wanted {
            while source.rows[position] < row {
                source.skipValue(&cursor)
                position += 1
            }
            source.copyValue(position, &cursor, row, to: &self)
            position += 1
        }
    }

    /// Steps over a value in `data`, of the encodings that keep texts there.
    private func skipValue(_ cursor: inout ByteCursor) {
        if encoding == .texts { _ = try? cursor.prefixedRange() }
        if encoding == .mixed { _ = try? DecodedColumn.mixed(&cursor) }
    }

    private func copyValue(_ position: Int, _ cursor: inout ByteCursor, _ row: UInt32, to target: inout ColumnBuilder) {
        switch encoding {
        case .integers: target.append(row, integer: integers[position])
        case .dictionary:
            target.append(row, text: dictionary.ranges[Int(indices[position])].range, in: dictionary.bytes.span.bytes)
        case .texts:
            // The builder wrote these lengths itself a moment ago.
            guard let range = try? cursor.prefixedRange() else { return }
            target.append(row, text: WireRange(offset: range.lowerBound, count: range.count), in: data.span.bytes)
        case .mixed:
            switch try? DecodedColumn.mixed(&cursor) {
            case .integer(let integer): target.append(row, integer: integer)
            case .text(let range):
                target.append(row, text: WireRange(offset: range.lowerBound, count: range.count), in: data.span.bytes)
            default: return
            }
        default: return
        }
    }

    // MARK: Values

    @inline(__always)
    mutating func append(_ row: UInt32, integer: Int64) {
        if encoding == nil { encoding = .integers }
        guard encoding == .integers else {
            appendMixed(row, .int, UInt64(bitPattern: integer))
            return
        }
        rows.append(row)
        integers.append(integer)
        minimum = min(minimum, integer)
        maximum = max(maximum, integer)
    }

    @inline(__always)
    mutating func append(_ row: UInt32, text range: WireRange, in bytes: RawSpan) {
        if encoding == nil { encoding = .dictionary }
        let hash = ByteHash.hash(bytes, range)
        if encoding == .dictionary {
            rows.append(row)
            valueMask |= 1 << (hash & 63)
            indices.append(UInt32(truncatingIfNeeded: dictionary.insert(range, in: bytes, hash: hash).index))
            if dictionary.count >= Self.dictionaryTrial && dictionary.count &* 4 > indices.count &* 3 { giveUpDictionary() }
        } else if encoding == .texts {
            rows.append(row)
            valueMask |= 1 << (hash & 63)
            appendPrefixed(range, bytes)
        } else {
            appendMixed(row, .string, range, bytes)
        }
    }

    /// Appends an attribute of any kind.
    @inline(__always)
    mutating func append(_ row: UInt32, attribute: AttributeRecord, in bytes: RawSpan) {
        switch attribute.kind {
        case .string: append(row, text: attribute.slice.range, in: bytes)
        case .int: append(row, integer: attribute.int)
        case .double:
            if start(.doubles) {
                rows.append(row)
                data.appendLittleEndian(attribute.payload)
            } else {
                appendMixed(row, .double, attribute.payload)
            }
        case .bool:
            if start(.bools) {
                rows.append(row)
                data.append(attribute.bool ? 1 : 0)
            } else {
                appendMixed(row, .bool, attribute.payload)
            }
        case .empty:
            if start(.empties) { rows.append(row) } else { appendMixed(row, .empty, 0) }
        case .array: appendBlob(row, .arrays, .array, attribute.slice.range, bytes)
        case .keyValueList: appendBlob(row, .keyValueLists, .keyValueList, attribute.slice.range, bytes)
        case .bytes: appendBlob(row, .blobs, .bytes, attribute.slice.range, bytes)
        }
    }

    /// Appends bytes that were put together for this column.
    mutating func append(_ row: UInt32, blob: [UInt8]) {
        encoding = .blobs
        rows.append(row)
        data.appendVarint(blob.count)
        data.append(contentsOf: blob)
    }

    @inline(__always)
    mutating func append(_ row: UInt32, fixed8 value: UInt64) {
        encoding = .fixed8
        rows.append(row)
        data.appendLittleEndian(value)
    }

    @inline(__always)
    mutating func append(_ row: UInt32, fixed4 value: UInt32) {
        encoding = .fixed4
        rows.append(row)
        data.appendLittleEndian(UInt64(value), width: 4)
    }

    @inline(__always)
    private mutating func start(_ wanted: ColumnEncoding) -> Bool {
        if encoding == nil { encoding = wanted }
        return encoding == wanted
    }

    private mutating func appendBlob(
        _ row: UInt32, _ wanted: ColumnEncoding, _ kind: AttributeKind, _ range: WireRange, _ bytes: RawSpan
    ) {
        if start(wanted) {
            rows.append(row)
            appendPrefixed(range, bytes)
        } else {
            appendMixed(row, kind, range, bytes)
        }
    }

    @inline(__always)
    private mutating func appendPrefixed(_ range: WireRange, _ bytes: RawSpan) {
        data.appendVarint(range.count)
        bytes.extracting(range.offset..<range.end).withUnsafeBytes { data.append(contentsOf: $0) }
    }

    // MARK: Changes of encoding

    private mutating func giveUpDictionary() {
        for index in indices {
            let range = dictionary.ranges[Int(index)].range
            data.appendVarint(range.count)
            data.append(contentsOf: dictionary.bytes[range.offset..<range.end])
        }
        indices.removeAll(keepingCapacity: true)
        dictionary.removeAll()
        encoding = .texts
    }

    private mutating func appendMixed(_ row: UInt32, _ kind: AttributeKind, _ payload: UInt64) {
        becomeMixed()
        rows.append(row)
        data.append(kind.rawValue)
        switch kind {
        case .int, .double: data.appendLittleEndian(payload)
        case .bool: data.append(UInt8(truncatingIfNeeded: payload))
        case .empty, .string, .array, .keyValueList, .bytes: break
        }
    }

    private mutating func appendMixed(_ row: UInt32, _ kind: AttributeKind, _ range: WireRange, _ bytes: RawSpan) {
        becomeMixed()
        rows.append(row)
        data.append(kind.rawValue)
        appendPrefixed(range, bytes)
    }

    /// Writes the values so far again, each with its kind.
    private mutating func becomeMixed() {
        guard encoding != .mixed else { return }
        var mixed: [UInt8] = []
        switch encoding {
        case .integers:
            for value in integers {
                mixed.append(AttributeKind.int.rawValue)
                mixed.appendLittleEndian(UInt64(bitPattern: value))
            }
        case .doubles: Self.prefixKinds(.double, data, width: 8, into: &mixed)
        case .bools: Self.prefixKinds(.bool, data, width: 1, into: &mixed)
        case .empties: mixed = [UInt8](repeating: AttributeKind.empty.rawValue, count: rows.count)
        case .dictionary:
            for index in indices {
                let range = dictionary.ranges[Int(index)].range
                mixed.append(AttributeKind.string.rawValue)
                mixed.appendVarint(range.count)
                mixed.append(contentsOf: dictionary.bytes[range.offset..<range.end])
            }
        case .texts: Self.prefixKinds(.string, data, into: &mixed)
        case .arrays: Self.prefixKinds(.array, data, into: &mixed)
        case .keyValueLists: Self.prefixKinds(.keyValueList, data, into: &mixed)
        case .blobs: Self.prefixKinds(.bytes, data, into: &mixed)
        case .fixed4, .fixed8, .fixed16, .mixed, .alias, .planes, .references, nil: break
        }
        integers.removeAll(keepingCapacity: true)
        indices.removeAll(keepingCapacity: true)
        dictionary.removeAll()
        data = mixed
        valueMask = .max
        minimum = .max
        maximum = .min
        encoding = .mixed
    }

    private static func prefixKinds(_ kind: AttributeKind, _ data: [UInt8], width: Int, into mixed: inout [UInt8]) {
        for start in stride(from: 0, to: data.count, by: width) {
            mixed.append(kind.rawValue)
            mixed.append(contentsOf: data[start..<start + width])
        }
    }

    private static func prefixKinds(_ kind: AttributeKind, _ data: [UInt8], into mixed: inout [UInt8]) {
        // The builder wrote these lengths itself a moment ago.
        guard var cursor = try? ByteCursor(data) else { return }
        while cursor.position < cursor.end, let range = try? cursor.prefixedRange() {
            mixed.append(kind.rawValue)
            mixed.appendVarint(range.count)
            mixed.append(contentsOf: data[range])
        }
    }

    // MARK: Writing

    /// Appends the column to its stream and gives its entry of the directory. Only for a column with values.
    func write(to stream: inout [UInt8], streamNumber: Int, spanCount: Int) -> ColumnEntry {
        let offset = stream.count
        writePresence(to: &stream, spanCount: spanCount)
        let encoding = encoding ?? .empties
        switch encoding {
        case .integers: writeIntegers(to: &stream)
        case .dictionary: writeDictionary(to: &stream)
        default: stream.append(contentsOf: data)
        }
        let isText = encoding == .dictionary || encoding == .texts
        return ColumnEntry(
            space: space, name: name, encoding: encoding, stream: streamNumber, offset: offset,
            length: stream.count - offset, valueCount: rows.count, minimum: encoding == .integers ? minimum : 0,
            maximum: encoding == .integers ? maximum : 0, valueMask: isText ? valueMask : .max)
    }

    private func writePresence(to stream: inout [UInt8], spanCount: Int) {
        if rows.count == spanCount {
            stream.append(0)
        } else if rows.count * 16 >= spanCount {
            stream.append(1)
            var bitmap = [UInt8](repeating: 0, count: (spanCount + 7) / 8)
            for row in rows { bitmap[Int(row >> 3)] |= 1 << (row & 7) }
            stream.append(contentsOf: bitmap)
        } else {
            stream.append(2)
            var next: UInt32 = 0
            for row in rows {
                stream.appendVarint(Int(row - next))
                next = row + 1
            }
        }
    }

    private func writeIntegers(to stream: inout [UInt8]) {
        let range = UInt64(bitPattern: maximum) &- UInt64(bitPattern: minimum)
        let width = (64 - range.leadingZeroBitCount + 7) / 8
        stream.appendLittleEndian(UInt64(bitPattern: minimum))
        stream.append(UInt8(width))
        guard width > 0 else { return }
        for value in integers {
            stream.appendLittleEndian(UInt64(bitPattern: value) &- UInt64(bitPattern: minimum), width: width)
        }
    }

    private func writeDictionary(to stream: inout [UInt8]) {
        stream.appendVarint(dictionary.count)
        for entry in dictionary.ranges {
            stream.appendVarint(entry.range.count)
            stream.append(contentsOf: dictionary.bytes[entry.range.offset..<entry.range.end])
        }
        let width = dictionary.count <= 1 << 8 ? 1 : dictionary.count <= 1 << 16 ? 2 : 4
        stream.append(UInt8(width))
        for index in indices { stream.appendLittleEndian(UInt64(index), width: width) }
    }
}

/// A column's line in the directory of its segment.
package struct ColumnEntry: Sendable {
    var space: ColumnSpace
    var name: String
    var encoding: ColumnEncoding
    var stream: Int
    var offset: Int
    var length: Int
    var valueCount: Int
    /// Of integer columns.
    var minimum: Int64
    var maximum: Int64
    /// A text cannot be in the column unless bit (hash mod 64) is set.
    var valueMask: UInt64
    /// Of an alias: the key of the attribute column whose values these are.
    var aliasName = ""
}
