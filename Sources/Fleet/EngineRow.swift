import ClickHouse
import TelemetryModel

/// A row of the table of spans, by where its texts lie in the answer.
struct EngineRow {
    enum Value {
        case none
        case text(Range<Int>)
        case integer(Int64)
    }

    var trace: TraceID
    var span: SpanID
    var parent: SpanID
    var traceState: Range<Int>
    var name: Range<Int>
    var kind: UInt64
    var start: Int64
    var duration: Int64
    var resource: RowMap
    var scopeName: Range<Int>
    var scopeVersion: Range<Int>
    var attributes: RowMap
    var statusCode: UInt64
    var statusMessage: Range<Int>
    var eventTimes: [Int64]
    var eventNames: [Range<Int>]
    var eventAttributes: [RowMap]
    var linkTraces: [Range<Int>]
    var linkSpans: [Range<Int>]
    var linkStates: [Range<Int>]
    var linkAttributes: [RowMap]
    var received: Int64
    /// Of whom the row is; empty for rows that no Fusebox wrote.
    var node: Range<Int>
    /// A value for each of `ClickHouseColumns.derived`.
    var derived: [Value]

    private static let kinds = ["Unspecified", "Internal", "Server", "Client", "Producer", "Consumer"].map { Array($0.utf8) }
    private static let codes = ["Unset", "Ok", "Error"].map { Array($0.utf8) }

    /// What is asked for, in the order in which it is read.
    static let columns: String = {
        let own = [
            "TraceId", "SpanId", "ParentSpanId", "TraceState", "toString(SpanName)", "toString(SpanKind)",
            "toUnixTimestamp64Nano(Timestamp)", "toInt64(Duration)", "ResourceAttributes", "ScopeName", "ScopeVersion",
            "SpanAttributes", "toString(StatusCode)", "StatusMessage",
            "arrayMap(t -> toUnixTimestamp64Nano(t), `Events.Timestamp`)", "arrayMap(n -> toString(n), `Events.Name`)",
            "`Events.Attributes`", "`Links.TraceId`", "`Links.SpanId`", "`Links.TraceState`", "`Links.Attributes`",
            "toUnixTimestamp64Nano(\(ClickHouseColumns.received))", "toString(\(ClickHouseColumns.node))",
        ]
        let derived = ClickHouseColumns.derived.map {
            $0.kind == .text ? "toString(\($0.name))" : "CAST(\($0.name), 'Nullable(Int64)')"
        }
        return (own + derived).joined(separator: ", ")
    }()

    /// The next row; `nil` in place of one whose ids are none, which some other program wrote.
    static func read(_ reader: inout RowBinaryReader) throws(RowBinaryReader.Problem) -> EngineRow? {
        let (trace, span, parent) = (try reader.text(), try reader.text(), try reader.text())
        func text(_ range: Range<Int>) -> String { String(decoding: reader.bytes[range], as: UTF8.self) }
        let ids = (TraceID(hexadecimal: text(trace)), SpanID(hexadecimal: text(span)), SpanID(hexadecimal: text(parent)))
        var row = EngineRow(
            trace: ids.0 ?? TraceID(high: 0, low: 0), span: ids.1 ?? SpanID(0), parent: ids.2 ?? SpanID(0),
            traceState: try reader.text(), name: try reader.text(), kind: 0, start: 0, duration: 0,
            resource: RowMap(pairs: [], range: 0..<0), scopeName: 0..<0, scopeVersion: 0..<0,
            attributes: RowMap(pairs: [], range: 0..<0), statusCode: 0, statusMessage: 0..<0, eventTimes: [], eventNames: [],
            eventAttributes: [], linkTraces: [], linkSpans: [], linkStates: [], linkAttributes: [], received: 0, node: 0..<0,
            derived: [])
        row.kind = number(of: try reader.text(), in: reader.bytes, kinds)
        row.start = try reader.integer()
        row.duration = try reader.integer()
        row.resource = try reader.map()
        row.scopeName = try reader.text()
        row.scopeVersion = try reader.text()
        row.attributes = try reader.map()
        row.statusCode = number(of: try reader.text(), in: reader.bytes, codes)
        row.statusMessage = try reader.text()
        row.eventTimes = try reader.integers()
        row.eventNames = try reader.texts()
        row.eventAttributes = try reader.maps()
        row.linkTraces = try reader.texts()
        row.linkSpans = try reader.texts()
        row.linkStates = try reader.texts()
        row.linkAttributes = try reader.maps()
        row.received = try reader.integer()
        row.node = try reader.text()
        for column in ClickHouseColumns.derived {
            if column.kind == .text {
                let text = try reader.text()
                row.derived.append(text.isEmpty ? .none : .text(text))
            } else {
                row.derived.append(try reader.optionalInteger().map(Value.integer) ?? .none)
            }
        }
        guard row.trace.isValid, row.span.isValid, row.eventTimes.count == row.eventNames.count,
            row.eventTimes.count == row.eventAttributes.count, row.linkTraces.count == row.linkSpans.count,
            row.linkTraces.count == row.linkStates.count, row.linkTraces.count == row.linkAttributes.count
        else { return nil }
        return row
    }

    private static func number(of text: Range<Int>, in bytes: [UInt8], _ words: [[UInt8]]) -> UInt64 {
        UInt64(words.firstIndex { bytes[text].elementsEqual($0) } ?? 0)
    }
}
