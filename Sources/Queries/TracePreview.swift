import Conversations
import TelemetryModel

/// What a trace was asked and what it answered, in a line each.
package struct TracePreview: Equatable, Sendable {
    package var input: String?
    package var output: String?

    package init(input: String? = nil, output: String? = nil) {
        self.input = input
        self.output = output
    }

    private static let charactersMax = 160
    /// Spans that are read for one list, and bytes of what they hold.
    private static let spansMax = 1000
    private static let bytesMax = 16 << 20

    /// Previews of traces by id; what would take too much reading has none.
    package static func read(_ ids: [String], _ reader: QueryReader) throws -> [String: TracePreview] {
        guard !ids.isEmpty else { return [:] }
        let marks = Array(repeating: "?", count: ids.count).joined(separator: ",")
        let found = try ConversationReading.spans(
            "trace_id IN (\(marks)) AND (parent_span_id IS NULL OR stage = 'llm')", ids.map(QueryValue.text), limit: spansMax,
            bytesMax: bytesMax, reader)
        var previews: [String: TracePreview] = [:]
        for (id, spans) in Dictionary(grouping: found.spans, by: \.traceID) {
            let messages = Conversation(spans).items.compactMap { item in
                if case .message(let spoken) = item { spoken.message } else { nil }
            }
            let asked = messages.first { $0.role == .user }.flatMap(line)
            let answered = messages.last { $0.role == .assistant }.flatMap(line)
            previews[id] = TracePreview(input: asked, output: answered)
        }
        return previews
    }

    private static func line(_ message: Message) -> String? {
        for part in message.parts {
            switch part {
            case .text(let text): return cut(text)
            case .toolCall(let call): return cut("\(call.name) \(call.arguments.map { $0.text ?? $0.line } ?? "")")
            case .reasoning, .toolResult, .media, .data: continue
            }
        }
        return nil
    }

    private static func cut(_ text: String) -> String {
        let line = text.prefix(4 * charactersMax).split { $0.isWhitespace }.joined(separator: " ")
        return line.count > charactersMax ? line.prefix(charactersMax) + "…" : line
    }
}
