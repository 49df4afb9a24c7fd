import HTTPTypes
import Hummingbird
import Ingest
import NIOCore
import OTLP

/// What a request's headers say of its body, and the body itself.
enum RequestContent {
    /// The media type of `Content-Type`, without parameters, in lower case.
    static func mediaType(_ request: Request) -> String? {
        guard let header = request.headers[.contentType] else { return nil }
        // What every exporter sends; the rest is for those who write it in their own way.
        if header == "application/x-protobuf" { return header }
        let type = header.prefix { $0 != ";" }
        return type.filter { $0 != " " && $0 != "\t" }.lowercased()
    }

    /// Whether the media type is one of OTLP's.
    static func isExport(_ request: Request) -> Bool {
        let type = mediaType(request)
        return type == "application/x-protobuf" || type == "application/json"
    }

    /// The encoding of an export request, and so of its answer: its own, and JSON for those who sent neither of OTLP's.
    static func answerEncoding(_ request: Request) -> OTLPMessage.Encoding {
        mediaType(request) == "application/x-protobuf" ? .protobuf : .json
    }

    /// The compression of the body.
    static func coding(_ request: Request) throws -> ContentEncoding {
        if request.headers[.contentEncoding]?.contains(",") == true {
            throw Refusal(status: .badRequest, code: .invalidArgument, message: "a body may be compressed once, not twice")
        }
        guard let encoding = ContentEncoding(header: request.headers[.contentEncoding]) else {
            throw Refusal(
                status: .unsupportedMediaType, code: .invalidArgument,
                message: "Content-Encoding must be one of: \(ContentEncoding.accepted)",
                headers: [.acceptEncoding: ContentEncoding.accepted])
        }
        return encoding
    }

    /// The length that the body says it has, 0 when it says none. Refused before it is read when that is too much.
    static func announcedBytes(_ request: Request, limit: Int) throws -> Int {
        let announced = max(0, request.headers[.contentLength].flatMap { Int($0) } ?? 0)
        guard announced <= limit else { throw StatusTable.tooLarge("the body has \(announced) bytes, the limit is \(limit)") }
        return announced
    }

    private static let reservedBytesMax = 1 << 20

    /// Reads the body as it came, at most `limit` bytes.
    ///
    /// - Parameter permit: of an export request, whose bytes count; a question is too short for it.
    static func collect(
        _ request: Request, announced: Int, limit: Int, permit: AdmissionPermit?
    ) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        // What is announced is not there yet: a large body gets its memory as it comes.
        bytes.reserveCapacity(min(announced, reservedBytesMax))
        for try await buffer in request.body {
            let count = bytes.count + buffer.readableBytes
            guard count <= limit else { throw StatusTable.tooLarge("the body has more than \(limit) bytes") }
            try permit?.hold(count)
            buffer.withUnsafeReadableBytes { bytes.append(contentsOf: $0) }
        }
        return bytes
    }
}
