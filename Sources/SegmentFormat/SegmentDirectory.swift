import TelemetryModel

/// A segment's directory: which columns it has and where they lie. Its bytes are told in SegmentFormat.swift.
package struct SegmentDirectory: Sendable {
    /// The number that the rows of the streams go by; `nil` when it is the segment's id, as in one that a commit wrote.
    package var streamSet: Int64?
    package var spanCount: Int
    /// Inflated lengths of the streams.
    package var streamCounts: [Int]
    package var columns: [ColumnEntry]

    init(spanCount: Int, streamCounts: [Int], columns: [ColumnEntry]) {
        self.spanCount = spanCount
        self.streamCounts = streamCounts
        self.columns = columns
    }

    /// The directory of a merged segment; a commit's is written by `DirectoryWriter`.
    func encoded(streamSet: Int64) -> [UInt8] {
        var bytes: [UInt8] = [SegmentFormat.mergedVersion]
        bytes.appendVarint(Int(streamSet))
        bytes.appendVarint(spanCount)
        bytes.appendVarint(streamCounts.count)
        for count in streamCounts { bytes.appendVarint(count) }
        bytes.appendVarint(columns.count)
        for column in columns {
            bytes.append(column.space.rawValue)
            bytes.appendPrefixed(column.name)
            bytes.append(column.encoding.rawValue)
            if column.encoding == .alias { bytes.appendPrefixed(column.aliasName) }
            bytes.appendVarint(column.stream)
            bytes.appendVarint(column.offset)
            bytes.appendVarint(column.length)
            bytes.appendVarint(column.valueCount)
            bytes.appendLittleEndian(UInt64(bitPattern: column.minimum))
            bytes.appendLittleEndian(UInt64(bitPattern: column.maximum))
            bytes.appendLittleEndian(column.valueMask)
        }
        return bytes
    }

    package init(decoding bytes: [UInt8]) throws(SegmentError) {
        var cursor = try ByteCursor(bytes)
        let version = try cursor.byte()
        switch version {
        case SegmentFormat.version: try self.init(numbered: &cursor)
        case SegmentFormat.earlierVersion: try self.init(named: &cursor, streamSet: nil)
        case SegmentFormat.mergedVersion: try self.init(named: &cursor, streamSet: Int64(try cursor.count()))
        default: throw .unknownVersion(version)
        }
    }

    /// Reads a directory of a merged segment, or of an earlier release, from behind its stream set on.
    private init(named cursor: inout ByteCursor, streamSet: Int64?) throws(SegmentError) {
        self.streamSet = streamSet
        spanCount = try cursor.count()
        streamCounts = []
        for _ in 0..<(try cursor.count()) { streamCounts.append(try cursor.count()) }
        columns = []
        for _ in 0..<(try cursor.count()) { columns.append(try Self.column(&cursor, streams: streamCounts)) }
    }

    /// The stream set of a merged segment's stored directory; `nil` when the segment's id is it.
    package static func streamSet(ofFrame frame: [UInt8]) throws(SegmentError) -> Int64? {
        var cursor = try ByteCursor(StoredFrame.bytes(of: frame))
        guard try cursor.byte() == SegmentFormat.mergedVersion else { return nil }
        return Int64(try cursor.count())
    }

    private static func column(_ cursor: inout ByteCursor, streams: [Int]) throws(SegmentError) -> ColumnEntry {
        guard let space = ColumnSpace(rawValue: try cursor.byte()) else { throw .damaged("a column of no space") }
        let name = try cursor.prefixedText()
        guard let encoding = ColumnEncoding(rawValue: try cursor.byte()) else { throw .damaged("an unknown encoding") }
        let alias = encoding == .alias ? try cursor.prefixedText() : ""
        let stream = try cursor.count()
        let offset = try cursor.count()
        let length = try cursor.count()
        let valueCount = try cursor.count()
        let minimum = Int64(bitPattern: try cursor.littleEndian())
        let maximum = Int64(bitPattern: try cursor.littleEndian())
        let mask = try cursor.littleEndian()
        if encoding != .alias {
            guard stream < streams.count, offset <= streams[stream], length <= streams[stream] - offset else {
                throw .damaged("a column past its stream")
            }
        }
        return ColumnEntry(
            space: space, name: name, encoding: encoding, stream: stream, offset: offset, length: length,
            valueCount: valueCount, minimum: minimum, maximum: maximum, valueMask: mask, aliasName: alias)
    }

    package func column(_ space: ColumnSpace, _ name: String) -> ColumnEntry? {
        // By position: an element that is handed to a closure is copied, and its texts counted.
        for index in columns.indices where columns[index].space == space && columns[index].name.isExactly(name) { return columns[index] }
        return nil
    }
}

/// A column's line in the directory of its segment.
package struct ColumnEntry: Sendable {
    package var space: ColumnSpace
    package var name: String
    package var encoding: ColumnEncoding
    package var stream: Int
    package var offset: Int
    package var length: Int
    package var valueCount: Int
    /// Of integer columns.
    package var minimum: Int64
    package var maximum: Int64
    /// A text cannot be in the column unless bit (hash mod 64) is set.
    package var valueMask: UInt64
    /// Of an alias: the key of the attribute column whose values these are.
    package var aliasName = ""
}
