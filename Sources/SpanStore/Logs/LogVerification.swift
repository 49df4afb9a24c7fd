import SQLite
import SegmentFormat

/// Holds every log segment against itself: its streams inflate to what their checksums say, its records read, and its row says of them
/// what can be computed from them.
enum LogVerification {
    static func run(_ connection: Connection, _ report: inout VerificationReport) throws {
        guard try LogTables.exist(connection) else { return }
        let rows = try connection.prepare(
            """
            SELECT id, record_count, time_min, time_max, received_min, received_max, severity_min, severity_max, content_bytes,
                stored_bytes, trace_filter,
                coalesce((SELECT length(data) FROM log_stream WHERE id = log_segment.id * 2), 0)
                    + coalesce((SELECT length(data) FROM log_stream WHERE id = log_segment.id * 2 + 1), 0)
            FROM log_segment ORDER BY id
            """)
        while try rows.step() {
            if let problem = problem(rows, connection) { report.add("log segment \(rows.integer(0)): \(problem)") }
            report.logRecords += rows.integer(1)
            report.logSegments += 1
            report.checkedBytes += rows.integer(9)
        }
        let strays =
            try connection.integer("SELECT count(*) FROM log_stream WHERE id / 2 NOT IN (SELECT id FROM log_segment)") ?? 0
        if strays > 0 { report.add("\(strays) log streams belong to no log segment") }
    }

    /// What is wrong; `nil` when all is sound.
    private static func problem(_ row: Statement, _ connection: Connection) -> String? {
        do {
            let id = row.integer(0)
            let facts = try LogTables.facts(of: id, connection)
            let contents = try LogTables.contents(of: id, connection)
            guard facts.offsets.last == contents.count else { return "its contents are of another length than its facts say" }
            for index in facts.rows.indices { _ = try LogContent(contents, facts.offsets[index]..<facts.offsets[index + 1]) }
            var statistics = LogStatistics()
            statistics.recordCount = Int(row.integer(1))
            statistics.timeMinimum = row.integer(2)
            statistics.timeMaximum = row.integer(3)
            statistics.receivedMinimum = row.integer(4)
            statistics.receivedMaximum = row.integer(5)
            statistics.severityMinimum = row.integer(6)
            statistics.severityMaximum = row.integer(7)
            if statistics != facts.statistics { return "its row says something else than its records" }
            if row.integer(8) != Int64(contents.count) { return "its row says another length of its contents" }
            let filter = row.blob(10)
            if filter != TraceFilter(facts.traces).bytes { return "its trace filter is not that of its records" }
            let bytes = row.integer(11) + Int64(filter.count)
            return bytes == row.integer(9) ? nil : "its row counts \(row.integer(9)) bytes, and it has \(bytes)"
        } catch {
            return SpanStore.storeError(error).message
        }
    }
}
