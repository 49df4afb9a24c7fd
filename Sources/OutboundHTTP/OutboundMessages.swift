/// Where requests go.
package struct OutboundEndpoint: Equatable, Sendable {
    package var host: String
    package var port: Int
    package var isEncrypted: Bool
    /// What stands before each path, without a slash at its end.
    package var pathPrefix: String

    package init(host: String, port: Int, isEncrypted: Bool, pathPrefix: String) {
        self.host = host
        self.port = port
        self.isEncrypted = isEncrypted
        self.pathPrefix = pathPrefix
    }

    /// As people write it.
    package var text: String { "\(isEncrypted ? "https" : "http")://\(authority)\(pathPrefix)" }

    /// What the header `Host` says.
    var authority: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (isEncrypted ? 443 : 80) ? name : "\(name):\(port)"
    }
}

/// PEM files of TLS, read for each connection, so that renewed ones count.
package struct OutboundTLS: Equatable, Sendable {
    /// Who may have issued the other side's certificate; `nil` for those that the system trusts.
    package var authorities: String?
    /// What is shown of ourselves: both or neither.
    package var certificate: String?
    package var privateKey: String?

    /// PEM documents themselves, which count in place of the files.
    package struct Texts: Equatable, Sendable {
        package var authorities: String?
        package var certificate: String?
        package var privateKey: String?
    }

    package var texts = Texts()

    package init(authorities: String? = nil, certificate: String? = nil, privateKey: String? = nil) {
        self.authorities = authorities
        self.certificate = certificate
        self.privateKey = privateKey
    }
}

/// One request.
package struct OutboundRequest: Equatable, Sendable {
    package var method = "POST"
    package var path: String
    package var headers: [(name: String, value: String)]
    package var body: [UInt8]
    /// Nanoseconds from the first byte to the last of the answer.
    package var timeoutNanoseconds: Int64
    /// Of the answer's body; a longer one is an error.
    package var answerBytesMax = OutboundRequest.answerBytesUsually

    /// What deliveries are answered with is some hundred bytes.
    package static let answerBytesUsually = 1 << 20

    package init(path: String, headers: [(name: String, value: String)], body: [UInt8], timeoutNanoseconds: Int64) {
        self.path = path
        self.headers = headers
        self.body = body
        self.timeoutNanoseconds = timeoutNanoseconds
    }

    package static func == (one: OutboundRequest, other: OutboundRequest) -> Bool {
        one.method == other.method && one.path == other.path && one.body == other.body
            && one.timeoutNanoseconds == other.timeoutNanoseconds && one.answerBytesMax == other.answerBytesMax
            && one.headers.elementsEqual(other.headers) { $0 == $1 }
    }
}

/// A whole answer.
package struct OutboundAnswer: Sendable {
    package var status: Int
    /// Names in small letters, in their order.
    package var headers: [(name: String, value: String)]
    package var body: [UInt8]

    package init(status: Int, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// The first value of a header; `name` in small letters.
    package func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }
}

/// Why there is no answer. Whether the other side got the request nobody knows, but for the first two.
package enum OutboundError: Error, Equatable, Sendable {
    /// No connection, or no TLS on it.
    case notConnected(String)
    /// A file of TLS cannot be used.
    case badFile(String)
    case timedOut
    /// The connection ended before the answer began.
    case closed(String)
    /// It ended within the answer.
    case cutOff(String)
    /// An answer without end.
    case answerTooLong

    package var isRetryable: Bool { true }

    package var message: String {
        switch self {
        case .notConnected(let what): "there is no connection: \(what)"
        case .badFile(let what): what
        case .timedOut: "there was no answer in time"
        case .closed(let what): "the connection ended before an answer came\(what.isEmpty ? "" : ": \(what)")"
        case .cutOff(let what): "the connection ended within the answer\(what.isEmpty ? "" : ": \(what)")"
        case .answerTooLong: "the answer is longer than it may be"
        }
    }
}
