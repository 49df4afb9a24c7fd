import TelemetryModel

/// The tools that ran in a trace, and which of them a message told of.
struct ToolRuns {
    private(set) var runs: [Conversation.ToolRun] = []
    private var ids: [String: Int] = [:]
    private var names: [String: [Int]] = [:]
    private var taken: Set<Int> = []

    init(_ spans: [SpanContent]) {
        let tools = spans.filter { $0.toolName != nil && !$0.isModelCall }
        // Of a tool that calls itself by the same name inside, the outer one is the run.
        let byID = Dictionary(tools.map { ($0.spanID, $0) }, uniquingKeysWith: { first, _ in first })
        for span in tools {
            if let parent = span.parentSpanID, byID[parent]?.toolName == span.toolName { continue }
            guard runs.count < ConversationLimits.itemsMax else { break }
            let run = Self.run(span)
            if let id = Self.callID(span.attributes), ids[id] == nil { ids[id] = runs.count }
            names[run.name, default: []].append(runs.count)
            runs.append(run)
        }
    }

    func isTaken(_ run: Int) -> Bool { taken.contains(run) }

    /// The run of a call: by its id, or else the next of that name.
    mutating func take(_ call: ToolCall, after startUnixNano: Int64) -> Conversation.ToolRun? {
        if let id = call.id, let run = ids[id], taken.insert(run).inserted { return runs[run] }
        let free = names[call.name]?.first { !taken.contains($0) && runs[$0].startUnixNano >= startUnixNano }
        guard let free else { return nil }
        taken.insert(free)
        return runs[free]
    }

    private static func callID(_ attributes: JSONValue) -> String? {
        let id = attributes.firstText("gen_ai.tool.call.id", "ai.toolCall.id", "tool_call.id", "tool_use_id", "tool.call.id")
        return id == "<not specified>" ? nil : id
    }

    private static let arguments = [
        "gen_ai.tool.call.arguments", "ai.toolCall.args", "ai.toolCall.input", "gen_ai.tool.args", "tool_arguments", "input.value",
        "langfuse.observation.input", "mlflow.spanInputs", "traceloop.entity.input", "gcp.vertex.agent.tool_call_args", "gen_ai.prompt",
        "input", "arguments", "tool_parameters", "tool_input",
    ]
    private static let results = [
        "gen_ai.tool.call.result", "ai.toolCall.result", "ai.toolCall.output", "tool_response", "output.value",
        "langfuse.observation.output", "mlflow.spanOutputs", "traceloop.entity.output", "gcp.vertex.agent.tool_response",
        "gen_ai.completion", "output", "result",
    ]

    private static func run(_ span: SpanContent) -> Conversation.ToolRun {
        let given = arguments.lazy.compactMap { span.attributes[$0] }.first { !$0.isEmpty }
        let result = results.lazy.compactMap { span.attributes[$0] }.first { !$0.isEmpty }
        return Conversation.ToolRun(
            traceID: span.traceID, spanID: span.spanID, name: span.toolName ?? "", startUnixNano: span.startUnixNano,
            durationNanoseconds: span.durationNanoseconds, outcome: span.outcome, arguments: given?.opened,
            result: result.map { PartDecoder.resultContent($0.opened, depth: 0) } ?? [], error: TurnErrorReader.error(of: span))
    }
}
