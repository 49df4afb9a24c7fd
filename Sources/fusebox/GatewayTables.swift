import TelemetryModel

/// The status as tables.
enum GatewayTables {
    static func text(_ status: JSONValue, backends: [JSONValue], models: [JSONValue]) -> String {
        var rows = [["backend", "kind", "slots", "breaker", "opens", "last success", ""]]
        for backend in backends {
            rows.append([
                word(backend["name"]), word(backend["kind"]), "\(word(backend["running"]))/\(word(backend["slots"]))",
                breaker(backend), word(backend["breaker_opens"]), age(backend["last_success_s"]),
                backend["loading"] == .bool(true) ? "loading" : pause(backend["pause_s"]),
            ])
        }
        var text = table(rows)
        rows = [["model", "waiting", "backends"]]
        for model in models {
            var names = ""
            if case .array(let list) = model["backends"] { names = list.map { word($0) }.joined(separator: ", ") }
            rows.append([word(model["name"]), "\(word(model["waiting"]))/\(word(model["queue_depth"]))", names])
        }
        text += "\n" + table(rows)
        let limit = status["calls_max"].flatMap(\.number).map { " of \(Int(clamping: Int64($0)))" } ?? ""
        text += processes(backends) + cluster(status["kubernetes"])
        return text + "\ncalls under way: \(word(status["running"]))\(limit)\n"
    }

    /// Those that the gateway started, if any.
    private static func processes(_ backends: [JSONValue]) -> String {
        var rows = [["process", "state", "for", "pid", "port", "memory", "restarts", "last end"]]
        for backend in backends {
            guard let process = backend["process"], process["state"] != nil else { continue }
            rows.append([
                word(backend["name"]), word(process["state"]), process["state_s"]?.number.map { "\(rounded($0)) s" } ?? "?",
                word(process["pid"]), word(process["port"]),
                process["resident_bytes"]?.number.map { "\(rounded($0 / 1e6)) MB" } ?? "?", word(process["restarts"]),
                "\(word(process["last_reason"])) \(word(process["last_words"]))",
            ])
        }
        return rows.count > 1 ? "\n" + table(rows) : ""
    }

    /// Whether the cluster that is told of the models, if one is, knows what is true here.
    private static func cluster(_ value: JSONValue?) -> String {
        guard let value, value["namespace"] != nil else { return "" }
        let trouble = value["trouble"]?.text.map { ": \(Terminal.escaped($0))" } ?? ""
        let state = value["in_sync"] == .bool(true) ? "knows the models" : "does not know what is true here\(trouble)"
        return "\nKubernetes, namespace \(word(value["namespace"])): the cluster \(state)\n"
    }

    private static func breaker(_ backend: JSONValue) -> String {
        let state = word(backend["breaker"])
        guard state == "open", let seconds = backend["cooldown_s"]?.number else { return state }
        return seconds > 0 ? "open for \(rounded(seconds)) s" : "open, next call probes"
    }

    private static func age(_ value: JSONValue?) -> String {
        value?.number.map { "\(rounded($0)) s ago" } ?? "never"
    }

    private static func pause(_ value: JSONValue?) -> String {
        guard let seconds = value?.number, seconds > 0 else { return "" }
        return "busy for \(rounded(seconds)) s"
    }

    private static func rounded(_ seconds: Double) -> String {
        seconds.magnitude < 1e15 ? "\((seconds * 10).rounded() / 10)" : "?"
    }

    private static func word(_ value: JSONValue?) -> String {
        switch value {
        case .string(let text): Terminal.escaped(text)
        case .integer(let number): "\(number)"
        case .null?: "-"
        default: "?"
        }
    }

    private static func table(_ rows: [[String]]) -> String {
        let widths = (rows.first ?? []).indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                line += cell + String(repeating: " ", count: widths[column] - cell.count + 2)
            }
            while line.hasSuffix(" ") { line.removeLast() }
            return line + "\n"
        }.joined()
    }
}
