package import Conversations
package import TelemetryModel

/// The messages that stored spans and log records tell of.
package enum ConversationReading {
    /// Spans of one conversation that are read with their attributes.
    package static let spansMax = 20_000
    /// Of these spans' attributes and events, and of the log records.
    private static let bytesMax = 256 << 20
    private static let recordsMax = 20_000
    private static let tracesMax = 2000

    private static let columns = """
        trace_id, span_id, parent_span_id, name, stage, operation, tool_name, model, outcome, error_type, status_code, status_message,
        start_time_unix_nano, duration_ns, input_tokens, output_tokens
        """
    private static let speaks = """
        (parent_span_id IS NULL OR stage = 'llm' OR tool_name IS NOT NULL
            OR operation IN (\(SpanContent.modelOperations.map { "'\($0)'" }.joined(separator: ", "))))
        """

    /// Which traces.
    private enum Scope {
        case trace(String)
        case session(String)

        var condition: String {
            switch self {
            case .trace: "trace_id = ?1"
            case .session: "trace_id IN (SELECT DISTINCT trace_id FROM spans WHERE session_id = ?1 LIMIT \(tracesMax))"
            }
        }

        var value: QueryValue {
            switch self {
            case .trace(let id), .session(let id): .text(id)
            }
        }
    }

    // MARK: Reading

    package static func conversation(ofTrace id: TraceID, _ reader: QueryReader) throws -> Conversation {
        guard let conversation = try conversation(.trace(id.hexadecimal), reader) else { throw TraceReading.notFound(id) }
        return conversation
    }

    package static func conversation(ofSession id: String, _ reader: QueryReader) throws -> Conversation {
        guard let conversation = try conversation(.session(id), reader) else {
            throw QueryError.notFound("no span of session '\(id)' is stored")
        }
        return conversation
    }

    /// What one span says of a call to a model, with its general input and output when it says nothing else.
    package static func call(_ id: TraceID, span: SpanID, _ reader: QueryReader) throws -> ModelCall {
        let found = try spans(
            "trace_id = ?1 AND span_id = ?2", [.text(id.hexadecimal), .text(span.hexadecimal)], limit: 1, reader)
        guard var content = found.spans.first else {
            throw QueryError.notFound("trace \(id.hexadecimal) has no span \(span.hexadecimal)")
        }
        content.logs = try records(.trace(id.hexadecimal), reader)[span.hexadecimal] ?? []
        return ModelCallReader.read(content)
    }

    private static func conversation(_ scope: Scope, _ reader: QueryReader) throws -> Conversation? {
        let told = try records(scope, reader)
        var found = try spans("\(scope.condition) AND \(speaks)", [scope.value], limit: spansMax, reader)
        try join(&found.spans, scope, reader)
        var conversation = Conversation(with(told, found.spans))
        // Frameworks whose model calls are not known as such still say something.
        if !conversation.hasMessages {
            found = try spans(scope.condition, [scope.value], limit: spansMax, reader)
            guard !found.spans.isEmpty else { return nil }
            conversation = Conversation(with(told, found.spans))
        }
        if found.isCut { conversation.cut() }
        return conversation
    }

    private static func with(_ told: [String: [SpanContent.Record]], _ spans: [SpanContent]) -> [SpanContent] {
        guard !told.isEmpty else { return spans }
        return spans.map { span in
            var span = span
            span.logs = told[span.spanID] ?? []
            return span
        }
    }

    static func spans(
        _ condition: String, _ values: [QueryValue], limit: Int, bytesMax: Int = Self.bytesMax, _ reader: QueryReader
    ) throws -> (spans: [SpanContent], isCut: Bool) {
        var found: [SpanContent] = []
        var bytes = 0
        var isCut = false
        let sql = "SELECT \(columns), attributes, events FROM spans WHERE \(condition) ORDER BY start_time_unix_nano, rowid"
        try reader.each(sql, values) { statement in
            guard found.count < limit, bytes < bytesMax else {
                isCut = true
                return false
            }
            let row = QueryReader.row(statement)
            let (attributes, events) = (row[16].text ?? "", row[17].text ?? "")
            bytes += attributes.utf8.count + events.utf8.count
            var span = content(row)
            span.read(attributes: attributes, events: events)
            found.append(span)
            return true
        }
        return (found, isCut)
    }

    private static func content(_ row: [QueryValue]) -> SpanContent {
        var span = SpanContent()
        span.traceID = row[0].text ?? ""
        span.spanID = row[1].text ?? ""
        span.parentSpanID = row[2].text
        span.name = row[3].text ?? ""
        span.stage = row[4].text
        span.operation = row[5].text
        span.toolName = row[6].text
        span.model = row[7].text
        span.outcome = row[8].text
        span.errorType = row[9].text
        span.statusCode = row[10].integer ?? 0
        span.statusMessage = row[11].text
        span.startUnixNano = row[12].integer ?? 0
        span.durationNanoseconds = row[13].integer ?? 0
        span.inputTokens = row[14].integer
        span.outputTokens = row[15].integer
        return span
    }

    /// Gives each span the nearest span around it that was read too.
    private static func join(_ spans: inout [SpanContent], _ scope: Scope, _ reader: QueryReader) throws {
        let read = Set(spans.map { $0.traceID + $0.spanID })
        var parents: [String: String] = [:]
        try reader.each(
            "SELECT trace_id, span_id, parent_span_id FROM spans WHERE \(scope.condition) AND parent_span_id IS NOT NULL LIMIT ?2",
            [scope.value, .integer(Int64(TraceReading.spansMax * 4))]
        ) { statement in
            let row = QueryReader.row(statement)
            guard let trace = row[0].text, let span = row[1].text, let parent = row[2].text else { return true }
            parents[trace + span] = parent
            return true
        }
        for index in spans.indices {
            let trace = spans[index].traceID
            var steps = 0
            while let parent = spans[index].parentSpanID, !read.contains(trace + parent), let next = parents[trace + parent],
                steps < parents.count
            {
                spans[index].parentSpanID = next
                steps += 1
            }
        }
    }

    /// Log records that may be messages, by the span that they name.
    private static func records(_ scope: Scope, _ reader: QueryReader) throws -> [String: [SpanContent.Record]] {
        var found: [String: [SpanContent.Record]] = [:]
        var count = 0
        var bytes = 0
        let sql = """
            SELECT span_id, event_name, body, attributes FROM logs WHERE \(scope.condition) AND span_id IS NOT NULL
            ORDER BY time_unix_nano, rowid
            """
        try reader.each(sql, [scope.value]) { statement in
            guard count < recordsMax, bytes < bytesMax else { return false }
            count += 1
            let row = QueryReader.row(statement)
            guard let span = row[0].text, (found[span]?.count ?? 0) < ConversationLimits.recordsMax else { return true }
            let text = row[3].text ?? ""
            bytes += text.utf8.count + (row[2].text?.utf8.count ?? 0)
            let attributes = (try? JSONValue.parse(Array(text.utf8)[...], keepsDigits: true)) ?? .object([])
            found[span, default: []].append(
                .init(name: row[1].text ?? "", attributes: attributes, body: row[2].text.map { JSONValue.string($0) }))
            return true
        }
        return found
    }

    // MARK: Writing

    /// Writes `{"trace_id":…,"items":[…],"tools":[…],"truncated":…}`.
    package static func write(_ id: TraceID, _ reader: QueryReader, into json: inout JSONWriter) throws {
        let conversation = try conversation(ofTrace: id, reader)
        json.raw("{\"trace_id\":")
        json.string(id.hexadecimal)
        json.raw(",")
        var text = ConversationText()
        text.write(conversation, into: &json)
        json.raw("}")
    }

    /// Writes `{"trace_id":…,"span_id":…,"input":[…],"output":[…],"tools":[…],"error":…,"truncated":…}`.
    package static func write(_ id: TraceID, span: SpanID, _ reader: QueryReader, into json: inout JSONWriter) throws {
        let call = try call(id, span: span, reader)
        json.raw("{\"trace_id\":")
        json.string(id.hexadecimal)
        json.raw(",\"span_id\":")
        json.string(span.hexadecimal)
        json.raw(",")
        var text = ConversationText()
        text.write(call, into: &json)
        json.raw("}")
    }

    /// Writes `{"session_id":…,"items":[…],"tools":[…],"truncated":…}`.
    package static func write(session id: String, _ reader: QueryReader, into json: inout JSONWriter) throws {
        let conversation = try conversation(ofSession: id, reader)
        json.raw("{\"session_id\":")
        json.string(id)
        json.raw(",")
        var text = ConversationText()
        text.write(conversation, into: &json)
        json.raw("}")
    }
}
