package import TelemetryModel

/// Writes conversations as JSON: the one form that the page, the terminal and programs read.
///
/// Texts longer than a bound are cut, and `omitted_bytes` says by how much, so that one prompt does not make an answer that nobody can
/// load; the span itself has the whole.
package struct ConversationText {
    /// Bytes of one text, and of one image's base64.
    package struct Limits: Sendable {
        package var textBytes = 1 << 20
        package var mediaBytes = 8 << 20
        /// Of all messages together; past it the rest is left out.
        package var answerBytes = 24 << 20

        package init() {}
    }

    private let limits: Limits
    private var isCut = false

    package init(limits: Limits = Limits()) {
        self.limits = limits
    }

    // MARK: A conversation

    /// Writes `"items":[…],"tools":[…],"truncated":…`, the members of an object without its braces.
    package mutating func write(_ conversation: Conversation, into json: inout JSONWriter) {
        isCut = conversation.isCut
        json.raw("\"items\":[")
        for (index, item) in conversation.items.enumerated() {
            guard json.bytes.count < limits.answerBytes else {
                isCut = true
                break
            }
            if index > 0 { json.raw(",") }
            write(item, into: &json)
        }
        json.raw("],\"tools\":")
        write(conversation.tools, into: &json)
        json.raw(",\"truncated\":")
        json.bool(isCut)
    }

    /// Writes one call: `"input":[…],"output":[…],"tools":[…],"error":…,"truncated":…`, without braces.
    package mutating func write(_ call: ModelCall, into json: inout JSONWriter) {
        isCut = call.isCut
        for (name, messages) in [("\"input\":[", call.input), ("\"output\":[", call.output)] {
            json.raw(name)
            for (index, message) in messages.enumerated() {
                guard json.bytes.count < limits.answerBytes else {
                    isCut = true
                    break
                }
                if index > 0 { json.raw(",") }
                json.raw("{")
                write(message, [:], into: &json)
                json.raw("}")
            }
            json.raw("],")
        }
        json.raw("\"tools\":")
        write(call.tools, into: &json)
        json.raw(",\"error\":")
        write(call.error, into: &json)
        json.raw(",\"truncated\":")
        json.bool(isCut)
    }

    private mutating func write(_ item: Conversation.Item, into json: inout JSONWriter) {
        switch item {
        case .message(let spoken):
            json.raw("{\"kind\":\"message\"")
            place(spoken.traceID, spoken.spanID, spoken.startUnixNano, &json)
            json.raw(",\"is_answer\":")
            json.bool(spoken.isAnswer)
            json.raw(",")
            write(spoken.message, spoken.runs, into: &json)
            json.raw("}")
        case .tool(let run):
            json.raw("{\"kind\":\"tool\",")
            write(run, into: &json)
            json.raw("}")
        case .failure(let failed):
            json.raw("{\"kind\":\"failure\"")
            place(failed.traceID, failed.spanID, failed.startUnixNano, &json)
            text(",\"model\":", failed.model, &json)
            json.raw(",\"error\":")
            write(failed.error, into: &json)
            json.raw("}")
        }
    }

    private func place(_ traceID: String, _ spanID: String, _ startUnixNano: Int64, _ json: inout JSONWriter) {
        json.raw(",\"trace_id\":")
        json.string(traceID)
        json.raw(",\"span_id\":")
        json.string(spanID)
        json.raw(",\"start_time_unix_nano\":")
        json.string("\(startUnixNano)")
    }

    // MARK: Messages

    private mutating func write(_ message: Message, _ runs: [Int: Conversation.ToolRun], into json: inout JSONWriter) {
        json.raw("\"role\":")
        json.string(message.role.name)
        text(",\"name\":", message.name, &json)
        text(",\"finish_reason\":", message.finishReason, &json)
        json.raw(",\"parts\":")
        write(message.parts, runs, into: &json)
    }

    private mutating func write(_ parts: [MessagePart], _ runs: [Int: Conversation.ToolRun] = [:], into json: inout JSONWriter) {
        json.raw("[")
        for (index, part) in parts.enumerated() {
            if index > 0 { json.raw(",") }
            write(part, runs[index], into: &json)
        }
        json.raw("]")
    }

    private mutating func write(_ part: MessagePart, _ run: Conversation.ToolRun?, into json: inout JSONWriter) {
        switch part {
        case .text(let value):
            json.raw("{\"type\":\"text\",\"text\":")
            cut(value, limits.textBytes, &json)
        case .reasoning(let value):
            json.raw("{\"type\":\"reasoning\",\"text\":")
            cut(value, limits.textBytes, &json)
        case .toolCall(let call):
            json.raw("{\"type\":\"tool_call\",\"name\":")
            json.string(call.name)
            text(",\"id\":", call.id, &json)
            json.raw(",\"arguments\":")
            value(call.arguments, &json)
            if let run {
                json.raw(",\"run\":{")
                write(run, into: &json)
                json.raw("}")
            }
        case .toolResult(let told):
            json.raw("{\"type\":\"tool_result\"")
            text(",\"name\":", told.name, &json)
            text(",\"call_id\":", told.callID, &json)
            json.raw(",\"is_error\":")
            json.bool(told.isError)
            json.raw(",\"content\":")
            write(told.content, into: &json)
        case .media(let media): write(media, &json)
        case .data(let data):
            json.raw("{\"type\":\"data\",\"value\":")
            value(data, &json)
        }
        json.raw("}")
    }

    private mutating func write(_ media: Media, _ json: inout JSONWriter) {
        json.raw("{\"type\":\"media\",\"media\":")
        json.string(media.kind.rawValue)
        text(",\"media_type\":", media.mediaType, &json)
        text(",\"name\":", media.name, &json)
        switch media.source {
        case .data(let data):
            if data.utf8.count <= limits.mediaBytes {
                text(",\"data\":", data, &json)
            } else {
                isCut = true
                json.raw(",\"data\":null,\"omitted_bytes\":")
                json.integer(Int64(data.utf8.count))
            }
        case .uri(let uri): text(",\"uri\":", uri, &json)
        case .file(let id): text(",\"file_id\":", id, &json)
        }
    }

    private mutating func write(_ run: Conversation.ToolRun, into json: inout JSONWriter) {
        json.raw("\"name\":")
        json.string(run.name)
        place(run.traceID, run.spanID, run.startUnixNano, &json)
        json.raw(",\"duration_ns\":")
        json.string("\(run.durationNanoseconds)")
        text(",\"outcome\":", run.outcome, &json)
        json.raw(",\"arguments\":")
        value(run.arguments, &json)
        json.raw(",\"result\":")
        write(run.result, into: &json)
        json.raw(",\"error\":")
        write(run.error, into: &json)
    }

    private mutating func write(_ tools: [ToolOffer], into json: inout JSONWriter) {
        json.raw("[")
        for (index, tool) in tools.enumerated() {
            if index > 0 { json.raw(",") }
            json.raw("{\"name\":")
            json.string(tool.name)
            text(",\"description\":", tool.description, &json)
            json.raw(",\"parameters\":")
            value(tool.parameters, &json)
            json.raw("}")
        }
        json.raw("]")
    }

    private func write(_ error: TurnError?, into json: inout JSONWriter) {
        guard let error else { return json.raw("null") }
        json.raw("{\"type\":")
        error.type.map { json.string($0) } ?? json.raw("null")
        text(",\"message\":", error.message, &json)
        json.raw("}")
    }

    // MARK: Values

    private func text(_ name: StaticString, _ value: String?, _ json: inout JSONWriter) {
        guard let value else { return }
        json.raw(name)
        json.string(value)
    }

    /// A value as JSON text in a string: readers of JSON change numbers that a double cannot hold.
    private mutating func value(_ value: JSONValue?, _ json: inout JSONWriter) {
        guard let value, !value.isNull else { return json.raw("null") }
        let text = value.text ?? value.line
        if text.utf8.count > limits.textBytes { isCut = true }
        json.string(String(decoding: text.utf8.prefix(limits.textBytes), as: UTF8.self))
    }

    private mutating func cut(_ text: String, _ bytesMax: Int, _ json: inout JSONWriter) {
        let count = text.utf8.count
        guard count > bytesMax else { return json.string(text) }
        isCut = true
        json.string(String(decoding: text.utf8.prefix(bytesMax), as: UTF8.self))
        json.raw(",\"omitted_bytes\":")
        json.integer(Int64(count - bytesMax))
    }
}
