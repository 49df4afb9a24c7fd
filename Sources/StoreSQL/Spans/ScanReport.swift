import SegmentFormat

/// What the scans of a query read and what they skipped: for `fusebox sql --explain`.
package final class ScanReport {
    package private(set) var scans = 0
    package private(set) var segments = 0
    /// Segments that their row said nothing of: by time or by trace.
    package private(set) var skippedByStatistics = 0
    /// Segments of which the directory or a dictionary said that no row matches.
    package private(set) var skippedByValues = 0
    /// Spans of segments that were counted without being read.
    package private(set) var countedSpans = 0
    /// Spans that passed the conditions that were handed down.
    package private(set) var passedSpans = 0
    package private(set) var readBytes = 0
    /// Columns that were decoded, with in how many segments.
    package private(set) var columns: [String: Int] = [:]
    /// Times that spans were grouped by column.
    package private(set) var groupings = 0
    /// Scans that are there now, `clear` or not: one for each table in the FROM of a statement that runs.
    package private(set) var liveScans = 0

    func scanBegan() { liveScans += 1 }

    func scanEnded() { liveScans -= 1 }

    func begin(segments count: Int) {
        scans += 1
        segments += count
    }

    func skip(_ candidates: Int, of count: Int) {
        skippedByStatistics += count - candidates
    }

    func counted(spans: Int) { countedSpans += spans }

    func passed(spans: Int) { passedSpans += spans }

    func read(bytes: Int) { readBytes += bytes }

    func close(_ reader: SegmentReader) {
        for name in reader.takeReadColumns() { columns[name, default: 0] += 1 }
    }

    func groupsByColumn() { groupings += 1 }

    /// Takes the last back: the values were such that only SQLite can group.
    func groupsPlainly() { groupings -= 1 }

    func skipByValues() { skippedByValues += 1 }

    /// Forgets everything, before another query.
    package func clear() {
        (scans, segments, skippedByStatistics, skippedByValues) = (0, 0, 0, 0)
        (countedSpans, passedSpans, readBytes) = (0, 0, 0)
        groupings = 0
        columns = [:]
    }

    /// As lines for a reader; empty when no scan took place.
    package var text: String {
        guard scans > 0 else { return "" }
        let read = segments - skippedByStatistics - skippedByValues
        var lines = [
            "scans of spans: \(scans)",
            "segments: \(segments); skipped by time or trace: \(skippedByStatistics); skipped by values: \(skippedByValues); left: \(read)",
            "spans: \(countedSpans + passedSpans) passed on\(countedSpans > 0 ? ", of them \(countedSpans) counted unread" : "")",
            "read: \(readBytes) bytes",
        ]
        if groupings > 0 { lines.append("grouped by column") }
        for (name, count) in columns.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }) {
            lines.append("  column \(name) in \(count) segment\(count == 1 ? "" : "s")")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
