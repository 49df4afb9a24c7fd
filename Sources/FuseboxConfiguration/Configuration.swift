package import Derivations
package import Forwarding
package import OTLP
package import Reports
package import TelemetryModel

/// The effective configuration: defaults, then `fusebox.yaml`, then the environment, then flags, each over the one before.
package struct Configuration: Equatable, Sendable {
    package var dataFolder: String
    package var listenAddress = "127.0.0.1"
    package var httpPort = 4318
    package var allowsInsecureListen = false
    /// Bytes of a request's body, before and after inflating.
    package var requestBytesMax = 64 << 20
    /// Days that spans are kept; `nil` for ever.
    package var retentionDays: Double? = 30
    /// Bytes of spans that are kept in the data file; `nil` for as many as the disk holds.
    package var retentionBytes: Int? = 10 << 30
    package var transport = TransportConfiguration()
    package var redaction = RedactionConfiguration()
    package var gateway = GatewayConfiguration()
    package var forward = ForwardConfiguration()
    /// Engines that are asked, and not sent to from here.
    package var engines: [ForwardTargetPlan] = []
    package var policy = FusePolicy()
    /// What the gates let pass, but for the p95, which is the policy's.
    package var gates = GateLimits()
    /// `nil`: `prices.yaml` in the data folder.
    package var pricesFile: String?
    /// Whether models that prices.yaml does not name have public list prices.
    package var usesListPrices = true

    /// For `fusebox config print`: where each setting that is not a default came from, by key.
    package var origins: [String: String] = [:]
    /// Variables of the environment that others set by the names of settings, and which are ignored.
    package var foreignVariables: [String: String] = [:]

    package init(homeFolder: String) {
        dataFolder = "\(homeFolder)/.fusebox"
    }

    package var pricesPath: String { pricesFile ?? "\(dataFolder)/prices.yaml" }

    /// The gates with those that the policy has: the p95, and the limits of the loop contract.
    package var gateLimits: GateLimits {
        var limits = gates
        limits.p95LatencyNanoseconds = policy.p95LatencyGateNanoseconds
        limits.workflowConcurrency = policy.workflowConcurrencyMax
        limits.retrievalBatch = policy.retrievalBatchMax
        limits.embedBatch = policy.embedBatchMax
        return limits
    }

    /// True for addresses that only this machine can reach.
    package var listensOnLoopback: Bool {
        listenAddress == "localhost" || listenAddress == "::1" || listenAddress.hasPrefix("127.")
    }

    /// What works and yet deserves a word.
    package var warnings: [String] {
        var warnings: [String] = []
        let seconds = policy.httpToolTimeoutNanoseconds / 1_000_000_000
        if seconds < 8 || seconds > 12 {
            warnings.append(
                "fuses.http_tool_timeout_s is \(seconds); between 8 and 12 seconds is usual: less cuts slow answers, more stalls agents"
            )
        }
        for (name, text) in foreignVariables.sorted(by: { $0.key < $1.key }) {
            warnings.append(
                "environment variable \(name) is '\(text)', as Kubernetes sets it for a Service of that name; it is ignored. "
                    + "Set enableServiceLinks: false in the pod, or name the Service otherwise")
        }
        return warnings
    }
}

/// A configuration that cannot be used, with what to do about it.
package struct ConfigurationError: Error, Equatable, Sendable {
    package var message: String

    package init(_ message: String) {
        self.message = message
    }

    package var isRetryable: Bool { false }
}

/// What is configured of the way in: ports, limits, who may come.
package struct TransportConfiguration: Equatable, Sendable {
    /// `nil` switches gRPC off. Without a word of it: 4317, or any free one when the HTTP port is any free one.
    package var grpcPort: Int??
    /// Names beside localhost and addresses that browsers may reach us by.
    package var allowedHosts: [String] = []
    /// Origins of web pages that may send and read.
    package var corsOrigins: [String] = []
    package var connectionsMax = 4096
    /// Export requests under way at once, and the bytes that they hold.
    package var requestsMax = 512
    package var requestBytesInFlightMax = 96 << 20
    /// Whether `/metrics` shows the metrics that clients send.
    package var showsClientMetrics = true
    /// How long a series that is not sent again stays there.
    package var clientMetricsExpirySeconds = 300.0
    /// Digests of the tokens that let send, and of those that let read; without any the role is open.
    package var ingestTokens: [TokenDigest] = []
    package var readTokens: [TokenDigest] = []
    /// Of those that let judge as well as read; without any, whoever may read may judge.
    package var judgeTokens: [TokenDigest] = []
    /// The resource attribute that says which project a span is of.
    package var projectAttribute = "service.name"
    /// Digests of tokens that let read one project alone, with its name.
    package var projectTokens: [ProjectToken] = []
    /// The header field in which a reverse proxy names whom it signed in, and where its requests come from: both or neither.
    package var proxyUserHeader: String?
    package var trustedProxies: [String] = []
    /// PEM files; both or neither.
    package var tlsCertificate: String?
    package var tlsPrivateKey: String?
    /// PEM file of those who issue clients' certificates.
    package var tlsClientAuthorities: String?

    package init() {}
}

/// What is not to be stored.
package struct RedactionConfiguration: Equatable, Sendable {
    /// Attribute keys whose values are taken out; `*` stands for any text.
    package var keys: [String] = []
    /// Names of `RedactionRules.detectors`.
    package var detectors: [String] = []
    /// Further patterns.
    package var patterns: [String] = []

    package init() {}

    /// The rules, made ready.
    package func rules() throws(ConfigurationError) -> RedactionRules {
        var rules = RedactionRules()
        for key in keys { rules.add(key: key) }
        do throws(PatternError) {
            for detector in detectors { try rules.add(detector: detector) }
        } catch {
            throw ConfigurationError("redaction.detectors: \(error.message)")
        }
        for pattern in patterns {
            do throws(PatternError) {
                try rules.add(pattern: pattern)
            } catch {
                throw ConfigurationError("redaction.patterns has '\(pattern)': \(error.message)")
            }
        }
        return rules
    }
}

extension Configuration {
    /// The port for gRPC, `nil` when it is off.
    package var grpcPort: Int? {
        switch transport.grpcPort {
        case .some(let port): port
        case .none: httpPort == 0 ? 0 : 4317
        }
    }

    /// What cannot be served as configured.
    package func checkTransport() throws(ConfigurationError) {
        if (transport.tlsCertificate == nil) != (transport.tlsPrivateKey == nil) {
            throw ConfigurationError("tls.certificate and tls.private_key go together: set both or neither")
        }
        if transport.tlsClientAuthorities != nil && transport.tlsCertificate == nil {
            throw ConfigurationError(
                "tls.client_ca asks clients for certificates, which needs tls.certificate and tls.private_key")
        }
        guard (transport.proxyUserHeader == nil) == transport.trustedProxies.isEmpty else {
            throw ConfigurationError("auth.proxy_user_header and auth.trusted_proxies come together: a name counts only from an address that is trusted")
        }
        guard !listensOnLoopback && !allowsInsecureListen else { return }
        let asksReaders = !transport.readTokens.isEmpty || !transport.projectTokens.isEmpty
        let hasTokens = !transport.ingestTokens.isEmpty && asksReaders
        guard !hasTokens && transport.tlsClientAuthorities == nil else { return }
        throw ConfigurationError(
            "listening on \(listenAddress) would let anyone on the network write and read spans; set auth.ingest_tokens and "
                + "auth.read_tokens (`fusebox token` makes them), or tls.client_ca, or stay on 127.0.0.1 behind a proxy, "
                + "or say --insecure-listen if the network is yours")
    }
}
