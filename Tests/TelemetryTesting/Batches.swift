package import TelemetryModel

/// Batches of spans for the tests.
package enum Batches {
    package static func of(_ spans: [SpanDescription], service: String = "svc") -> SpanBatch {
        var builder = SpanBatchBuilder()
        builder.beginResource(["service.name": .string(service)])
        builder.beginScope(name: "tests")
        for span in spans { builder.append(span) }
        return builder.batch
    }

    package static func span(_ trace: UInt64, _ span: UInt64, _ attributes: AttributeList = [:], start: Int64 = 1_000) -> SpanDescription {
        var description = SpanDescription(
            traceID: TraceID(high: trace, low: 7), spanID: SpanID(span), name: "span \(span % 3)")
        description.startTimeUnixNano = start
        description.endTimeUnixNano = start + 500
        description.attributes = attributes
        return description
    }
}
