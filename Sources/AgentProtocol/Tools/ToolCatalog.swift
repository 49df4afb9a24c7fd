/// Every tool, in the order in which a model reads them: the order does not change, so that prompts stay cached.
enum ToolCatalog {
    static let tools: [Tool] = [
        ChangeTool.tool, FailureTool.tool, SearchTool.tool, TraceTool.tool, ConversationTool.tool, SpanTool.tool, SQLTool.tool,
        BreakerTool.tool, ReportTools.costs, ReportTools.stalls, CompareTool.tool, EvalTool.tool,
    ]

    /// Those of a server over an engine: breakers, stalls and evals are kept by each node.
    static let toolsOfEngine: [Tool] = [
        ChangeTool.toolOfEngine, FailureTool.tool, SearchTool.tool, TraceTool.tool, ConversationTool.tool, SpanTool.tool,
        SQLTool.toolOfEngine, ReportTools.costs, CompareTool.tool,
    ]

    static func tools(_ sources: AgentSources) -> [Tool] { sources.isOfNode ? tools : toolsOfEngine }
}
