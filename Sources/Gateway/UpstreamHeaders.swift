import FuseboxHTTP
import GatewayRules
import HTTPTypes
import NIOCore
import NIOPosix
import TelemetryModel

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What the gateway says of an answer in its head.
struct AnswerMarks {
    var traceID: TraceID
    var backend: String
    var queueMilliseconds: Int64

    func mark(_ headers: inout HTTPFields) {
        headers[.fuseboxTraceID] = traceID.hexadecimal
        if !backend.isEmpty { headers[.fuseboxBackend] = backend }
        headers[.fuseboxQueue] = "\(queueMilliseconds)"
    }
}

/// Header fields on their way through.
enum UpstreamHeaders {
    /// Those that are between two neighbours only, and those that are set anew.
    private static let ownOfRequest: [HTTPField.Name] = [
        .connection, .keepAlive, .transferEncoding, .te, .trailer, .upgrade, .proxyAuthorization, .proxyConnection,
        .contentLength,
        .acceptEncoding, .expect, .traceparent, .baggage, .fuseboxWorkflow, .fuseboxStep,
    ]
    private static let ownOfResponse: [HTTPField.Name] = [
        .connection, .keepAlive, .transferEncoding, .trailer, .upgrade, .proxyConnection,
    ]

    /// The head of a call to a backend.
    ///
    /// - Parameter passesAuthorization: whether the client's token is meant for the backend, and not for us.
    static func request(
        _ head: HTTPRequest, to backend: BackendPlan, port: Int, path: String, bodyCount: Int, traceparent: String,
        passesAuthorization: Bool
    ) -> HTTPRequest {
        var fields = head.headerFields
        for name in ownOfRequest { fields[values: name] = [] }
        if !passesAuthorization {
            fields[values: .authorization] = []
            fields[values: .apiKey] = []
        }
        fields[.contentLength] = "\(bodyCount)"
        fields[.traceparent] = traceparent
        return HTTPRequest(
            method: .post, scheme: backend.isEncrypted ? "https" : "http", authority: authority(backend, port),
            path: backend.pathPrefix + path, headerFields: fields)
    }

    /// The head of a question to a backend about itself.
    static func question(
        _ path: String, to backend: BackendPlan, port: Int, authorization: String?
    ) -> HTTPRequest {
        var fields: HTTPFields = [.accept: "application/json"]
        fields[.authorization] = authorization
        return HTTPRequest(
            method: .get, scheme: backend.isEncrypted ? "https" : "http", authority: authority(backend, port),
            path: backend.pathPrefix + path, headerFields: fields)
    }

    /// Anthropic's clients show their token in a field of their own.
    static func withToken(_ head: HTTPRequest) -> HTTPRequest {
        guard head.headerFields[.authorization] == nil, let key = head.headerFields[.apiKey] else { return head }
        var head = head
        head.headerFields[.authorization] = "Bearer \(key)"
        return head
    }

    private static func authority(_ backend: BackendPlan, _ port: Int) -> String {
        (backend.host.contains(":") ? "[\(backend.host)]" : backend.host) + ":\(port)"
    }

    /// The head of a backend's answer for the client.
    ///
    /// - Parameter keepsLength: whether the body goes on byte for byte.
    static func response(_ head: HTTPResponse, _ marks: AnswerMarks, keepsLength: Bool) -> HTTPResponse {
        var head = head
        for name in ownOfResponse { head.headerFields[values: name] = [] }
        if !keepsLength { head.headerFields[values: .contentLength] = [] }
        marks.mark(&head.headerFields)
        return head
    }

    /// A field's number of seconds, up to a day; `nil` when it is none.
    static func nanoseconds(_ text: String) -> Int64? {
        guard let seconds = Double(text), seconds >= 0 else { return nil }
        return Int64(min(seconds, 86_400) * 1e9)
    }

    /// Whether the connection may have another call.
    static func isReusable(_ head: HTTPResponse) -> Bool {
        head.headerFields[.connection]?.lowercased() != "close"
    }
}

extension HTTPField.Name {
    private static func named(_ name: String) -> Self { Self(name) ?? .trailer }

    static let apiKey = named("x-api-key")
    static let keepAlive = named("Keep-Alive")
    static let proxyConnection = named("Proxy-Connection")
    static let traceparent = named("traceparent")
    static let tracestate = named("tracestate")
    static let baggage = named("baggage")
    static let stainlessTimeout = named("x-stainless-timeout")
    static let stainlessReadTimeout = named("x-stainless-read-timeout")
    static let shouldRetry = named("x-should-retry")
    static let fuseboxTraceID = named("x-fusebox-trace-id")
    static let fuseboxBackend = named("x-fusebox-backend")
    static let fuseboxQueue = named("x-fusebox-queue-ms")
    static let fuseboxWorkflow = named("x-fusebox-workflow")
    static let fuseboxStep = named("x-fusebox-step")
}

/// Why a connection could not be made, in words.
enum ConnectionErrors {
    static func text(_ error: any Error) -> String {
        if let failure = error as? NIOConnectionError {
            guard let single = failure.connectionErrors.first else { return "the host \(failure.host) is not known" }
            return text(single.error)
        }
        if let failure = error as? IOError { return String(cString: strerror(failure.errnoCode)) }
        if case ChannelError.connectTimeout = error { return "no connection in time" }
        return "\(error)"
    }
}
