import Foundation
import SQLite
import SpanStore
import StoreTesting
import TelemetryModel
import TelemetryTesting
import Testing

@testable import StoreSQL

/// A scan goes when its statement is done, however that ends, and takes the segments that it opened along.
///
/// FUSEBOX_SCAN_ROUNDS says how often each statement is run.
@Suite struct LiveScanTests {
    private static let roundCount = ProcessInfo.processInfo.environment["FUSEBOX_SCAN_ROUNDS"].flatMap { Int($0) } ?? 600

    private enum Ending: CaseIterable {
        case whole, early, dropped
    }

    private func filled() throws -> StoreFixture {
        let fixture = try StoreFixture()
        for segment in 0..<3 {
            let spans = (1...3).map { number in
                Batches.span(
                    UInt64(number), UInt64(segment * 10 + number), ["tool_name": .string("tool \(number)")], start: Int64(number))
            }
            try fixture.ingest(Batches.of(spans))
            try fixture.ingest(LogBatches.of((1...3).map { .init(time: Int64($0), trace: 1, span: 1) }))
        }
        return fixture
    }

    @Test(arguments: [
        "SELECT name FROM spans", "SELECT count(*) FROM spans", "SELECT name FROM spans WHERE tool_name = 'tool 2'",
        "SELECT name FROM spans ORDER BY start_time_unix_nano DESC LIMIT 2",
        "SELECT name FROM spans ORDER BY start_time_unix_nano",
        "SELECT tool_name, count(*) FROM spans GROUP BY tool_name", "SELECT unordered_trace_id, count(*) FROM spans GROUP BY 1",
        "SELECT trace_id FROM traces LIMIT 1", "SELECT body FROM logs",
        "SELECT body FROM logs ORDER BY time_unix_nano DESC LIMIT 2",
        "SELECT a.name FROM spans a LEFT JOIN spans b ON b.span_id = a.parent_span_id",
        "SELECT json(iif(start_time_unix_nano > 1, '{', '{}')) FROM spans ORDER BY start_time_unix_nano",
        "SELECT json(iif(count(*) > 1, '{', '{}')) FROM spans GROUP BY unordered_trace_id",
        "SELECT json(iif(time_unix_nano > 1, '{', '{}')) FROM logs ORDER BY time_unix_nano",
    ])
    func noneIsLeftBehind(query: String) throws {
        let fixture = try filled()
        let connection = try Connection(path: fixture.folder.databasePath, access: .readOnly)
        let report = ScanReport()
        let logs = LogCatalog(connection, isKept: true)
        try register(on: connection, report, logs)
        let statement = try connection.prepare(query)
        for round in 0..<Self.roundCount {
            switch Ending.allCases[round % Ending.allCases.count] {
            case .whole: while (try? statement.step()) == true {}
            case .early: _ = try? statement.step()
            case .dropped: if round % 100 == 2 { _ = try? connection.prepare(query).step() }
            }
            statement.reset()
        }
        #expect(report.liveScans == 0 && logs.liveScans == 0)
        #expect(report.scans >= Self.roundCount / 3 || query.contains("FROM logs"))
    }

    @Test func noneIsLeftBehindByStatementsThatAreEnded() throws {
        let fixture = try filled()
        let connection = try Connection(path: fixture.folder.databasePath, access: .readOnly)
        let report = ScanReport()
        let logs = LogCatalog(connection, isKept: true)
        try register(on: connection, report, logs)
        let watch = StatementWatch(connection)
        for from in [
            "spans a, spans b, spans c, spans d, spans e", "logs a, logs b, logs c, logs d, logs e",
            "(SELECT name FROM spans ORDER BY start_time_unix_nano LIMIT 9) a, spans b, spans c, spans d, logs e",
        ] {
            let statement = try connection.prepare("SELECT count(*) FROM \(from) WHERE b.rowid <> 5")
            for _ in 0..<50 {
                watch.limit(until: .now)
                #expect(throws: SQLiteError.self) { while try statement.step() {} }
                #expect(watch.hasEnded)
            }
        }
        #expect(report.liveScans == 0 && logs.liveScans == 0)
    }

    private func register(on connection: Connection, _ report: ScanReport, _ logs: LogCatalog) throws {
        let catalog = SegmentCatalog(connection)
        try SpansModule.register(
            .init(catalog, report: report, outerJoins: OuterJoins(connection), attributes: [], keeping: nil), on: connection)
        try LogsModule.register(logs, on: connection)
        try SQLFunctions.register(on: connection)
        try connection.execute(
            """
            CREATE TEMP VIEW traces AS SELECT unordered_trace_id AS trace_id, count(*) AS span_count
            FROM spans GROUP BY unordered_trace_id
            """)
    }
}
