import SQLite
import SegmentFormat
import SpanStore
import TelemetryModel

/// Which stored spans count as calls, and whose tokens count: docs/metrics.md 2.12, over what is stored at the time of asking.
/// The columns `outcome`, `timeout_reason`, `timeout_phase` and `counts_tokens` of `spans` show it. Found out when first asked
/// for.
///
/// A scan of some traces or of some time looks at their segments alone, with as much time around them, an hour at most; one of
/// all spans looks at all, and what it found serves the connection until the file changes. What each segment alone says is kept
/// longer (`CallsOfSegments`). Memory beside that: a bit for each span of segments with calls, about 200 bytes for each call of a
/// trace that lies in several segments, and 32 for each call that is not shown as it is stored.
final class StoredCalls {
    /// By segment; none for segments of which there is nothing to say.
    typealias Found = [Int64: SegmentCalls]

    /// Relatives are looked for as long before and after a scan's time as it is itself, within these bounds.
    private static let marginNanoseconds: ClosedRange<Int64> = 60_000_000_000...3_600_000_000_000

    /// The segments that a scan finds relatives in.
    struct Segments {
        let catalog: SegmentCatalog
        let loader: SegmentLoader
        /// Hashes of the traces that are asked for; `nil` for all.
        let traces: Set<UInt32>?
        let time: ClosedRange<Int64>?
        let report: ScanReport

        /// Those of these traces and of this time.
        var entries: [SegmentCatalog.Entry] {
            catalog.entries.filter { entry in
                let isOfTime = time.map { entry.latestKnown.upperBound >= $0.lowerBound && entry.startMinimum <= $0.upperBound } ?? true
                return isOfTime && traces.map(entry.filter.mayContain(oneOf:)) ?? true
            }
        }

        func read(_ id: Int64, _ body: (PassedSegment) throws -> Void) throws {
            let onRead = { [report] (bytes: Int) in report.read(bytes: bytes) }
            guard let reader = try catalog.open(id, loader, onRead: onRead) else { return }
            try body(PassedSegment(SegmentRows(reader, attributes: []), rows: nil))
            report.close(reader)
        }
    }

    private let segments: Segments
    private var found: Found?
    private(set) lazy var workflows = StoredWorkflows(segments)

    /// - Parameters:
    ///   - traces: those that will be asked for; `nil` for all.
    ///   - time: the starts or ends that will be asked for; `nil` for all. Nanoseconds since 1970.
    init(
        _ catalog: SegmentCatalog, _ loader: SegmentLoader, traces: Set<TraceID>? = nil, time: ClosedRange<Int64>? = nil,
        report: ScanReport = ScanReport()
    ) {
        let wide = time.map { range in
            let (length, isLong) = range.upperBound.subtractingReportingOverflow(range.lowerBound)
            let bounds = Self.marginNanoseconds
            let margin = isLong ? bounds.upperBound : min(bounds.upperBound, max(bounds.lowerBound, length))
            let (lower, underflow) = range.lowerBound.subtractingReportingOverflow(margin)
            let (upper, overflow) = range.upperBound.addingReportingOverflow(margin)
            return (underflow ? .min : lower)...(overflow ? .max : upper)
        }
        segments = Segments(
            catalog: catalog, loader: loader, traces: traces.map { Set($0.map(TraceFilter.hash)) }, time: wide, report: report)
    }

    /// What there is to say of a segment; `nil` for nothing.
    func segment(_ id: Int64) throws -> SegmentCalls? {
        if let found { return found[id] }
        let all = try segments.catalog.calls ?? find()
        found = all
        return all[id]
    }

    private func find() throws -> Found {
        var finding = CallFinding()
        var known: [SegmentCatalog.Entry.Identity: CallsOfSegment] = [:]
        let entries = segments.entries
        for entry in entries {
            let calls = try alone(entry)
            known[entry.identity] = calls
            finding.add(calls, entry.id)
        }
        for entry in entries where known[entry.identity]?.hasLogs == true {
            try read(entry.id) { finding.noteLogs($0, entry.id) }
        }
        let scattered = finding.scatteredTraces()
        for entry in entries {
            guard let hashes = scattered[entry.id], let calls = known[entry.identity] else { continue }
            finding.addScattered(try parts(of: entry, calls, hashes), entry.id)
        }
        finding.endScattered()
        if finding.hasLogs {
            // What agents log of a session is known by spans of any time.
            for entry in segments.catalog.entries {
                try read(entry.id, withSessions: true) { finding.addWitnesses($0, entry.id) }
            }
            finding.endWitnesses()
        }
        if segments.traces == nil && segments.time == nil { segments.catalog.calls = finding.found }
        return finding.found
    }

    /// What a segment says that is looked at alone.
    private func alone(_ entry: SegmentCatalog.Entry) throws -> CallsOfSegment {
        let memory = segments.catalog.callsOfSegments
        if let known = memory.calls(entry.identity) { return known }
        var calls = CallsOfSegment(rowCount: entry.spanCount)
        try read(entry.id) { calls = CallsOfSegment($0, rowCount: entry.spanCount) }
        memory.keep(calls, entry.identity)
        return calls
    }

    /// The calls of those traces of a segment that lie in others too.
    private func parts(
        of entry: SegmentCatalog.Entry, _ calls: CallsOfSegment, _ hashes: Set<UInt32>
    ) throws -> [CallsOfSegment.Part] {
        if let known = calls.parts(of: hashes) { return known }
        var calls = calls
        try read(entry.id) { calls.readParts(of: hashes, $0) }
        segments.catalog.callsOfSegments.keep(calls, entry.identity)
        return calls.parts(of: hashes) ?? []
    }

    private func read(_ id: Int64, withSessions: Bool = false, _ body: (DoubtfulRows) -> Void) throws {
        try segments.read(id) { segment in
            let rows = try DoubtfulRows(segment, withSessions: withSessions)
            if !rows.isEmpty { body(rows) }
        }
    }
}
