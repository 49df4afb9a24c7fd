import Derivations
import Yams

/// Puts the configuration together from its sources.
package struct ConfigurationLoader: Sendable {
    private let homeFolder: String
    private let environment: [String: String]

    package init(homeFolder: String, environment: [String: String]) {
        self.homeFolder = homeFolder
        self.environment = environment
    }

    /// - Parameters:
    ///   - yaml: the text of `fusebox.yaml` and its path for messages; `nil` without a file.
    ///   - flags: values of flags by the key of their setting.
    package func load(yaml: (text: String, path: String)?, flags: [String: String]) throws(ConfigurationError) -> Configuration {
        var configuration = Configuration(homeFolder: homeFolder)
        if let yaml { try apply(yaml: yaml.text, path: yaml.path, to: &configuration) }
        for setting in Setting.all {
            guard let text = environment[setting.environment], !text.isEmpty else { continue }
            if Self.isOfAnotherService(setting.environment, text) {
                configuration.foreignVariables[setting.environment] = text
                continue
            }
            do {
                try setting.read(text, &configuration)
            } catch {
                throw ConfigurationError("environment variable \(setting.environment): \(error.message)")
            }
            configuration.origins[setting.key] = setting.environment
        }
        for setting in Setting.all {
            guard let text = flags[setting.key] else { continue }
            try setting.read(text, &configuration)
            configuration.origins[setting.key] = "flag"
        }
        _ = try configuration.gateway.plan(configuration.policy)
        try configuration.gateway.kubernetes.check()
        try configuration.checkForwarding()
        configuration.dataFolder = expandingHome(configuration.dataFolder)
        return configuration
    }

    /// Whether a variable was set by Kubernetes for a Service: one that is called `fusebox-http` makes FUSEBOX_HTTP_PORT of every
    /// pod in its namespace `tcp://10.96.0.7:4318`.
    private static func isOfAnotherService(_ name: String, _ text: String) -> Bool {
        name.hasSuffix("_PORT") && ["tcp://", "udp://", "sctp://"].contains { text.lowercased().hasPrefix($0) }
    }

    private func expandingHome(_ path: String) -> String {
        path == "~" || path.hasPrefix("~/") ? homeFolder + path.dropFirst() : path
    }

    // MARK: fusebox.yaml

    private func apply(yaml: String, path: String, to configuration: inout Configuration) throws(ConfigurationError) {
        let root: Node?
        do {
            root = try Yams.compose(yaml: yaml)
        } catch {
            throw ConfigurationError("\(path) is not YAML: \(error)")
        }
        guard let root else { return }
        guard let mapping = root.mapping else { throw ConfigurationError("\(path) must be a mapping of settings") }
        try apply(mapping, prefix: "", path: path, to: &configuration)
    }

    private func apply(
        _ mapping: Node.Mapping, prefix: String, path: String, to configuration: inout Configuration
    ) throws(ConfigurationError) {
        for (keyNode, value) in mapping {
            let key = prefix + (keyNode.string ?? "")
            let line = keyNode.mark.map { " (line \($0.line))" } ?? ""
            if key == "fuses.prefill_budgets_s" {
                for (model, budget, line) in try entries(value, key, path, line) {
                    configuration.policy.prefillBudgetsNanoseconds[model] = try located(path, line) {
                        () throws(ConfigurationError) in try Setting.nanoseconds(budget, "\(key).\(model)")
                    }
                }
                configuration.origins[key] = path
            } else if key == "fuses.stages" {
                for (tool, stage, line) in try entries(value, key, path, line) {
                    configuration.policy.stageByTool[tool] = try located(path, line) {
                        () throws(ConfigurationError) in try Setting.stage(stage, "\(key).\(tool)")
                    }
                }
                configuration.origins[key] = path
            } else if key == "gateway.models" {
                var reader = GatewayReader(path: path, into: configuration.gateway)
                configuration.gateway = try reader.read(value, line: line)
                configuration.origins[key] = path
            } else if key == "forward.targets" {
                configuration.forward.targets = try ForwardReader(path: path).read(value, line: line)
                configuration.origins[key] = path
            } else if key == "engines" {
                configuration.engines = try ForwardReader(path: path).readEngines(value, line: line)
                configuration.origins[key] = path
            } else if let setting = Setting.all.first(where: { $0.key == key }) {
                do {
                    try setting.read(try scalar(value, key, separator: setting.separator), &configuration)
                } catch {
                    throw ConfigurationError("\(path)\(line): \(error.message)")
                }
                configuration.origins[key] = path
            } else if let nested = value.mapping, Setting.all.contains(where: { $0.key.hasPrefix(key + ".") }) {
                try apply(nested, prefix: key + ".", path: path, to: &configuration)
            } else {
                throw ConfigurationError("\(path)\(line): there is no setting '\(key)'; `fusebox config print` lists them all")
            }
        }
    }

    /// Puts the file and line before the message of what goes wrong.
    private func located<Value>(
        _ path: String, _ line: String, _ body: () throws(ConfigurationError) -> Value
    ) throws(ConfigurationError) -> Value {
        do {
            return try body()
        } catch {
            throw ConfigurationError("\(path)\(line): \(error.message)")
        }
    }

    /// One value as text; a list as its elements with the separator between.
    private func scalar(_ node: Node, _ key: String, separator: Character) throws(ConfigurationError) -> String {
        if let scalar = node.scalar {
            // What stands between quotes is a text, whatever it says.
            return node.null != nil && (scalar.style == .plain || scalar.style == .any) ? "none" : scalar.string
        }
        if let sequence = node.sequence {
            let words = sequence.compactMap { $0.scalar?.string }
            if words.count == sequence.count { return words.joined(separator: String(separator)) }
        }
        throw ConfigurationError("\(key) must be one value")
    }

    private func entries(
        _ node: Node, _ key: String, _ path: String, _ line: String
    ) throws(ConfigurationError) -> [(name: String, text: String, line: String)] {
        guard let mapping = node.mapping else { throw ConfigurationError("\(path)\(line): \(key) must be a mapping") }
        var entries: [(String, String, String)] = []
        for (nameNode, value) in mapping {
            guard let name = nameNode.string, let text = value.scalar?.string else {
                throw ConfigurationError("\(path)\(line): \(key) must map names to single values")
            }
            entries.append((name, text, nameNode.mark.map { " (line \($0.line))" } ?? line))
        }
        return entries
    }
}
