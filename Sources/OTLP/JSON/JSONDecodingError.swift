/// Why a body is no OTLP/JSON request. Never retryable: the client must not send the same bytes again. Offsets count the body's
/// bytes from 0.
package enum JSONDecodingError: Error, Equatable, Sendable {
    /// The text ends within a value, or is empty.
    case truncated
    /// A byte that JSON does not allow there.
    case unexpected(offset: Int)
    /// Objects and arrays nested deeper than `JSONReader.depthMax`.
    case tooDeep(offset: Int)
    /// A value of another type than the field has.
    case wrongType(field: String, expected: String, offset: Int)
    /// The request would be larger than the limit in protobuf.
    case tooLarge(limit: Int)

    package var isRetryable: Bool { false }

    /// What to tell the client.
    package var message: String {
        switch self {
        case .truncated: "malformed JSON: it ends within a value; was the body cut short?"
        case .unexpected(let offset): "malformed JSON: unexpected byte at offset \(offset)"
        case .tooDeep(let offset): "malformed JSON: nested deeper than \(JSONReader.depthMax) levels at offset \(offset)"
        case .wrongType(let field, let expected, let offset):
            "malformed OTLP/JSON: \(field) must be \(expected), at offset \(offset)"
        case .tooLarge(let limit): "the request has more than \(limit) bytes in protobuf"
        }
    }
}
