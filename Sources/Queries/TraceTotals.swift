import SQLite
import SpanStore
import StoreSQL
package import TelemetryModel

/// Conversations and users: the sums of their traces, newest first. Made over columns, and not by rows of SQL: a list looks at millions of spans.
package struct TraceTotals: Sendable {
    /// What traces are put together by.
    package enum Key: String, Sendable {
        case session = "session_id"
        case user = "user_id"
    }

    package var key: Key
    /// Those of which a span began in it; of their traces, those that have such a span.
    package var window: TimeWindow
    /// Only the one that is called so.
    package var id: String?
    /// Only of the traces of this user.
    package var user: String?
    /// Where a list goes on: behind the one that ended then.
    package var after: (lastUnixNano: Int64, id: String)?
    package var limit = 100

    package init(by key: Key, _ window: TimeWindow) {
        self.key = key
        self.window = window
    }

    /// A conversation or a user, as the sum of traces.
    private struct Total {
        var traces: [TraceID] = []
        var startUnixNano = Int64.max
        var endUnixNano = Int64.min
        var spanCount: Int64 = 0
        var errorCount: Int64 = 0
        var timeoutCount: Int64 = 0
        var service: ExactText?
        /// Of a conversation, whose it is.
        var user: ExactText?
        /// Of a user, whose conversations they had.
        var sessions: Set<ExactText> = []

        mutating func add(_ trace: TraceSums.Trace) {
            traces.append(trace.id)
            startUnixNano = min(startUnixNano, trace.startUnixNano)
            endUnixNano = max(endUnixNano, trace.endUnixNano)
            spanCount = spanCount.addingSaturated(trace.spanCount)
            errorCount = errorCount.addingSaturated(trace.errorCount)
            timeoutCount = timeoutCount.addingSaturated(trace.timeoutCount)
        }

        func fields(_ key: Key, _ id: String) -> [(String, QueryValue)] {
            func optional(_ text: ExactText?) -> QueryValue { text.map { .text($0.text) } ?? .null }
            return [
                (key.rawValue, .text(id)), ("start_time_unix_nano", .integer(startUnixNano)), ("end_time_unix_nano", .integer(endUnixNano)),
                ("trace_count", .integer(Int64(traces.count))), ("span_count", .integer(spanCount)), ("error_count", .integer(errorCount)),
                ("timeout_count", .integer(timeoutCount)), ("service_name", optional(service)),
                key == .session ? ("user_id", optional(user)) : ("session_count", .integer(Int64(sessions.count))),
            ]
        }
    }

    /// Writes an array of objects.
    package func write(_ reader: QueryReader, into json: inout JSONWriter) throws {
        let listed = try listed(reader)
        // Tokens are read of the traces that are listed: most traces are not.
        let spent = try spending(listed.map(\.total), reader)
        let rows = zip(listed, spent).map { one, spending in one.total.fields(key, one.id) + spending.fields }
        try reader.write(rows, rowsMax: limit, of: "rows", into: &json)
    }

    private func listed(_ reader: QueryReader) throws -> [(id: String, total: Total)] {
        var totals: [Total] = []
        var places: [ExactText: Int] = [:]
        try TraceSums(key: key, window: window).each(reader) { trace in
            let (session, whose, service) = (trace.session.text, trace.user.text, trace.service.text)
            guard let own = key == .session ? session : whose, id.map(own.isExactly) ?? true,
                user.map({ whose?.isExactly($0) ?? false }) ?? true
            else { return }
            let name = ExactText(own)
            let place = places[name] ?? totals.count
            if place == totals.count {
                places[name] = place
                totals.append(Total())
            }
            totals[place].add(trace)
            totals[place].service = Self.greater(totals[place].service, service)
            switch key {
            case .session: totals[place].user = Self.greater(totals[place].user, whose)
            case .user: if let session { totals[place].sessions.insert(ExactText(session)) }
            }
        }
        let all = places.sorted { (totals[$0.value].endUnixNano, $0.key) > (totals[$1.value].endUnixNano, $1.key) }
        let behind = after.map { after in
            all.prefix { (totals[$0.value].endUnixNano, $0.key) >= (after.lastUnixNano, ExactText(after.id)) }.count
        }
        return all.dropFirst(behind ?? 0).prefix(limit).map { ($0.key.text, totals[$0.value]) }
    }

    /// The greater of two texts by their bytes, as `max` in SQL.
    private static func greater(_ known: ExactText?, _ text: String?) -> ExactText? {
        guard let text = text.map(ExactText.init) else { return known }
        return known.map { max($0, text) } ?? text
    }

    private func spending(_ totals: [Total], _ reader: QueryReader) throws -> [Spending] {
        var spent = [Spending](repeating: Spending(), count: totals.count)
        var places: [TraceID: Int] = [:]
        for (place, total) in totals.enumerated() { for trace in total.traces { places[trace] = place } }
        let book = try reader.prices()
        try reader.passTokenCalls(of: Set(places.keys)) { segment throws(SQLiteError) in
            let columns = try SpentColumns(segment, book)
            let (traces, numbers) = try segment.traces()
            let own = traces.map { places[$0] }
            segment.forEachRow { row in
                guard let number = numbers[row], own.indices.contains(Int(number)), let place = own[Int(number)] else { return }
                columns.add(row, to: &spent[place])
            }
        }
        return spent
    }
}
