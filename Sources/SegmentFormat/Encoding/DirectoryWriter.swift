import TelemetryModel

/// The directory of a segment that a commit writes, while its columns are written (`SegmentFormat`, version 3).
struct DirectoryWriter: ~Copyable {
    static let end: UInt8 = 0
    static let fixedMax: UInt8 = 64
    static let derived: UInt8 = 65
    static let attribute: UInt8 = 66

    private var columns = RecordBuffer<UInt8>(capacity: 1 << 12)

    mutating func removeAll() { columns.removeAll() }

    /// A column of the fixed ones, by the number of its name.
    mutating func appendFixed(_ number: Int, _ column: WrittenColumn, section: Int, length: Int) {
        columns.append(UInt8(truncatingIfNeeded: number + 1))
        append(column, section, length)
    }

    mutating func appendDerived(_ name: String, _ column: WrittenColumn, section: Int, length: Int) {
        columns.append(Self.derived)
        columns.appendPrefixed(name)
        append(column, section, length)
    }

    /// A derived column whose values are those of an attribute's column.
    /// - Parameter attribute: the place of that column among those of attributes.
    mutating func appendAlias(_ name: String, valueCount: Int, attribute: Int) {
        columns.append(Self.derived)
        columns.appendPrefixed(name)
        columns.append(ColumnEncoding.alias.rawValue)
        columns.appendVarint(valueCount)
        columns.appendVarint(attribute)
    }

    mutating func appendAttribute(_ name: WireRange, of bytes: RawSpan, _ column: WrittenColumn, section: Int, length: Int) {
        columns.append(Self.attribute)
        columns.appendPrefixed(name, of: bytes)
        append(column, section, length)
    }

    private mutating func append(_ column: WrittenColumn, _ section: Int, _ length: Int) {
        columns.append(column.encoding.rawValue)
        columns.appendVarint(column.valueCount)
        columns.append(UInt8(truncatingIfNeeded: section))
        columns.appendVarint(length)
        switch column.encoding {
        case .integers:
            let range = UInt64(bitPattern: column.maximum) &- UInt64(bitPattern: column.minimum)
            let width = range.byteWidth
            columns.appendLittleEndian(UInt64(bitPattern: column.minimum))
            columns.append(UInt8(truncatingIfNeeded: width))
            columns.appendLittleEndian(range, width: width)
        case .dictionary, .texts: columns.appendLittleEndian(column.valueMask)
        default: break
        }
    }

    /// The whole directory.
    mutating func frame(spanCount: Int, _ sections: borrowing SegmentSections, _ compressor: ZstandardCompressor) throws(SegmentError)
        -> [UInt8]
    {
        columns.append(Self.end)
        var whole = RecordBuffer<UInt8>(capacity: columns.count + 64)
        whole.append(SegmentFormat.version)
        whole.appendVarint(spanCount)
        whole.append(sections.isJoined ? 1 : 0)
        let counts = sections.counts
        for count in [counts.identity, counts.common, counts.rest] { whole.appendVarint(count) }
        columns.withUnsafeBytes { whole.append($0) }
        return try StoredFrame.stored(whole, compressor)
    }
}

/// What the directory says of a column besides its name and where it lies.
struct WrittenColumn {
    var encoding: ColumnEncoding
    var valueCount: Int
    /// Of integers.
    var minimum: Int64 = 0
    var maximum: Int64 = 0
    /// Of texts.
    var valueMask: UInt64 = 0
}

extension SegmentDirectory {
    /// Reads a directory that `DirectoryWriter` wrote, from behind its version on.
    init(numbered cursor: inout ByteCursor) throws(SegmentError) {
        spanCount = try cursor.count()
        let isJoined = try cursor.byte() == 1
        var sections: [Int] = []
        for _ in 0..<SegmentSections.count {
            let count = try cursor.count()
            guard count <= ZstandardDecompression.inflatedBytesMax else { throw .damaged("a section of absurd length") }
            sections.append(count)
        }
        // Where in their streams the sections begin, and where the next column of each does.
        var starts = [0, 0, 0]
        if isJoined { starts = [0, sections[0], sections[0] + sections[1]] }
        streamCounts = isJoined ? [sections.reduce(0, +)] : sections
        columns = []
        var taken = [0, 0, 0]
        var aliases: [(column: Int, attribute: Int)] = []
        var attributes: [Int] = []
        while true {
            let tag = try cursor.byte()
            if tag == DirectoryWriter.end { break }
            guard columns.count < SegmentFormat.columnsMax else { throw .damaged("more columns than a segment may have") }
            let (space, name) = try Self.name(tag, &cursor)
            guard let encoding = ColumnEncoding(rawValue: try cursor.byte()) else { throw .damaged("an unknown encoding") }
            var entry = ColumnEntry(
                space: space, name: name, encoding: encoding, stream: 0, offset: 0, length: 0, valueCount: try cursor.count(),
                minimum: 0, maximum: 0, valueMask: .max)
            if encoding == .alias {
                aliases.append((columns.count, try cursor.count()))
                columns.append(entry)
                continue
            }
            let section = Int(try cursor.byte())
            guard section < SegmentSections.count else { throw .damaged("a column of no section") }
            entry.length = try cursor.count()
            guard entry.length <= sections[section] - taken[section] else { throw .damaged("a column past its section") }
            entry.stream = isJoined ? 0 : section
            entry.offset = starts[section] + taken[section]
            taken[section] += entry.length
            switch encoding {
            case .integers:
                let minimum = try cursor.littleEndian()
                let range = try cursor.littleEndian(width: Int(try cursor.byte()))
                (entry.minimum, entry.maximum) = (Int64(bitPattern: minimum), Int64(bitPattern: minimum &+ range))
            case .dictionary, .texts: entry.valueMask = try cursor.littleEndian()
            default: break
            }
            if space == .attribute { attributes.append(columns.count) }
            columns.append(entry)
        }
        for (column, attribute) in aliases {
            guard attribute < attributes.count else { throw .damaged("a column that stands for none") }
            columns[column].aliasName = columns[attributes[attribute]].name
        }
    }

    private static func name(_ tag: UInt8, _ cursor: inout ByteCursor) throws(SegmentError) -> (ColumnSpace, String) {
        switch tag {
        case DirectoryWriter.derived: return (.derived, try cursor.prefixedText())
        case DirectoryWriter.attribute: return (.attribute, try cursor.prefixedText())
        default:
            guard tag <= DirectoryWriter.fixedMax, Int(tag) <= FixedColumn.names.count else { throw .damaged("a column without a name") }
            return (.fixed, FixedColumn.names[Int(tag) - 1])
        }
    }
}
