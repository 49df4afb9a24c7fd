import SQLite
import SpanStore
import StoreSQL
package import TelemetryModel

/// The projects that spans of a stretch of time are of.
package enum ProjectBoard {
    /// Writes `[{"project":…,"span_count":…}]`, those with most spans first; spans of no project are left out.
    package static func write(by attribute: String, _ window: TimeWindow, _ reader: QueryReader, into json: inout JSONWriter) throws {
        var counts: [ExactText: Int64] = [:]
        try reader.pass(SpanPass.Bounds(.start, from: window.from, until: window.to)) { segment throws(SQLiteError) in
            let (numbers, names) = try segment.projects(by: attribute)
            var own = [Int64](repeating: 0, count: names.count)
            segment.forEachRow { row in
                if let number = numbers[row], names.indices.contains(Int(number)) { own[Int(number)] += 1 }
            }
            for (name, count) in zip(names, own) where count > 0 { if let name { counts[ExactText(name), default: 0] += count } }
        }
        let sorted = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        let rows = sorted.map { [("project", QueryValue.text($0.key.text)), ("span_count", .integer($0.value))] }
        try reader.write(rows, rowsMax: Boards.rowsMax, of: "projects", into: &json)
    }
}
