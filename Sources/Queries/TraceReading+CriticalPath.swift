package import TelemetryModel

extension TraceReading {
    /// The critical path of a stored trace, by the ids of its spans: the one that the page, the API and the terminal show.
    package struct Path: Sendable {
        /// What a span is called: its id, and which side of a call it is.
        package struct Key: Hashable, Sendable {
            package var spanID: String
            package var isServerSide: Bool

            package init(spanID: String, kind: Int64?) {
                self.spanID = spanID
                isServerSide = TraceTree.Node(spanID: spanID, parentSpanID: nil, service: "", kind: kind).isServerSide
            }
        }

        /// Of a span, in the order of time.
        package struct Part: Sendable {
            package var spanID: String
            package var kind: Int64?
            package var intervals: [CriticalPath.Interval] = []
            package var nanoseconds: Int64 = 0
        }

        /// From the trace's first start to its last end.
        package var whole: CriticalPath.Interval
        /// Spans on the path, by their first time on it.
        package var parts: [Part] = []
        /// In which no span ran.
        package var uncoveredNanoseconds: Int64 = 0

        /// Nanoseconds of the path by span.
        package var shares: [Key: Int64] {
            Dictionary(
                parts.map { (Key(spanID: $0.spanID, kind: $0.kind), $0.nanoseconds) }, uniquingKeysWith: { first, _ in first })
        }
    }

    private struct PathRow {
        var node: TraceTree.Node
        var spanID: String
        var kind: Int64?
        var start: Int64
        var end: Int64?
        var isPending: Bool

        init(_ row: [QueryValue]) {
            spanID = row[0].text ?? ""
            kind = row[3].integer
            start = row[4].integer ?? 0
            isPending = row[7].integer == 1
            end = row[6] == .null || isPending ? nil : row[5].integer
            // Logfire's pending span stands for the one above it, until that comes.
            node =
                isPending
                ? TraceTree.Node(spanID: row[1].text ?? "", parentSpanID: row[8].text, service: row[2].text ?? "", kind: kind)
                : TraceTree.Node(spanID: spanID, parentSpanID: row[1].text, service: row[2].text ?? "", kind: kind)
        }
    }

    /// Reads the critical path of the first `spansMax` spans.
    package static func criticalPath(_ id: TraceID, _ reader: QueryReader) throws -> Path {
        var rows = try reader.rows(
            """
            SELECT span_id, parent_span_id, service_name, kind, start_time_unix_nano, end_time_unix_nano, duration_ns,
                coalesce(logfire_span_type = 'pending_span', 0), logfire_pending_parent_id
            FROM spans WHERE trace_id = ?1 ORDER BY start_time_unix_nano, rowid LIMIT \(spansMax)
            """, [.text(id.hexadecimal)]
        ).map(PathRow.init)
        let come = Set(rows.filter { !$0.isPending }.map(\.spanID))
        rows.removeAll { $0.isPending && come.contains($0.node.spanID) }
        let path = CriticalPath(rows.map { ($0.node, $0.start, $0.end) })
        var found = Path(whole: path.whole)
        var positions: [Int: Int] = [:]
        for segment in path.segments {
            guard let index = segment.index else {
                found.uncoveredNanoseconds = found.uncoveredNanoseconds.addingSaturated(segment.interval.nanoseconds)
                continue
            }
            let position = positions[index] ?? found.parts.count
            if position == found.parts.count {
                positions[index] = position
                found.parts.append(Path.Part(spanID: rows[index].spanID, kind: rows[index].kind))
            }
            found.parts[position].intervals.append(segment.interval)
            found.parts[position].nanoseconds = found.parts[position].nanoseconds.addingSaturated(segment.interval.nanoseconds)
        }
        return found
    }

    /// Writes `{"duration_ns":…,"uncovered_ns":…,"spans":[{"span_id":…,"kind":…,"duration_ns":…,"segments":[[offset, length],…]},…]}`,
    /// in nanoseconds from the trace's start.
    static func write(_ path: Path, into json: inout JSONWriter) {
        json.raw("{\"duration_ns\":")
        QueryValue.integer(path.whole.nanoseconds).write(into: &json)
        json.raw(",\"uncovered_ns\":")
        QueryValue.integer(path.uncoveredNanoseconds).write(into: &json)
        json.raw(",\"spans\":[")
        for (place, part) in path.parts.enumerated() {
            json.raw(place > 0 ? ",{\"span_id\":" : "{\"span_id\":")
            json.string(part.spanID)
            json.raw(",\"kind\":")
            (part.kind.map(QueryValue.integer) ?? .null).write(into: &json)
            json.raw(",\"duration_ns\":")
            QueryValue.integer(part.nanoseconds).write(into: &json)
            json.raw(",\"segments\":[")
            for (number, interval) in part.intervals.enumerated() {
                json.raw(number > 0 ? ",[" : "[")
                QueryValue.integer(interval.start.subtractingSaturated(path.whole.start)).write(into: &json)
                json.raw(",")
                QueryValue.integer(interval.nanoseconds).write(into: &json)
                json.raw("]")
            }
            json.raw("]}")
        }
        json.raw("]}")
    }
}
