import SQLite
import SegmentFormat
import TelemetryModel

/// The workflows of stored traces: the root's, else that of the span that names one and started first (docs/metrics.md 2.12). The
/// column `call_workflow` of `spans` shows it where a span names none itself. Found out when first asked for, among the segments
/// that `StoredCalls` would look at. Memory: 8 bytes for each trace of each segment, and about 100 for each place of a trace that
/// lies in several.
final class StoredWorkflows {
    /// What is known of one segment.
    struct Names {
        var texts: [[UInt8]] = []
        /// By the number of the trace in the segment, the number of the text, or -1.
        var ofTraces: [Int32]
    }

    /// A span that names a workflow.
    private struct Naming {
        var rank: NamingRank
        var text: Int32

        func precedes(_ other: Naming) -> Bool { rank.precedes(other.rank) }
    }

    private let segments: StoredCalls.Segments
    private var found: [Int64: Names]?

    init(_ segments: StoredCalls.Segments) {
        self.segments = segments
    }

    func names(_ segment: Int64) throws -> Names? {
        if let found { return found[segment] }
        let all = try find()
        found = all
        return all[segment]
    }

    private func find() throws -> [Int64: Names] {
        var found: [Int64: Names] = [:]
        let entries = segments.entries
        for entry in entries {
            try segments.read(entry.id) { segment in
                let (_, best, texts) = try Self.best(segment)
                found[entry.id] = Names(texts: texts, ofTraces: best.map { $0?.text ?? -1 })
            }
        }
        var traces = ScatteredTraces(entries)
        let scattered = traces.find()
        if !scattered.isEmpty { try findScattered(scattered, &found) }
        return found
    }

    private func findScattered(_ scattered: [Int64: Set<UInt32>], _ found: inout [Int64: Names]) throws {
        var texts: [[UInt8]] = []
        var numbers: [[UInt8]: Int32] = [:]
        var best: [TraceID: Naming] = [:]
        var places: [(trace: TraceID, segment: Int64, number: Int)] = []
        for (id, hashes) in scattered.sorted(by: { $0.key < $1.key }) {
            try segments.read(id) { segment in
                let (ids, named, own) = try Self.best(segment)
                for (number, trace) in ids.enumerated() where hashes.contains(TraceFilter.hash(trace)) {
                    places.append((trace, id, number))
                    guard var naming = named[number] else { continue }
                    let text = own[Int(naming.text)]
                    let known = numbers[text] ?? Int32(truncatingIfNeeded: texts.count)
                    if known == texts.count {
                        numbers[text] = known
                        texts.append(text)
                    }
                    naming.text = known
                    if best[trace].map(naming.precedes) ?? true { best[trace] = naming }
                }
            }
        }
        for place in places {
            guard let naming = best[place.trace], var names = found[place.segment] else { continue }
            found[place.segment] = nil
            let text = texts[Int(naming.text)]
            let number = names.texts.firstIndex(of: text) ?? names.texts.count
            if number == names.texts.count { names.texts.append(text) }
            names.ofTraces[place.number] = Int32(truncatingIfNeeded: number)
            found[place.segment] = names
        }
    }

    /// Of each trace of a segment the span that names its workflow first, as far as the segment knows.
    private static func best(_ segment: PassedSegment) throws -> (ids: [TraceID], best: [Naming?], texts: [[UInt8]]) {
        let workflow = try segment.texts("workflow_name")
        let (ids, numbers) = try segment.traces()
        var best = [Naming?](repeating: nil, count: ids.count)
        if workflow.texts.isEmpty { return (ids, best, []) }
        let (spans, parents) = try segment.identities()
        let (start, end) = (try segment.integers("start_time_unix_nano"), try segment.integers("end_time_unix_nano"))
        for row in 0..<segment.spanCount where workflow.number(row) >= 0 {
            guard let trace = numbers[row], ids.indices.contains(Int(trace)) else { continue }
            let rank = NamingRank(
                isChild: parents[row] != nil, start: start[row] ?? 0, end: end[row] ?? 0, span: UInt64(bitPattern: spans[row] ?? 0))
            let naming = Naming(rank: rank, text: Int32(truncatingIfNeeded: workflow.number(row)))
            if best[Int(trace)].map(naming.precedes) ?? true { best[Int(trace)] = naming }
        }
        return (ids, best, workflow.texts.map { Array($0.utf8) })
    }
}
