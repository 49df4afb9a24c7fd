import HTTPTypes
import OTLP

/// What a request's header fields say of its body.
enum RequestContent {
    /// The media type of `Content-Type`, without parameters, in lower case.
    static func mediaType(_ header: String?) -> String? {
        guard let header else { return nil }
        let type = header.prefix { $0 != ";" }
        return type.filter { $0 != " " && $0 != "\t" }.lowercased()
    }

    static func mediaType(_ request: Request) -> String? { mediaType(request.headers[.contentType]) }

    /// The encoding of an answer that says why there is none: the request's own, and JSON for those who sent neither of OTLP's.
    static func answerEncoding(_ headers: HTTPFields) -> OTLPMessage.Encoding {
        mediaType(headers[.contentType]) == OTLPMessage.Encoding.protobuf.contentType ? .protobuf : .json
    }

    /// The compression of a body.
    static func coding(_ header: String?) throws -> ContentEncoding {
        if header?.contains(",") == true {
            throw Refusal(status: .badRequest, code: .invalidArgument, message: "a body may be compressed once, not twice")
        }
        guard let encoding = ContentEncoding(header: header) else {
            throw Refusal(
                status: .unsupportedMediaType, code: .invalidArgument,
                message: "Content-Encoding must be one of: \(ContentEncoding.accepted)",
                headers: [.acceptEncoding: ContentEncoding.accepted])
        }
        return encoding
    }

    /// The length that a body says it has, 0 when it says none. Refused before it is read when that is too much.
    static func announcedBytes(_ header: String?, limit: Int) throws -> Int {
        let announced = max(0, header.flatMap { Int($0) } ?? 0)
        guard announced <= limit else { throw StatusTable.tooLarge("the body has \(announced) bytes, the limit is \(limit)") }
        return announced
    }
}
