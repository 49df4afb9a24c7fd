/// The tables, as in proto/: numbers, names and types. `MessageSchemaTests` holds them against the generated descriptors.
extension MessageSchema {
    private static func attributes(_ number: Int, _ name: String = "attributes") -> FieldSchema {
        FieldSchema(number, name, .message(.keyValue), repeated: true)
    }

    static func common(_ message: MessageName) -> MessageSchema {
        switch message {
        case .resource:
            MessageSchema(
                attributes(1), FieldSchema(2, "droppedAttributesCount", .uint32),
                FieldSchema(3, "entityRefs", .message(.entity), repeated: true))
        case .scope:
            MessageSchema(
                FieldSchema(1, "name", .string), FieldSchema(2, "version", .string), attributes(3),
                FieldSchema(4, "droppedAttributesCount", .uint32))
        case .entity:
            MessageSchema(
                FieldSchema(1, "schemaUrl", .string), FieldSchema(2, "type", .string),
                FieldSchema(3, "idKeys", .string, repeated: true), FieldSchema(4, "descriptionKeys", .string, repeated: true))
        case .keyValue:
            MessageSchema(
                FieldSchema(1, "key", .string), FieldSchema(2, "value", .message(.anyValue)),
                FieldSchema(3, "keyStrindex", .int32))
        case .anyValue:
            MessageSchema(
                FieldSchema(1, "stringValue", .string, presence: true), FieldSchema(2, "boolValue", .bool, presence: true),
                FieldSchema(3, "intValue", .int64, presence: true), FieldSchema(4, "doubleValue", .double, presence: true),
                FieldSchema(5, "arrayValue", .message(.arrayValue)), FieldSchema(6, "kvlistValue", .message(.keyValueList)),
                FieldSchema(7, "bytesValue", .bytes, presence: true),
                FieldSchema(8, "stringValueStrindex", .int32, presence: true))
        case .arrayValue: MessageSchema(FieldSchema(1, "values", .message(.anyValue), repeated: true))
        case .keyValueList: MessageSchema(attributes(1, "values"))
        default: MessageSchema()
        }
    }

    static func traces(_ message: MessageName) -> MessageSchema {
        switch message {
        case .traceRequest: MessageSchema(FieldSchema(1, "resourceSpans", .message(.resourceSpans), repeated: true))
        case .resourceSpans: envelope(FieldSchema(2, "scopeSpans", .message(.scopeSpans), repeated: true))
        case .scopeSpans: scope(FieldSchema(2, "spans", .message(.span), repeated: true))
        case .span:
            MessageSchema(
                FieldSchema(1, "traceId", .identifier), FieldSchema(2, "spanId", .identifier),
                FieldSchema(3, "traceState", .string), FieldSchema(4, "parentSpanId", .identifier),
                FieldSchema(5, "name", .string), FieldSchema(6, "kind", .enumeration(spanKinds)),
                FieldSchema(7, "startTimeUnixNano", .fixed64), FieldSchema(8, "endTimeUnixNano", .fixed64), attributes(9),
                FieldSchema(10, "droppedAttributesCount", .uint32), FieldSchema(11, "events", .message(.event), repeated: true),
                FieldSchema(12, "droppedEventsCount", .uint32), FieldSchema(13, "links", .message(.link), repeated: true),
                FieldSchema(14, "droppedLinksCount", .uint32), FieldSchema(15, "status", .message(.status)),
                FieldSchema(16, "flags", .fixed32))
        case .event:
            MessageSchema(
                FieldSchema(1, "timeUnixNano", .fixed64), FieldSchema(2, "name", .string), attributes(3),
                FieldSchema(4, "droppedAttributesCount", .uint32))
        case .link:
            MessageSchema(
                FieldSchema(1, "traceId", .identifier), FieldSchema(2, "spanId", .identifier),
                FieldSchema(3, "traceState", .string), attributes(4), FieldSchema(5, "droppedAttributesCount", .uint32),
                FieldSchema(6, "flags", .fixed32))
        default: MessageSchema(FieldSchema(2, "message", .string), FieldSchema(3, "code", .enumeration(statusCodes)))
        }
    }

    static func logs(_ message: MessageName) -> MessageSchema {
        switch message {
        case .logsRequest: MessageSchema(FieldSchema(1, "resourceLogs", .message(.resourceLogs), repeated: true))
        case .resourceLogs: envelope(FieldSchema(2, "scopeLogs", .message(.scopeLogs), repeated: true))
        case .scopeLogs: scope(FieldSchema(2, "logRecords", .message(.logRecord), repeated: true))
        default:
            MessageSchema(
                FieldSchema(1, "timeUnixNano", .fixed64), FieldSchema(2, "severityNumber", .enumeration(severities)),
                FieldSchema(3, "severityText", .string), FieldSchema(5, "body", .message(.anyValue)), attributes(6),
                FieldSchema(7, "droppedAttributesCount", .uint32), FieldSchema(8, "flags", .fixed32),
                FieldSchema(9, "traceId", .identifier), FieldSchema(10, "spanId", .identifier),
                FieldSchema(11, "observedTimeUnixNano", .fixed64), FieldSchema(12, "eventName", .string))
        }
    }

    static func metrics(_ message: MessageName) -> MessageSchema {
        switch message {
        case .metricsRequest: MessageSchema(FieldSchema(1, "resourceMetrics", .message(.resourceMetrics), repeated: true))
        case .resourceMetrics: envelope(FieldSchema(2, "scopeMetrics", .message(.scopeMetrics), repeated: true))
        case .scopeMetrics: scope(FieldSchema(2, "metrics", .message(.metric), repeated: true))
        case .metric:
            MessageSchema(
                FieldSchema(1, "name", .string), FieldSchema(2, "description", .string), FieldSchema(3, "unit", .string),
                FieldSchema(5, "gauge", .message(.gauge)), FieldSchema(7, "sum", .message(.sum)),
                FieldSchema(9, "histogram", .message(.histogram)),
                FieldSchema(10, "exponentialHistogram", .message(.exponentialHistogram)),
                FieldSchema(11, "summary", .message(.summary)), attributes(12, "metadata"))
        case .gauge: MessageSchema(FieldSchema(1, "dataPoints", .message(.numberPoint), repeated: true))
        case .sum:
            MessageSchema(
                FieldSchema(1, "dataPoints", .message(.numberPoint), repeated: true), temporality,
                FieldSchema(3, "isMonotonic", .bool))
        case .histogram: MessageSchema(FieldSchema(1, "dataPoints", .message(.histogramPoint), repeated: true), temporality)
        case .exponentialHistogram:
            MessageSchema(FieldSchema(1, "dataPoints", .message(.exponentialHistogramPoint), repeated: true), temporality)
        case .summary: MessageSchema(FieldSchema(1, "dataPoints", .message(.summaryPoint), repeated: true))
        default: points(message)
        }
    }

    private static func points(_ message: MessageName) -> MessageSchema {
        let start = FieldSchema(2, "startTimeUnixNano", .fixed64)
        let time = FieldSchema(3, "timeUnixNano", .fixed64)
        let count = FieldSchema(4, "count", .fixed64)
        return switch message {
        case .numberPoint:
            MessageSchema(
                start, time, FieldSchema(4, "asDouble", .double, presence: true), exemplars(5),
                FieldSchema(6, "asInt", .sfixed64, presence: true), attributes(7), FieldSchema(8, "flags", .uint32))
        case .histogramPoint:
            MessageSchema(
                start, time, count, FieldSchema(5, "sum", .double, presence: true),
                FieldSchema(6, "bucketCounts", .fixed64, repeated: true),
                FieldSchema(7, "explicitBounds", .double, repeated: true), exemplars(8), attributes(9),
                FieldSchema(10, "flags", .uint32), FieldSchema(11, "min", .double, presence: true),
                FieldSchema(12, "max", .double, presence: true))
        case .exponentialHistogramPoint:
            MessageSchema(
                attributes(1), start, time, count, FieldSchema(5, "sum", .double, presence: true),
                FieldSchema(6, "scale", .sint32), FieldSchema(7, "zeroCount", .fixed64),
                FieldSchema(8, "positive", .message(.buckets)), FieldSchema(9, "negative", .message(.buckets)),
                FieldSchema(10, "flags", .uint32), exemplars(11), FieldSchema(12, "min", .double, presence: true),
                FieldSchema(13, "max", .double, presence: true), FieldSchema(14, "zeroThreshold", .double))
        case .buckets: MessageSchema(FieldSchema(1, "offset", .sint32), FieldSchema(2, "bucketCounts", .uint64, repeated: true))
        case .summaryPoint:
            MessageSchema(
                start, time, count, FieldSchema(5, "sum", .double),
                FieldSchema(6, "quantileValues", .message(.quantile), repeated: true), attributes(7),
                FieldSchema(8, "flags", .uint32))
        case .quantile: MessageSchema(FieldSchema(1, "quantile", .double), FieldSchema(2, "value", .double))
        default:
            MessageSchema(
                FieldSchema(2, "timeUnixNano", .fixed64), FieldSchema(3, "asDouble", .double, presence: true),
                FieldSchema(4, "spanId", .identifier), FieldSchema(5, "traceId", .identifier),
                FieldSchema(6, "asInt", .sfixed64, presence: true), attributes(7, "filteredAttributes"))
        }
    }

    // MARK: What several messages share

    private static func envelope(_ scopes: FieldSchema) -> MessageSchema {
        MessageSchema(FieldSchema(1, "resource", .message(.resource)), scopes, FieldSchema(3, "schemaUrl", .string))
    }

    private static func scope(_ records: FieldSchema) -> MessageSchema {
        MessageSchema(FieldSchema(1, "scope", .message(.scope)), records, FieldSchema(3, "schemaUrl", .string))
    }

    private static func exemplars(_ number: Int) -> FieldSchema {
        FieldSchema(number, "exemplars", .message(.exemplar), repeated: true)
    }

    private static let temporality = FieldSchema(
        2, "aggregationTemporality",
        .enumeration(EnumerationNames(prefix: "AGGREGATION_TEMPORALITY_", names: ["UNSPECIFIED", "DELTA", "CUMULATIVE"])))

    private static let spanKinds = EnumerationNames(
        prefix: "SPAN_KIND_", names: ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"])

    private static let statusCodes = EnumerationNames(prefix: "STATUS_CODE_", names: ["UNSET", "OK", "ERROR"])

    private static let severities = EnumerationNames(
        prefix: "SEVERITY_NUMBER_",
        names: ["UNSPECIFIED"]
            + ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"].flatMap { [$0, $0 + "2", $0 + "3", $0 + "4"] })
}
