/// Every tool, in the order in which a model reads them: the order does not change, so that prompts stay cached.
enum ToolCatalog {
    static let tools: [Tool] = [
        ChangeTool.tool, FailureTool.tool, SearchTool.tool, TraceTool.tool, ConversationTool.tool, SpanTool.tool, SQLTool.tool,
        BreakerTool.tool, ReportTools.costs, ReportTools.stalls, CompareTool.tool, EvalTool.tool,
    ]
}
