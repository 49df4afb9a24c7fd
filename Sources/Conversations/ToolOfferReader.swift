import TelemetryModel

/// Reads the tools that a model was offered.
enum ToolOfferReader {
    private static let lists = ["gen_ai.tool.definitions", "mlflow.chat.tools", "ai.prompt.tools", "llm.tools", "tools"]
    private static let requests = [
        "langfuse.observation.input", "mlflow.spanInputs", "request_data", "input.value", "gcp.vertex.agent.llm_request",
        "model_request_parameters", "response",
    ]

    static func offers(_ span: SpanContent) -> [ToolOffer] {
        let attributes = span.attributes
        let details = (span.events + span.logs).compactMap { $0.attributes["gen_ai.tool.definitions"] }
        for value in lists.compactMap({ attributes[$0] }) + details.prefix(1) {
            let found = offers(value.opened)
            if !found.isEmpty { return found }
        }
        for prefix in ["llm.tools.", "llm.request.functions."] {
            let found = NumberedKeys.value(prefix, in: attributes).map { offers($0) } ?? []
            if !found.isEmpty { return found }
        }
        guard span.isModelCall else { return [] }
        for name in requests {
            guard let request = attributes[name]?.opened, let value = request.first("tools", "function_tools", "functions")
                ?? request["config"]?.first("tools")
            else { continue }
            let found = offers(value.opened)
            if !found.isEmpty { return found }
        }
        return []
    }

    private static func offers(_ value: JSONValue) -> [ToolOffer] {
        (value.elements ?? []).prefix(ConversationLimits.toolsMax).flatMap { offer($0.opened, depth: 0) }
    }

    private static func offer(_ value: JSONValue, depth: Int) -> [ToolOffer] {
        guard depth < 4 else { return [] }
        // OpenInference: tool.json_schema
        if let inner = value["tool"] ?? value["json_schema"] {
            let opened = inner.opened
            let found = offer(opened["json_schema"]?.opened ?? opened, depth: depth + 1)
            if !found.isEmpty { return found }
        }
        if let inner = value["function"], inner["name"] != nil { return offer(inner, depth: depth + 1) }
        // Gemini
        if let list = value.first("function_declarations", "functionDeclarations")?.elements {
            return list.prefix(ConversationLimits.toolsMax).flatMap { offer($0, depth: depth + 1) }
        }
        guard let name = value.firstText("name") else { return [] }
        let parameters = value.first(
            "parameters", "input_schema", "inputSchema", "parameters_json_schema", "parametersJsonSchema", "parameters_schema")
        return [ToolOffer(name: name, description: value.firstText("description"), parameters: parameters?.opened)]
    }
}
