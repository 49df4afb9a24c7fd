import SegmentFormat
import Synchronization
import TelemetryModel

/// What a segment says of its calls that is looked at alone. A segment never changes, so this holds for as long as it is there.
struct CallsOfSegment: Sendable {
    /// The calls of one trace in the segment.
    struct Part: Sendable {
        var trace: TraceID
        var calls: [ToldCall] = []
        /// Of each call.
        var rows: [Int32] = []
        /// How calls ended, by `ToldCall.failure`, which counts from 1.
        var endings: [SegmentCalls.Ending]
    }

    var rowCount: Int
    /// As if none of its traces lay in another segment; `nil` for nothing to say.
    private(set) var calls: SegmentCalls?
    /// The hashes of traces with rows that are in doubt, each once.
    private(set) var traces: [UInt32] = []
    /// Some of these rows were made of log records.
    private(set) var hasLogs = false
    /// The calls of traces that turned out to lie in other segments too, and the hashes of those that were looked for.
    private(set) var parts: [Part] = []
    private var partsRead: Set<UInt32> = []

    /// Nothing is in doubt.
    init(rowCount: Int) {
        self.rowCount = rowCount
    }

    init(_ rows: DoubtfulRows, rowCount: Int) {
        self.rowCount = rowCount
        hasLogs = rows.hasLogs
        var found = SegmentCalls()
        var traces: Set<UInt32> = []
        traces.reserveCapacity(rows.traceIDs.count)
        var calls: [ToldCall] = []
        rows.eachTrace { trace, places in
            traces.insert(TraceFilter.hash(rows.traceIDs[trace]))
            calls.removeAll(keepingCapacity: true)
            for place in places { calls.append(rows.calls[place]) }
            let plain = CallFamily.plainFacets(calls)
            let family = plain == nil ? CallFamily(calls) : nil
            for (index, place) in places.enumerated() {
                let verdict = family?.verdict(index) ?? CallFamily.Verdict(facets: plain?[index] ?? [])
                found.set(rows.rows[place], SegmentCalls.Change(calls[index], verdict, rows.endings), rowCount: rowCount)
            }
        }
        self.calls = found
        self.traces = Array(traces)
    }

    /// The calls of the traces with these hashes; `nil` when they were not all read.
    func parts(of hashes: Set<UInt32>) -> [Part]? {
        guard hashes.isSubset(of: partsRead) else { return nil }
        return partsRead.count == hashes.count ? parts : parts.filter { hashes.contains(TraceFilter.hash($0.trace)) }
    }

    mutating func readParts(of hashes: Set<UInt32>, _ rows: DoubtfulRows) {
        parts = []
        partsRead = hashes
        rows.eachTrace { trace, places in
            guard hashes.contains(TraceFilter.hash(rows.traceIDs[trace])) else { return }
            var part = Part(trace: rows.traceIDs[trace], endings: rows.endings)
            for place in places {
                part.calls.append(rows.calls[place])
                part.rows.append(rows.rows[place])
            }
            parts.append(part)
        }
    }

    /// About how much memory it takes, in bytes.
    var byteCount: Int {
        let ofParts = parts.reduce(0) { $0 + 128 + $1.calls.count * (MemoryLayout<ToldCall>.stride + 4) }
        return 256 + 4 * traces.count + rowCount / 8 + 64 * (calls?.endings.count ?? 0) + 16 * partsRead.count + ofParts
    }
}

/// What segments alone say of their calls, kept from question to question. The connections of one process share it.
package final class CallsOfSegments: Sendable {
    /// Bytes of all that is kept, by `CallsOfSegment.byteCount`, of tens of millions of spans. What comes past that is found out anew each time.
    private static let bytesMax = 64 << 20

    private struct Kept {
        var bytes = 0
        var calls: [SegmentCatalog.Entry.Identity: CallsOfSegment] = [:]
    }

    private let kept = Mutex(Kept())

    package init() {}

    /// The segments of which something is kept.
    var segments: Set<SegmentCatalog.Entry.Identity> { kept.withLock { Set($0.calls.keys) } }

    func calls(_ segment: SegmentCatalog.Entry.Identity) -> CallsOfSegment? { kept.withLock { $0.calls[segment] } }

    func keep(_ calls: CallsOfSegment, _ segment: SegmentCatalog.Entry.Identity) {
        kept.withLock { kept in
            let bytes = kept.bytes - (kept.calls[segment]?.byteCount ?? 0) + calls.byteCount
            guard bytes <= Self.bytesMax else { return }
            kept.bytes = bytes
            kept.calls[segment] = calls
        }
    }

    /// Forgets segments that are gone.
    func forget(_ segments: some Sequence<SegmentCatalog.Entry.Identity>) {
        kept.withLock { kept in
            for segment in segments { kept.bytes -= kept.calls.removeValue(forKey: segment)?.byteCount ?? 0 }
        }
    }
}
