import TelemetryModel

/// A row that has a resource and a scope.
protocol EnvelopedRow {
    var resource: RowMap { get }
    var scopeName: Range<Int> { get }
    var scopeVersion: Range<Int> { get }
    /// The scope's attributes; `nil` where the table has none.
    var scope: RowMap? { get }
}

extension EngineRow: EnvelopedRow {
    var scope: RowMap? { nil }
}

/// Rows of an engine as the export request that would bring them: what comes back is read by the way that spans come in by.
struct EngineRequest {
    let bytes: [UInt8]

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// Spans as they would be exported. Values of attributes are texts, as they are there.
    func encoded(_ rows: ArraySlice<EngineRow>) -> [UInt8] { encoded(rows, span) }

    /// Rows that follow each other with one resource and scope share their envelopes.
    func encoded<Row: EnvelopedRow>(_ rows: ArraySlice<Row>, _ record: (Row) -> [UInt8]) -> [UInt8] {
        var request = WireWriter()
        var start = rows.startIndex
        while start < rows.endIndex {
            let first = rows[start]
            let end = rows[start...].firstIndex { !isAlike($0, first) } ?? rows.endIndex
            var scope = WireWriter()
            var name = WireWriter()
            text(1, first.scopeName, into: &name)
            text(2, first.scopeVersion, into: &name)
            if let map = first.scope { attributes(3, map, into: &name) }
            scope.lengthDelimited(1, name.bytes)
            for row in rows[start..<end] { scope.lengthDelimited(2, record(row)) }
            var resource = WireWriter()
            attributes(1, first.resource, into: &resource)
            var envelope = WireWriter()
            envelope.lengthDelimited(1, resource.bytes)
            envelope.lengthDelimited(2, scope.bytes)
            request.lengthDelimited(1, envelope.bytes)
            start = end
        }
        return request.bytes
    }

    private func isAlike(_ one: some EnvelopedRow, _ other: some EnvelopedRow) -> Bool {
        bytes[one.resource.range] == bytes[other.resource.range] && bytes[one.scopeName] == bytes[other.scopeName]
            && bytes[one.scopeVersion] == bytes[other.scopeVersion]
            && one.scope.map { bytes[$0.range] } == other.scope.map { bytes[$0.range] }
    }

    private func span(_ row: EngineRow) -> [UInt8] {
        var span = WireWriter()
        span.lengthDelimited(1, Self.bigEndian(row.trace.high) + Self.bigEndian(row.trace.low))
        span.lengthDelimited(2, Self.bigEndian(row.span.value))
        text(3, row.traceState, into: &span)
        if row.parent.isValid { span.lengthDelimited(4, Self.bigEndian(row.parent.value)) }
        text(5, row.name, into: &span)
        span.varint(6, row.kind)
        span.fixed64(7, UInt64(bitPattern: row.start))
        span.fixed64(8, UInt64(bitPattern: row.start.addingSaturated(max(0, row.duration))))
        attributes(9, row.attributes, into: &span)
        for index in row.eventTimes.indices {
            var event = WireWriter()
            event.fixed64(1, UInt64(bitPattern: row.eventTimes[index]))
            text(2, row.eventNames[index], into: &event)
            attributes(3, row.eventAttributes[index], into: &event)
            span.lengthDelimited(11, event.bytes)
        }
        for index in row.linkTraces.indices {
            var link = WireWriter()
            if let trace = TraceID(hexadecimal: String(decoding: bytes[row.linkTraces[index]], as: UTF8.self)) {
                link.lengthDelimited(1, Self.bigEndian(trace.high) + Self.bigEndian(trace.low))
            }
            if let other = SpanID(hexadecimal: String(decoding: bytes[row.linkSpans[index]], as: UTF8.self)) {
                link.lengthDelimited(2, Self.bigEndian(other.value))
            }
            text(3, row.linkStates[index], into: &link)
            attributes(4, row.linkAttributes[index], into: &link)
            span.lengthDelimited(13, link.bytes)
        }
        if row.statusCode != 0 || !row.statusMessage.isEmpty {
            var status = WireWriter()
            text(2, row.statusMessage, into: &status)
            status.varint(3, row.statusCode)
            span.lengthDelimited(15, status.bytes)
        }
        return span.bytes
    }

    func text(_ field: Int, _ text: Range<Int>, into writer: inout WireWriter) {
        if !text.isEmpty { writer.lengthDelimited(field, bytes[text]) }
    }

    func attributes(_ field: Int, _ map: RowMap, into writer: inout WireWriter) {
        for (key, value) in map.pairs {
            var any = WireWriter()
            any.lengthDelimited(1, bytes[value])
            var pair = WireWriter()
            text(1, key, into: &pair)
            pair.lengthDelimited(2, any.bytes)
            writer.lengthDelimited(field, pair.bytes)
        }
    }

    static func bigEndian(_ value: UInt64) -> [UInt8] {
        withUnsafeBytes(of: value.bigEndian) { Array($0) }
    }
}
