import Conversations
import TelemetryModel

/// A conversation as lines of a terminal.
struct ConversationLines {
    /// Columns of a line.
    let width: Int
    /// Lines of one part; the rest is counted.
    private static let linesMax = 40
    private static let indent = "    "

    func text(_ conversation: Conversation) -> String {
        var lines: [String] = []
        var trace = ""
        for item in conversation.items {
            switch item {
            case .message(let spoken):
                begin(spoken.traceID, spoken.startUnixNano, &trace, &lines)
                lines.append(spoken.message.role.name + (spoken.message.name.map { " " + Terminal.escaped($0) } ?? ""))
                for (place, part) in spoken.message.parts.enumerated() { add(part, spoken.runs[place], to: &lines) }
            case .tool(let run):
                begin(run.traceID, run.startUnixNano, &trace, &lines)
                lines.append("tool \(Terminal.escaped(run.name))\(Self.facts(run))")
                run.arguments.map { add("", $0.text ?? $0.line, to: &lines) }
                for part in run.result { add(part, nil, to: &lines) }
            case .failure(let failed):
                begin(failed.traceID, failed.startUnixNano, &trace, &lines)
                lines.append("failed\(failed.model.map { " " + Terminal.escaped($0) } ?? "")")
                add("", [failed.error.type, failed.error.message].compactMap(\.self).joined(separator: ": "), to: &lines)
            }
        }
        if lines.isEmpty { lines.append("The agent sent no message content; instrumentations keep it out unless told otherwise.") }
        if conversation.isCut { lines += ["", "The conversation is longer than is shown."] }
        return lines.joined(separator: "\n") + "\n"
    }

    private func begin(_ traceID: String, _ startUnixNano: Int64, _ trace: inout String, _ lines: inout [String]) {
        guard traceID != trace else { return }
        if !trace.isEmpty { lines.append("") }
        trace = traceID
        lines.append("── \(traceID)  \(TimeText.iso8601(unixNano: startUnixNano))")
    }

    private static func facts(_ run: Conversation.ToolRun) -> String {
        let outcome = run.outcome.flatMap { $0 == "ok" ? nil : " " + $0 } ?? ""
        return "  \(DurationText.short(run.durationNanoseconds))\(Terminal.escaped(outcome))"
    }

    private func add(_ part: MessagePart, _ run: Conversation.ToolRun?, to lines: inout [String]) {
        switch part {
        case .text(let text): add("", text, to: &lines)
        case .reasoning(let text): add("(thinks) ", text, to: &lines)
        case .toolCall(let call):
            add("→ \(call.name) ", (call.arguments.map { $0.text ?? $0.line } ?? "") + (run.map(Self.facts) ?? ""), to: &lines)
            for part in run?.result ?? [] { add(part, nil, to: &lines) }
        case .toolResult(let told):
            lines.append(Self.indent + "← \(told.isError ? "error " : "")\(Terminal.escaped(told.name ?? told.callID ?? ""))")
            for part in told.content { add(part, nil, to: &lines) }
        case .media(let media):
            let source =
                switch media.source {
                case .data(let data): "\(data.utf8.count / 4 * 3) bytes"
                case .uri(let uri): uri
                case .file(let id): id
                }
            add("[\(media.kind.rawValue)] ", "\(media.mediaType ?? "") \(source)", to: &lines)
        case .data(let value): add("", value.line, to: &lines)
        }
    }

    /// Text in lines that fit, so many at most.
    private func add(_ mark: String, _ text: String, to lines: inout [String]) {
        let room = max(20, width - Self.indent.count)
        var shown = 0
        var isCut = false
        for line in (mark + text).split(separator: "\n", omittingEmptySubsequences: false) {
            var rest = Terminal.escaped(String(line))[...]
            repeat {
                guard shown < Self.linesMax else {
                    isCut = true
                    break
                }
                lines.append(Self.indent + rest.prefix(room))
                rest = rest.dropFirst(room)
                shown += 1
            } while !rest.isEmpty
            if isCut { break }
        }
        if isCut { lines.append(Self.indent + "… \(text.utf8.count) bytes in all; --json has them") }
    }
}
