import SegmentFormat
import TelemetryModel

/// Spans of many segments so that those of a trace follow each other, in no order of traces: all that GROUP BY trace_id asks for.
///
/// Most traces lie in one segment whole: those come first, segment after segment, and none stays open. Then come the traces that lie in
/// several, by their first segment, from a bounded number of open ones. So it takes any number of spans: memory is 4 bytes a trace, 4 bytes
/// a span of traces in several segments, and about 100 bytes for each place of such a trace.
final class TraceGroups: RowGroups {
    /// Segments that stay open for the traces that lie in several.
    static let openSegmentsMax = 256
    /// Spans of all of those together.
    static let openSpansMax = 1_000_000

    /// Rows of one trace in one segment.
    private struct Part {
        var entry: Int
        var rows: [Int32]
    }

    private let entries: [SegmentCatalog.Entry]
    private let segments: ScanSegments
    /// By segment the hashes of its traces that lie in others too.
    private let scattered: [Int64: Set<UInt32>]
    private var nextEntry = 0
    /// By trace, in the order in which they were first met.
    private var parts: [[Part]] = []
    private var partOfTrace: [TraceID: Int] = [:]
    private var nextTrace = 0
    private var nextPart = 0
    /// Open segments by their entry, and the entries from the one that was used longest ago to the latest.
    private var opened: [Int: SegmentRows] = [:]
    private var uses: [Int] = []
    private var openSpans = 0

    init(_ entries: [SegmentCatalog.Entry], _ segments: ScanSegments) {
        self.entries = entries
        self.segments = segments
        var traces = ScatteredTraces(entries)
        scattered = traces.find()
    }

    func next() throws -> RowGroup? {
        while nextEntry < entries.count {
            let number = nextEntry
            nextEntry += 1
            guard let opened = try segments.open(entries[number]) else { continue }
            let rows = try wholeTraces(opened.segment, opened.rows ?? opened.segment.allRows, number)
            if !rows.isEmpty { return RowGroup(segment: opened.segment, rows: rows, isLast: true) }
        }
        while nextTrace < parts.count {
            guard nextPart < parts[nextTrace].count else {
                parts[nextTrace] = []
                (nextTrace, nextPart) = (nextTrace + 1, 0)
                continue
            }
            let part = parts[nextTrace][nextPart]
            nextPart += 1
            if let segment = try segment(part.entry) { return RowGroup(segment: segment, rows: part.rows, isLast: false) }
        }
        return nil
    }

    /// The rows of traces that lie in this segment whole, trace after trace; the others are put aside.
    private func wholeTraces(_ segment: SegmentRows, _ rows: [Int32], _ entry: Int) throws -> [Int32] {
        let traces = try segment.traceIDs()
        let numbers = try segment.traceNumbers()
        let scattered = scattered[segment.reader.id] ?? []
        var ends = [Int](repeating: 0, count: traces.count)
        for row in rows { ends[numbers[Int(row)]] += 1 }
        var sum = 0
        for number in ends.indices {
            sum += ends[number]
            ends[number] = sum - ends[number]
        }
        // A counting sort: where each trace begins becomes, row by row, where it ends.
        var sorted = [Int32](repeating: 0, count: rows.count)
        for row in rows {
            let number = numbers[Int(row)]
            sorted[ends[number]] = row
            ends[number] += 1
        }
        var whole: [Int32] = []
        whole.reserveCapacity(rows.count)
        var start = 0
        for (number, trace) in traces.enumerated() {
            defer { start = ends[number] }
            guard ends[number] > start else { continue }
            let rows = sorted[start..<ends[number]]
            if scattered.contains(TraceFilter.hash(trace)) {
                putAside(trace, Part(entry: entry, rows: Array(rows)))
            } else {
                whole.append(contentsOf: rows)
            }
        }
        return whole
    }

    private func putAside(_ trace: TraceID, _ part: Part) {
        if let known = partOfTrace[trace] {
            parts[known].append(part)
        } else {
            partOfTrace[trace] = parts.count
            parts.append([part])
        }
    }

    /// A segment by its entry, opened again unless it still is.
    private func segment(_ entry: Int) throws -> SegmentRows? {
        if let known = opened[entry] {
            if uses.last != entry {
                uses.removeAll { $0 == entry }
                uses.append(entry)
            }
            return known
        }
        guard let segment = try segments.reopen(entries[entry]) else { return nil }
        openSpans += segment.reader.spanCount
        while let oldest = uses.first, uses.count >= Self.openSegmentsMax || openSpans > Self.openSpansMax {
            uses.removeFirst()
            openSpans -= opened.removeValue(forKey: oldest)?.reader.spanCount ?? 0
        }
        opened[entry] = segment
        uses.append(entry)
        return segment
    }
}
