package import Forwarding
import OTLP
import OutboundHTTP
import SpanStore

/// What `forward:` says. Without targets nothing is forwarded.
package struct ForwardConfiguration: Equatable, Sendable {
    package var batchCount = 8_192
    package var batchBytes = 4 << 20
    package var batchAgeNanoseconds: Int64 = 1_000_000_000
    /// As they stand in the file; what all of them share is in the plan.
    package var targets: [ForwardTargetPlan] = []

    package init() {}

    /// What the forwarder goes by.
    package var plan: ForwardPlan {
        var plan = ForwardPlan()
        plan.targets = targets.map { target in
            // An engine of columns wants few and large inserts: its batches are the target's own.
            guard target.kind == .otlp else { return target }
            var target = target
            target.batchCount = batchCount
            target.batchBytes = batchBytes
            target.batchAgeNanoseconds = batchAgeNanoseconds
            return target
        }
        return plan
    }

    /// The targets as lines of `fusebox.yaml`, one level deep.
    var yamlLines: [String] {
        guard !targets.isEmpty else { return [] }
        return ["  targets:"]
            + targets.flatMap { target in
                var lines = ["    \(YAMLText.quoted(target.name)):"]
                if case .clickHouse(let database) = target.kind { lines += Self.yamlLines(target, database) }
                lines += [
                    "      endpoint: \(Self.yaml([target.endpoint] + target.otherEndpoints))",
                    "      signals: [\(target.signals.map(\.rawValue).joined(separator: ", "))]",
                    "      compression: \(target.compression == .identity ? "none" : target.compression.rawValue)",
                    "      spans_per_second: \(target.countPerSecond.map(Decimal.text) ?? "none")", "      hold: \(target.holds)",
                ]
                return lines + Self.accessLines(target)
            }
    }
}

extension Configuration {
    /// `engines` as lines of `fusebox.yaml`.
    var engineLines: [String] {
        guard !engines.isEmpty else { return [] }
        return ["engines:"]
            + engines.flatMap { engine -> [String] in
                guard case .clickHouse(let database) = engine.kind else { return [] }
                let lines =
                    ["    \(YAMLText.quoted(engine.name)):", "      endpoint: \(ForwardConfiguration.yaml([engine.endpoint] + engine.otherEndpoints))"]
                    + ForwardConfiguration.yamlLines(database) + ForwardConfiguration.accessLines(engine)
                // One level less deep than targets.
                return lines.map { String($0.dropFirst(2)) }
            }
    }

    /// An engine that can be asked: of `engines`, or a ClickHouse among the targets; `nil` when there is none of that name.
    package func engine(named name: String) -> ForwardTargetPlan? { askable.first { $0.name == name } }

    package var engineNames: [String] { askable.map(\.name).sorted() }

    private var askable: [ForwardTargetPlan] { engines + forward.targets.filter { $0.kind != .otlp } }
}

extension ForwardConfiguration {
    /// Who is let in, and how: what targets and engines share.
    static func accessLines(_ target: ForwardTargetPlan) -> [String] {
        var lines: [String] = []
        if let file = target.tokenFile { lines.append("      token_file: \(YAMLText.quoted(file))") }
        if !target.headers.isEmpty {
            lines.append("      headers:")
            // Values may be keys. What stands for them no header can have: a file made of this is refused.
            lines += target.headers.map { "        \(YAMLText.quoted($0.name)): \(YAMLText.quoted("…not shown"))" }
        }
        let files = [
            ("ca", target.tls.authorities), ("certificate", target.tls.certificate), ("private_key", target.tls.privateKey),
        ]
        let named = files.compactMap { name, file in file.map { "        \(name): \(YAMLText.quoted($0))" } }
        return lines + (named.isEmpty ? [] : ["      tls:"] + named)
    }

    /// One alone, several as a list.
    static func yaml(_ endpoints: [OutboundEndpoint]) -> String {
        let texts = endpoints.map { YAMLText.quoted($0.text) }
        return texts.count == 1 ? texts[0] : "[\(texts.joined(separator: ", "))]"
    }

    private static func yamlLines(_ target: ForwardTargetPlan, _ database: ClickHousePlan) -> [String] {
        ["      kind: clickhouse"] + yamlLines(database) + [
            "      batch_rows: \(target.batchCount)", "      batch_bytes: \(target.batchBytes)",
            "      batch_age_s: \(Decimal.text(Double(target.batchAgeNanoseconds) / 1e9))",
        ]
    }

    static func yamlLines(_ database: ClickHousePlan) -> [String] {
        var lines = [
            "      database: \(database.database)", "      table: \(database.tracesTable)", "      logs_table: \(database.logsTable)",
            "      views: \(database.views)", "      auth: \(database.authentication.rawValue)",
        ]
        if let user = database.user { lines.append("      user: \(YAMLText.quoted(user))") }
        if let file = database.passwordFile { lines.append("      password_file: \(YAMLText.quoted(file))") }
        return lines
    }
}

extension Configuration {
    /// Log records that came back to where they came from would go round for ever: they have no id that would tell.
    func checkForwarding() throws(ConfigurationError) {
        for target in forward.targets where target.kind == .otlp && target.endpoint.port == httpPort {
            let host = target.endpoint.host
            guard host == listenAddress || host == "localhost" || host == "::1" || host.hasPrefix("127.") else { continue }
            throw ConfigurationError(
                "forward.targets.\(target.name) has the endpoint \(target.endpoint.text), where this server listens itself")
        }
    }
}

extension Setting {
    static let forward: [Setting] = [
        Setting(
            key: "forward.batch_spans", environment: "FUSEBOX_FORWARD_BATCH_SPANS",
            help: "Spans or log records of a request to a target at most.",
            read: { text, configuration throws(ConfigurationError) in
                configuration.forward.batchCount = try integer(text, "forward.batch_spans", 1...100_000)
            }, show: { "\($0.forward.batchCount)" }),
        Setting(
            key: "forward.batch_bytes", environment: "FUSEBOX_FORWARD_BATCH_BYTES",
            help: "Bytes of a request to a target at most, before it is compressed, about.",
            read: { text, configuration throws(ConfigurationError) in
                configuration.forward.batchBytes = try integer(text, "forward.batch_bytes", (64 << 10)...(64 << 20))
            }, show: { "\($0.forward.batchBytes)" }),
        Setting(
            key: "forward.batch_age_s", environment: "FUSEBOX_FORWARD_BATCH_AGE_S",
            help: "How long the oldest span waits for a request to become full.",
            read: { text, configuration throws(ConfigurationError) in
                configuration.forward.batchAgeNanoseconds = Int64(try number(text, "forward.batch_age_s", 0.001...3_600) * 1e9)
            }, show: { Decimal.text(Double($0.forward.batchAgeNanoseconds) / 1e9) }),
    ]
}
