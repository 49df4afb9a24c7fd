import SegmentFormat
import TelemetryModel

/// Finds traces that lie in several segments, by the hashes of `TraceFilter`. Two traces of one hash count as one, which costs time alone.
///
/// Memory: 8 bytes for each trace of each segment.
struct ScatteredTraces {
    /// A hash, above the place of its segment in `segments`.
    private var hashes: [UInt64] = []
    private var segments: [Int64] = []

    init() {}

    init(_ entries: [SegmentCatalog.Entry]) {
        for entry in entries { add(entry.filter.hashes, of: entry.id) }
    }

    /// Adds the hashes of a segment's traces, each once.
    mutating func add(_ traces: [UInt32], of segment: Int64) {
        let place = UInt64(segments.count)
        segments.append(segment)
        hashes.reserveCapacity(hashes.count + traces.count)
        for hash in traces { hashes.append(UInt64(hash) << 32 | place) }
    }

    /// By segment the hashes of its traces that lie in others too. What was added is forgotten.
    mutating func find() -> [Int64: Set<UInt32>] {
        hashes.sort()
        var scattered: [Int64: Set<UInt32>] = [:]
        for (one, next) in zip(hashes, hashes.dropFirst()) where one >> 32 == next >> 32 && one != next {
            for entry in [one, next] {
                let segment = segments[Int(truncatingIfNeeded: entry & 0xFFFF_FFFF)]
                scattered[segment, default: []].insert(UInt32(truncatingIfNeeded: entry >> 32))
            }
        }
        (hashes, segments) = ([], [])
        return scattered
    }
}
