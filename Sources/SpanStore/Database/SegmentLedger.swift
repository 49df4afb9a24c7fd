import SegmentFormat
import Synchronization
import TelemetryModel

/// Which segments the store holds now. The one list that the writer, the merger and retention share; each of them changes it right
/// after the transaction that changed the file, while it still holds the commit gate.
package final class SegmentLedger: Sendable {
    struct Entry: Sendable {
        var id: Int64
        /// The number that the rows of its streams go by: another one says that the segment is another one.
        var streamSet: Int64
        /// The ordinal of its first span (`StoredOrdinals`).
        var firstOrdinal: Int64
        /// How many ordinals it stands for: those of its spans, and of spans of it that were forgotten.
        var ordinalCount: Int64
        var spanCount: Int
        var storedBytes: Int
        /// As `SegmentStatistics.latestMaximum`.
        var latestMaximum: Int64
        var receivedMaximum: Int64
        var filter: TraceFilter

        /// The ordinal behind its last one.
        var endOrdinal: Int64 { firstOrdinal.addingSaturated(ordinalCount) }
    }

    private struct State {
        /// In the order of ids, which is that of arrival.
        var entries: [Entry] = []
        var nextNumber: Int64 = 1
        var nextOrdinal: Int64 = 0
        var storedSpans: Int64 = 0
        var unsettledSpans: Int64 = 0
    }

    private let state = Mutex(State())
    /// `Int64.min` when there is none.
    private let floor = Atomic(Int64.min)

    package init() {}

    var entries: [Entry] { state.withLock { $0.entries } }

    /// The entries without those that hold some of the last spans which the derivations still need: retention may delete these.
    var settledEntries: [Entry] {
        state.withLock { state in
            var later: Int64 = 0
            var end = state.entries.count
            while end > 0, later < state.unsettledSpans {
                end -= 1
                later += state.entries[end].ordinalCount
            }
            return Array(state.entries[..<end])
        }
    }

    /// How many of the last spans the derivations still need.
    package func setUnsettledSpans(_ count: Int64) {
        state.withLock { $0.unsettledSpans = count }
    }

    /// Spans that ended at or before this are refused; `nil` before the first deletion.
    package var retentionFloorUnixNano: Int64? {
        let value = floor.load(ordering: .acquiring)
        return value == .min ? nil : value
    }

    func setRetentionFloor(_ unixNano: Int64) {
        floor.store(unixNano, ordering: .releasing)
    }

    /// Spans in the store.
    package var storedSpans: Int64 { state.withLock { $0.storedSpans } }

    package var segmentCount: Int { state.withLock { $0.entries.count } }

    /// A number that no segment or stream set has had.
    func takeNumber() -> Int64 {
        state.withLock { state in
            defer { state.nextNumber += 1 }
            return state.nextNumber
        }
    }

    /// Numbers below this were used before this process.
    func startNumbers(at number: Int64) {
        state.withLock { $0.nextNumber = max($0.nextNumber, number) }
    }

    /// How many spans were ever committed: the ordinal of the next one.
    package var nextOrdinal: Int64 { state.withLock { $0.nextOrdinal } }

    /// Ordinals below this were used before this process.
    func startOrdinals(at ordinal: Int64) {
        state.withLock { $0.nextOrdinal = max($0.nextOrdinal, ordinal) }
    }

    /// Takes a segment that was committed, or found at start; they come in the order of ids.
    func append(_ entry: Entry) {
        state.withLock { state in
            state.entries.append(entry)
            state.nextOrdinal = max(state.nextOrdinal, entry.endOrdinal)
            state.storedSpans += Int64(entry.spanCount)
        }
    }

    /// Puts a merged segment in the place of those that it was made of.
    func replace(_ ids: ClosedRange<Int64>, with entry: Entry) {
        state.withLock { state in
            guard let first = state.entries.firstIndex(where: { $0.id >= ids.lowerBound }) else { return }
            let end = state.entries[first...].firstIndex { $0.id > ids.upperBound } ?? state.entries.count
            state.entries.replaceSubrange(first..<end, with: [entry])
            state.storedSpans = state.entries.reduce(0) { $0 + Int64($1.spanCount) }
        }
    }

    /// Forgets a segment of which nothing is left.
    ///
    /// - Parameter heir: the one before it, when that stands for its ordinals from then on.
    func remove(_ id: Int64, heir: Int64?) {
        state.withLock { state in
            guard let index = state.entries.firstIndex(where: { $0.id == id }) else { return }
            let entry = state.entries.remove(at: index)
            if index > 0, state.entries[index - 1].id == heir { state.entries[index - 1].ordinalCount += entry.ordinalCount }
            state.storedSpans -= Int64(entry.spanCount)
        }
    }

    /// Forgets segments that were deleted.
    func remove(_ ids: Set<Int64>) {
        state.withLock { state in
            state.entries.removeAll { ids.contains($0.id) }
            state.storedSpans = state.entries.reduce(0) { $0 + Int64($1.spanCount) }
        }
    }
}

extension SegmentLedger.Entry {
    /// A segment as a commit wrote it.
    init(_ segment: EncodedSegment, id: Int64, firstOrdinal: Int64) {
        self.init(
            id: id, streamSet: id, firstOrdinal: firstOrdinal, ordinalCount: Int64(segment.spanCount),
            spanCount: segment.spanCount,
            storedBytes: segment.storedBytes,
            latestMaximum: segment.statistics.latestMaximum, receivedMaximum: segment.statistics.receivedMaximum,
            filter: segment.traceFilter)
    }
}
