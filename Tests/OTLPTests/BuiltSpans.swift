import TelemetryModel

/// Spans made with `SpanBatchBuilder`.
enum BuiltSpans {
    /// A span with something in every field, NUL and text beyond ASCII among it.
    static func full(_ id: UInt64) -> SpanDescription {
        var span = SpanDescription(traceID: TraceID(high: 7, low: id), spanID: SpanID(id), name: "näme\0\(id)")
        span.parentSpanID = SpanID(99)
        span.kind = .client
        span.startTimeUnixNano = 1_700_000_000_000_000_000
        span.endTimeUnixNano = 1_700_000_001_000_000_000
        span.status = .error("it\0broke")
        span.traceState = "a=b"
        span.flags = 0x301
        span.attributes = [
            "text": "värde", "nul\0key": "a\0b", "empty": "", "nothing": .empty, "yes": true, "no": false, "int": -5,
            "zero": 0, "nan": .double(.nan), "half": 0.5, "bytes": .bytes([0, 255]), "noBytes": .bytes([]),
            "array": .array([1, "two", .array([]), .empty]), "list": .keyValueList(["k": ["deep": "er"], "k": 2]),
        ]
        span.events = [
            SpanDescription.Event("exception", timeUnixNano: 1_700_000_000_500_000_000, attributes: ["exception.type": "E"]),
            SpanDescription.Event("", timeUnixNano: 0),
        ]
        span.links = [SpanDescription.Link(traceID: TraceID(high: 1, low: 2), spanID: SpanID(3), attributes: ["l": 1])]
        return span
    }
}
