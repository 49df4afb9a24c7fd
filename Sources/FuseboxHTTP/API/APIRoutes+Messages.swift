import Queries
import TelemetryModel

/// Conversations: what models were told and said, whatever framework told of it.
extension APIRoutes {
    /// Of a trace; with `span_id`, of one call alone, with all that it was given.
    func messages(ofTrace text: String, _ query: QueryString) async throws -> Response {
        let id = try Self.traceID(text)
        guard let asked = query["span_id"] else {
            return try await context.json(limit: APIContext.TimeLimit.query, of: .trace(id.hexadecimal)) { reader, json in
                try ConversationReading.write(id, reader, into: &json)
            }
        }
        guard let span = SpanID(hexadecimal: asked) else {
            throw QueryError.invalid("'\(asked)' is not a span id: 16 hexadecimal digits")
        }
        return try await context.json(of: .trace(id.hexadecimal)) { reader, json in try ConversationReading.write(id, span: span, reader, into: &json) }
    }

    func messages(ofSession query: QueryString) async throws -> Response {
        guard let id = query["id"] else { throw QueryError.invalid("which session? give its id=") }
        return try await context.json(limit: APIContext.TimeLimit.query, of: .session(id)) { reader, json in
            try ConversationReading.write(session: id, reader, into: &json)
        }
    }

    /// The spans of a trace that hold a text.
    func find(inTrace text: String, _ query: QueryString) async throws -> Response {
        let id = try Self.traceID(text)
        let wanted = query["q"] ?? ""
        return try await context.json(of: .trace(id.hexadecimal)) { reader, json in try TraceFind.write(id, text: wanted, reader, into: &json) }
    }
}
