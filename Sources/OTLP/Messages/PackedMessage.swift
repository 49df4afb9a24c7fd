import COTLP

/// The wire bytes of a protobuf-c message. Packing neither allocates in C nor keeps a pointer.
enum PackedMessage {
    /// Packs `message`, which must be a message struct that its generated `init` function has set up; what it points to must
    /// outlive the call.
    static func bytes<Message>(of message: inout Message) -> [UInt8] {
        withUnsafePointer(to: &message) { pointer in
            // Every generated struct starts with its base, as the C functions of one message expect too.
            let base = UnsafeRawPointer(pointer).assumingMemoryBound(to: ProtobufCMessage.self)
            let size = protobuf_c_message_get_packed_size(base)
            return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
                guard let address = buffer.baseAddress, size > 0 else { return }
                count = protobuf_c_message_pack(base, address)
            }
        }
    }
}

/// Export responses as protobuf. The three signals have the same shape and, in C, three types.
enum ExportResponsePacker {
    /// `ExportTraceServiceResponse`.
    static func traces(rejected: Int64, message: String) -> [UInt8] {
        guard rejected != 0 || !message.isEmpty else { return [] }
        return message.withMessageCString { text in
            var partial = Opentelemetry__Proto__Collector__Trace__V1__ExportTracePartialSuccess()
            opentelemetry__proto__collector__trace__v1__export_trace_partial_success__init(&partial)
            partial.rejected_spans = rejected
            partial.error_message = text
            return withUnsafeMutablePointer(to: &partial) { partial in
                var response = Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceResponse()
                opentelemetry__proto__collector__trace__v1__export_trace_service_response__init(&response)
                response.partial_success = partial
                return PackedMessage.bytes(of: &response)
            }
        }
    }

    /// `ExportMetricsServiceResponse`.
    static func metrics(rejected: Int64, message: String) -> [UInt8] {
        guard rejected != 0 || !message.isEmpty else { return [] }
        return message.withMessageCString { text in
            var partial = Opentelemetry__Proto__Collector__Metrics__V1__ExportMetricsPartialSuccess()
            opentelemetry__proto__collector__metrics__v1__export_metrics_partial_success__init(&partial)
            partial.rejected_data_points = rejected
            partial.error_message = text
            return withUnsafeMutablePointer(to: &partial) { partial in
                var response = Opentelemetry__Proto__Collector__Metrics__V1__ExportMetricsServiceResponse()
                opentelemetry__proto__collector__metrics__v1__export_metrics_service_response__init(&response)
                response.partial_success = partial
                return PackedMessage.bytes(of: &response)
            }
        }
    }

    /// `ExportLogsServiceResponse`.
    static func logs(rejected: Int64, message: String) -> [UInt8] {
        guard rejected != 0 || !message.isEmpty else { return [] }
        return message.withMessageCString { text in
            var partial = Opentelemetry__Proto__Collector__Logs__V1__ExportLogsPartialSuccess()
            opentelemetry__proto__collector__logs__v1__export_logs_partial_success__init(&partial)
            partial.rejected_log_records = rejected
            partial.error_message = text
            return withUnsafeMutablePointer(to: &partial) { partial in
                var response = Opentelemetry__Proto__Collector__Logs__V1__ExportLogsServiceResponse()
                opentelemetry__proto__collector__logs__v1__export_logs_service_response__init(&response)
                response.partial_success = partial
                return PackedMessage.bytes(of: &response)
            }
        }
    }
}

extension String {
    /// The text with every U+0000 as U+FFFD, so that it survives as a C string.
    var withoutNUL: String {
        guard utf8.contains(0) else { return self }
        return String(String.UnicodeScalarView(unicodeScalars.map { $0 == "\0" ? "\u{FFFD}" : $0 }))
    }

    /// Lends the text without NUL as the pointer that protobuf-c's structs want. It only reads there.
    func withMessageCString<Result>(_ body: (UnsafeMutablePointer<CChar>) -> Result) -> Result {
        withoutNUL.withCString { body(UnsafeMutablePointer(mutating: $0)) }
    }
}
