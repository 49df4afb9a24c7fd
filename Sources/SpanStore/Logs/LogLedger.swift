import SegmentFormat
import Synchronization
import TelemetryModel

/// Which log segments the store holds now: what `SegmentLedger` is for spans. Whoever changes the file changes it right after the
/// transaction, while it still holds the commit gate.
package final class LogLedger: Sendable {
    struct Entry: Equatable, Sendable {
        var id: Int64
        /// The ordinal of its first record (`StoredOrdinals`).
        var firstOrdinal: Int64
        /// How many ordinals it stands for: those of its records, and of records of it that were forgotten.
        var ordinalCount: Int64
        var recordCount: Int64
        /// Of the inflated contents.
        var contentBytes: Int64
        var storedBytes: Int64
        var timeMaximum: Int64
        var receivedMaximum: Int64

        /// The ordinal behind its last one.
        var endOrdinal: Int64 { firstOrdinal.addingSaturated(ordinalCount) }
    }

    private struct State {
        /// In the order of ids, which is that of arrival.
        var entries: [Entry] = []
        var nextNumber: Int64 = 1
        var nextOrdinal: Int64 = 0
    }

    private let state = Mutex(State())

    package init() {}

    var entries: [Entry] { state.withLock { $0.entries } }

    package var segmentCount: Int { state.withLock { $0.entries.count } }

    /// Log records in the store.
    package var storedRecords: Int64 { state.withLock { $0.entries.reduce(0) { $0 + $1.recordCount } } }

    /// A number that no segment has had since the start.
    func takeNumber() -> Int64 {
        state.withLock { state in
            defer { state.nextNumber += 1 }
            return state.nextNumber
        }
    }

    /// Takes what was found at the start.
    func load(_ entries: [Entry]) {
        state.withLock { state in
            state.entries = entries
            state.nextNumber = (entries.last?.id ?? 0) + 1
        }
    }

    /// How many log records were ever committed: the ordinal of the next one.
    package var nextOrdinal: Int64 { state.withLock { $0.nextOrdinal } }

    /// Ordinals below this were used before this process.
    func startOrdinals(at ordinal: Int64) {
        state.withLock { $0.nextOrdinal = max($0.nextOrdinal, ordinal) }
    }

    /// Takes a segment that was committed; they come in the order of ids.
    func append(_ entry: Entry) {
        state.withLock { state in
            state.entries.append(entry)
            state.nextOrdinal = max(state.nextOrdinal, entry.endOrdinal)
        }
    }

    /// Puts a merged segment in the place of those that it was made of.
    func replace(_ ids: Set<Int64>, with entry: Entry) {
        state.withLock { state in
            guard let first = state.entries.firstIndex(where: { ids.contains($0.id) }) else { return }
            state.entries.removeAll { ids.contains($0.id) }
            state.entries.insert(entry, at: first)
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
        }
    }

    /// Forgets segments that were deleted.
    func remove(_ ids: Set<Int64>) {
        state.withLock { $0.entries.removeAll { ids.contains($0.id) } }
    }
}

extension LogLedger.Entry {
    /// - Parameter ordinalCount: `nil` for as many as it has records.
    init(_ segment: EncodedLogSegment, id: Int64, firstOrdinal: Int64, ordinalCount: Int64? = nil) {
        self.init(
            id: id, firstOrdinal: firstOrdinal, ordinalCount: ordinalCount ?? Int64(segment.statistics.recordCount),
            recordCount: Int64(segment.statistics.recordCount), contentBytes: Int64(segment.contentBytes),
            storedBytes: Int64(segment.storedBytes), timeMaximum: segment.statistics.timeMaximum,
            receivedMaximum: segment.statistics.receivedMaximum)
    }
}
