import COTLP
import Testing

@testable import OTLP

/// The tables of Schema/ against what proto/ says, as the generated C code knows it.
struct MessageSchemaTests {
    private static var descriptors: [MessageName: ProtobufCMessageDescriptor] {
        [
            .traceRequest: opentelemetry__proto__collector__trace__v1__export_trace_service_request__descriptor,
            .resourceSpans: opentelemetry__proto__trace__v1__resource_spans__descriptor,
            .scopeSpans: opentelemetry__proto__trace__v1__scope_spans__descriptor,
            .span: opentelemetry__proto__trace__v1__span__descriptor,
            .event: opentelemetry__proto__trace__v1__span__event__descriptor,
            .link: opentelemetry__proto__trace__v1__span__link__descriptor,
            .status: opentelemetry__proto__trace__v1__status__descriptor,
            .logsRequest: opentelemetry__proto__collector__logs__v1__export_logs_service_request__descriptor,
            .resourceLogs: opentelemetry__proto__logs__v1__resource_logs__descriptor,
            .scopeLogs: opentelemetry__proto__logs__v1__scope_logs__descriptor,
            .logRecord: opentelemetry__proto__logs__v1__log_record__descriptor,
            .metricsRequest: opentelemetry__proto__collector__metrics__v1__export_metrics_service_request__descriptor,
            .resourceMetrics: opentelemetry__proto__metrics__v1__resource_metrics__descriptor,
            .scopeMetrics: opentelemetry__proto__metrics__v1__scope_metrics__descriptor,
            .metric: opentelemetry__proto__metrics__v1__metric__descriptor,
            .gauge: opentelemetry__proto__metrics__v1__gauge__descriptor,
            .sum: opentelemetry__proto__metrics__v1__sum__descriptor,
            .histogram: opentelemetry__proto__metrics__v1__histogram__descriptor,
            .exponentialHistogram: opentelemetry__proto__metrics__v1__exponential_histogram__descriptor,
            .summary: opentelemetry__proto__metrics__v1__summary__descriptor,
            .numberPoint: opentelemetry__proto__metrics__v1__number_data_point__descriptor,
            .histogramPoint: opentelemetry__proto__metrics__v1__histogram_data_point__descriptor,
            .exponentialHistogramPoint: opentelemetry__proto__metrics__v1__exponential_histogram_data_point__descriptor,
            .buckets: opentelemetry__proto__metrics__v1__exponential_histogram_data_point__buckets__descriptor,
            .summaryPoint: opentelemetry__proto__metrics__v1__summary_data_point__descriptor,
            .quantile: opentelemetry__proto__metrics__v1__summary_data_point__value_at_quantile__descriptor,
            .exemplar: opentelemetry__proto__metrics__v1__exemplar__descriptor,
            .resource: opentelemetry__proto__resource__v1__resource__descriptor,
            .scope: opentelemetry__proto__common__v1__instrumentation_scope__descriptor,
            .entity: opentelemetry__proto__common__v1__entity_ref__descriptor,
            .keyValue: opentelemetry__proto__common__v1__key_value__descriptor,
            .anyValue: opentelemetry__proto__common__v1__any_value__descriptor,
            .arrayValue: opentelemetry__proto__common__v1__array_value__descriptor,
            .keyValueList: opentelemetry__proto__common__v1__key_value_list__descriptor,
        ]
    }

    @Test(
        "Every table has the fields of its message: number, name, type, and whether it repeats", arguments: MessageName.allCases)
    func tableIsThatOfItsMessage(_ name: MessageName) throws {
        if name == .unknown { return }
        let descriptor = try #require(Self.descriptors[name])
        let fields = UnsafeBufferPointer(start: descriptor.fields, count: Int(descriptor.n_fields))
        let expected = fields.map { field in
            "\(field.id) \(String(cString: field.name)) \(field.type.rawValue) \(field.label == PROTOBUF_C_LABEL_REPEATED)"
        }
        let found = name.schema.fields.map { field in
            "\(field.number) \(String(decoding: field.originalName, as: UTF8.self)) \(Self.type(field.type).rawValue) \(field.isRepeated)"
        }
        #expect(found.sorted() == expected.sorted())
    }

    private static func type(_ type: FieldType) -> ProtobufCType {
        switch type {
        case .string: PROTOBUF_C_TYPE_STRING
        case .identifier, .bytes: PROTOBUF_C_TYPE_BYTES
        case .bool: PROTOBUF_C_TYPE_BOOL
        case .uint32: PROTOBUF_C_TYPE_UINT32
        case .int32: PROTOBUF_C_TYPE_INT32
        case .int64: PROTOBUF_C_TYPE_INT64
        case .uint64: PROTOBUF_C_TYPE_UINT64
        case .sint32: PROTOBUF_C_TYPE_SINT32
        case .fixed32: PROTOBUF_C_TYPE_FIXED32
        case .fixed64: PROTOBUF_C_TYPE_FIXED64
        case .sfixed64: PROTOBUF_C_TYPE_SFIXED64
        case .double: PROTOBUF_C_TYPE_DOUBLE
        case .enumeration: PROTOBUF_C_TYPE_ENUM
        case .message: PROTOBUF_C_TYPE_MESSAGE
        }
    }
}
