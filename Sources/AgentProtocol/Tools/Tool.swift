import Queries
import Reports
import SpanStore
import TelemetryModel

/// Something that an agent may ask: what it takes, what it gives, and how the answer is made.
struct Tool: Sendable {
    let name: String
    let title: String
    /// For the model that chooses: when to take it, and what its answer leads to.
    let purpose: String
    let parameters: [Parameter]
    /// The JSON Schema of the answer.
    let output: JSONValue
    let run: @Sendable (ToolCall) async throws -> JSONValue

    /// The tool as `tools/list` shows it.
    var description: JSONValue {
        [
            "name": .string(name), "title": .string(title), "description": .string(purpose), "inputSchema": input,
            "outputSchema": output,
            "annotations": [
                "title": .string(title), "readOnlyHint": .bool(true), "destructiveHint": .bool(false), "idempotentHint": .bool(true),
                "openWorldHint": .bool(false),
            ],
        ]
    }

    private var input: JSONValue {
        var members: [JSONValue.Member] = [
            .init("type", "object"),
            .init("properties", .object(parameters.map { JSONValue.Member($0.name, $0.schema) })),
            .init("additionalProperties", .bool(false)),
        ]
        let required = parameters.filter(\.isRequired).map { JSONValue.string($0.name) }
        if !required.isEmpty { members.append(.init("required", .array(required))) }
        return .object(members)
    }
}

/// One call of a tool, with its arguments checked.
struct ToolCall: Sendable {
    let arguments: Arguments
    let sources: AgentSources
    /// When the call came, nanoseconds since 1970.
    let now: Int64

    init(_ tool: Tool, _ values: JSONValue, _ sources: AgentSources) throws(QueryError) {
        now = sources.clock()
        arguments = try Arguments(values, tool, now: now)
        self.sources = sources
    }

    /// Runs `body` on a reading thread.
    ///
    /// - Parameter need: which spans it reads; a question that does not say it is answered by nodes alone.
    func read<Value: Sendable>(
        of need: SpanNeed = .node, _ body: @escaping @Sendable (QueryReader) throws -> Value
    ) async throws(QueryError) -> Value {
        try await sources.pool.run(limit: sources.timeLimit, of: need) { reader in
            do {
                return try body(reader)
            } catch let error as ReportReader.Failure {
                switch error {
                case .condition(let message): throw QueryError.invalid(message)
                case .database(let error): throw reader.translated(error)
                }
            }
        }
    }

    /// What went wrong, and what to do: the text that the model reads.
    static func message(of error: any Error) -> String {
        switch error {
        case let error as QueryError: error.message
        case let error as StoreError: error.message
        default: "\(error)"
        }
    }
}
