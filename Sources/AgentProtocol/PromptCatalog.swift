import TelemetryModel

/// A way to begin: text for a model, with what the user filled in.
struct AgentPrompt: Sendable {
    typealias Argument = (name: String, purpose: String, isRequired: Bool)

    let name: String
    let title: String
    let purpose: String
    let arguments: [Argument]
    /// By what the user filled in, and whether a node is asked: an engine has no breakers, stalls and evals to look at.
    let text: @Sendable (_ values: [String: String], _ isOfNode: Bool) -> String

    var description: JSONValue {
        [
            "name": .string(name), "title": .string(title), "description": .string(purpose),
            "arguments": .array(
                arguments.map { ["name": .string($0.name), "description": .string($0.purpose), "required": .bool($0.isRequired)] }),
        ]
    }
}

enum PromptCatalog {
    static let all = [
        AgentPrompt(
            name: "why_did_this_run_fail", title: "Why did this run fail?", purpose: "Find the cause of a failed or slow run.",
            arguments: [("trace_id", "The run; without it, the latest that failed.", false)]
        ) { values, isOfNode in
            let which = values["trace_id"].map { "Look at trace \($0)." } ?? "Take the latest run of list_failures."
            let breakers = isOfNode ? ", and list_breakers whether a breaker was open" : ""
            return """
                \(which) Call get_trace with only=problems, then without it around the first span that went wrong. Read that span whole with \
                get_span: its arguments, its exception, the messages that led to it. Ask list_failures whether others failed in the same \
                way\(breakers). Then say, each in a sentence or two: what failed first and in which span; why, with the \
                text that shows it; what only followed from it; how often it happened in the last day; and what to change. Say plainly what the \
                spans do not tell.
                """
        },
        AgentPrompt(
            name: "what_got_slower", title: "What got slower?", purpose: "Find which tool, model or step made runs slower, and since when.",
            arguments: [
                ("since", "When it began, such as 6h or 2026-01-31T12:00:00Z; without it, 24h.", false),
                ("service", "Only this service.", false),
            ]
        ) { values, isOfNode in
            let since = values["since"] ?? "24h"
            let service = values["service"].map { " Ask for service \($0) only." } ?? ""
            let waits = isOfNode ? " (list_stalls, list_breakers)" : ""
            return """
                Call what_changed with since=\(since), then compare_windows with B from \(since) to now and A as long before it.\(service) \
                Believe a difference of runs only where its finding says that it differs. For the tools that changed most, take the slowest \
                calls of both windows with query_sql, and look at one of each with get_trace. Say which part of the runs' time it explains, since \
                when by the hour, and whether calls became slower, more, or waited for something\(waits).
                """
        },
        AgentPrompt(
            name: "write_a_gate", title: "Write a gate", purpose: "Propose limits for CI that the present behaviour keeps and a regression breaks.",
            arguments: [("goal", "What must not get worse, in words.", true)]
        ) { values, isOfNode in
            """
            Goal: \(values["goal"] ?? "the present behaviour"). Read the resource fusebox://docs/gates. Measure the last seven days with query_sql, \
            \(isOfNode ? "get_costs and list_evals" : "get_costs"): the figure of the goal by day, its spread, and how many runs it rests on. Propose a limit that every \
            one of those days keeps with some room, as the settings and the command line that docs/gates names, and say which change would break \
            it. If there are too few runs for the gate to judge, say so and how many it needs.
            """
        },
    ]

    /// Bytes of what a user fills in.
    private static let valueBytesMax = 4096

    /// The result of `prompts/get`.
    static func get(_ parameters: JSONValue, isOfNode: Bool) throws(ProtocolFailure) -> [JSONValue.Member] {
        guard let name = parameters["name"]?.text, let prompt = all.first(where: { $0.name == name }) else {
            throw ProtocolFailure(.invalidParameters, "there is no such prompt; there are \(all.map(\.name).joined(separator: ", "))")
        }
        var values: [String: String] = [:]
        for argument in prompt.arguments {
            let text = parameters["arguments"]?[argument.name]?.text
            guard text?.utf8.count ?? 0 <= valueBytesMax else {
                throw ProtocolFailure(.invalidParameters, "\(argument.name) is longer than \(valueBytesMax) bytes")
            }
            if argument.isRequired && text == nil {
                throw ProtocolFailure(.invalidParameters, "\(name) needs \(argument.name): \(argument.purpose)")
            }
            values[argument.name] = text
        }
        return [
            .init("description", .string(prompt.purpose)),
            .init("messages", [["role": "user", "content": ["type": "text", "text": .string(prompt.text(values, isOfNode))]]]),
        ]
    }
}
