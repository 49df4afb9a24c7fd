package import Derivations

extension Configuration {
    /// The configuration as a `fusebox.yaml` that would give it again, each line with where its value came from.
    package var yaml: String {
        yaml(Setting.all) { setting in
            "  # \(origins[setting.key].map { "from \($0)" } ?? "default"); \(setting.environment)"
        }
    }

    /// The fuse table and the rules of breakers alone, as a `fusebox.yaml`: what a server that runs tells other processes.
    package var policyYAML: String {
        yaml(Setting.policy.filter { $0.key.hasPrefix("fuses.") || $0.key.hasPrefix("breaker.") }) { _ in "" }
    }

    /// The policy that `policyYAML` told of. Of another version it may have settings that are not known here.
    package static func policy(yaml: String) throws(ConfigurationError) -> FusePolicy {
        try ConfigurationLoader(homeFolder: "", environment: [:]).load(yaml: (yaml, "the data file"), flags: [:]).policy
    }

    private func yaml(_ settings: [Setting], comment: (Setting) -> String) -> String {
        var lines: [String] = []
        var section = ""
        var part = ""
        for setting in settings {
            let parts = setting.key.split(separator: ".").map(String.init)
            if parts.count > 1 && parts[0] != section {
                section = parts[0]
                lines.append("\(section):")
            }
            if parts.count == 3 && parts[1] != part { lines.append("  \(parts[1]):") }
            part = parts.count == 3 ? parts[1] : ""
            let indent = String(repeating: "  ", count: parts.count - 1)
            lines.append("\(indent)\(parts[parts.count - 1]): \(setting.show(self))\(comment(setting))")
            if setting.key == "fuses.vector_p95_gate_s" { lines += mapLines }
            if setting.key == "gateway.headroom_ratio" { lines += gateway.yamlLines }
            if setting.key == "forward.batch_age_s" { lines += forward.yamlLines + engineLines }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private var mapLines: [String] {
        var lines: [String] = []
        if !policy.prefillBudgetsNanoseconds.isEmpty {
            lines.append("  prefill_budgets_s:")
            for (model, budget) in policy.prefillBudgetsNanoseconds.sorted(by: { $0.key < $1.key }) {
                lines.append("    \(YAMLText.quoted(model)): \(Decimal.text(Double(budget) / 1e9))")
            }
        }
        if !policy.stageByTool.isEmpty {
            lines.append("  stages:")
            for (tool, stage) in policy.stageByTool.sorted(by: { $0.key < $1.key }) {
                lines.append("    \(YAMLText.quoted(tool)): \(stage.rawValue)")
            }
        }
        return lines
    }
}

/// Texts as YAML has them.
enum YAMLText {
    /// A text that means only itself stands as it is, any other between quotes.
    static func scalar(_ text: String) -> String {
        let isPlain =
            text.utf8.first.map { isWord($0) || $0 == UInt8(ascii: "/") } == true
            && text.utf8.allSatisfy { isWord($0) || "./-".utf8.contains($0) } && text.lowercased() != "null"
        return isPlain ? text : quoted(text)
    }

    /// Between double quotes; what is not printable ASCII as its number, since line ends have meaning even there.
    static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": quoted += "\\\(scalar)"
            case " "..."~": quoted.unicodeScalars.append(scalar)
            default:
                let digits = String(scalar.value, radix: 16)
                quoted += "\\U" + String(repeating: "0", count: 8 - digits.count) + digits
            }
        }
        return quoted + "\""
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
