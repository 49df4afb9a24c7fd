import TelemetryModel

/// The embeddings and the model calls of one host that are remembered, and for how long both kinds were under way: metrics.md 2.14.
///
/// Another call can only lengthen that time, whenever it comes; by how much does not depend on what comes later.
struct OverlapLedger: Sendable {
    private var embeddings = IntervalList()
    private var modelCalls = IntervalList()

    var isEmpty: Bool { embeddings.isEmpty && modelCalls.isEmpty }

    /// Adds a call, [start, end). Gives by how many nanoseconds it lengthens the time in which both kinds were under way.
    mutating func add(isEmbedding: Bool, start: Int64, end: Int64) -> Int64 {
        if isEmbedding {
            let gain = Self.gain(&embeddings, &modelCalls, start, end)
            embeddings.insert(start, end)
            return gain
        }
        let gain = Self.gain(&modelCalls, &embeddings, start, end)
        modelCalls.insert(start, end)
        return gain
    }

    private static func gain(_ own: inout IntervalList, _ other: inout IntervalList, _ start: Int64, _ end: Int64) -> Int64 {
        if other.isEmpty { return 0 }
        let shared = other.pieces(within: start, end)
        return shared.isEmpty ? 0 : IntervalList.length(of: shared, without: own.pieces(within: start, end))
    }

    mutating func remove(isEmbedding: Bool, start: Int64, end: Int64) {
        if isEmbedding { embeddings.remove(start, end) } else { modelCalls.remove(start, end) }
    }
}

/// Stretches of time, [start, end), in the order of their starts; several may be the same.
///
/// They lie in chunks of neighbours, and of each chunk it is known what it covers, from the first question on: where thousands overlap, that
/// is one piece a chunk. Where nobody asks, because a host has calls of one kind alone, nothing is worked out.
struct IntervalList: Sendable {
    struct Interval: Equatable, Sendable {
        var start: Int64
        var end: Int64
    }

    /// A chunk that grows past this is halved.
    private static let chunkIntervalsMax = 256

    /// Neighbours by start, one or more.
    private struct Chunk: Sendable {
        private(set) var intervals: [Interval]
        /// What they cover, as stretches that are apart, in their order; nothing while it is not known.
        private(set) var pieces: [Interval] = []
        private var isCovered = false
        /// None ends later.
        private(set) var latestEnd: Int64

        init(_ intervals: [Interval]) {
            self.intervals = intervals
            latestEnd = intervals.reduce(.min) { max($0, $1.end) }
        }

        var first: Int64 { intervals[0].start }
        var last: Int64 { intervals[intervals.count - 1].start }

        /// Works out what they cover, if that is not known.
        mutating func cover() {
            if isCovered { return }
            for interval in intervals { IntervalList.append(interval, to: &pieces) }
            isCovered = true
        }

        private mutating func uncover() {
            pieces.removeAll(keepingCapacity: true)
            isCovered = false
        }

        mutating func insert(_ interval: Interval) {
            intervals.insert(interval, at: intervals.partitioningIndex { $0.start >= interval.start })
            latestEnd = max(latestEnd, interval.end)
            guard isCovered else { return }
            let first = pieces.partitioningIndex { $0.end >= interval.start }
            let behind = pieces.partitioningIndex { $0.start > interval.end }
            guard first < behind else { return pieces.insert(interval, at: first) }
            pieces[first] = Interval(
                start: min(interval.start, pieces[first].start), end: max(interval.end, pieces[behind - 1].end))
            if behind > first + 1 { pieces.removeSubrange(first + 1..<behind) }
        }

        /// Takes one out that is just so; says whether there was one.
        mutating func remove(_ interval: Interval) -> Bool {
            var place = intervals.partitioningIndex { $0.start >= interval.start }
            while place < intervals.count, intervals[place].start == interval.start {
                if intervals[place] == interval {
                    intervals.remove(at: place)
                    uncover()
                    return true
                }
                place += 1
            }
            return false
        }

        /// Takes the later half out.
        mutating func halve() -> Chunk {
            let half = intervals.count / 2
            let later = Chunk(Array(intervals[half...]))
            intervals.removeSubrange(half...)
            uncover()
            return later
        }
    }

    /// By start.
    private var chunks: [Chunk] = []

    var isEmpty: Bool { chunks.isEmpty }

    mutating func insert(_ start: Int64, _ end: Int64) {
        let interval = Interval(start: start, end: end)
        guard !chunks.isEmpty else { return chunks.append(Chunk([interval])) }
        let index = min(chunks.count - 1, chunks.partitioningIndex { $0.last >= start })
        chunks[index].insert(interval)
        if chunks[index].intervals.count > Self.chunkIntervalsMax { chunks.insert(chunks[index].halve(), at: index + 1) }
    }

    mutating func remove(_ start: Int64, _ end: Int64) {
        var index = chunks.partitioningIndex { $0.last >= start }
        while index < chunks.count, chunks[index].first <= start {
            if chunks[index].remove(Interval(start: start, end: end)) {
                if chunks[index].intervals.isEmpty { chunks.remove(at: index) }
                return
            }
            index += 1
        }
    }

    /// What of a stretch of time is covered, as stretches that are apart, in their order.
    mutating func pieces(within start: Int64, _ end: Int64) -> [Interval] {
        var found: [Interval] = []
        for index in chunks.indices {
            if chunks[index].first >= end { break }
            if chunks[index].latestEnd <= start { continue }
            chunks[index].cover()
            Self.add(chunks[index].pieces, within: start, end, to: &found)
        }
        return found
    }

    private static func add(_ pieces: [Interval], within start: Int64, _ end: Int64, to found: inout [Interval]) {
        var place = pieces.partitioningIndex { $0.end > start }
        while place < pieces.count, pieces[place].start < end {
            append(Interval(start: max(start, pieces[place].start), end: min(end, pieces[place].end)), to: &found)
            place += 1
        }
    }

    /// Adds a stretch that begins no earlier than the last one of `pieces`.
    private static func append(_ piece: Interval, to pieces: inout [Interval]) {
        if let last = pieces.last, piece.start <= last.end {
            pieces[pieces.count - 1].end = max(last.end, piece.end)
        } else {
            pieces.append(piece)
        }
    }

    /// How long `pieces` are where `others` are not; both are apart and in their order.
    static func length(of pieces: [Interval], without others: [Interval]) -> Int64 {
        var length: Int64 = 0
        var next = 0
        for piece in pieces {
            var covered: Int64 = 0
            while next < others.count, others[next].end <= piece.start { next += 1 }
            var index = next
            while index < others.count, others[index].start < piece.end {
                let shared = min(piece.end, others[index].end).subtractingSaturated(max(piece.start, others[index].start))
                covered = covered.addingSaturated(shared)
                index += 1
            }
            length = length.addingSaturated(piece.end.subtractingSaturated(piece.start).subtractingSaturated(covered))
        }
        return length
    }
}
