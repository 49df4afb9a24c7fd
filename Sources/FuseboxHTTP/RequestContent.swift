import HTTPTypes
import Hummingbird
import NIOCore
import NIOPosix
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

    /// The encoding for answers: the request's own, and JSON for those who sent neither of OTLP's.
    static func answerEncoding(_ request: Request) -> OTLPMessage.Encoding {
        mediaType(request) == "application/x-protobuf" ? .protobuf : .json
    }

    /// Reads the whole body, inflated, at most `limit` bytes before and after inflating.
    static func body(_ request: Request, limit: Int) async throws -> (body: [UInt8], wireBytes: Int, encoding: ContentEncoding) {
        if request.headers[.contentEncoding]?.contains(",") == true {
            throw Refusal(status: .badRequest, code: .invalidArgument, message: "a body may be compressed once, not twice")
        }
        guard let encoding = ContentEncoding(header: request.headers[.contentEncoding]) else {
            throw Refusal(
                status: .unsupportedMediaType, code: .invalidArgument,
                message: "Content-Encoding must be one of: \(ContentEncoding.accepted)",
                headers: [.acceptEncoding: ContentEncoding.accepted])
        }
        let bytes = try await collect(request, limit: limit)
        if encoding == .identity { return (bytes, bytes.count, encoding) }
        // Inflating is bounded work, but a few kilobytes may become the whole limit: not for the threads that serve others.
        let inflated = try await NIOThreadPool.singleton.runIfActive { try Inflation.inflate(bytes, encoding, limit: limit) }
        return (inflated, bytes.count, encoding)
    }

    private static func collect(_ request: Request, limit: Int) async throws -> [UInt8] {
        let announced = request.headers[.contentLength].flatMap { Int($0) } ?? 0
        // Refused before it is read.
        guard announced <= limit else { throw StatusTable.tooLarge("the body has \(announced) bytes, the limit is \(limit)") }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(announced)
        for try await buffer in request.body {
            guard bytes.count + buffer.readableBytes <= limit else {
                throw StatusTable.tooLarge("the body has more than \(limit) bytes")
            }
            buffer.withUnsafeReadableBytes { bytes.append(contentsOf: $0) }
        }
        return bytes
    }
}
