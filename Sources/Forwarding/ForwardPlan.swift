package import OTLP
package import OutboundHTTP
package import SpanStore

/// Where what is stored goes, as the configuration says.
package struct ForwardPlan: Equatable, Sendable {
    package static let targetsMax = 32

    /// By their names.
    package var targets: [ForwardTargetPlan] = []

    package init() {}
}

/// One target.
package struct ForwardTargetPlan: Equatable, Sendable {
    package var name: String
    package var endpoint: OutboundEndpoint
    /// Others that take the same, such as replicas, for when that one does not answer.
    package var otherEndpoints: [OutboundEndpoint] = []
    package var kind = ForwardTargetKind.otlp
    package var tls = OutboundTLS()
    package var signals: [ForwardSignal] = [.traces, .logs]
    /// A file with a bearer token, read again when it changes.
    package var tokenFile: String?
    /// Further headers of each request.
    package var headers: [ForwardHeader] = []
    package var compression = ContentEncoding.gzip
    /// Spans or log records of a request at most.
    package var batchCount = 8_192
    /// Bytes of a request before it is compressed, about.
    package var batchBytes = 4 << 20
    /// How long the oldest waits for a request to become full.
    package var batchAgeNanoseconds: Int64 = 1_000_000_000
    /// `nil` for as many as the target takes.
    package var countPerSecond: Double?
    /// Whether retention waits for this target.
    package var holds = false

    package init(name: String, endpoint: OutboundEndpoint) {
        self.name = name
        self.endpoint = endpoint
    }
}

/// What is spoken there.
package enum ForwardTargetKind: Equatable, Sendable {
    /// OTLP over HTTP as protobuf.
    case otlp
    case clickHouse(ClickHousePlan)
}

/// Where in a ClickHouse rows go, and as whom.
package struct ClickHousePlan: Equatable, Sendable {
    /// The names are those of the configuration.
    package enum Authentication: String, CaseIterable, Sendable {
        /// `X-ClickHouse-User` and `X-ClickHouse-Key`.
        case headers
        case basic
        /// A token in place of a password.
        case bearer
    }

    package var database = "default"
    package var tracesTable = "otel_traces"
    package var logsTable = "otel_logs"
    /// The database of the views over them.
    package var views = "fusebox"
    package var user: String?
    /// A file with the password, read again when it changes.
    package var passwordFile: String?
    package var authentication = Authentication.headers

    package init() {}
}

/// A header of the configuration.
package struct ForwardHeader: Equatable, Sendable {
    package var name: String
    package var value: String

    package init(name: String, value: String) {
        self.name = name
        self.value = value
    }
}
