import Derivations
import Foundation
import Ingest
import SQLite
import SpanStore
import StoreSQL
import TelemetryModel
import TelemetryTesting
import Testing

@testable import Queries

/// What lists sum up over columns is what SQL gives row by row.
@Suite struct ListsOverColumnsTests {
    /// Spans of some traces of their own and of some that go on in other batches, with and without sessions that show alike but differ.
    private static func batch(_ number: Int, _ random: inout SplitMix64) -> SpanBatch {
        var builder = SpanBatchBuilder()
        builder.beginResource(["service.name": .string(["service 1", "caf\u{E9}", "cafe\u{301}"][Int.random(in: 0..<3, using: &random)])])
        builder.beginScope(name: "tests")
        for place in 0..<Int.random(in: 3..<30, using: &random) {
            let isShared = Bool.random(using: &random)
            let trace = isShared ? UInt64.random(in: 1...9, using: &random) : UInt64(1000 + number * 3 + place % 3)
            var span = SpanDescription(
                traceID: TraceID(high: trace, low: 7), spanID: SpanID(UInt64(number * 100 + place + 1)), name: "work")
            span.startTimeUnixNano = .random(in: 1_000...9_000, using: &random)
            span.endTimeUnixNano = span.startTimeUnixNano + .random(in: -2...900, using: &random)
            if Int.random(in: 0..<3, using: &random) > 0 {
                span.parentSpanID = SpanID(.random(in: 1...UInt64(number * 100 + 40), using: &random))
            }
            if Int.random(in: 0..<5, using: &random) == 0 { span.status = .error("failed") }
            if Int.random(in: 0..<3, using: &random) == 0 {
                let names = ["caf\u{E9}", "cafe\u{301}", "s \(trace % 4)"]
                span.attributes.append("session.id", .string(names[Int.random(in: 0..<3, using: &random)]))
            }
            if Int.random(in: 0..<2, using: &random) == 0 {
                span.attributes.append("workflow_name", .string(Bool.random(using: &random) ? "caf\u{E9}" : "cafe\u{301}"))
            }
            if Int.random(in: 0..<4, using: &random) == 0 {
                span.attributes.append("user.id", .string("user \(trace % 3)"))
            }
            if Int.random(in: 0..<3, using: &random) == 0 {
                span.attributes.append("gen_ai.operation.name", .string("chat"))
                span.attributes.append("gen_ai.request.model", .string(Bool.random(using: &random) ? "one" : "another"))
                // Powers of two at a million dollars a million: sums do not depend on their order.
                span.attributes.append("gen_ai.usage.input_tokens", .int(1_048_576 * .random(in: 1...4, using: &random)))
                span.attributes.append("gen_ai.usage.output_tokens", .int(1_048_576))
            }
            if Int.random(in: 0..<4, using: &random) == 0 {
                span.attributes.append("tool_name", .string("tool \(place % 3)"))
                if Bool.random(using: &random) { span.attributes.append("timeout", .bool(true)) }
            }
            builder.append(span)
        }
        return builder.batch
    }

    private static let rank = "parent_span_id IS NOT NULL, start_time_unix_nano, end_time_unix_nano, span_id"

    /// The same by SQL, trace by trace. Parameters: the window, behind what it goes on, how many, of which user, and which one.
    private static func law(_ key: TraceTotals.Key) -> String {
        let column = key.rawValue
        let isMeant = "\(column) IS NOT NULL AND (?6 IS NULL OR user_id = ?6) AND (?7 IS NULL OR \(column) = ?7)"
        let sums = SpendingSQL.names.map { name in
            switch name {
            case "dollars": "sum(spent.dollars) AS dollars"
            case "tokens": "saturated_sum(spent.tokens) AS tokens"
            default: "coalesce(saturated_sum(spent.\(name)), 0) AS \(name)"
            }
        }
        return """
            WITH wanted AS MATERIALIZED (
                SELECT DISTINCT trace_id FROM spans
                WHERE \(column) IS NOT NULL AND start_time_unix_nano >= ?1 AND start_time_unix_nano <= ?2),
            trace AS MATERIALIZED (
                SELECT trace_id, first_of(session_id, \(rank)) AS session_id, first_of(user_id, \(rank)) AS user_id,
                    min(start_time_unix_nano) AS start_time_unix_nano, max(end_time_unix_nano) AS end_time_unix_nano, count(*) AS span_count,
                    sum(status_code = 2) AS error_count, coalesce(sum(outcome = 'timeout'), 0) AS timeout_count,
                    first_of(service_name, \(rank)) AS service_name
                FROM spans WHERE trace_id IN (SELECT trace_id FROM wanted)
                    AND (told_by_log IS NULL OR outcome IS NOT NULL OR counts_tokens = 1)
                GROUP BY trace_id),
            spent AS MATERIALIZED (
                SELECT trace_id, \(SpendingSQL.sums) FROM (
                    SELECT trace_id, \(SpendingSQL.ofRow("spans")) FROM spans WHERE counts_tokens = 1)
                GROUP BY trace_id)
            SELECT \(column), min(start_time_unix_nano) AS start_time_unix_nano, max(end_time_unix_nano) AS end_time_unix_nano,
                count(*) AS trace_count, sum(span_count) AS span_count, sum(error_count) AS error_count,
                sum(timeout_count) AS timeout_count, max(service_name) AS service_name,
                \(key == .session ? "max(user_id) AS user_id" : "count(DISTINCT session_id) AS session_count"),
                \(sums.joined(separator: ", "))
            FROM trace LEFT JOIN spent ON spent.trace_id = trace.trace_id WHERE \(isMeant) GROUP BY 1
            HAVING ?3 IS NULL OR (max(end_time_unix_nano), \(column)) < (?3, ?4)
            ORDER BY max(end_time_unix_nano) DESC, 1 DESC LIMIT ?5
            """
    }

    private static let windows = [TimeWindow(), TimeWindow(from: 2_000, to: 2_500), TimeWindow(from: 8_900), TimeWindow(from: 5, to: 6)]

    /// Calls `check` with a reader each time some more spans are stored.
    private static func whileSpansCome(_ seed: UInt64, _ check: (QueryReader) throws -> Void) async throws {
        let folder = StoreFolder(path: NSTemporaryDirectory() + "fusebox-tests-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(atPath: folder.path) }
        let writer = try IngestWriter(folder: folder, policy: FusePolicy(), metrics: IngestMetrics(), clock: { 1_767_225_600_000_000_000 })
        defer { writer.stop() }
        let prices = try Connection(path: folder.databasePath, access: .readWrite)
        try prices.execute(
            "INSERT INTO model_price VALUES ('one', 0, 'api', 1e6, 5e5, 2e6, 4e6, NULL), ('one', 5000, 'api', 2e6, 1e6, 4e6, 8e6, NULL)")
        var random = SplitMix64(seed: seed)
        let reader = try QueryReader(folder: folder)
        reader.begin(limit: .seconds(86_400))
        for number in 0..<25 {
            _ = try await writer.store(batch(number, &random))
            try check(reader)
        }
    }

    /// What SQL writes.
    private static func written(_ sql: String, _ values: [QueryValue], _ reader: QueryReader) throws -> String {
        var json = JSONWriter()
        try reader.write(sql, values, into: &json)
        return String(decoding: json.bytes, as: UTF8.self)
    }

    /// What a list writes.
    private static func written(_ write: (inout JSONWriter) throws -> Void) rethrows -> String {
        var json = JSONWriter()
        try write(&json)
        return String(decoding: json.bytes, as: UTF8.self)
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func conversationsAndUsersAreWhatSQLGives(seed: UInt64) async throws {
        var bytes = 0
        try await Self.whileSpansCome(seed) { reader in
            for totals in Self.questions {
                let values: [QueryValue] =
                    totals.window.values + [
                        totals.after.map { .integer($0.lastUnixNano) } ?? .null, totals.after.map { .text($0.id) } ?? .null,
                        .integer(Int64(totals.limit)), totals.user.map(QueryValue.text) ?? .null, totals.id.map(QueryValue.text) ?? .null,
                    ]
                let found = try Self.written { try totals.write(reader, into: &$0) }
                #expect(try found == Self.written(Self.law(totals.key), values, reader), "\(totals)")
                bytes += found.utf8.count
            }
        }
        #expect(bytes > 100_000, "there is something to compare")
    }

    /// What a window cost follows the law of the view, as does what everything cost.
    @Test(arguments: [1, 2] as [UInt64])
    func costsOfAWindowAreThoseOfTheViewOverItsCalls(seed: UInt64) async throws {
        var bytes = 0
        try await Self.whileSpansCome(seed) { reader in
            let all = try Self.written("SELECT * FROM costs", [], reader)
            #expect(try Self.written { try Boards.writeCosts(TimeWindow(), reader, into: &$0) } == all)
            #expect(try Self.written { try Boards.writeCosts(TimeWindow(from: 0), reader, into: &$0) } == all)
            for window in Self.windows {
                let found = try reader.first(
                    "SELECT sum(calls), saturated_sum(tokens) FROM (\(SQLReader.costs(where: "end_time_unix_nano >= ?1 AND end_time_unix_nano <= ?2")))",
                    window.values)
                let law = try reader.first(
                    "SELECT count(*), saturated_sum(tokens) FROM token_spans WHERE end_time_unix_nano >= ?1 AND end_time_unix_nano <= ?2",
                    window.values)
                #expect(found?[1] == law?[1] && found?[0].integer ?? 0 == law?[0].integer, "\(window)")
            }
            bytes += all.utf8.count
        }
        #expect(bytes > 1_000, "there is something to compare")
    }

    private static let tools = """
        SELECT service_name, call_name AS tool_name, stage, count(*) AS calls, sum(outcome = 'ok') AS ok,
            sum(outcome = 'error') AS errors, sum(outcome = 'timeout') AS timeouts, sum(outcome = 'rejected') AS rejected,
            percentile(CASE WHEN outcome <> 'rejected' THEN duration_ns END, 50) AS p50_ns,
            percentile(CASE WHEN outcome <> 'rejected' THEN duration_ns END, 95) AS p95_ns,
            max(CASE WHEN outcome <> 'rejected' THEN duration_ns END) AS max_ns, max(end_time_unix_nano) AS last_time_unix_nano
        FROM spans WHERE start_time_unix_nano >= ?1 AND start_time_unix_nano <= ?2 AND outcome IS NOT NULL
            AND (?3 IS NULL OR service_name = ?3)
        GROUP BY service_name, call_name, stage ORDER BY timeouts DESC, calls DESC, 1, 2, 3
        """
    private static let services = """
        SELECT service_name, count(*) AS span_count, sum(status_code = 2) AS error_count,
            min(start_time_unix_nano) AS first_time_unix_nano, max(start_time_unix_nano) AS last_time_unix_nano
        FROM spans WHERE start_time_unix_nano >= ?1 AND start_time_unix_nano <= ?2 GROUP BY service_name ORDER BY service_name
        """

    @Test(arguments: [4, 5] as [UInt64])
    func toolsAndServicesAreWhatSQLGives(seed: UInt64) async throws {
        var bytes = 0
        try await Self.whileSpansCome(seed) { reader in
            for window in Self.windows {
                for service in [nil, "service 1", "caf\u{E9}"] {
                    let found = try Self.written { try ToolBoard.write(window, service: service, reader, into: &$0) }
                    let values = window.values + [service.map(QueryValue.text) ?? .null]
                    #expect(try found == Self.written(Self.tools, values, reader), "\(window), \(service ?? "all")")
                    bytes += found.utf8.count
                }
                let found = try Self.written { try ServiceBoard.write(window, reader, into: &$0) }
                #expect(try found == Self.written(Self.services, window.values, reader), "\(window)")
            }
        }
        #expect(bytes > 100_000, "there is something to compare")
    }

    /// Texts that show alike are as different as in SQL.
    @Test func workflowsAndProjectsAreThoseOfSQL() async throws {
        try await Self.whileSpansCome(6) { reader in
            let spent = """
                SELECT service_name, call_workflow AS workflow_name, saturated_sum(tokens) AS tokens FROM spans
                WHERE counts_tokens = 1 GROUP BY 1, 2 ORDER BY 1, 2
                """
            let found = try Self.written { try WorkflowBoard.write(TimeWindow(), service: nil, reader, into: &$0) }
            #expect(try Self.tokens(found) == Self.tokens(Self.written(spent, [], reader)))
            let projects = "SELECT service_name AS project, count(*) AS span_count FROM spans GROUP BY 1 ORDER BY 2 DESC, 1"
            let listed = try Self.written { try ProjectBoard.write(by: "service.name", TimeWindow(), reader, into: &$0) }
            #expect(try listed == Self.written(projects, [], reader))
        }
    }

    /// Of each service and workflow that has any, the tokens.
    private static func tokens(_ json: String) throws -> [ExactText: Int64] {
        guard case .array(let rows) = try JSONValue.parse(Array(json.utf8)[...]) else { return [:] }
        var tokens: [ExactText: Int64] = [:]
        for row in rows {
            guard case .integer(let count) = row["tokens"] else { continue }
            tokens[ExactText("\(row["service_name"]?.text ?? "") / \(row["workflow_name"]?.text ?? "none")")] = count
        }
        return tokens
    }

    private static var questions: [TraceTotals] {
        var questions: [TraceTotals] = []
        for key in [TraceTotals.Key.session, .user] {
            for window in windows {
                questions.append(TraceTotals(by: key, window))
                questions.append(TraceTotals(by: key, window))
                questions[questions.count - 1].limit = 2
                questions.append(TraceTotals(by: key, window))
                questions[questions.count - 1].after = (5_000, "s 2")
            }
            questions.append(TraceTotals(by: key, TimeWindow()))
            questions[questions.count - 1].user = "user 1"
            questions.append(TraceTotals(by: key, TimeWindow()))
            questions[questions.count - 1].id = key == .session ? "cafe\u{301}" : "user 2"
        }
        return questions
    }
}
