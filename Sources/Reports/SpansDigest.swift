import SQLite
package import TelemetryModel

/// The spans of a window in one hash: SHA-256 over `trace_id|span_id|start|end|content_hash` lines sorted by ids, so that it does not
/// depend on how the spans lie in the file.
package struct SpansDigest: Equatable, Sendable {
    package var sha256: String
    package var count: Int64
    package var endMinimum: Int64?
    package var endMaximum: Int64?

    /// Spans that are sorted in memory at once.
    private static let spansPerPass: Int64 = 500_000

    package init(_ reader: ReportReader, _ window: ReportWindow) throws(ReportReader.Failure) {
        let condition = try reader.spansCondition(window)
        let sums = try reader.row(
            "SELECT count(*), min(end_time_unix_nano), max(end_time_unix_nano) FROM spans WHERE \(condition)"
        ) { ($0.integer(0), $0.isNull(1) ? nil : $0.integer(1), $0.isNull(2) ? nil : $0.integer(2)) }
        count = sums?.0 ?? 0
        endMinimum = sums?.1
        endMaximum = sums?.2
        var hash = SHA256()
        for range in Self.ranges(count) {
            let sql = """
                SELECT trace_id, span_id, start_time_unix_nano, end_time_unix_nano, content_hash FROM spans
                WHERE \(condition)\(range.map { " AND trace_id >= '\($0)' AND trace_id < '\($0)g'" } ?? "")
                ORDER BY trace_id, span_id
                """
            try reader.each(sql) { row in
                let line = "\(row.text(0) ?? "")|\(row.text(1) ?? "")|\(row.integer(2))|\(row.integer(3))|\(row.integer(4))\n"
                hash.update(line.utf8)
            }
        }
        sha256 = hash.hexadecimal()
    }

    /// Prefixes of trace ids, so many that each pass has few enough spans; `nil` for all.
    private static func ranges(_ count: Int64) -> [String?] {
        var prefixes: [String] = [""]
        while count / Int64(prefixes.count) > spansPerPass && prefixes.count < 4096 {
            prefixes = prefixes.flatMap { prefix in "0123456789abcdef".map { prefix + String($0) } }
        }
        return prefixes.map { $0.isEmpty ? nil : $0 }
    }

    package var json: JSONValue {
        [
            "sha256": .string(sha256), "count": .integer(count), "end_min_unix_nano": .optional(endMinimum),
            "end_max_unix_nano": .optional(endMaximum),
        ]
    }
}
