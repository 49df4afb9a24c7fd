import SQLite
import SegmentFormat
import SpanStore
import TelemetryModel

/// Finds what an order is about, by the tables that everybody else searches: what it finds is what a user would.
struct ForgetSearch {
    /// Traces of one order at most.
    static let tracesMax = 1_000_000

    private let reader: SQLReader
    private let selection: ForgetSelection
    private let keys: ForgetKeys

    init(_ reader: SQLReader, _ selection: ForgetSelection, _ keys: ForgetKeys) {
        self.reader = reader
        self.selection = selection
        self.keys = keys
    }

    /// The traces that are meant; `nil` when the order goes by time alone.
    func traces() throws(StoreError) -> Set<TraceID>? {
        guard selection.namesTraces else { return nil }
        var found: Set<TraceID>?
        func narrow(_ others: Set<TraceID>) { found = found?.intersection(others) ?? others }
        if !selection.traces.isEmpty { narrow(Set(selection.traces)) }
        if !selection.sessions.isEmpty { narrow(try traces(whose: "session_id", isOneOf: selection.sessions)) }
        if !selection.users.isEmpty { narrow(try traces(whose: "user_id", isOneOf: selection.users)) }
        return found
    }

    private func traces(whose column: String, isOneOf names: [String]) throws(StoreError) -> Set<TraceID> {
        var traces: Set<TraceID> = []
        do throws(SQLiteError) {
            let statement = try reader.connection.prepare("SELECT DISTINCT trace_id FROM spans WHERE \(column) = ?1")
            for name in names {
                try statement.bind(1, name)
                while try statement.step() {
                    guard let trace = TraceID(hexadecimal: (statement.text(0) ?? "")[...]) else { continue }
                    traces.insert(trace)
                    if traces.count > Self.tracesMax { break }
                }
                statement.reset()
            }
        } catch {
            throw .database(error)
        }
        guard traces.count <= Self.tracesMax else {
            throw .setting("more than \(Self.tracesMax) traces are meant; forget the older ones first, with --older-than")
        }
        return traces
    }

    /// Log records whose own attributes, or whose resource's, name what is meant: by log segment their numbers. A record needs no trace for
    /// that.
    func namedLogs() throws(StoreError) -> [Int64: Set<Int>] {
        // A trace is a record's own; there is no attribute that would name one.
        guard selection.traces.isEmpty, selection.namesTraces else { return [:] }
        do throws(SQLiteError) {
            guard try LogTables.exist(reader.connection) else { return [:] }
            var conditions: [String] = []
            var values: [String] = []
            for (attributes, names) in [(keys.session, selection.sessions), (keys.user, selection.users)] where !names.isEmpty {
                let places = names.map { name in
                    values.append(name)
                    return "?\(values.count)"
                }.joined(separator: ", ")
                conditions.append(
                    "("
                        + attributes.flatMap { key in
                            ["attributes", "resource_attributes"].map { "CAST(attr(\($0), '\(key)') AS TEXT) IN (\(places))" }
                        }.joined(separator: " OR ") + ")")
            }
            let statement = try reader.connection.prepare("SELECT rowid FROM logs WHERE \(conditions.joined(separator: " AND "))")
            for (index, value) in values.enumerated() { try statement.bind(Int32(index + 1), value) }
            var found: [Int64: Set<Int>] = [:]
            while try statement.step() {
                let (segment, row) = LogRows.place(ofRowID: statement.integer(0))
                found[segment, default: []].insert(row)
            }
            return found
        } catch {
            throw .database(error)
        }
    }

    /// Evals that go with what is meant: those that are joined to a span of it, and those that name it.
    func evals(_ matcher: ForgetMatcher) throws(StoreError) -> [Int64] {
        do throws(SQLiteError) {
            guard try reader.connection.integer("SELECT 1 FROM main.evaluation LIMIT 1") != nil else { return [] }
            var ids: Set<Int64> = []
            // As old as its span, by the rule of `SpanTimes`; beside a span without any time as old as it is itself.
            let joined = try reader.connection.prepare(
                """
                SELECT evaluation_id, trace_id, coalesce(nullif(end_time_unix_nano, 0), nullif(start_time_unix_nano, 0),
                    (SELECT updated_unix_nano FROM main.evaluation WHERE id = evaluation_id))
                FROM span_evals
                """)
            while try joined.step() {
                let trace = TraceID(hexadecimal: (joined.text(1) ?? "")[...])
                if matcher.isOf(trace), matcher.isWithin(joined.integer(2)) { ids.insert(joined.integer(0)) }
            }
            guard selection.namesTraces else { return ids.sorted() }
            // By a session alone, an eval of it goes though none of its spans is there.
            let sessions = Set(selection.traces.isEmpty && selection.users.isEmpty ? selection.sessions : [])
            let named = try reader.connection.prepare(
                """
                SELECT id, trace_id, session_id, coalesce(created_unix_nano, updated_unix_nano) FROM main.evaluation
                WHERE trace_id IS NOT NULL OR session_id IS NOT NULL
                """)
            while try named.step() {
                let trace = named.text(1).flatMap { TraceID(hexadecimal: $0[...]) }
                let isNamed = trace.map { matcher.isOf($0) } ?? false || named.text(2).map(sessions.contains) ?? false
                if isNamed, matcher.isWithin(named.integer(3)) { ids.insert(named.integer(0)) }
            }
            return ids.sorted()
        } catch {
            throw .database(error)
        }
    }

    /// How much there is of what is meant, without changing anything.
    func counts() throws -> ForgetCounts {
        let matcher = ForgetMatcher(traces: try traces(), endedAtOrBefore: selection.endedAtOrBeforeUnixNano)
        var counts = ForgetCounts()
        try reader.catalog.refresh()
        for entry in reader.catalog.entries where matcher.mayMatch(entry.filter) && matcher.isWithin(entry.endMinimum) {
            guard let segment = try reader.catalog.open(entry.id), let rows = try matcher.rows(segment) else { continue }
            counts.segments += 1
            counts.spans += rows.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        let named = try namedLogs()
        if try LogTables.exist(reader.connection) {
            let segments = try reader.connection.prepare("SELECT id, trace_filter, time_min FROM main.log_segment ORDER BY id")
            while try segments.step() {
                let id = segments.integer(0)
                guard matcher.isWithin(segments.integer(2)),
                    named[id] != nil || matcher.mayMatch(TraceFilter(bytes: segments.blob(1))),
                    let rows = matcher.rows(try LogTables.facts(of: id, reader.connection), named: named[id] ?? [])
                else { continue }
                counts.logSegments += 1
                counts.logRecords += rows.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
        }
        counts.evals = Int64(try evals(matcher).count)
        counts.stalls = Int64(try QuotedRows.stalls(matcher, reader.connection).count)
        return counts
    }
}
