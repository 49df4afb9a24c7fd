package import TelemetryModel

/// One stored segment, whose streams and columns are read when they are asked for, and kept until the reader goes.
package final class SegmentReader {
    package let id: Int64
    package let directory: SegmentDirectory
    private let loadStream: (Int64) throws -> [UInt8]
    /// By number; those that were read.
    private var streams: [[UInt8]?]
    private var columns: [ExactText: DecodedColumn] = [:]
    private var unreportedColumns: [String] = []

    /// - Parameter loadStream: gives the stored frame of the stream with that row id.
    package init(id: Int64, directory frame: [UInt8], loadStream: @escaping (Int64) throws -> [UInt8]) throws(SegmentError) {
        self.id = id
        self.loadStream = loadStream
        directory = try SegmentDirectory(decoding: StoredFrame.bytes(of: frame))
        streams = Array(repeating: nil, count: directory.streamCounts.count)
    }

    package init(id: Int64, directory: SegmentDirectory, loadStream: @escaping (Int64) throws -> [UInt8]) {
        self.id = id
        self.loadStream = loadStream
        self.directory = directory
        streams = Array(repeating: nil, count: directory.streamCounts.count)
    }

    package var spanCount: Int { directory.spanCount }

    /// The number that the rows of the streams go by.
    package var streamSet: Int64 { directory.streamSet ?? id }

    /// - Throws: `SegmentError` when the stored bytes are damaged, `SQLiteError` when they cannot be read.
    package func stream(_ number: Int) throws -> [UInt8] {
        guard streams.indices.contains(number) else { throw SegmentError.damaged("a column of no stream") }
        if let known = streams[number] { return known }
        let frame = try loadStream(streamSet &* Int64(SegmentFormat.streamsMax) &+ Int64(number))
        let bytes = try StoredFrame.bytes(of: frame, count: directory.streamCounts[number])
        streams[number] = bytes
        return bytes
    }

    /// The column of that name; `nil` when no span of the segment has a value in it.
    package func column(_ space: ColumnSpace, _ name: String) throws -> DecodedColumn? {
        let key = ExactText("\(space.rawValue)\(name)")
        if let known = columns[key] { return known }
        guard let entry = directory.column(space, name) else { return nil }
        let decoded = try decode(source(of: entry))
        columns[key] = decoded
        unreportedColumns.append(name)
        return decoded
    }

    /// Which spans have a value in the column of that name, without reading the values.
    package func presence(_ space: ColumnSpace, _ name: String) throws -> ColumnPresence {
        guard let entry = try directory.column(space, name).map(source(of:)) else { return .none }
        let presence = try DecodedColumn.presence(entry, stream: stream(entry.stream), spanCount: spanCount)
        return presence.map { .some($0) } ?? .all
    }

    /// Whether a text may stand in a value of the column of that name, by the bytes of the column as they lie: texts lie in them whole.
    /// `false` where no span has a value.
    package func mayHold(_ search: FoldedSearch, in space: ColumnSpace, _ name: String) throws -> Bool {
        guard let entry = try directory.column(space, name).map(source(of:)) else { return false }
        switch entry.encoding {
        case .dictionary, .texts: return search.isIn(try stream(entry.stream), entry.offset..<entry.offset + entry.length)
        default: return true
        }
    }

    /// Names of the columns that were decoded since the last call.
    package func takeReadColumns() -> [String] {
        defer { unreportedColumns = [] }
        return unreportedColumns
    }

    /// The column that holds an entry's values: itself, unless it stands for an attribute's.
    private func source(of entry: ColumnEntry) throws -> ColumnEntry {
        guard entry.encoding == .alias else { return entry }
        guard let source = directory.column(.attribute, entry.aliasName), source.encoding != .alias else {
            throw SegmentError.damaged("a column that stands for none")
        }
        return source
    }

    private func decode(_ entry: ColumnEntry) throws -> DecodedColumn {
        let column = try DecodedColumn(entry, stream: stream(entry.stream), spanCount: spanCount)
        guard entry.encoding == .references else { return column }
        guard let spans = try self.column(.fixed, FixedColumn.spanID) else { throw SegmentError.damaged("no identities") }
        return try column.resolvingReferences(in: spans, spanCount: spanCount)
    }

    /// Reads a column without keeping it, nor its stream when it has one of its own: for whoever goes through the columns one by
    /// one.
    package func transientColumn(_ space: ColumnSpace, _ name: String) throws -> DecodedColumn? {
        try directory.column(space, name).map(transientColumn)
    }

    /// The same of a line of the directory.
    func transientColumn(_ line: ColumnEntry) throws -> DecodedColumn {
        let entry = try source(of: line)
        guard directory.streamSet != nil, entry.stream != 0, entry.encoding != .references else { return try decode(entry) }
        let frame = try loadStream(streamSet &* Int64(SegmentFormat.streamsMax) &+ Int64(entry.stream))
        let bytes = try StoredFrame.bytes(of: frame, count: directory.streamCounts[entry.stream])
        return try DecodedColumn(entry, stream: bytes, spanCount: spanCount)
    }

    /// The trace ids that `trace_index` counts.
    package func traceIDs() throws -> [TraceID] {
        var (cursor, count) = try table(FixedColumn.traceIDs)
        var traces: [TraceID] = []
        for _ in 0..<count {
            let high = try cursor.littleEndian()
            traces.append(TraceID(high: high, low: try cursor.littleEndian()))
        }
        return traces
    }

    /// The resources that the column `resource` counts.
    package func resources() throws -> [StoredResource] {
        var (cursor, count) = try table(FixedColumn.resources)
        var resources: [StoredResource] = []
        for _ in 0..<count {
            let name = try cursor.prefixedText()
            let encoded = try cursor.prefixedRange()
            let schema = try cursor.prefixedText()
            resources.append(StoredResource(serviceName: name, encoded: Array(cursor.bytes[encoded]), schemaURL: schema))
        }
        return resources
    }

    /// The scopes that the column `scope` counts.
    package func scopes() throws -> [StoredScope] {
        var (cursor, count) = try table(FixedColumn.scopes)
        var scopes: [StoredScope] = []
        for _ in 0..<count {
            let name = try cursor.prefixedText()
            let version = try cursor.prefixedText()
            let schema = try cursor.prefixedText()
            let encoded = try cursor.prefixedRange()
            scopes.append(
                StoredScope(name: name, version: version, schemaURL: schema, encoded: Array(cursor.bytes[encoded])))
        }
        return scopes
    }

    /// Where the entries of a table lie, each of so many fields that have their length before them.
    func entries(of table: String, fieldCount: Int) throws -> (bytes: [UInt8], ranges: [Range<Int>]) {
        var (cursor, count) = try self.table(table)
        var ranges: [Range<Int>] = []
        for _ in 0..<count {
            let start = cursor.position
            for _ in 0..<fieldCount { _ = try cursor.prefixedRange() }
            ranges.append(start..<cursor.position)
        }
        return (cursor.bytes, ranges)
    }

    /// Fields of an entry in the table of resources: the service's name, the message, the schema's URL.
    static let resourceFieldCount = 3
    /// Fields of an entry in the table of scopes: name, version, the schema's URL, the message.
    static let scopeFieldCount = 4

    private func table(_ name: String) throws -> (cursor: ByteCursor, count: Int) {
        guard let entry = directory.column(.fixed, name) else { throw SegmentError.damaged("no table of \(name)") }
        let range = entry.offset..<entry.offset + entry.length
        return (try ByteCursor(try stream(entry.stream), range: range), entry.valueCount)
    }
}

/// A resource as a segment keeps it.
package struct StoredResource {
    package var serviceName: String
    /// The `Resource` message in wire encoding.
    package var encoded: [UInt8]
    package var schemaURL: String
}

/// An instrumentation scope as a segment keeps it.
package struct StoredScope {
    package var name: String
    package var version: String
    var schemaURL: String
    /// The `InstrumentationScope` message in wire encoding.
    package var encoded: [UInt8]
}
