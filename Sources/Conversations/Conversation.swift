package import TelemetryModel

/// The conversation that spans tell of: each message once, in order, with the tools that ran in between.
///
/// A call to a model repeats the conversation so far. What was shown already is left out by counting: a part of a message is new when it
/// stands more often in the call, or behind the last question of this trace, than it was shown there.
package struct Conversation: Sendable {
    package enum Item: Sendable {
        case message(SpokenMessage)
        /// A tool that ran without a message that asks for it.
        case tool(ToolRun)
        /// A call to a model that failed.
        case failure(FailedTurn)
    }

    /// A message and the span that told of it.
    package struct SpokenMessage: Sendable {
        package var message: Message
        package var traceID: String
        package var spanID: String
        package var startUnixNano: Int64
        /// Whether the model said it in this call; otherwise it was given to it.
        package var isAnswer: Bool
        /// For each tool that the message calls, by its place among the parts, the run of it.
        package var runs: [Int: ToolRun] = [:]
    }

    package struct ToolRun: Sendable {
        package var traceID: String
        package var spanID: String
        package var name: String
        package var startUnixNano: Int64
        package var durationNanoseconds: Int64
        package var outcome: String?
        package var arguments: JSONValue?
        /// What it gave back; left out where a message has it.
        package var result: [MessagePart]
        package var error: TurnError?
    }

    package struct FailedTurn: Sendable {
        package var traceID: String
        package var spanID: String
        package var startUnixNano: Int64
        package var model: String?
        package var error: TurnError
    }

    package internal(set) var items: [Item] = []
    /// Tools that any call was offered, by name, the last offer of each.
    package internal(set) var tools: [ToolOffer] = []
    /// Whether a limit left something out.
    package internal(set) var isCut = false

    package init() {}

    /// Notes that its source left something out.
    package mutating func cut() { isCut = true }

    package var hasMessages: Bool {
        items.contains { if case .message = $0 { true } else { false } }
    }

    /// The conversation of traces.
    ///
    /// - Parameter spans: by start; a trace's spans need not stand together.
    package init(_ spans: [SpanContent]) {
        var builder = ConversationBuilder()
        var order: [String] = []
        var traces: [String: [SpanContent]] = [:]
        for span in spans {
            if traces[span.traceID] == nil { order.append(span.traceID) }
            traces[span.traceID, default: []].append(span)
        }
        for trace in order { builder.add(trace: traces[trace] ?? []) }
        self = builder.finished()
    }
}
