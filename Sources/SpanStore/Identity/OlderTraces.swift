import SegmentFormat
import TelemetryModel

/// Says of nearly every trace that it is not in the segments whose spans the identity filter does not know: a Bloom filter over
/// their traces' hashes, two bits a trace.
///
/// At 16 bits a trace about one new trace in a hundred is taken for an old one, and the exact check behind says that it is not. With
/// more than `bitsMax` / 16 traces that becomes more often, and memory does not grow.
struct OlderTraces {
    private static let bitsMin = 20
    /// 32 MiB.
    private static let bitsMax = 28
    private static let bitsPerTrace = 16

    private var words: [UInt64]
    private let shift: UInt32
    private var traceCount = 0
    private var last: (trace: TraceID, answer: Bool)?

    /// Takes the filters of all segments in question.
    init(_ filters: [TraceFilter]) {
        let count = filters.reduce(0) { $0 + $1.hashes.count }
        var bits = Self.bitsMin
        // Room for as many again before it is made anew.
        while bits < Self.bitsMax, 1 << bits < count * 2 * Self.bitsPerTrace { bits += 1 }
        words = [UInt64](repeating: 0, count: count == 0 ? 0 : 1 << (bits - 6))
        shift = UInt32(32 - bits)
        for filter in filters { add(filter) }
    }

    /// Whether more would make it say too often that it does not know.
    var isFull: Bool {
        words.isEmpty || words.count < 1 << (Self.bitsMax - 6) && words.count * 64 < traceCount * Self.bitsPerTrace
    }

    mutating func add(_ filter: TraceFilter) {
        guard !words.isEmpty else { return }
        for hash in filter.hashes {
            let (first, second) = bits(hash)
            words[first >> 6] |= 1 << UInt64(first & 63)
            words[second >> 6] |= 1 << UInt64(second & 63)
        }
        traceCount += filter.hashes.count
        last = nil
    }

    @inline(__always)
    private func bits(_ hash: UInt32) -> (Int, Int) {
        (Int(hash >> shift), Int((hash &* 0x9E37_79B1) >> shift))
    }

    @inline(__always)
    mutating func mayHold(_ trace: TraceID) -> Bool {
        if words.isEmpty { return false }
        if let last, last.trace == trace { return last.answer }
        let (first, second) = bits(TraceFilter.hash(trace))
        let answer =
            words[first >> 6] & 1 << UInt64(first & 63) != 0 && words[second >> 6] & 1 << UInt64(second & 63) != 0
        last = (trace, answer)
        return answer
    }
}
