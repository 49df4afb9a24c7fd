import SQLite
import SegmentFormat

/// Merges small segments into large ones, on the maintenance connection and its thread.
///
/// A merge reads its inputs, writes the new streams beside them in several small transactions, and then, in one short one, replaces
/// the inputs' rows of `segment` by the new one. Until then nobody sees the new streams, and from then on nobody the old ones; the
/// table `segment_leftover` names those streams in both cases, and they are deleted in small transactions afterwards, or at the next
/// start. So a crash at any point loses and doubles nothing. Readers that began before go on in their snapshot.
///
/// Only the replacement is fsynced: it takes the log with all that was written before it to the disk.
package final class SegmentMerger {
    /// What merging has done since the start.
    package struct Progress: Sendable, Equatable {
        package var merges = 0
        package var segments = 0
        package var spans: Int64 = 0
        /// Bytes of the segments that went in.
        package var bytesRead: Int64 = 0
        /// Bytes of the segments that came out.
        package var bytesWritten: Int64 = 0
        /// The longest that commits had to wait for merging.
        package var longestHold: Duration = .zero
    }

    private let maintenance: StoreMaintenance
    private let ledger: SegmentLedger
    /// Ids of segments that inflate to more than a merge may hold.
    private var oversize: Set<Int64> = []
    private var hasCleaned = false
    package private(set) var progress = Progress()

    private let rewriter: SegmentRewriter

    package init(_ maintenance: StoreMaintenance) throws(StoreError) {
        self.maintenance = maintenance
        ledger = maintenance.ledger
        rewriter = try SegmentRewriter(maintenance)
    }

    /// Merges once, or deletes what an unfinished merge left; `false` when there is nothing to do, or it was given up. Blocks on the
    /// disk.
    ///
    /// - Parameter isStopping: asked at each column; a merge is given up then, and what it wrote is deleted at the next start.
    package func runOnce(isStopping: () -> Bool = { false }) throws(StoreError) -> Bool {
        do {
            if !hasCleaned {
                try maintenance.deleteLeftovers()
                hasCleaned = true
            }
            guard let chosen = choice() else { return false }
            return try merge(chosen, isStopping)
        } catch is SegmentRewriter.GivenUp {
            hasCleaned = false
            return false
        } catch {
            // What was begun is a leftover now.
            hasCleaned = false
            throw SpanStore.storeError(error)
        }
    }

    private func choice() -> [SegmentLedger.Entry]? {
        let entries = ledger.entries
        let candidates = entries.map {
            MergePlan.Candidate(
                id: $0.id, firstOrdinal: $0.firstOrdinal, ordinalCount: $0.ordinalCount, spanCount: $0.spanCount,
                storedBytes: $0.storedBytes,
                isOversize: oversize.contains($0.id))
        }
        return MergePlan.choose(candidates).map { Array(entries[$0]) }
    }

    /// Merges the chosen segments, or as many of them as fit into memory.
    private func merge(_ chosen: [SegmentLedger.Entry], _ isStopping: () -> Bool) throws -> Bool {
        var inputs: [MergeInput] = []
        var inflated = 0
        let loader = SegmentLoader(maintenance.connection)
        for entry in chosen {
            guard let input = try loader.open(entry.id) else { throw SegmentError.damaged("segment \(entry.id) is missing") }
            let bytes = input.directory.streamCounts.reduce(0, +)
            if inflated + bytes > MergeLimits.inflatedBytesMax {
                if inputs.count < 2 { oversize.insert(bytes > inflated ? entry.id : chosen[0].id) }
                break
            }
            inflated += bytes
            inputs.append(MergeInput(input, firstOrdinal: entry.firstOrdinal))
        }
        guard inputs.count > 1, let last = inputs.last else { return true }
        // As large as it may become: what comes later is merged without it.
        if inflated > MergeLimits.inflatedBytesMax / 2 { oversize.insert(last.segment.id) }
        let sources = chosen.prefix(inputs.count)
        let segment = try rewriter.replace(sources, by: inputs, isStopping)
        progress.merges += 1
        progress.longestHold = maintenance.longestHold
        progress.segments += inputs.count
        progress.spans += Int64(segment.spanCount)
        progress.bytesRead += sources.reduce(0) { $0 + Int64($1.storedBytes) }
        progress.bytesWritten += Int64(segment.storedBytes)
        try maintenance.deleteLeftovers()
        return true
    }
}
