package import HTTPTypes
import Ingest
import NIOCore
import NIOHTTP1
package import OTLP
import Queries

/// An answer that is no success: what HTTP says, what the `google.rpc.Status` in its body says, and headers that go with it.
package struct Refusal: Error, Sendable {
    package var status: HTTPResponse.Status
    package var code: RPCCode
    package var message: String
    package var headers: HTTPFields = [:]
    /// The rest of the request's body is not worth reading.
    package var closesConnection = false

    package init(
        status: HTTPResponse.Status, code: RPCCode, message: String, headers: HTTPFields = [:], closesConnection: Bool = false
    ) {
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers
        self.closesConnection = closesConnection
    }
}

/// The one place where errors become status codes.
///
/// | what happened | HTTP | retried by clients |
/// |---|---|---|
/// | the body is not the message, or the request not HTTP | 400 | no |
/// | the body is too large, inflated or not | 413 | no |
/// | the content type or encoding is not ours | 415 | no |
/// | no token, or an unknown one | 401 | no |
/// | a token of another role or of one project, or a page of another origin | 403 | no |
/// | a host name that is not ours | 421 | no |
/// | the body came too slowly (`RequestDeadlines`) | 408 | no |
/// | too many or too long header fields | 431 | no |
/// | a query runs too long, or its answer is too large | 422 | no |
/// | only nodes have it, and an engine is asked | 501 | no |
/// | the spans cannot be stored now | 503, `Retry-After: 1` | yes |
///
/// 500 and 429 are never answered: clients drop a batch for good on 500, and 503 says all that 429 would.
package enum StatusTable {
    package static func refusal(for error: any Error) -> Refusal {
        switch error {
        case let refusal as Refusal: refusal
        case let error as OTLPDecodingError:
            Refusal(status: .badRequest, code: .invalidArgument, message: error.message)
        case let error as JSONDecodingError: json(error)
        case let error as InflationError: inflation(error)
        case is HTTPParserError:
            Refusal(
                status: .badRequest, code: .invalidArgument, message: "the request is not HTTP/1.1: its framing is broken",
                closesConnection: true)
        case let error as IngestError: unavailable(error.message)
        case let error as AdmissionRefusal: unavailable(error.message)
        case let error as QueryError: query(error)
        default: unavailable("\(error)")
        }
    }

    private static func json(_ error: JSONDecodingError) -> Refusal {
        switch error {
        case .tooLarge: tooLarge(error.message)
        default: Refusal(status: .badRequest, code: .invalidArgument, message: error.message)
        }
    }

    private static func inflation(_ error: InflationError) -> Refusal {
        switch error {
        case .corrupt: Refusal(status: .badRequest, code: .invalidArgument, message: error.message)
        case .tooLarge: tooLarge(error.message)
        }
    }

    package static func tooLarge(_ message: String) -> Refusal {
        Refusal(
            status: .contentTooLarge, code: .resourceExhausted,
            message: message + "; send smaller batches, or raise --request-bytes-max", closesConnection: true)
    }

    /// What a question is answered with that has no answer. Nobody loses spans by these, so a slow query may be told what it is.
    private static func query(_ error: QueryError) -> Refusal {
        switch error {
        case .invalid: Refusal(status: .badRequest, code: .invalidArgument, message: error.message)
        case .notFound: Refusal(status: .notFound, code: .notFound, message: error.message)
        case .forbidden: Refusal(status: .forbidden, code: .permissionDenied, message: error.message)
        case .tooLong, .tooLarge: Refusal(status: .unprocessableContent, code: .resourceExhausted, message: error.message)
        case .notHere: Refusal(status: .notImplemented, code: .unimplemented, message: error.message)
        case .busy, .gaveWay, .store, .unavailable: unavailable(error.message)
        }
    }

    /// Nothing is taken in here: a client that goes on sending would wait for ever.
    static func closed(_ reason: String) -> Refusal {
        Refusal(status: .notImplemented, code: .unimplemented, message: reason, closesConnection: true)
    }

    static func wrongMethod(_ path: String, _ methods: [HTTPRequest.Method]) -> Refusal {
        let names = methods.map(\.rawValue).joined(separator: ", ")
        return Refusal(
            status: .methodNotAllowed, code: .unimplemented, message: "\(path) takes \(names)", headers: [.allow: names])
    }

    static func wrongType(_ message: String) -> Refusal {
        Refusal(status: .unsupportedMediaType, code: .invalidArgument, message: message)
    }

    static func unavailable(_ message: String) -> Refusal {
        // Clients give up ten seconds after their first try: a longer wait would lose the batch.
        Refusal(status: .serviceUnavailable, code: .unavailable, message: message, headers: [.retryAfter: "1"])
    }

    /// A refusal as `google.rpc.Status` in the request's encoding.
    package static func response(_ refusal: Refusal, _ encoding: OTLPMessage.Encoding) -> Response {
        let body = OTLPMessage.status(code: refusal.code, message: refusal.message, as: encoding)
        var headers = refusal.headers
        headers[.contentType] = encoding.contentType
        if refusal.closesConnection { headers[.connection] = "close" }
        return Response(status: refusal.status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
    }
}
