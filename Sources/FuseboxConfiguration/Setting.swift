import Derivations

/// One thing that can be set: its key in `fusebox.yaml`, its environment variable, and how its text is read and shown.
package struct Setting: Sendable {
    /// Path in `fusebox.yaml`, such as `breaker.cooldown_s`; as a flag, its last word with dashes.
    package let key: String
    package let environment: String
    package let help: String
    let read: @Sendable (String, inout Configuration) throws(ConfigurationError) -> Void
    package let show: @Sendable (Configuration) -> String
    /// What stands between the elements of a list.
    var separator: Character = ","

    /// Every setting with one value, in the order of docs/configuration.md.
    package static let all: [Setting] = general + transport + policy + gateway + kubernetes + forward

    private static let general: [Setting] = [
        Setting(
            key: "data_dir", environment: "FUSEBOX_DATA_DIR", help: "Folder of the data file.",
            read: { text, configuration in configuration.dataFolder = text }, show: { YAMLText.scalar($0.dataFolder) }),
        Setting(
            key: "listen", environment: "FUSEBOX_LISTEN",
            help: "Address to listen on; anything but loopback needs insecure_listen.",
            read: { text, configuration in configuration.listenAddress = text }, show: { YAMLText.scalar($0.listenAddress) }),
        Setting(
            key: "insecure_listen", environment: "FUSEBOX_INSECURE_LISTEN",
            help: "Listen beyond loopback although nobody has to show a token.",
            read: { text, configuration throws(ConfigurationError) in
                configuration.allowsInsecureListen = try flag(text, "insecure_listen")
            }, show: { "\($0.allowsInsecureListen)" }),
        Setting(
            key: "http_port", environment: "FUSEBOX_HTTP_PORT", help: "Port of everything over HTTP; 0 takes a free one.",
            read: { text, configuration throws(ConfigurationError) in
                configuration.httpPort = try integer(text, "http_port", 0...65535)
            }, show: { "\($0.httpPort)" }),
        Setting(
            key: "request_bytes_max", environment: "FUSEBOX_REQUEST_BYTES_MAX",
            help: "Bytes of a request's body, before and after inflating.",
            read: { text, configuration throws(ConfigurationError) in
                configuration.requestBytesMax = try integer(text, "request_bytes_max", 1024...(1 << 29))
            }, show: { "\($0.requestBytesMax)" }),
        Setting(
            key: "retention.days", environment: "FUSEBOX_RETENTION_DAYS",
            help: "Days that spans are kept. `none`: for ever.",
            read: { text, configuration throws(ConfigurationError) in
                configuration.retentionDays = text == "none" ? nil : try number(text, "retention.days", 0.001...36_500)
            }, show: { $0.retentionDays.map(Decimal.text) ?? "none" }),
        Setting(
            key: "retention.bytes", environment: "FUSEBOX_RETENTION_BYTES",
            help: "Bytes of spans that are kept. `none`: as many as the disk holds.",
            read: { text, configuration throws(ConfigurationError) in
                configuration.retentionBytes = text == "none" ? nil : try integer(text, "retention.bytes", (1 << 20)...(1 << 50))
            }, show: { $0.retentionBytes.map { "\($0)" } ?? "none" }),
    ]

    static let policy: [Setting] = [
        seconds(
            "fuses.http_tool_timeout_s", "HTTP_TOOL_TIMEOUT_S", "Longest an HTTP tool may take.",
            \.httpToolTimeoutNanoseconds),
        seconds(
            "fuses.vector_query_timeout_s", "VECTOR_QUERY_TIMEOUT_S", "Longest a vector query may take.",
            \.vectorQueryTimeoutNanoseconds),
        optionalSeconds(
            "fuses.subprocess_tree_limit_s", "SUBPROCESS_TREE_LIMIT_S",
            "A process tree's own limit; its fuse is 20 s later. `none`: no fuse.", \.subprocessTreeLimitNanoseconds),
        optionalSeconds(
            "fuses.vector_p95_gate_s", "VECTOR_P95_GATE_S",
            "p95 above which a vector tool is half-open. `none`: vector_query_timeout_s.", \.vectorP95GateNanoseconds),
        Setting(
            key: "breaker.threshold", environment: "BREAKER_THRESHOLD", help: "Timeouts in a row that open a derived breaker.",
            read: { text, configuration throws(ConfigurationError) in
                configuration.policy.breakerThreshold = try integer(text, "breaker.threshold", 1...1000)
            }, show: { "\($0.policy.breakerThreshold)" }),
        seconds("breaker.cooldown_s", "BREAKER_COOLDOWN_S", "How long a breaker stays open.", \.breakerCooldownNanoseconds),
        seconds(
            "breaker.settle_s", "BREAKER_SETTLE_S", "How long an observation waits for older ones.", \.breakerSettleNanoseconds),
        choice(
            "breaker.scope", "BREAKER_SCOPE", "Whose breakers are told apart: those of each process, or of each service.",
            \.breakerScope, [("process", .process), ("service", .service)]),
        choice(
            "breaker.state_at", "BREAKER_STATE_AT", "Whether a span's breaker_state held at its end or at its start.",
            \.breakerStateAt, [("end", .end), ("start", .start)]),
        choice(
            "breaker.error_policy", "BREAKER_ERROR_POLICY", "Whether an error resets a derived breaker's count of timeouts.",
            \.errorPolicy, [("neutral", .neutral), ("reset", .reset)]),
        Setting(
            key: "breaker.derived_stages", environment: "DERIVED_STAGES", help: "Stages whose breakers are derived.",
            read: { text, configuration throws(ConfigurationError) in
                configuration.policy.derivedStages = try stages(text)
            }, show: { configuration in
                let stages = configuration.policy.derivedStages
                return stages.isEmpty ? "none" : stages.map(\.rawValue).sorted().joined(separator: ",")
            }),
        Setting(
            key: "gates.p95_latency_ms_max", environment: "P95_LATENCY_MS_MAX",
            help: "Gate for whole workflows. `none`: no gate.",
            read: { text, configuration throws(ConfigurationError) in
                configuration.policy.p95LatencyGateNanoseconds =
                    text == "none" ? nil : Int64(try number(text, "gates.p95_latency_ms_max", 0.001...1e9) * 1e6)
            }, show: { $0.policy.p95LatencyGateNanoseconds.map { Decimal.text(Double($0) / 1e6) } ?? "none" }),
    ] + reports

    // MARK: Kinds of settings

    private static func seconds(
        _ key: String, _ environment: String, _ help: String, _ path: any WritableKeyPath<FusePolicy, Int64> & Sendable
    ) -> Setting {
        Setting(
            key: key, environment: environment, help: help,
            read: { text, configuration throws(ConfigurationError) in
                configuration.policy[keyPath: path] = try nanoseconds(text, key)
            }, show: { Decimal.text(Double($0.policy[keyPath: path]) / 1e9) })
    }

    private static func optionalSeconds(
        _ key: String, _ environment: String, _ help: String, _ path: any WritableKeyPath<FusePolicy, Int64?> & Sendable
    ) -> Setting {
        Setting(
            key: key, environment: environment, help: help,
            read: { text, configuration throws(ConfigurationError) in
                configuration.policy[keyPath: path] = text == "none" ? nil : try nanoseconds(text, key)
            }, show: { $0.policy[keyPath: path].map { Decimal.text(Double($0) / 1e9) } ?? "none" })
    }

    private static func choice<Value: Equatable & Sendable>(
        _ key: String, _ environment: String, _ help: String, _ path: any WritableKeyPath<FusePolicy, Value> & Sendable,
        _ values: [(name: String, value: Value)]
    ) -> Setting {
        Setting(
            key: key, environment: environment, help: help,
            read: { text, configuration throws(ConfigurationError) in
                guard let found = values.first(where: { $0.name == text }) else {
                    throw ConfigurationError(
                        "\(key) is '\(text)', but must be one of: \(values.map(\.name).joined(separator: ", "))")
                }
                configuration.policy[keyPath: path] = found.value
            },
            show: { configuration in
                values.first { $0.value == configuration.policy[keyPath: path] }?.name ?? ""
            })
    }

    // MARK: Reading

    static func nanoseconds(_ text: String, _ key: String) throws(ConfigurationError) -> Int64 {
        Int64((try number(text, key, 1e-3...1e9) * 1e9).rounded())
    }

    static func number(
        _ text: String, _ key: String, _ range: ClosedRange<Double>
    ) throws(ConfigurationError) -> Double {
        guard let value = Double(text), range.contains(value) else {
            throw ConfigurationError(
                "\(key) is '\(text)', but must be a number from \(Decimal.text(range.lowerBound)) to "
                    + Decimal.text(range.upperBound))
        }
        return value
    }

    static func integer(_ text: String, _ key: String, _ range: ClosedRange<Int>) throws(ConfigurationError) -> Int {
        guard let value = Int(text), range.contains(value) else {
            throw ConfigurationError(
                "\(key) is '\(text)', but must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    static func flag(_ text: String, _ key: String) throws(ConfigurationError) -> Bool {
        switch text.lowercased() {
        case "true", "1", "yes", "on": return true
        case "false", "0", "no", "off": return false
        default: throw ConfigurationError("\(key) is '\(text)', but must be true or false")
        }
    }

    private static func stages(_ text: String) throws(ConfigurationError) -> Set<Stage> {
        var stages: Set<Stage> = []
        if text == "none" { return stages }
        for word in text.split(whereSeparator: { $0 == "," || $0 == " " }) {
            stages.insert(try stage(String(word), "breaker.derived_stages"))
        }
        return stages
    }

    static func stage(_ text: String, _ key: String) throws(ConfigurationError) -> Stage {
        guard let stage = Stage(rawValue: text) else {
            throw ConfigurationError(
                "\(key) has '\(text)', but a stage is one of: \(Stage.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return stage
    }
}

/// Numbers as people write them.
enum Decimal {
    /// Without `.0` when whole.
    static func text(_ value: Double) -> String {
        Int64(exactly: value).map { "\($0)" } ?? "\(value)"
    }
}
