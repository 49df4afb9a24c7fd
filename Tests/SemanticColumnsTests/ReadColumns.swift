import SemanticColumns
import TelemetryModel

/// Columns of spans as text, to compare with.
enum ReadColumns {
    /// The columns, and facts, of every span of a batch by their names.
    static func all(_ source: SpanBatch) -> [[String: String]] {
        var batch = source
        var reader = ColumnReader(table: .standard)
        reader.begin(&batch)
        return source.spans.map { span in
            reader.read(span, of: &batch)
            var columns: [String: String] = [:]
            for column in Column.allCases {
                let value = reader.row[column]
                switch value.kind {
                case .none: break
                case .integer: columns[column.name] = "\(value.integer)"
                case .text: columns[column.name] = batch.string(value.slice)
                }
            }
            return columns
        }
    }

    /// The columns of one span with these attributes.
    static func of(
        _ attributes: AttributeList, resource: AttributeList = [:], scope: String = "", name: String = "span",
        isRoot: Bool = false, status: SpanDescription.Status = .unset, events: [SpanDescription.Event] = []
    ) -> [String: String] {
        var span = SpanDescription(traceID: TraceID(high: 1, low: 2), spanID: SpanID(3), name: name)
        span.parentSpanID = SpanID(isRoot ? 0 : 9)
        span.startTimeUnixNano = 1_000_000_000
        span.endTimeUnixNano = 3_000_000_000
        span.status = status
        span.attributes = attributes
        span.events = events
        var builder = SpanBatchBuilder()
        builder.beginResource(resource)
        builder.beginScope(name: scope)
        builder.append(span)
        return all(builder.batch).first ?? [:]
    }
}
