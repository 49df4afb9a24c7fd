import TelemetryModel

/// Puts a conversation together, trace by trace.
struct ConversationBuilder {
    private var result = Conversation()
    private var offers: [String: Int] = [:]
    /// How often each part was shown.
    private var said: [PartKey: Int] = [:]
    /// The same behind the last question, in this trace.
    private var here: [PartKey: Int] = [:]

    /// - Parameter spans: of one trace, by start.
    mutating func add(trace spans: [SpanContent]) {
        here = [:]
        let calls = Self.calls(spans)
        var tools = ToolRuns(spans)
        let first = result.items.count
        var steps: [(start: Int64, order: Int, step: Step)] = []
        for (index, call) in calls.enumerated() { steps.append((call.span.startUnixNano, index, .call(call))) }
        for (index, run) in tools.runs.enumerated() { steps.append((run.startUnixNano, calls.count + index, .tool(index))) }
        steps.sort { ($0.start, $0.order) < ($1.start, $1.order) }
        var places: [(item: Int, run: Int)] = []
        for step in steps {
            guard result.items.count < ConversationLimits.itemsMax else {
                result.isCut = true
                break
            }
            switch step.step {
            case .call(let call): say(call)
            case .tool(let run):
                places.append((result.items.count, run))
                result.items.append(.tool(tools.runs[run]))
            }
        }
        join(&tools, places, from: first)
    }

    func finished() -> Conversation { result }

    private enum Step {
        case call((span: SpanContent, call: ModelCall))
        case tool(Int)
    }

    // MARK: Which spans speak

    /// The calls that tell of the trace's messages: those to models, and of one inside another the inner one. Without any, the
    /// outermost spans that say something.
    private static func calls(_ spans: [SpanContent]) -> [(span: SpanContent, call: ModelCall)] {
        var read: [(span: SpanContent, call: ModelCall)] = []
        for span in spans where span.isModelCall {
            let call = ModelCallReader.read(span)
            if call.hasMessages || call.error != nil { read.append((span, call)) }
        }
        let parents = Dictionary(spans.map { ($0.spanID, $0.parentSpanID) }, uniquingKeysWith: { first, _ in first })
        let around = ancestors(of: read.filter { $0.call.hasMessages }.map(\.span), parents)
        read.removeAll { around.contains($0.span.spanID) }
        // What a client tells of its failed request is told by the call around it.
        let told = Set(read.map(\.span.spanID))
        read.removeAll { !$0.call.hasMessages && isInside($0.span, told, parents) }
        if read.contains(where: { $0.call.hasMessages }) { return read }
        let others = spans.filter { !$0.isModelCall && $0.toolName == nil }
        var spoken = others.map { (span: $0, call: ModelCallReader.read($0)) }.filter { $0.call.hasMessages }
        if spoken.isEmpty {
            guard let root = spans.first(where: { $0.parentSpanID == nil }) ?? spans.first else { return read }
            spoken = [(root, ModelCallReader.read(root, fallback: true))].filter { $0.call.hasMessages }
        } else {
            let outer = ancestors(of: spoken.map(\.span), parents)
            spoken.removeAll { outer.contains($0.span.spanID) }
        }
        return read + spoken
    }

    private static func isInside(_ span: SpanContent, _ others: Set<String>, _ parents: [String: String?]) -> Bool {
        var seen: Set<String> = [span.spanID]
        var next = span.parentSpanID
        while let id = next, seen.insert(id).inserted {
            if others.contains(id) { return true }
            next = parents[id] ?? nil
        }
        return false
    }

    /// Ids of the spans around these. Each span is gone through once, so that no ring of parents goes on.
    private static func ancestors(of spans: [SpanContent], _ parents: [String: String?]) -> Set<String> {
        var found: Set<String> = []
        for span in spans {
            var next = span.parentSpanID
            while let id = next, found.insert(id).inserted { next = parents[id] ?? nil }
        }
        return found
    }

    // MARK: What is new

    private mutating func say(_ told: (span: SpanContent, call: ModelCall)) {
        let (span, call) = told
        if call.isCut { result.isCut = true }
        for offer in call.tools {
            if let place = offers[offer.name] {
                result.tools[place] = offer
            } else if result.tools.count < ConversationLimits.toolsMax {
                offers[offer.name] = result.tools.count
                result.tools.append(offer)
            }
        }
        let question = call.input.lastIndex { $0.role == .user } ?? call.input.count
        var counts: [PartKey: Int] = [:]
        var tail: [PartKey: Int] = [:]
        for (index, message) in call.input.enumerated() {
            let isTail = index >= question
            let parts = message.parts.filter { part in
                guard let key = PartKey(part, message.role) else { return false }
                counts[key, default: 0] += 1
                if isTail { tail[key, default: 0] += 1 }
                let isNew = (counts[key] ?? 0) > (said[key] ?? 0) || (isTail && (tail[key] ?? 0) > (here[key] ?? 0))
                guard isNew else { return false }
                said[key, default: 0] += 1
                if isTail { here[key, default: 0] += 1 }
                return true
            }
            append(message, parts, span, isAnswer: false)
        }
        for message in call.output {
            for part in message.parts {
                guard let key = PartKey(part, message.role) else { continue }
                said[key, default: 0] += 1
                here[key, default: 0] += 1
            }
            append(message, message.parts, span, isAnswer: true)
        }
        if let error = call.error {
            result.items.append(
                .failure(
                    .init(
                        traceID: span.traceID, spanID: span.spanID, startUnixNano: span.startUnixNano, model: span.model, error: error)))
        }
    }

    private mutating func append(_ message: Message, _ parts: [MessagePart], _ span: SpanContent, isAnswer: Bool) {
        guard !parts.isEmpty else { return }
        guard result.items.count < ConversationLimits.itemsMax else {
            result.isCut = true
            return
        }
        var new = message
        new.parts = parts
        result.items.append(
            .message(
                .init(
                    message: new, traceID: span.traceID, spanID: span.spanID, startUnixNano: span.startUnixNano, isAnswer: isAnswer)))
    }

    // MARK: Tools

    /// Gives the messages that call tools the runs of these, and takes out the runs that a message told of.
    private mutating func join(_ tools: inout ToolRuns, _ places: [(item: Int, run: Int)], from first: Int) {
        var answered: Set<String> = []
        for item in result.items[first...] {
            guard case .message(let spoken) = item else { continue }
            for case .toolResult(let told) in spoken.message.parts { if let id = told.callID { answered.insert(id) } }
        }
        for index in result.items.indices[first...] {
            guard case .message(var spoken) = result.items[index] else { continue }
            for (place, part) in spoken.message.parts.enumerated() {
                guard case .toolCall(let call) = part, var run = tools.take(call, after: spoken.startUnixNano) else { continue }
                run.arguments = nil
                if let id = call.id, answered.contains(id) { run.result = [] }
                spoken.runs[place] = run
            }
            result.items[index] = .message(spoken)
        }
        let told = Set(places.filter { tools.isTaken($0.run) }.map(\.item))
        guard !told.isEmpty else { return }
        var index = -1
        result.items.removeAll { _ in
            index += 1
            return told.contains(index)
        }
    }
}

/// What makes a part of a message the same as another: what a model is told again in the next call.
private struct PartKey: Hashable {
    private enum Content: Hashable {
        case text(ExactText)
        case call(ExactText)
        case result(ExactText)
        case media(Media)
    }

    private let role: Role
    private let content: Content

    /// `nil` for a part with nothing to show.
    init?(_ part: MessagePart, _ role: Role) {
        var role = role
        switch part {
        case .text(let text):
            let trimmed = Self.trimmed(text)
            guard !trimmed.isEmpty else { return nil }
            content = .text(ExactText(trimmed))
        case .reasoning(let text):
            guard !text.isEmpty else { return nil }
            content = .text(ExactText("\u{1}" + Self.trimmed(text)))
        case .toolCall(let call):
            role = .assistant
            content = .call(ExactText(call.id ?? "\u{1}\(call.name) \(call.arguments?.canonical ?? "")"))
        case .toolResult(let told):
            role = .tool
            content = .result(ExactText(told.callID ?? "\u{1}\(told.name ?? "") \(told.content)"))
        case .media(let media): content = .media(media)
        case .data(let value): content = .text(ExactText(value.canonical))
        }
        self.role = role
    }

    private static func trimmed(_ text: String) -> String {
        guard text.first?.isWhitespace == true || text.last?.isWhitespace == true else { return text }
        var part = text[...]
        while part.first?.isWhitespace == true { part.removeFirst() }
        while part.last?.isWhitespace == true { part.removeLast() }
        return String(part)
    }
}
