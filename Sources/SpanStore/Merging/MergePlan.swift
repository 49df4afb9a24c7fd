/// Bounds of merging.
package enum MergeLimits {
    /// Spans of a merged segment at most.
    package static let spansMax = 32_768
    /// A segment of this many spans is left as it is.
    static let spansEnough = 16_384
    /// A segment of this many stored bytes is left as it is: long texts, and no gain from more of them together.
    static let storedBytesEnough = 2 << 20
    /// Inflated bytes of the segments that are merged in one go, which is what merging holds in memory of them.
    static let inflatedBytesMax = 16 << 20
    /// Segments that are merged in one go.
    static let inputsMax = 512
    /// Small segments are worth a merge when there are this many.
    static let inputsEnough = 16
    /// Blobs of a segment that is being built go into the file in transactions of about this many bytes, so that a commit waits for
    /// about a millisecond at most.
    static let transactionBytes = 512 << 10
    /// Segments whose bytes are deleted in one transaction.
    static let deletionsPerTransaction = 32
}

/// Chooses what to merge.
///
/// Only neighbours in the order of arrival are merged, so that a segment stands for a stretch of time; and only those between which
/// nothing was deleted, so that a span's ordinal is its segment's first and its place in it (`StoredOrdinals`). Every merge at least doubles
/// the size of each span's segment, and usually multiplies it by 16 or more: that bounds how often a span is written again.
enum MergePlan {
    struct Candidate: Equatable {
        var id: Int64
        var firstOrdinal: Int64
        /// How many ordinals it stands for.
        var ordinalCount: Int64
        var spanCount: Int
        var storedBytes: Int
        /// Cannot be merged for its size in memory.
        var isOversize = false

        var isFinal: Bool {
            isOversize || spanCount >= MergeLimits.spansEnough || storedBytes >= MergeLimits.storedBytesEnough
        }

        /// Whether nothing that came between the two is gone.
        func follows(_ previous: Candidate) -> Bool { firstOrdinal == previous.firstOrdinal &+ previous.ordinalCount }

        /// Sizes within a factor of eight are of one level.
        var level: Int { (Int.bitWidth - 1 - max(1, spanCount).leadingZeroBitCount) / 3 }
    }

    private static let levelMax = 6

    /// Neighbours to merge, smallest and oldest first; `nil` when nothing is worth it. `candidates` are in the order of arrival.
    static func choose(_ candidates: [Candidate]) -> Range<Int>? {
        for level in 0..<levelMax {
            var start = 0
            while start < candidates.count {
                if candidates[start].isFinal || candidates[start].level > level {
                    start += 1
                    continue
                }
                var end = start
                while end < candidates.count, !candidates[end].isFinal, candidates[end].level <= level,
                    end == start || candidates[end].follows(candidates[end - 1])
                {
                    end += 1
                }
                // A large segment before small ones must not keep them apart: then they are merged without it.
                while start < end {
                    if let chosen = worthwhile(candidates, start..<end) { return chosen }
                    start += 1
                }
            }
        }
        return enclosed(candidates)
    }

    /// Small segments between large ones, or before a gap: no neighbours will come, so they are put together as they are.
    private static func enclosed(_ candidates: [Candidate]) -> Range<Int>? {
        let tail =
            candidates.indices.last { candidates[$0].isFinal || $0 > 0 && !candidates[$0].follows(candidates[$0 - 1]) } ?? 0
        for start in 0..<tail {
            var end = start
            var total = 0
            while end < tail, !candidates[end].isFinal, end - start < MergeLimits.inputsMax,
                total + candidates[end].spanCount <= MergeLimits.spansMax,
                end == start || candidates[end].follows(candidates[end - 1])
            {
                total += candidates[end].spanCount
                end += 1
            }
            if end - start > 1 { return start..<end }
        }
        return nil
    }

    /// The oldest of a run, as many as fit into one segment; `nil` when merging them gains too little.
    private static func worthwhile(_ candidates: [Candidate], _ run: Range<Int>) -> Range<Int>? {
        var end = run.lowerBound
        var total = 0
        var largest = 0
        while end < run.upperBound, end - run.lowerBound < MergeLimits.inputsMax,
            total + candidates[end].spanCount <= MergeLimits.spansMax
        {
            total += candidates[end].spanCount
            largest = max(largest, candidates[end].spanCount)
            end += 1
        }
        let count = end - run.lowerBound
        guard count > 1, total >= 2 * largest else { return nil }
        let isMany = count >= MergeLimits.inputsEnough && total >= 4 * largest
        return isMany || total >= MergeLimits.spansEnough ? run.lowerBound..<end : nil
    }
}
