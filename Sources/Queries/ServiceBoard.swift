import SQLite
import SpanStore
import StoreSQL
package import TelemetryModel

/// A service each: its spans, and when they began.
package enum ServiceBoard {
    private struct Figures {
        var spanCount: Int64 = 0
        var errorCount: Int64 = 0
        var firstUnixNano = Int64.max
        var lastUnixNano = Int64.min

        mutating func add(_ other: Figures) {
            spanCount += other.spanCount
            errorCount += other.errorCount
            firstUnixNano = min(firstUnixNano, other.firstUnixNano)
            lastUnixNano = max(lastUnixNano, other.lastUnixNano)
        }
    }

    /// Writes an array of objects, by the services' names.
    package static func write(_ window: TimeWindow, _ reader: QueryReader, into json: inout JSONWriter) throws {
        var services: [ExactText: Figures] = [:]
        try reader.pass(SpanPass.Bounds(.start, from: window.from, until: window.to)) { segment throws(SQLiteError) in
            let names = try segment.texts("service_name")
            let start = try segment.integers("start_time_unix_nano")
            let status = try segment.integers("status_code")
            var counted = [Figures](repeating: Figures(), count: names.texts.count)
            segment.forEachRow { row in
                let number = names.number(row)
                guard number >= 0, let time = start[row] else { return }
                counted[number].spanCount += 1
                if status[row] == 2 { counted[number].errorCount += 1 }
                counted[number].firstUnixNano = min(counted[number].firstUnixNano, time)
                counted[number].lastUnixNano = max(counted[number].lastUnixNano, time)
            }
            for (name, figures) in zip(names.texts, counted) where figures.spanCount > 0 {
                services[ExactText(name), default: Figures()].add(figures)
            }
        }
        let rows = services.sorted { $0.key < $1.key }.map { name, figures in
            [
                ("service_name", QueryValue.text(name.text)), ("span_count", .integer(figures.spanCount)),
                ("error_count", .integer(figures.errorCount)), ("first_time_unix_nano", .integer(figures.firstUnixNano)),
                ("last_time_unix_nano", .integer(figures.lastUnixNano)),
            ]
        }
        try reader.write(rows, rowsMax: Boards.rowsMax, of: "services", into: &json)
    }
}
