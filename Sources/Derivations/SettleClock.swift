import TelemetryModel

/// Tells order of arrival, time of receipt and settling apart, so that a wall clock that jumps moves none of them: metrics.md 2.8.
///
/// - The order of arrival is an ordinal: how many spans came before.
/// - **Steady time** is what everything here is compared in. It is the wall clock less an `offset`; when the wall clock jumps,
///   the offset changes by as much, steady time goes on, and another `epoch` begins. It never goes back, not even over a restart.
/// - Observations settle by receipts: spans that came in one step of the clock share one, and what they bring has its turn when
///   the clock reaches the receipt's `due`. Which span belongs to which receipt is told by ordinals, so that a restoration finds
///   it again.
///
/// Whoever lets something wait takes `current.due` with it, both when a span is observed and when it is restored, and applies it
/// once `isDue` says so.
struct SettleClock: Sendable {
    /// Spans that came in one step of the clock.
    struct Receipt: Equatable, Sendable {
        /// How many spans had come before its first.
        var first: Int64
        /// The clock at which what they bring has its turn.
        var due: Int64
        /// The clock when its first span came: what was due by then had its turn before.
        var clock: Int64
        /// Counts the jumps of the wall clock: an event of a later epoch stands behind all of earlier ones.
        var epoch: UInt32
        /// The wall clock less steady time.
        var offset: Int64
    }

    private let step: Int64
    private let settle: Int64
    /// Nanoseconds; close to the wall clock's when that never jumped.
    private(set) var steady: Int64 = 0
    /// Steady time in whole steps: everything moves when this does.
    private(set) var clock: Int64 = 0
    private(set) var epoch: UInt32 = 0
    private(set) var offset: Int64 = 0
    /// Receipts up to this due were settled before their time, since too much waited.
    private(set) var early: Int64 = 0
    /// How many spans ever came.
    private(set) var arrivals: Int64 = 0
    /// The receipt of the span that is being observed or restored.
    private(set) var current = Receipt(first: 0, due: 0, clock: 0, epoch: 0, offset: 0)
    /// In order; those behind the horizon of restorations are forgotten.
    private var receipts: [Receipt] = []
    private var isCurrent = false
    /// The position of the receipt of the span that was restored last.
    private var restoring = 0
    private var last: (moment: Moment, reading: Int64)?
    private var isNew = true
    private var unsaved: [Receipt] = []
    private var forgotten: [Receipt] = []
    private var saved = Saved()

    private struct Saved: Equatable {
        var clock: Int64 = 0
        var epoch: UInt32 = 0
        var early: Int64 = 0
    }

    init(step: Int64, settle: Int64) {
        self.step = step
        self.settle = settle
    }

    /// What came with this receipt or an earlier one has had its turn.
    @inline(__always)
    func isDue(_ due: Int64) -> Bool { due <= settledUpTo }

    /// The due up to which everything has had its turn.
    @inline(__always)
    var settledUpTo: Int64 { max(clock, early) }

    /// The ordinal of the first span of which something may wait.
    var firstUnsettled: Int64 {
        let settled = receipts.lastIndex { isDue($0.due) } ?? -1
        return settled + 1 < receipts.count ? receipts[settled + 1].first : arrivals
    }

    /// The ordinal of the first span that a restoration wants.
    var firstWanted: Int64 { receipts.first { $0.due >= horizon }?.first ?? arrivals }

    private var horizon: Int64 { clock.subtractingSaturated(2 * SpanDerivations.Limits.retryWindowNanoseconds) }

    // MARK: Time

    /// Moves on to a moment. True when the clock went a step.
    mutating func advance(to moment: Moment) -> Bool {
        follow(moment)
        let target = steady - steady % step
        let hasMoved = target > clock
        if hasMoved {
            clock = target
            forget()
        }
        isCurrent = receipts.last.map { $0.epoch == epoch && $0.clock == clock && $0.due >= nextDue && $0.due > early } ?? false
        return hasMoved
    }

    private mutating func follow(_ moment: Moment) {
        guard let last else { return begin(at: moment) }
        let passed = max(0, moment.elapsed.subtractingSaturated(last.moment.elapsed))
        let reading = moment.unixNano.subtractingSaturated(offset)
        let error = reading.subtractingSaturated(last.reading.addingSaturated(passed))
        let tolerance = SpanDerivations.Limits.clockStepNanoseconds
        if error >= -tolerance && error <= tolerance && reading >= steady.subtractingSaturated(tolerance) {
            steady = max(steady, reading)
            self.last = (moment, reading)
        } else {
            jump(to: steady.addingSaturated(passed), at: moment)
        }
    }

    /// The first moment of this process. How long the server was down only the wall clock can say: it is believed for an hour.
    private mutating func begin(at moment: Moment) {
        guard !isNew else {
            isNew = false
            let start = min(max(moment.unixNano, 1), SpanDerivations.Limits.startUnixNanoMax)
            return set(start, offset: moment.unixNano.subtractingSaturated(start), at: moment)
        }
        let reading = moment.unixNano.subtractingSaturated(offset)
        let latest = clock.addingSaturated(SpanDerivations.Limits.downtimeNanosecondsMax)
        if reading < clock.subtractingSaturated(SpanDerivations.Limits.clockStepNanoseconds) {
            jump(to: clock, at: moment)
        } else if reading > latest {
            jump(to: latest, at: moment)
        } else {
            set(max(clock, reading), offset: offset, at: moment)
        }
    }

    private mutating func jump(to steady: Int64, at moment: Moment) {
        epoch &+= 1
        set(steady, offset: moment.unixNano.subtractingSaturated(steady), at: moment)
    }

    private mutating func set(_ steady: Int64, offset: Int64, at moment: Moment) {
        self.steady = steady
        self.offset = offset
        last = (moment, moment.unixNano.subtractingSaturated(offset))
    }

    /// The steady time of a reading of the wall clock that may be later than the last moment, but not by more than an hour.
    func steady(ofWall unixNano: Int64) -> Int64 {
        let latest = clock.addingSaturated(SpanDerivations.Limits.downtimeNanosecondsMax)
        return min(max(unixNano.subtractingSaturated(offset), clock), max(latest, steady))
    }

    /// The wall clock's time for a steady one.
    func wall(_ steady: Int64) -> Int64 { steady.addingSaturated(offset) }

    /// The wall clock's time as it was told, unless that lies ahead of the clock as it is now: then a steady time by that.
    func told(_ steady: Int64, offset told: Int64, at now: Int64) -> Int64 {
        let time = steady.addingSaturated(told)
        return time <= now ? time : wall(steady)
    }

    // MARK: Receipts

    private var nextDue: Int64 {
        let end = (last?.reading ?? steady).addingSaturated(settle)
        let rest = end % step
        let due = rest <= 0 ? end.subtractingSaturated(rest) : end.addingSaturated(step - rest)
        // Within its tolerance the wall clock may be behind steady time.
        return max(due, clock.addingSaturated(1))
    }

    /// A span comes: it has the next ordinal, and `current` is its receipt.
    @inline(__always)
    mutating func arrive() {
        if !isCurrent { open() }
        arrivals += 1
    }

    private mutating func open() {
        isCurrent = true
        let tooMany = receipts.count >= SpanDerivations.Limits.receiptsMax
        if let last = receipts.last, last.epoch == epoch, last.due > early, tooMany || last.clock == clock && last.due >= nextDue {
            current = last
            return
        }
        var due = max(nextDue, early.addingSaturated(1))
        if let last = receipts.last { due = max(due, last.due) }
        current = Receipt(first: arrivals, due: due, clock: clock, epoch: epoch, offset: offset)
        receipts.append(current)
        unsaved.append(current)
    }

    /// The span of this ordinal is being restored; false when it came too long ago to matter.
    mutating func restore(_ ordinal: Int64) -> Bool {
        isCurrent = false
        guard let first = receipts.first, first.first <= ordinal else { return false }
        if restoring >= receipts.count || receipts[restoring].first > ordinal { restoring = 0 }
        while restoring + 1 < receipts.count, receipts[restoring + 1].first <= ordinal { restoring += 1 }
        current = receipts[restoring]
        return true
    }

    /// Too much waits: the oldest receipt that waits has its turn now.
    mutating func settleEarly() {
        guard let oldest = receipts.first(where: { !isDue($0.due) }) else { return }
        early = oldest.due
        isCurrent = false
    }

    private mutating func forget() {
        let horizon = horizon
        let count = receipts.dropLast().prefix { $0.due < horizon }.count
        guard count > 0 else { return }
        forgotten += receipts.prefix(count)
        receipts.removeFirst(count)
        unsaved.removeAll { $0.due < horizon }
    }
}

// MARK: In the store

extension SettleClock {
    static let kind = "settle"
    static let receiptKind = "receipt"

    /// Rows of what changed since the last call. Alone, the clock is not worth a commit: with an older one a restoration only
    /// reads more spans again.
    ///
    /// - Parameter hasOther: something else is committed.
    mutating func takeChanges(hasOther: Bool) -> (rows: [StateRow], removed: [DerivationChanges.StateKey]) {
        let now = Saved(clock: clock, epoch: epoch, early: early)
        let isOverdue = clock.subtractingSaturated(saved.clock) >= SpanDerivations.Limits.clockSaveNanoseconds
        let hasChanged = hasOther || isOverdue || !unsaved.isEmpty || now.epoch != saved.epoch || now.early != saved.early
        guard hasChanged else { return ([], []) }
        var rows = unsaved.map(Self.row)
        if now != saved { rows.append(row) }
        saved = now
        unsaved.removeAll(keepingCapacity: true)
        let removed = forgotten.map { DerivationChanges.StateKey(kind: Self.receiptKind, key: "\($0.first)") }
        forgotten.removeAll(keepingCapacity: true)
        return (rows, removed)
    }

    private var row: StateRow {
        var writer = StateWriter()
        writer.add("clock", clock)
        writer.add("epoch", Int64(epoch))
        writer.add("offset", offset)
        writer.add("early", early)
        return StateRow(kind: Self.kind, key: "", value: writer.finish())
    }

    private static func row(_ receipt: Receipt) -> StateRow {
        var writer = StateWriter()
        writer.add("due", receipt.due)
        writer.add("clock", receipt.clock)
        writer.add("epoch", Int64(receipt.epoch))
        writer.add("offset", receipt.offset)
        return StateRow(kind: receiptKind, key: "\(receipt.first)", value: writer.finish())
    }

    /// Takes the clock's row in. Gives the watermark of one that was written before receipts were: spans received after it wait.
    mutating func read(_ reader: StateReader) -> (isReadable: Bool, olderWatermark: Int64?) {
        guard let clock = reader.integer("clock") else { return (false, nil) }
        self.clock = clock
        steady = clock
        isNew = false
        if let epoch = reader.integer("epoch") { self.epoch = UInt32(truncatingIfNeeded: epoch) }
        offset = reader.integer("offset") ?? 0
        early = reader.integer("early") ?? 0
        let isOlder = reader.integer("epoch") == nil
        // An older row is written anew, whatever else changes.
        saved = isOlder ? Saved() : Saved(clock: clock, epoch: epoch, early: early)
        return (true, isOlder ? reader.integer("watermark") ?? clock.subtractingSaturated(settle) : nil)
    }

    mutating func read(receipt key: String, _ reader: StateReader) -> Bool {
        guard let first = Int64(key), let due = reader.integer("due"), let clock = reader.integer("clock"),
            let offset = reader.integer("offset"),
            let epoch = reader.integer("epoch")
        else { return false }
        receipts.append(Receipt(first: first, due: due, clock: clock, epoch: UInt32(truncatingIfNeeded: epoch), offset: offset))
        return true
    }

    /// All rows are read.
    mutating func finishReading(arrivals: Int64) {
        self.arrivals = arrivals
        receipts.sort { $0.first < $1.first }
    }
}
