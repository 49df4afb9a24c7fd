import GatewayRules
import Yams

/// Reads `gateway.models` of `fusebox.yaml`. What is not known, or cannot be used, is refused with its line.
struct GatewayReader {
    private static let modelsMax = 1_000
    private static let nameBytesMax = 128

    private typealias Entry = SettingEntry

    private let path: String
    private var configuration: GatewayConfiguration

    init(path: String, into configuration: GatewayConfiguration) {
        self.path = path
        self.configuration = configuration
    }

    /// The configuration with the models of the node.
    mutating func read(_ node: Node, line: String) throws(ConfigurationError) -> GatewayConfiguration {
        let models = try entries(Entry(key: "gateway.models", node: node, place: path + line))
        guard models.count <= Self.modelsMax else {
            throw ConfigurationError("\(path)\(line): gateway.models has more than \(Self.modelsMax) models")
        }
        configuration.models = []
        configuration.backends = []
        configuration.programs = []
        for model in models { try read(model: model) }
        return configuration
    }

    private func entries(_ entry: Entry) throws(ConfigurationError) -> [Entry] { try entry.entries(path: path) }

    private func name(_ entry: Entry, below parent: Entry) -> String { entry.name(below: parent) }

    private func unknown(_ entry: Entry, _ known: String) -> ConfigurationError { entry.unknown(known) }

    // MARK: A model

    private mutating func read(model entry: Entry) throws(ConfigurationError) {
        let name = String(entry.key.dropFirst("gateway.models.".count))
        guard name.utf8.count <= Self.nameBytesMax else {
            throw entry.error("has a name of more than \(Self.nameBytesMax) bytes")
        }
        var model = GatewayConfiguration.Model(plan: ModelPlan(name: name, backends: []), place: entry.place)
        for part in try entries(entry) {
            switch self.name(part, below: entry) {
            case "backends": model.plan.backends = try read(backends: part)
            case "queue": try read(queue: part, into: &model.plan)
            case "fuses": try read(fuses: part, into: &model)
            case "retry": try read(retry: part, into: &model.plan)
            default: throw unknown(part, "backends, queue, fuses, retry")
            }
        }
        guard !model.plan.backends.isEmpty else { throw entry.error("needs backends: a list with a name and a url each") }
        configuration.models.append(model)
    }

    private func read(queue entry: Entry, into plan: inout ModelPlan) throws(ConfigurationError) {
        for part in try entries(entry) {
            switch name(part, below: entry) {
            case "depth": plan.queueDepth = try part.integer(0...10_000)
            case "timeout_s": plan.queueWaitNanoseconds = try part.seconds()
            default: throw unknown(part, "depth, timeout_s")
            }
        }
    }

    private func read(retry entry: Entry, into plan: inout ModelPlan) throws(ConfigurationError) {
        for part in try entries(entry) {
            switch name(part, below: entry) {
            case "max": plan.retriesMax = try part.integer(0...10)
            case "backoff_s": plan.backoffNanoseconds = try part.seconds()
            default: throw unknown(part, "max, backoff_s")
            }
        }
    }

    private func read(fuses entry: Entry, into model: inout GatewayConfiguration.Model) throws(ConfigurationError) {
        for part in try entries(entry) {
            switch name(part, below: entry) {
            case "connect_s": model.plan.fuses.connectNanoseconds = try part.seconds()
            case "first_token_s":
                model.firstToken = try part.optionalSeconds().map { .nanoseconds($0) } ?? GatewayConfiguration.FirstToken.none
            case "first_token_s_per_1k_tokens":
                let text = try part.text()
                model.plan.fuses.firstTokenNanosecondsPerThousand = text == "0" ? 0 : try part.seconds()
            case "gap_s": model.plan.fuses.gapNanoseconds = try part.optionalSeconds()
            case "answer_s": model.plan.fuses.answerNanoseconds = try part.optionalSeconds()
            case "total_s": model.plan.fuses.totalNanoseconds = try part.optionalSeconds()
            default:
                throw unknown(part, "connect_s, first_token_s, first_token_s_per_1k_tokens, gap_s, answer_s, total_s")
            }
        }
    }

    // MARK: Backends

    private mutating func read(backends entry: Entry) throws(ConfigurationError) -> [Int] {
        guard let list = entry.node.sequence else { throw entry.error("must be a list") }
        var positions: [Int] = []
        for node in list {
            let place = node.mark.map { "\(path) (line \($0.line))" } ?? entry.place
            let backend = try read(backend: Entry(key: "\(entry.key)[]", node: node, place: place))
            guard !configuration.backends.contains(where: { $0.name == backend.name }) else {
                throw ConfigurationError("\(place): two backends are called '\(backend.name)'; each needs a name of its own")
            }
            positions.append(configuration.backends.count)
            configuration.backends.append(backend)
        }
        return positions
    }

    private mutating func read(backend entry: Entry) throws(ConfigurationError) -> BackendPlan {
        var backend = BackendPlan(name: "", host: "", port: 0)
        var ofProcess: [Entry] = []
        var slots = entry
        for part in try entries(entry) {
            switch name(part, below: entry) {
            case "name": backend.name = try short(part)
            case "url": try read(url: part, into: &backend)
            case "kind":
                let text = try part.text()
                guard let kind = BackendPlan.Kind(rawValue: text) else {
                    let kinds = BackendPlan.Kind.allCases.map(\.rawValue).joined(separator: ", ")
                    throw part.error("is '\(text)', but must be one of: \(kinds)")
                }
                backend.kind = kind
            case "command":
                let command = try read(command: part)
                backend.process = ProcessPlan(command: command)
                configuration.programs.append(.init(name: command.first ?? "", place: part.place))
            case "start_timeout_s", "stall_s", "stop_timeout_s", "memory_bytes": ofProcess.append(part)
            case "max_concurrent":
                backend.asksForSlots = try part.text() == "auto"
                if !backend.asksForSlots { backend.slots = try part.integer(1...10_000) }
                slots = part
            case "group": backend.group = try part.text() == "none" ? nil : try short(part)
            case "upstream_model": backend.upstreamModel = try part.text() == "none" ? nil : try short(part)
            case "on_client_gone":
                let text = try part.text()
                guard text == "cancel" || text == "drain" else { throw part.error("is '\(text)', but must be cancel or drain") }
                backend.drainsAbandonedCalls = text == "drain"
            case "ask_usage":
                backend.asksForUsage = try part.located { text throws(ConfigurationError) in try Setting.flag(text, part.key) }
            default:
                throw unknown(
                    part,
                    "name, url, command, kind, max_concurrent, group, upstream_model, ask_usage, on_client_gone, start_timeout_s, "
                        + "stall_s, stop_timeout_s, memory_bytes")
            }
        }
        guard !backend.name.isEmpty else { throw entry.error("needs a name") }
        guard !backend.host.isEmpty || backend.process != nil else {
            throw entry.error("needs a url, such as http://127.0.0.1:8080, or a command that starts it")
        }
        guard backend.host.isEmpty || backend.process == nil else {
            throw entry.error("has a url and a command; a server that is started here gets its port from here")
        }
        guard !backend.asksForSlots || backend.kind == .llamaCpp else {
            throw slots.error("is 'auto', but only llama_cpp says how many calls it works on at once")
        }
        for part in ofProcess { try read(process: part, name(part, below: entry), into: &backend) }
        if backend.process != nil { backend.host = "127.0.0.1" }
        return backend
    }

    private func read(command entry: Entry) throws(ConfigurationError) -> [String] {
        guard let list = entry.node.sequence else { throw entry.error("must be a list: the program, then its arguments") }
        var command: [String] = []
        for node in list {
            guard let text = node.scalar?.string, !text.contains("\0") else { throw entry.error("must hold texts alone") }
            command.append(text)
        }
        guard let program = command.first, !program.isEmpty else { throw entry.error("names no program") }
        guard command.dropFirst().contains(where: { $0.contains(ProcessPlan.portMark) }) else {
            throw entry.error(
                "must hold \(ProcessPlan.portMark) where the program takes its port, as in --port, \"\(ProcessPlan.portMark)\"")
        }
        return command
    }

    private func read(process entry: Entry, _ name: String, into backend: inout BackendPlan) throws(ConfigurationError) {
        guard backend.process != nil else { throw entry.error("is of a backend with a command, and this one has a url") }
        switch name {
        case "start_timeout_s": backend.process?.startTimeoutNanoseconds = try entry.seconds()
        case "stall_s": backend.process?.stallNanoseconds = try entry.seconds()
        case "stop_timeout_s": backend.process?.stopTimeoutNanoseconds = try entry.seconds()
        default: backend.process?.memoryBytes = try entry.text() == "auto" ? nil : Int64(entry.integer(0...(1 << 50)))
        }
    }

    private func short(_ entry: Entry) throws(ConfigurationError) -> String {
        let text = try entry.text()
        guard !text.isEmpty, text.utf8.count <= Self.nameBytesMax else {
            throw entry.error("must have 1 to \(Self.nameBytesMax) bytes")
        }
        return text
    }

    private func read(url entry: Entry, into backend: inout BackendPlan) throws(ConfigurationError) {
        let url = try ServiceURL(entry, example: "http://127.0.0.1:8080 or https://host/prefix")
        backend.host = url.host
        backend.port = url.port
        backend.isEncrypted = url.isEncrypted
        guard !url.pathPrefix.hasSuffix("/v1") else { throw entry.error("ends in /v1, which the gateway adds itself") }
        backend.pathPrefix = url.pathPrefix
    }
}
