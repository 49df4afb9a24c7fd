import SQLite
import TelemetryModel

/// Knows which spans are stored: a filter that says of new ones that they are new, and behind it the segments themselves.
struct IdentityIndex {
    /// Segments whose identities stay decoded: clients re-send what they sent a moment ago.
    private static let decodedSegmentsMax = 16

    private struct Segment {
        var id: Int64
        var filter: TraceFilter
    }

    private var filter = IdentityFilter()
    private var segments: [Segment] = []
    /// Most recently used last.
    private var decoded: [(id: Int64, identities: StoredIdentities)] = []

    /// Adds a key; `true` when it may have been there before and the exact check has to decide.
    @inline(__always)
    mutating func insert(_ trace: TraceID, _ span: SpanID) -> Bool {
        filter.insert(trace, span)
    }

    /// Takes a segment that was committed by this process; its spans went through `insert`.
    mutating func add(id: Int64, filter: TraceFilter) {
        segments.append(Segment(id: id, filter: filter))
    }

    /// Takes a segment that was found at start.
    mutating func load(id: Int64, filter: TraceFilter, segment: SegmentReader) throws {
        try StoredIdentities.forEach(segment) { trace, span in _ = self.filter.insert(trace, span) }
        segments.append(Segment(id: id, filter: filter))
    }

    /// Forgets segments that were dropped. The filter still knows their spans, and the exact check says that they are gone.
    mutating func remove(_ ids: Set<Int64>) {
        segments.removeAll { ids.contains($0.id) }
        decoded.removeAll { ids.contains($0.id) }
    }

    /// The content hash of the stored span with this identity; `nil` when there is none.
    mutating func contentHash(
        _ trace: TraceID, _ span: SpanID, open: (Int64) throws -> SegmentReader
    ) throws -> UInt32? {
        let hash = TraceFilter.hash(trace)
        for segment in segments.reversed() where segment.filter.mayContain(hash: hash) {
            if let found = try identities(segment.id, open).contentHash(trace, span) { return found }
        }
        return nil
    }

    private mutating func identities(_ id: Int64, _ open: (Int64) throws -> SegmentReader) throws -> StoredIdentities {
        if let position = decoded.firstIndex(where: { $0.id == id }) {
            let entry = decoded.remove(at: position)
            decoded.append(entry)
            return entry.identities
        }
        let identities = try StoredIdentities(open(id))
        if decoded.count == Self.decodedSegmentsMax { decoded.removeFirst() }
        decoded.append((id, identities))
        return identities
    }
}
