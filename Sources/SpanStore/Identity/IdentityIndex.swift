import SQLite
import SegmentFormat
import TelemetryModel

/// Knows which spans are stored, in bounded memory: a filter over the spans of late, one over the traces of older segments, and
/// behind both the segments themselves.
///
/// A start reads the identities of the latest spans only, and of all others the trace hashes that lie in the segments' rows.
struct IdentityIndex {
    /// Segments whose identities stay decoded: clients re-send what they sent a moment ago.
    private static let decodedSegmentsMax = 16
    /// Spans that a start makes known one by one, the latest ones.
    private static let spansLoadedMax = 1 << 18

    private var filter = IdentityFilter()
    private var older = OlderTraces([])
    /// Spans of segments with this id or a lower one are known by their traces, later ones one by one.
    private var olderID = Int64.min
    /// For each layer of the filter the latest segment's id when the layer was begun.
    private var layerStarts: [Int64] = []
    /// By stream set, most recently used last.
    private var decoded: [(set: Int64, identities: StoredIdentities)] = []

    /// Adds a key; `true` when it may have been there before and the exact check has to decide.
    @inline(__always)
    mutating func insert(_ identity: SpanIdentity) -> Bool {
        filter.insert(identity) || older.mayHold(identity.trace)
    }

    /// Learns of the segments that are found at start.
    mutating func load(_ entries: [SegmentLedger.Entry], open: (Int64) throws -> SegmentReader?) throws {
        var first = entries.endIndex
        var spans = 0
        while first > entries.startIndex, spans + entries[first - 1].spanCount <= Self.spansLoadedMax {
            first -= 1
            spans += entries[first].spanCount
        }
        for entry in entries[first...] {
            guard let segment = try open(entry.id) else { throw SegmentError.damaged("segment \(entry.id) is missing") }
            try StoredIdentities.forEach(segment) { _ = filter.insert($0) }
        }
        guard first > entries.startIndex else { return }
        olderID = entries[first - 1].id
        older = OlderTraces(entries[..<first].map(\.filter))
    }

    /// Keeps memory bounded; to be called after a commit.
    mutating func settle(_ ledger: SegmentLedger) {
        guard filter.layerCount > layerStarts.count else { return }
        let entries = ledger.entries
        while layerStarts.count < filter.layerCount { layerStarts.append(entries.last?.id ?? .min) }
        guard filter.isFull, layerStarts.count > 2 else { return }
        // The layer's spans were committed before the layer after the next was begun: no more wait for a commit than fit into one.
        let bound = layerStarts[2]
        layerStarts.removeFirst()
        filter.removeFirstLayer()
        moveToOlder(entries, upTo: bound)
    }

    private mutating func moveToOlder(_ entries: [SegmentLedger.Entry], upTo bound: Int64) {
        // A merged segment goes by the id of its latest spans: the first one past the bound may hold some from before it.
        let end = min(entries.endIndex, (entries.firstIndex { $0.id > bound } ?? entries.endIndex) + 1)
        let start = entries.firstIndex { $0.id > olderID } ?? end
        for entry in entries[min(start, end)..<end] { older.add(entry.filter) }
        olderID = bound
        if older.isFull { older = OlderTraces(entries[..<end].map(\.filter)) }
    }

    /// The content hash of the stored span with this identity; `nil` when there is none.
    ///
    /// - Parameter open: gives the segment with an id; `nil` when it was merged into another or deleted, and `entries` are outdated.
    /// - Throws: `OutdatedSegments` then.
    mutating func contentHash(
        _ identity: SpanIdentity, in entries: [SegmentLedger.Entry], open: (Int64) throws -> SegmentReader?
    ) throws -> UInt32? {
        let hash = TraceFilter.hash(identity.trace)
        // By position: there may be thousands, and an entry that is copied is counted.
        for index in entries.indices.reversed() where entries[index].filter.mayContain(hash: hash) {
            if let found = try identities(entries[index], open).contentHash(identity) { return found }
        }
        return nil
    }

    /// Segments of a list are no longer there.
    struct OutdatedSegments: Error {}

    private mutating func identities(
        _ entry: SegmentLedger.Entry, _ open: (Int64) throws -> SegmentReader?
    ) throws -> StoredIdentities {
        if let position = decoded.firstIndex(where: { $0.set == entry.streamSet }) {
            let entry = decoded.remove(at: position)
            decoded.append(entry)
            return entry.identities
        }
        guard let segment = try open(entry.id), segment.streamSet == entry.streamSet else { throw OutdatedSegments() }
        let identities = try StoredIdentities(segment)
        if decoded.count == Self.decodedSegmentsMax { decoded.removeFirst() }
        decoded.append((entry.streamSet, identities))
        return identities
    }
}
