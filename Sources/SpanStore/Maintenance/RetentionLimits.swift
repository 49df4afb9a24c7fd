/// How much the store keeps. `nil` is no limit.
package struct RetentionLimits: Equatable, Sendable {
    /// Nanoseconds since a segment's latest span was received.
    package var age: Int64? = 30 * 86_400_000_000_000
    /// Bytes of the file that hold something.
    package var bytes: Int64? = 10 << 30

    package init() {}
}

/// The time that ages are counted by. It follows the wall clock, but by at most an hour a pass: a clock that jumps ahead by a year
/// makes nothing old before somebody had days to set it right. A server that was down for long lets old spans go over some hours.
struct RetentionClock: Equatable {
    /// Between two passes.
    static let passNanoseconds: Int64 = 60 * 1_000_000_000
    private static let stepMax: Int64 = 3_600 * 1_000_000_000

    private(set) var unixNano: Int64

    init(unixNano: Int64) {
        self.unixNano = unixNano
    }

    mutating func advance(to wallUnixNano: Int64) {
        unixNano = wallUnixNano <= unixNano ? wallUnixNano : unixNano + min(wallUnixNano - unixNano, Self.stepMax)
    }
}

/// Chooses the segments to let go: whole ones, oldest first. The entries have the receipts that are believed, and none is among
/// them of which the derivations still need something.
enum RetentionPlan {
    /// A client's clock may be ahead of ours by this much; later ends are not believed.
    static let skewNanoseconds: Int64 = 300 * 1_000_000_000

    struct Choice: Equatable {
        var ids: [Int64] = []
        /// Every span of the segments ended at or before this.
        var floorUnixNano = Int64.min
    }

    /// Segments of which nothing was received after `cut`.
    static func aged(_ entries: [SegmentLedger.Entry], cut: Int64) -> Choice {
        choose(entries.filter { $0.receivedMaximum <= cut }, floor: cut)
    }

    /// Segments all of whose spans ended at or before `cut`; one without an end began then.
    static func ended(_ entries: [SegmentLedger.Entry], cut: Int64) -> Choice {
        choose(entries.filter { $0.latestMaximum <= cut }, floor: cut)
    }

    /// The oldest segments, until so many bytes are free.
    static func oldest(_ entries: [SegmentLedger.Entry], bytes: Int64) -> Choice {
        var freed: Int64 = 0
        var chosen: [SegmentLedger.Entry] = []
        for entry in entries where freed < bytes {
            chosen.append(entry)
            freed += Int64(entry.storedBytes)
        }
        return choose(chosen, floor: .min)
    }

    private static func choose(_ entries: [SegmentLedger.Entry], floor: Int64) -> Choice {
        guard !entries.isEmpty else { return Choice() }
        var choice = Choice(ids: entries.map(\.id), floorUnixNano: floor)
        for entry in entries {
            let latestBelieved = entry.receivedMaximum.addingReportingOverflow(skewNanoseconds)
            let end = min(entry.latestMaximum, latestBelieved.overflow ? .max : latestBelieved.partialValue)
            choice.floorUnixNano = max(choice.floorUnixNano, end)
        }
        return choice
    }
}
