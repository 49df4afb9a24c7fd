import COTLP

/// The messages that Fusebox sends in OTLP: answers to export requests, and the status of those that failed.
///
/// A client must be answered in the encoding that it spoke, so each comes as protobuf and as JSON. Fields with default values are
/// left out in both. protobuf-c takes C strings, so U+0000 in a text is sent as U+FFFD, in both encodings.
package enum OTLPMessage {
    /// How a message is encoded.
    package enum Encoding: Sendable {
        case protobuf, json

        /// The `Content-Type` to send, bare: some clients compare it as a whole.
        package var contentType: String {
            switch self {
            case .protobuf: "application/x-protobuf"
            case .json: "application/json"
            }
        }
    }

    /// The answer to a trace request; an empty message when nothing was rejected and nothing is to be said, which is no byte in
    /// protobuf. A message with nothing rejected is a warning.
    package static func exportTraceServiceResponse(
        rejectedSpans: Int64, errorMessage: String, as encoding: Encoding = .protobuf
    ) -> [UInt8] {
        switch encoding {
        case .protobuf: ExportResponsePacker.traces(rejected: rejectedSpans, message: errorMessage)
        case .json: JSONMessage.partialSuccess("rejectedSpans", rejectedSpans, errorMessage)
        }
    }

    /// The answer to a metrics request, as for traces.
    package static func exportMetricsServiceResponse(
        rejectedDataPoints: Int64, errorMessage: String, as encoding: Encoding = .protobuf
    ) -> [UInt8] {
        switch encoding {
        case .protobuf: ExportResponsePacker.metrics(rejected: rejectedDataPoints, message: errorMessage)
        case .json: JSONMessage.partialSuccess("rejectedDataPoints", rejectedDataPoints, errorMessage)
        }
    }

    /// The answer to a logs request, as for traces.
    package static func exportLogsServiceResponse(
        rejectedLogRecords: Int64, errorMessage: String, as encoding: Encoding = .protobuf
    ) -> [UInt8] {
        switch encoding {
        case .protobuf: ExportResponsePacker.logs(rejected: rejectedLogRecords, message: errorMessage)
        case .json: JSONMessage.partialSuccess("rejectedLogRecords", rejectedLogRecords, errorMessage)
        }
    }

    /// The answer to a profiles request, as for traces.
    package static func exportProfilesServiceResponse(
        rejectedProfiles: Int64, errorMessage: String, as encoding: Encoding = .protobuf
    ) -> [UInt8] {
        switch encoding {
        // The same fields with the same numbers.
        case .protobuf: ExportResponsePacker.traces(rejected: rejectedProfiles, message: errorMessage)
        case .json: JSONMessage.partialSuccess("rejectedProfiles", rejectedProfiles, errorMessage)
        }
    }

    /// `google.rpc.Status`, the body of every 4xx and 5xx answer.
    package static func status(code: RPCCode, message: String, as encoding: Encoding = .protobuf) -> [UInt8] {
        switch encoding {
        case .protobuf:
            message.withMessageCString { text in
                var status = Google__Rpc__Status()
                google__rpc__status__init(&status)
                status.code = code.rawValue
                status.message = text
                return PackedMessage.bytes(of: &status)
            }
        case .json: JSONMessage.status(code, message)
        }
    }
}
