package import TelemetryModel

/// What the reader needs of a span: its columns as they are stored, its attributes and events, and the log records that name it.
package struct SpanContent: Sendable {
    /// An event of the span, or a log record.
    package struct Record: Sendable {
        /// The name of the event; empty when it has none.
        package var name: String
        /// An object.
        package var attributes: JSONValue
        /// Of a log record.
        package var body: JSONValue?

        package init(name: String, attributes: JSONValue, body: JSONValue? = nil) {
            self.name = name
            self.attributes = attributes
            self.body = body
        }
    }

    package var traceID = ""
    package var spanID = ""
    package var parentSpanID: String?
    package var name = ""
    package var stage: String?
    package var operation: String?
    package var toolName: String?
    package var model: String?
    package var outcome: String?
    package var errorType: String?
    /// OTLP's: 2 is an error.
    package var statusCode: Int64 = 0
    package var statusMessage: String?
    package var startUnixNano: Int64 = 0
    package var durationNanoseconds: Int64 = 0
    package var inputTokens: Int64?
    package var outputTokens: Int64?
    package var attributes: JSONValue = .object([])
    package var events: [Record] = []
    package var logs: [Record] = []
    /// Whether something of it was too large to be read.
    package var isCut = false

    package init() {}

    /// Reads the text of the columns `attributes` and `events`.
    package mutating func read(attributes text: String, events eventsText: String) {
        attributes = value(text) ?? .object([])
        guard case .array(let list)? = value(eventsText) else { return }
        events = list.map { Record(name: $0["name"]?.text ?? "", attributes: $0["attributes"] ?? .object([])) }
    }

    private mutating func value(_ text: String) -> JSONValue? {
        guard text.utf8.count <= ConversationLimits.attributeBytesMax else {
            isCut = true
            return nil
        }
        return try? JSONValue.parse(Array(text.utf8)[...], keepsDigits: true)
    }

    /// Whether the span is a call to a model that answers in messages.
    package var isModelCall: Bool {
        stage == "llm" || operation.map(Self.modelOperations.contains) ?? false
    }

    /// Names of operations that call a model, beside the stage: a framework's own span may say no more.
    package static let modelOperations = ["chat", "text_completion", "generate_content", "completion", "acompletion"]
}
