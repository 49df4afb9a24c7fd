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
        tokens(
            "auth.ingest_tokens", "FUSEBOX_INGEST_TOKENS", "Digests of the tokens that let send; none: anyone may.",
            \.ingestTokens),
        tokens(
            "auth.read_tokens", "FUSEBOX_READ_TOKENS", "Digests of the tokens that let read; none: anyone may.", \.readTokens),
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

    /// A list of which each element must give rules.
    private static func redaction(
        _ key: String, _ environment: String, _ help: String,
        _ path: any WritableKeyPath<RedactionConfiguration, [String]> & Sendable, separator: Character = ","
    ) -> Setting {
        Setting(
            key: key, environment: environment, help: help,
            read: { text, configuration throws(ConfigurationError) in
                configuration.redaction[keyPath: path] =
                    text == "none" ? [] : text.split(separator: separator).map { String(separator == "," ? $0.trimmed : $0) }
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
