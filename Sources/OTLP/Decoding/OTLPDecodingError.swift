package import TelemetryModel

/// Why a request body is no OTLP request. Never retryable: the client must not send the same bytes again.
package enum OTLPDecodingError: Error, Equatable, Sendable {
    /// The bytes are not the protobuf message that the path asks for.
    case malformed(WireError)
    /// An attribute value is nested deeper than `TraceDecoder.Limits.valueDepthMax`.
    case valueTooDeep(limit: Int)
    /// The request has more distinct attribute keys than `TraceDecoder.Limits.keysMax`.
    case tooManyKeys(limit: Int)

    package var isRetryable: Bool { false }

    /// What to tell the client.
    package var message: String {
        switch self {
        case .malformed(.truncated): "malformed protobuf: a field ends past the end of its message; was the body cut short?"
        case .malformed(.varintTooLong): "malformed protobuf: a varint has more than 64 bits"
        case .malformed(.invalidTag):
            "malformed protobuf: a tag has field number 0 or an unknown wire type; is this protobuf at all?"
        case .malformed(.unbalancedGroup): "malformed protobuf: a group does not end"
        case .malformed(.tooDeep): "malformed protobuf: groups nested deeper than \(WireReader.groupDepthMax)"
        case .malformed(.wrongWireType(let field)):
            "malformed protobuf: field \(field) has another wire type than OTLP gives it; is this another message?"
        case .malformed(.tooManyKeys): "too many distinct attribute keys"
        case .tooManyKeys(let limit):
            "the request has more than \(limit) distinct attribute keys; put what varies into values, or send smaller batches"
        case .valueTooDeep(let limit): "an attribute value is nested deeper than \(limit) levels"
        }
    }
}
