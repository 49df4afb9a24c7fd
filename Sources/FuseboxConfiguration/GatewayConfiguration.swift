package import Derivations
import Foundation
package import GatewayRules

/// What `gateway:` says. Without models there is no gateway.
package struct GatewayConfiguration: Equatable, Sendable {
    /// Where the first-token fuse of a model comes from.
    package enum FirstToken: Equatable, Sendable {
        /// From `fuses.prefill_budgets_s`.
        case budget
        /// Without a fuse, as it says itself.
        case none
        case nanoseconds(Int64)
    }

    package struct Model: Equatable, Sendable {
        /// Its `backends` are positions in `GatewayConfiguration.backends`; the first-token fuse is not in its fuses yet.
        package var plan: ModelPlan
        package var firstToken = FirstToken.budget
        /// Where it stands in the file, for messages.
        package var place: String
    }

    package var port = 4320
    /// Calls upstream at once over all models; `nil`: as many as there are slots.
    package var callsMax: Int?
    /// Part of the memory that stays free when a model server is started.
    package var headroomRatio = 0.15
    package var models: [Model] = []
    package var backends: [BackendPlan] = []
    /// What is started, and where it stands in the file.
    package var programs: [Program] = []
    package var kubernetes = KubernetesConfiguration()

    package struct Program: Equatable, Sendable {
        package var name: String
        package var place: String
    }

    package init() {}

    package var isConfigured: Bool { !models.isEmpty }

    /// Refuses a program that cannot be run here.
    ///
    /// - Parameter path: the folders in which programs are looked for, with colons between them.
    package func checkPrograms(path: String) throws(ConfigurationError) {
        for program in programs {
            let places =
                program.name.contains("/")
                ? [program.name] : path.split(separator: ":").map { "\($0)/\(program.name)" }
            guard places.contains(where: FileManager.default.isExecutableFile(atPath:)) else {
                throw ConfigurationError("\(program.place): there is no program '\(program.name)' that can be run here")
            }
        }
    }

    /// What the gateway goes by, with the fuse table's budgets and breaker rules.
    package func plan(_ policy: FusePolicy) throws(ConfigurationError) -> GatewayPlan {
        var plan = GatewayPlan(policy: policy)
        plan.backends = backends
        plan.callsMax = callsMax
        for model in models {
            var own = model.plan
            switch model.firstToken {
            case .none: own.fuses.firstTokenNanoseconds = nil
            case .nanoseconds(let limit): own.fuses.firstTokenNanoseconds = limit
            case .budget:
                guard let budget = policy.fuseNanoseconds(stage: .llm, model: own.name) else {
                    throw ConfigurationError(
                        "\(model.place): the model '\(own.name)' has no limit for its first token; give it one in "
                            + "fuses.prefill_budgets_s or in its own fuses.first_token_s, or say first_token_s: none")
                }
                own.fuses.firstTokenNanoseconds = budget
            }
            plan.models.append(own)
        }
        return plan
    }
}

extension Setting {
    static let gateway: [Setting] = [
        Setting(
            key: "gateway.port", environment: "FUSEBOX_GATEWAY_PORT",
            help: "Port of the gateway in front of model servers, where models are configured; 0 takes a free one.",
            read: { text, configuration throws(ConfigurationError) in
                configuration.gateway.port = try integer(text, "gateway.port", 0...65535)
            }, show: { "\($0.gateway.port)" }),
        Setting(
            key: "gateway.max_concurrency", environment: "WORKFLOW_MAX_CONCURRENCY",
            help: "Calls upstream at once over all models. `none`: as many as there are slots.",
            read: { text, configuration throws(ConfigurationError) in
                configuration.gateway.callsMax =
                    text == "none" ? nil : try integer(text, "gateway.max_concurrency", 1...100_000)
            }, show: { $0.gateway.callsMax.map { "\($0)" } ?? "none" }),
        Setting(
            key: "gateway.headroom_ratio", environment: "FUSEBOX_GATEWAY_HEADROOM_RATIO",
            help: "Part of the memory that stays free when the gateway starts a model server, from 0 to 1.",
            read: { text, configuration throws(ConfigurationError) in
                guard let ratio = Double(text), (0...1).contains(ratio) else {
                    throw ConfigurationError("gateway.headroom_ratio is '\(text)', but must be a number from 0 to 1")
                }
                configuration.gateway.headroomRatio = ratio
            }, show: { "\($0.gateway.headroomRatio)" }),
    ]
}

extension GatewayConfiguration {
    /// The models as lines of `fusebox.yaml`, two levels deep.
    var yamlLines: [String] {
        guard isConfigured else { return [] }
        var lines = ["  models:"]
        for model in models {
            lines.append("    \(YAMLText.quoted(model.plan.name)):")
            lines.append("      backends:")
            for index in model.plan.backends { lines += Self.lines(backends[index]) }
            lines += Self.lines(model)
        }
        return lines
    }

    private static func lines(_ backend: BackendPlan) -> [String] {
        var lines = ["        - name: \(YAMLText.quoted(backend.name))"]
        if let process = backend.process {
            lines += Self.lines(process)
        } else {
            let host = backend.host.contains(":") ? "[\(backend.host)]" : backend.host
            let url = "\(backend.isEncrypted ? "https" : "http")://\(host):\(backend.port)\(backend.pathPrefix)"
            lines.append("          url: \(YAMLText.quoted(url))")
        }
        lines += [
            "          kind: \(backend.kind.rawValue)",
            "          max_concurrent: \(backend.asksForSlots ? "auto" : "\(backend.slots)")",
        ]
        if let group = backend.group { lines.append("          group: \(YAMLText.quoted(group))") }
        if let name = backend.upstreamModel { lines.append("          upstream_model: \(YAMLText.quoted(name))") }
        if backend.drainsAbandonedCalls { lines.append("          on_client_gone: drain") }
        if !backend.asksForUsage { lines.append("          ask_usage: false") }
        return lines
    }

    private static func lines(_ process: ProcessPlan) -> [String] {
        func seconds(_ value: Int64) -> String { Decimal.text(Double(value) / 1e9) }
        return [
            "          command: [\(process.command.map(YAMLText.quoted).joined(separator: ", "))]",
            "          start_timeout_s: \(seconds(process.startTimeoutNanoseconds))",
            "          stall_s: \(seconds(process.stallNanoseconds))",
            "          stop_timeout_s: \(seconds(process.stopTimeoutNanoseconds))",
            "          memory_bytes: \(process.memoryBytes.map { "\($0)" } ?? "auto")",
        ]
    }

    private static func lines(_ model: Model) -> [String] {
        let plan = model.plan
        func seconds(_ value: Int64?) -> String { value.map { Decimal.text(Double($0) / 1e9) } ?? "none" }
        var fuses = [
            "connect_s: \(seconds(plan.fuses.connectNanoseconds))",
            "first_token_s_per_1k_tokens: \(seconds(plan.fuses.firstTokenNanosecondsPerThousand))",
            "gap_s: \(seconds(plan.fuses.gapNanoseconds))", "answer_s: \(seconds(plan.fuses.answerNanoseconds))",
            "total_s: \(seconds(plan.fuses.totalNanoseconds))",
        ]
        switch model.firstToken {
        case .budget: break
        case .none: fuses.append("first_token_s: none")
        case .nanoseconds(let limit): fuses.append("first_token_s: \(seconds(limit))")
        }
        return [
            "      queue: {depth: \(plan.queueDepth), timeout_s: \(seconds(plan.queueWaitNanoseconds))}",
            "      fuses: {\(fuses.joined(separator: ", "))}",
            "      retry: {max: \(plan.retriesMax), backoff_s: \(seconds(plan.backoffNanoseconds))}",
        ]
    }
}
