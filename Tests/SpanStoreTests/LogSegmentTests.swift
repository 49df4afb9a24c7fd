import SQLite
import SegmentFormat
import StoreTesting
import TelemetryModel
import TelemetryTesting
import Testing

@testable import SpanStore
@testable import StoreSQL

/// Log records come back from their segments as they went in, merged or not, and scans skip what cannot match.
@Suite struct LogSegmentTests {
    private static let shown = """
        SELECT time_unix_nano, observed_time_unix_nano, trace_id, span_id, severity_number, severity_text, event_name, body,
            service_name, scope_name, attributes, resource_attributes FROM logs
        """

    @Test func recordsComeBackAsTheyWere() throws {
        let fixture = try StoreFixture()
        try fixture.ingest(LogBatches.of(LogBatches.everything), received: 9_000)
        let rows = try fixture.sql(Self.shown)
        let trace = TraceID(high: 1, low: 7).hexadecimal
        #expect(
            rows[0] == [
                "3000", "4000", trace, "0000000000000005", "17", "S17", "exception", "boom", "svc", "logger",
                #"{"exception.type":"E","n":1,"list":["a",2.5],"map":{"k":true}}"#, #"{"service.name":"svc"}"#,
            ])
        #expect(rows.map { $0[0] } == ["3000", "1000", "2500", "9000", "\(Int64.max)", "5", "6"])
        #expect(rows.map { $0[7] } == ["boom", "42", #"{"a":[1,"x"]}"#, #""AQID""#, "true", "", "1.5"])
        #expect(rows.map { $0[4] } == ["17", "-3", "24", "0", "9", "9", "9"])
        #expect(rows[4][3] == "ffffffffffffffff")
        #expect(rows[1][2] == "∅" && rows[1][3] == "∅" && rows[1][6] == "∅" && rows[1][10] == "{}")
    }

    @Test func mergingChangesNoRow() throws {
        let fixture = try StoreFixture()
        for number in 0..<40 {
            try fixture.ingest(
                LogBatches.of(
                    LogBatches.everything + [.init(time: Int64(number), trace: UInt64(number + 1), event: "e\(number)")],
                    service: "s\(number % 3)"))
        }
        let before = try fixture.sql(Self.shown)
        #expect(before.count == 320)
        try fixture.mergeLogs()
        #expect(try fixture.sql(Self.shown) == before)
        #expect(try fixture.sql("SELECT count(*) FROM log_segment") == [["1"]])
        #expect(fixture.store?.logLedger.storedRecords == 320)
        #expect(try StoreVerification.run(folder: fixture.folder).isSound)
        try fixture.reopen()
        #expect(try fixture.sql(Self.shown) == before)
        try fixture.ingest(LogBatches.of([.init(time: 1, body: "later")]))
        #expect(try fixture.sql("SELECT count(*), count(body) FROM logs") == [["321", "281"]])
    }

    @Test func aRunIsMergedWhenItsLikesComeToMoreThanEach() {
        func entry(_ id: Int64, _ bytes: Int64) -> LogLedger.Entry {
            .init(
                id: id, firstOrdinal: id * 10, ordinalCount: 10, recordCount: 10, contentBytes: bytes, storedBytes: bytes,
                timeMaximum: 0,
                receivedMaximum: 0)
        }
        let tiny = (1...7).map { entry(Int64($0), 1000) }
        #expect(LogMergePlan.next(tiny).isEmpty)
        #expect(LogMergePlan.next(tiny + [entry(8, 1000)]).count == 8)
        // One that is large already is not written again for seven small ones.
        #expect(LogMergePlan.next([entry(1, 2 << 20)] + tiny.map { entry($0.id + 1, 1000) }).isEmpty)
        #expect(LogMergePlan.next([entry(0, 32 << 20)] + tiny).isEmpty)
        #expect(LogMergePlan.next((0..<10).map { entry(Int64($0), 2 << 20) }).count == 8)
    }

    @Test func conditionsSkipSegments() throws {
        let fixture = try StoreFixture()
        for number in 1...20 {
            try fixture.ingest(
                LogBatches.of([
                    .init(time: Int64(number) * 1000, trace: UInt64(number), span: 1, severity: Int32(number)),
                    .init(time: Int64(number) * 1000 + 1, trace: UInt64(number), span: 2, severity: Int32(number)),
                ]))
        }
        let connection = try Connection(path: fixture.folder.databasePath, access: .readOnly)
        let scan = LogsScan(LogCatalog(connection, isKept: true))
        func opened(_ terms: [(LogsPlan.Comparison, LogsColumn, LogsConditions.Argument)]) throws -> [Int] {
            var plan = LogsPlan()
            plan.terms = terms.map { .init(comparison: $0.0, column: $0.1) }
            plan.readsColumns = true
            #expect(LogsPlan(text: plan.text) == plan)
            try scan.start(plan, terms.map(\.2))
            var rows = 0
            while !scan.isAtEnd {
                rows += 1
                try scan.next()
            }
            return [scan.openedCount, rows]
        }
        let trace = Array(TraceID(high: 4, low: 7).hexadecimal.utf8)
        #expect(try opened([]) == [20, 40])
        #expect(try opened([(.equal, .trace_id, .text(trace))]) == [1, 2])
        #expect(
            try opened([(.equal, .trace_id, .text(trace)), (.equal, .span_id, .text(Array("0000000000000002".utf8)))]) == [1, 1])
        #expect(try opened([(.greaterOrEqual, .severity_number, .integer(17))]) == [4, 8])
        #expect(try opened([(.less, .time_unix_nano, .integer(3_001))]) == [3, 5])
        #expect(try opened([(.equal, .time_unix_nano, .null)]) == [0, 0])
        #expect(try opened([(.equal, .service_name, .text(Array("none".utf8)))]) == [20, 0])
    }

    @Test func answersAreThoseOfATable() throws {
        let fixture = try StoreFixture()
        var chance = SplitMix64(seed: 5)
        for _ in 0..<12 {
            try fixture.ingest(
                LogBatches.of(
                    (0..<9).map { _ in
                        .init(
                            time: Int64.random(in: 0...40, using: &chance), trace: UInt64.random(in: 0...3, using: &chance),
                            span: UInt64.random(in: 0...2, using: &chance), severity: Int32.random(in: 0...24, using: &chance),
                            event: ["", "a", "b"].randomElement(using: &chance) ?? "", body: "text")
                    }, service: "s\(Int.random(in: 0...1, using: &chance))"))
        }
        let conditions = [
            "1", "time_unix_nano > 20", "time_unix_nano BETWEEN 5 AND 9", "severity_number >= 17 AND time_unix_nano < 30.5",
            "trace_id = '\(TraceID(high: 2, low: 7).hexadecimal)'", "trace_id IS NULL", "span_id = '0000000000000001'",
            "event_name = 'a'", "event_name IN ('a', 'b')", "service_name = 's1' AND severity_number = 9",
            "trace_id = 'x'", "time_unix_nano = NULL", "severity_number > '12'", "event_name = ''",
        ]
        let orders = [
            "", " ORDER BY time_unix_nano, rowid", " ORDER BY time_unix_nano DESC, rowid DESC LIMIT 7",
            " ORDER BY time_unix_nano DESC, rowid DESC LIMIT 5 OFFSET 9",
        ]
        for condition in conditions {
            for order in orders {
                // A materialized copy has no module to hand conditions to.
                let expected = try fixture.sql(
                    """
                    WITH copy AS MATERIALIZED (SELECT rowid AS id, * FROM logs)
                    SELECT id, time_unix_nano FROM copy WHERE \(condition)\(order.replacing("rowid", with: "id"))
                    """)
                let found = try fixture.sql("SELECT rowid, time_unix_nano FROM logs WHERE \(condition)\(order)")
                // Without ORDER BY rows come in any order.
                let sort = { (rows: [[String]]) in order.isEmpty ? rows.sorted { $0.joined() < $1.joined() } : rows }
                #expect(sort(found) == sort(expected), "\(condition)\(order)")
            }
        }
        #expect(try fixture.sql("SELECT count(*) FROM logs") == [["108"]])
    }

    @Test func aLimitOpensTheLatestSegmentsOnly() throws {
        let fixture = try StoreFixture()
        for number in 1...50 {
            try fixture.ingest(LogBatches.of([.init(time: Int64(number) * 10), .init(time: Int64(number) * 10 + 5)]))
        }
        let connection = try Connection(path: fixture.folder.databasePath, access: .readOnly)
        let scan = LogsScan(LogCatalog(connection, isKept: true))
        var plan = LogsPlan()
        plan.order = .descending
        try scan.start(plan, [])
        for _ in 0..<3 { try scan.next() }
        #expect(scan.openedCount <= 3)
    }

    @Test func retentionLetsOldSegmentsGo() throws {
        let fixture = try StoreFixture()
        let start = fixture.now
        for number in 0..<5 {
            try fixture.ingest(
                LogBatches.of([.init(time: Int64(number) + 1, body: "x")]), received: start + Int64(number) * 1_000)
        }
        let retention = try SegmentRetention(try #require(fixture.store).maintenance())
        var limits = RetentionLimits()
        limits.bytes = nil
        limits.age = 3_000
        try retention.run(limits, nowUnixNano: start + 5_000)
        #expect(retention.removed.logRecords == 3)
        #expect(try fixture.sql("SELECT time_unix_nano FROM logs") == [["4"], ["5"]])
        #expect(try fixture.sql("SELECT count(*) FROM log_stream") == [["4"]])
        // That they are gone is no loss.
        #expect(try StoreVerification.run(folder: fixture.folder).isSound)
        limits.age = nil
        limits.bytes = 1
        try retention.run(limits, nowUnixNano: start + 5_000)
        #expect(try fixture.sql("SELECT count(*) FROM logs") == [["0"]])
        #expect(try StoreVerification.run(folder: fixture.folder).isSound)
    }

    @Test func forWantOfRoomWhateverCameFirstGoes() {
        func log(_ id: Int64, _ received: Int64) -> LogLedger.Entry {
            .init(
                id: id, firstOrdinal: id, ordinalCount: 1, recordCount: 1, contentBytes: 10, storedBytes: 10, timeMaximum: 0,
                receivedMaximum: received)
        }
        func spans(_ id: Int64, _ received: Int64) -> SegmentLedger.Entry {
            .init(
                id: id, streamSet: id, firstOrdinal: id, ordinalCount: 1, spanCount: 1, storedBytes: 100, latestMaximum: 0,
                receivedMaximum: received, filter: TraceFilter([]))
        }
        let logs = [log(1, 10), log(2, 30), log(3, 50)]
        let segments = [spans(1, 20), spans(2, 40)]
        let share = LogRetentionPlan.oldest(logs, beside: segments, bytes: 115)
        #expect(share.logs.map(\.id) == [1, 2] && share.spanBytes == 100)
        #expect(LogRetentionPlan.oldest([], beside: segments, bytes: 115).spanBytes == 115)
    }

    @Test(
        "A damaged row is found",
        arguments: [
            "UPDATE log_segment SET record_count = record_count + 1", "UPDATE log_segment SET time_max = 7",
            "UPDATE log_segment SET severity_min = 1", "UPDATE log_segment SET content_bytes = 0",
            "UPDATE log_segment SET stored_bytes = 0", "UPDATE log_segment SET trace_filter = x'00000000'",
            "DELETE FROM log_stream WHERE id % 2 = 1", "DELETE FROM log_segment",
            "UPDATE log_stream SET data = CAST(substr(data, 1, length(data) - 1) || x'55' AS BLOB)",
        ])
    func damageIsFound(sql: String) throws {
        let fixture = try StoreFixture()
        try fixture.ingest(LogBatches.of(LogBatches.everything))
        #expect(try StoreVerification.run(folder: fixture.folder).isSound)
        try Connection(path: fixture.folder.databasePath, access: .readWrite).execute(sql)
        #expect(try !StoreVerification.run(folder: fixture.folder).isSound)
    }

    @Test func aFileOfAnOlderVersionIsSoundAndHasNoLogs() throws {
        let fixture = try StoreFixture()
        try Connection(path: fixture.folder.databasePath, access: .readWrite)
            .execute("DROP TABLE log_segment; DROP TABLE log_stream; PRAGMA user_version = 2")
        #expect(try StoreVerification.run(folder: fixture.folder).isSound)
        #expect(try fixture.sql("SELECT count(*) FROM logs") == [["0"]])
        try fixture.reopen()
        try fixture.ingest(LogBatches.of([.init(time: 1)]))
        #expect(try fixture.sql("SELECT count(*) FROM logs") == [["1"]])
    }
}
