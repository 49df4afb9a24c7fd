import ClickHouse
import TelemetryModel

/// A row of the table of log records, by where its texts lie in the answer.
struct EngineLogRow: EnvelopedRow {
    /// Not valid for a record outside of a trace, or of a span.
    var trace: TraceID
    var span: SpanID
    /// Nanoseconds since 1970.
    var time: Int64
    var severity: Int64
    var severityText: Range<Int>
    var event: Range<Int>
    var body: Range<Int>
    var resource: RowMap
    var scopeName: Range<Int>
    var scopeVersion: Range<Int>
    var scope: RowMap?
    var attributes: RowMap
    /// Nanoseconds since 1970.
    var received: Int64

    /// What is asked for, in the order in which it is read.
    static let columns = [
        "TraceId", "SpanId", "toUnixTimestamp64Nano(Timestamp)", "toInt64(SeverityNumber)", "toString(SeverityText)",
        "toString(EventName)", "Body", "ResourceAttributes", "ScopeName", "toString(ScopeVersion)", "ScopeAttributes", "LogAttributes",
        "toUnixTimestamp64Nano(\(ClickHouseColumns.received))",
    ].joined(separator: ", ")

    static func read(_ reader: inout RowBinaryReader) throws(RowBinaryReader.Problem) -> EngineLogRow {
        let (trace, span) = (try reader.text(), try reader.text())
        func text(_ range: Range<Int>) -> String { String(decoding: reader.bytes[range], as: UTF8.self) }
        return EngineLogRow(
            trace: TraceID(hexadecimal: text(trace)) ?? TraceID(high: 0, low: 0), span: SpanID(hexadecimal: text(span)) ?? SpanID(0),
            time: try reader.integer(), severity: try reader.integer(), severityText: try reader.text(), event: try reader.text(),
            body: try reader.text(), resource: try reader.map(), scopeName: try reader.text(), scopeVersion: try reader.text(),
            scope: try reader.map(), attributes: try reader.map(), received: try reader.integer())
    }
}

extension EngineRequest {
    /// Log records as they would be exported.
    func encoded(_ rows: ArraySlice<EngineLogRow>) -> [UInt8] { encoded(rows, record) }

    private func record(_ row: EngineLogRow) -> [UInt8] {
        var record = WireWriter()
        record.fixed64(1, UInt64(bitPattern: row.time))
        if row.severity > 0 { record.varint(2, UInt64(row.severity)) }
        text(3, row.severityText, into: &record)
        if !row.body.isEmpty {
            var body = WireWriter()
            body.lengthDelimited(1, bytes[row.body])
            record.lengthDelimited(5, body.bytes)
        }
        attributes(6, row.attributes, into: &record)
        if row.trace.isValid { record.lengthDelimited(9, Self.bigEndian(row.trace.high) + Self.bigEndian(row.trace.low)) }
        if row.span.isValid { record.lengthDelimited(10, Self.bigEndian(row.span.value)) }
        text(12, row.event, into: &record)
        return record.bytes
    }
}
