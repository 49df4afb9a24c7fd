import OTLP
import TelemetryModel

extension Setting {
    /// Ports, limits, and who may come in.
    static let transport: [Setting] = [
        Setting(
            key: "grpc_port", environment: "FUSEBOX_GRPC_PORT",
            help: "Port of OTLP over gRPC; 0 takes a free one, `none` switches it off.",
            read: { text, configuration throws(ConfigurationError) in
                configuration.transport.grpcPort =
                    text == "none" ? .some(nil) : .some(try integer(text, "grpc_port", 0...65535))
            }, show: { $0.grpcPort.map { "\($0)" } ?? "none" }),
        words(
            "allowed_hosts", "FUSEBOX_ALLOWED_HOSTS", "Host names, beside localhost, that browsers may reach us by.",
            \.allowedHosts),
        words("cors_origins", "FUSEBOX_CORS_ORIGINS", "Origins of web pages that may send and read.", \.corsOrigins),
        count("connections_max", "FUSEBOX_CONNECTIONS_MAX", "Connections open at once.", \.connectionsMax, 8...1_000_000),
        count(
            "inflight_requests_max", "FUSEBOX_INFLIGHT_REQUESTS_MAX", "Export requests under way at once.", \.requestsMax,
            1...1_000_000),
        count(
            "inflight_bytes_max", "FUSEBOX_INFLIGHT_BYTES_MAX", "Bytes that export requests under way may hold.",
            \.requestBytesInFlightMax, (1 << 20)...(1 << 36)),
        Setting(
            key: "client_metrics", environment: "FUSEBOX_CLIENT_METRICS", help: "Show the metrics that clients send on /metrics.",
            read: { text, configuration throws(ConfigurationError) in
                configuration.transport.showsClientMetrics = try flag(text, "client_metrics")
            }, show: { "\($0.transport.showsClientMetrics)" }),
        Setting(
            key: "client_metrics_expiry_s", environment: "FUSEBOX_CLIENT_METRICS_EXPIRY_S",
            help: "Seconds after which a client's series that was not sent again leaves /metrics.",
            read: { text, configuration throws(ConfigurationError) in
                configuration.transport.clientMetricsExpirySeconds = try number(text, "client_metrics_expiry_s", 1...2_592_000)
            }, show: { Decimal.text($0.transport.clientMetricsExpirySeconds) }),
        Setting(
            key: "project_attribute", environment: "FUSEBOX_PROJECT_ATTRIBUTE",
            help: "Resource attribute that says which project a span or log record is of.",
            read: { text, configuration throws(ConfigurationError) in
                guard !text.isEmpty, text.utf8.count <= 256 else { throw ConfigurationError("project_attribute takes the key of a resource attribute") }
                configuration.transport.projectAttribute = text
            }, show: { YAMLText.scalar($0.transport.projectAttribute) }),
        tokens(
            "auth.ingest_tokens", "FUSEBOX_INGEST_TOKENS", "Digests of the tokens that let send; none: anyone may.",
            \.ingestTokens),
        tokens(
            "auth.read_tokens", "FUSEBOX_READ_TOKENS", "Digests of the tokens that let read; none: anyone may.", \.readTokens),
        tokens(
            "auth.judge_tokens", "FUSEBOX_JUDGE_TOKENS",
            "Digests of the tokens that let judge and read; none: who may read may judge.", \.judgeTokens),
        Setting(
            key: "auth.project_tokens", environment: "FUSEBOX_PROJECT_TOKENS",
            help: "Tokens that let read one project alone, each as PROJECT=digest.",
            read: { text, configuration throws(ConfigurationError) in
                configuration.transport.projectTokens = try projectTokens(text)
            },
            show: { configuration in
                let count = configuration.transport.projectTokens.count
                return count == 0 ? "[]" : "[\"\(count) digests, not shown\"]"
            }),
        Setting(
            key: "auth.proxy_user_header", environment: "FUSEBOX_PROXY_USER_HEADER",
            help: "Header field in which a reverse proxy names whom it signed in, such as X-Forwarded-User; only from auth.trusted_proxies.",
            read: { text, configuration throws(ConfigurationError) in
                guard text != "none" else { return configuration.transport.proxyUserHeader = nil }
                guard isHeaderName(text) else {
                    throw ConfigurationError("auth.proxy_user_header takes the name of a header field such as X-Forwarded-User, not '\(text)'")
                }
                configuration.transport.proxyUserHeader = text
            }, show: { $0.transport.proxyUserHeader.map(YAMLText.scalar) ?? "none" }),
        Setting(
            key: "auth.trusted_proxies", environment: "FUSEBOX_TRUSTED_PROXIES",
            help: "Addresses, or ranges such as 10.0.0.0/8, of the proxies whose auth.proxy_user_header counts.",
            read: { text, configuration throws(ConfigurationError) in
                for word in list(text) where AddressRange(word) == nil {
                    throw ConfigurationError("auth.trusted_proxies takes addresses and ranges such as 10.1.2.3 and 10.0.0.0/8, not '\(word)'")
                }
                configuration.transport.trustedProxies = list(text)
            },
            show: { "[" + $0.transport.trustedProxies.map(YAMLText.quoted).joined(separator: ", ") + "]" }),
        path("tls.certificate", "FUSEBOX_TLS_CERTIFICATE", "PEM file of the server's certificate chain.", \.tlsCertificate),
        path("tls.private_key", "FUSEBOX_TLS_PRIVATE_KEY", "PEM file of its private key.", \.tlsPrivateKey),
        path(
            "tls.client_ca", "FUSEBOX_TLS_CLIENT_CA",
            "PEM file of those who issue clients' certificates; with it, each must show one.",
            \.tlsClientAuthorities),
        redaction(
            "redaction.keys", "FUSEBOX_REDACT_KEYS", "Attribute keys whose values are not stored; * stands for any text.", \.keys),
        redaction(
            "redaction.detectors", "FUSEBOX_REDACT_DETECTORS",
            "What is taken out of every text: \(RedactionRules.detectors.map(\.name).joined(separator: ", ")).", \.detectors),
        redaction(
            "redaction.patterns", "FUSEBOX_REDACT_PATTERNS",
            "Further patterns that are taken out of every text; in the environment one a line.", \.patterns, separator: "\n"),
    ]

    private static func projectTokens(_ text: String) throws(ConfigurationError) -> [ProjectToken] {
        var found: [ProjectToken] = []
        for word in list(text) {
            // A project may have an equals sign in its name, a digest has none.
            guard let equals = word.lastIndex(of: "="), equals != word.startIndex, let digest = TokenDigest(text: word[word.index(after: equals)...]) else {
                throw ConfigurationError(
                    "auth.project_tokens takes the name of a project, = and a digest (sha256: and 64 hexadecimal digits), never a token itself; "
                        + "`fusebox token` makes a token and its digest")
            }
            found.append(ProjectToken(project: String(word[..<equals]), digest: digest))
        }
        return found
    }

    /// Whether a text may name the header field of a proxy: not one that says something else already.
    private static func isHeaderName(_ text: String) -> Bool {
        let others = ["authorization", "cookie", "host", "origin", "content-type", "content-length"]
        return (1...128).contains(text.utf8.count) && !others.contains(text.lowercased())
            && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) || $0 == 0x2D || $0 == 0x5F }
    }

    /// A list of which each element must give rules.
    private static func redaction(
        _ key: String, _ environment: String, _ help: String,
        _ path: any WritableKeyPath<RedactionConfiguration, [String]> & Sendable, separator: Character = ","
    ) -> Setting {
        Setting(
            key: key, environment: environment, help: help,
            read: { text, configuration throws(ConfigurationError) in
                let words = text == "none" ? [] : text.split(separator: separator).map { String(separator == "," ? $0.trimmed : $0) }
                // A blank between two commas names nothing, as nothing between them does.
                configuration.redaction[keyPath: path] = words.filter { !$0.isEmpty }
                _ = try configuration.redaction.rules()
            },
            show: { configuration in
                "[" + configuration.redaction[keyPath: path].map(YAMLText.quoted).joined(separator: ", ")
                    + "]"
            }, separator: separator)
    }

    private static func words(
        _ key: String, _ environment: String, _ help: String,
        _ path: any WritableKeyPath<TransportConfiguration, [String]> & Sendable
    ) -> Setting {
        Setting(
            key: key, environment: environment, help: help,
            read: { text, configuration in configuration.transport[keyPath: path] = list(text).map { $0.lowercased() } },
            show: { configuration in
                "[" + configuration.transport[keyPath: path].map(YAMLText.quoted).joined(separator: ", ") + "]"
            })
    }

    private static func count(
        _ key: String, _ environment: String, _ help: String, _ path: any WritableKeyPath<TransportConfiguration, Int> & Sendable,
        _ range: ClosedRange<Int>
    ) -> Setting {
        Setting(
            key: key, environment: environment, help: help,
            read: { text, configuration throws(ConfigurationError) in
                configuration.transport[keyPath: path] = try integer(text, key, range)
            }, show: { "\($0.transport[keyPath: path])" })
    }

    private static func path(
        _ key: String, _ environment: String, _ help: String,
        _ path: any WritableKeyPath<TransportConfiguration, String?> & Sendable
    ) -> Setting {
        Setting(
            key: key, environment: environment, help: help,
            read: { text, configuration in configuration.transport[keyPath: path] = text == "none" ? nil : text },
            show: { $0.transport[keyPath: path].map(YAMLText.scalar) ?? "none" })
    }

    /// Digests only: a message never repeats what was written, since it may be the token itself. They are not printed either.
    private static func tokens(
        _ key: String, _ environment: String, _ help: String,
        _ path: any WritableKeyPath<TransportConfiguration, [TokenDigest]> & Sendable
    ) -> Setting {
        Setting(
            key: key, environment: environment, help: help,
            read: { text, configuration throws(ConfigurationError) in
                var digests: [TokenDigest] = []
                for word in list(text) {
                    guard let digest = TokenDigest(text: word) else {
                        throw ConfigurationError(
                            "\(key) takes digests, sha256: and 64 hexadecimal digits, never a token itself; "
                                + "`fusebox token` makes a token and its digest")
                    }
                    digests.append(digest)
                }
                configuration.transport[keyPath: path] = digests
            },
            show: { configuration in
                let count = configuration.transport[keyPath: path].count
                // Text that is no digest: a file made of this is refused rather than open to all.
                return count == 0 ? "[]" : "[\"\(count) digests, not shown\"]"
            })
    }

    private static func list(_ text: String) -> [String] {
        guard text != "none" else { return [] }
        return text.split(whereSeparator: { $0 == "," || $0 == " " || $0 == "\n" }).map(String.init)
    }
}

extension Substring {
    /// Without spaces around it.
    fileprivate var trimmed: Substring {
        var rest = drop { $0 == " " }
        while rest.last == " " { rest.removeLast() }
        return rest
    }
}
