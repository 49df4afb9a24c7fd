import Queries
import TelemetryModel

extension APIRoutes {
    /// Log records of one page.
    private static let logsMax = 1000

    func logs(_ query: QueryString) async throws -> Response {
        var search = LogSearch()
        let window = try timeWindow(query)
        (search.from, search.to) = (window.from, window.to)
        search.service = query["service"]
        search.eventName = query["event_name"]
        search.text = query["q"]
        if let text = query["trace_id"] { search.traceID = try Self.traceID(text) }
        if let text = query["span_id"] {
            guard let span = SpanID(hexadecimal: text) else {
                throw QueryError.invalid("'\(text)' is not a span id: 16 hexadecimal digits")
            }
            search.spanID = span
        }
        if let text = query["severity_min"] {
            guard let severity = LogSearch.severity(text) else {
                throw QueryError.invalid(
                    "severity_min is '\(text)', but must be trace, debug, info, warn, error, fatal, or a number from 0 to 24")
            }
            search.severityMinimum = severity
        }
        search.limit = try query.integer("limit", 1...Self.logsMax, fallback: 100)
        if let text = query["cursor"] {
            guard let cursor = LogCursor(text: text) else {
                throw QueryError.invalid("cursor is '\(text)', but must be the next_cursor of an answer")
            }
            search.after = cursor
        }
        let asked = search
        return try await context.json(limit: APIContext.TimeLimit.query, of: asked.need) { reader, json in try asked.write(reader, into: &json) }
    }
}
