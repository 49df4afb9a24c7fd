import TelemetryModel

/// All breakers, and the order in which their observations have their turn: metrics.md 2.3.
///
/// An advance costs what is due, not what waits or how much time has passed. A leap over hours gives what steps of a second
/// give: nothing arrives in between, each machine takes its observations in event order either way, and it expires only when
/// nothing of it waits.
struct BreakerBook: Sendable {
    /// Records of one breaker that came with one receipt.
    private struct Arrival {
        var due: Int64
        var receipt: UInt32
        var breaker: Int32
        var count: Int32
    }

    private(set) var breakers: [Breaker] = []
    private var ids: [BreakerKey: Int32] = [:]
    /// Positions that are no breaker's.
    private var free: [Int32] = []
    private var arrivals = FirstInFirstOut<Arrival>()
    private var expiries = ExpiryHeap()
    private var dirty: [Int32] = []
    private var removed: [BreakerKey] = []
    private var receipt: UInt32 = 0
    private var lastDue = Int64.min
    /// The wall clock less steady time, as of the last advance.
    private var offset: Int64 = 0
    /// When counters that are made now are made; nanoseconds since 1970.
    private var created: Int64 = 0
    private(set) var pendingCount = 0
    private var transitions: [BreakerTransitionRow] = []
    /// Openings that ended since the last call of `takeOpenings`.
    private var endedOpenings: [BreakerOpening] = []

    init() {}

    /// Live breakers with their positions.
    var live: some Sequence<Breaker> {
        let vacant = Set(free)
        return breakers.indices.lazy.filter { !vacant.contains(Int32(truncatingIfNeeded: $0)) }.map { breakers[$0] }
    }

    func existing(_ key: BreakerKey) -> Int32? { ids[key] }

    /// The position of a new breaker; `nil` when there is no room.
    mutating func insert(_ breaker: Breaker, isSaved: Bool = false) -> Int32? {
        guard ids.count < SpanDerivations.Limits.breakersMax else { return nil }
        let position: Int32
        if let vacant = free.popLast() {
            position = vacant
            breakers[Int(position)] = breaker
        } else {
            position = Int32(truncatingIfNeeded: breakers.count)
            breakers.append(breaker)
        }
        ids[breaker.key] = position
        if !isSaved { markDirty(position) }
        return position
    }

    mutating func readMachines(_ position: Int32, _ reader: StateReader, _ rules: BreakerRules) {
        breakers[Int(position)].readMachines(reader, rules)
        schedule(position, rules)
    }

    /// The number of the receipt with this due; it is the same as the last one's with the same due.
    mutating func receipt(due: Int64) -> UInt32 {
        if due > lastDue {
            lastDue = due
            receipt &+= 1
        }
        return receipt
    }

    /// The newest order keys that the breaker's machines looked at.
    func last(_ position: Int32) -> (reported: OrderKey?, derived: OrderKey?) {
        (breakers[Int(position)].reported.last, breakers[Int(position)].derived.last)
    }

    /// Lets a record wait; its receipt is the one of the last call of `receipt(due:)`.
    mutating func append(_ record: PendingObservation, to position: Int32) {
        let index = Int(position)
        breakers[index].pending.append(record)
        pendingCount += 1
        let isCounted = arrivals.update(breakers[index].arrival) { arrival in
            if arrival.receipt == record.receipt { arrival.count += 1 }
        }
        if isCounted && breakers[index].arrivalReceipt == record.receipt { return }
        breakers[index].arrival = arrivals.nextNumber
        breakers[index].arrivalReceipt = record.receipt
        arrivals.append(Arrival(due: lastDue, receipt: record.receipt, breaker: position, count: 1))
    }

    /// Applies what is due, and before it what is older by event time; then open breakers of which nothing waits expire. Returns
    /// how many observations hosts' clocks contradicted.
    mutating func advance(_ time: SettleClock, _ rules: BreakerRules, _ counters: inout CounterTable) -> Int64 {
        offset = time.offset
        created = time.wall(time.clock)
        var work: [Int32] = []
        var due: UInt32 = 0
        while let first = arrivals.first, time.isDue(first.due), let arrival = arrivals.popFirst() {
            let index = Int(arrival.breaker)
            due = arrival.receipt
            let remaining = breakers[index].pending.remaining(of: Int(arrival.count), receipt: arrival.receipt)
            if remaining > 0 {
                if breakers[index].dueCount == 0 { work.append(arrival.breaker) }
                breakers[index].dueCount += remaining
            }
        }
        var skewed: Int64 = 0
        for position in work { skewed += settle(position, due, rules, &counters) }
        while let first = expiries.first, first.deadline <= time.clock, let entry = expiries.popFirst() {
            guard breakers[Int(entry.breaker)].scheduled == entry.deadline else { continue }
            breakers[Int(entry.breaker)].scheduled = nil
            expire(entry.breaker, time.clock, rules, &counters)
        }
        return skewed
    }

    private mutating func settle(_ position: Int32, _ due: UInt32, _ rules: BreakerRules, _ counters: inout CounterTable) -> Int64
    {
        let index = Int(position)
        var pending = PendingQueue()
        swap(&pending, &breakers[index].pending)
        let before = pending.count
        let end = pending.prefix(holding: breakers[index].dueCount, due: due)
        breakers[index].dueCount = 0
        var reported = BreakerEffects()
        var derived = BreakerEffects()
        pending.take(to: end, due: due) { record, isReported, isDerived in
            if isReported {
                let before = breakers[index].reported.state
                let effects = breakers[index].reported.apply(record, rules, offset: offset)
                if let ended = breakers[index].reported.openings.takeEnded() {
                    endedOpenings.append(ended.row(breakers[index].key, isReported: true, rest: nil))
                }
                if effects.opens > 0 { setExemplar(index, record, &counters) }
                note(effects, before, record, isReported: true, index)
                reported.add(effects)
            }
            if isDerived {
                let before = breakers[index].derived.state
                let effects = breakers[index].derived.apply(record, rules, offset: offset)
                if let ended = breakers[index].derived.openings.takeEnded() {
                    endedOpenings.append(ended.row(breakers[index].key, isReported: false, rest: nil))
                }
                note(effects, before, record, isReported: false, index)
                derived.add(effects)
            }
        }
        pendingCount -= before - pending.count
        swap(&pending, &breakers[index].pending)
        add(reported, derived, position, &counters)
        schedule(position, rules)
        return reported.skewed
    }

    /// Keeps the edges that an observation gave, for the table of transitions.
    private mutating func note(
        _ effects: BreakerEffects, _ before: BreakerState, _ record: PendingObservation, isReported: Bool, _ index: Int
    ) {
        // Most observations move nothing.
        guard effects.opens > 0 || effects.halfOpens > 0 || effects.closes > 0 else { return }
        let key = breakers[index].key
        var state = before
        func edge(to next: BreakerState, at time: Int64) {
            transitions.append(
                BreakerTransitionRow(
                    timeUnixNano: time.addingSaturated(offset), serviceName: key.service, scope: key.scope,
                    toolName: key.tool, isReported: isReported, fromState: state.rawValue, toState: next.rawValue,
                    traceID: record.order.traceID, spanID: record.order.spanID))
            state = next
        }
        if effects.halfOpens > 0 {
            // A probe half-opens a breaker when it begins.
            edge(to: .halfOpen, at: before == .open && record.kind == .attempt ? record.start : record.time)
        }
        if effects.opens > 0 { edge(to: .open, at: record.time) }
        if effects.closes > 0 { edge(to: .closed, at: record.time) }
    }

    /// The edges since the last call.
    mutating func takeTransitions() -> [BreakerTransitionRow] {
        defer { transitions.removeAll() }
        return transitions
    }

    /// The openings that ended or changed since the last call; to be called before `takeChanges`.
    mutating func takeOpenings(_ rules: BreakerRules) -> [BreakerOpening] {
        var rows = endedOpenings
        endedOpenings.removeAll()
        for position in dirty {
            let index = Int(position)
            if let changed = breakers[index].reported.openings.takeChanged() {
                let rest = breakers[index].reported.isExpired ? nil : rules.cooldown
                rows.append(changed.row(breakers[index].key, isReported: true, rest: rest))
            }
            if let changed = breakers[index].derived.openings.takeChanged() {
                let rest = breakers[index].derived.isCredited ? nil : rules.cooldown
                rows.append(changed.row(breakers[index].key, isReported: false, rest: rest))
            }
        }
        return rows
    }

    private mutating func expire(_ position: Int32, _ clock: Int64, _ rules: BreakerRules, _ counters: inout CounterTable) {
        let index = Int(position)
        var reported = BreakerEffects()
        var derived = BreakerEffects()
        if breakers[index].pending.reportedCount == 0, let deadline = breakers[index].reported.expiry(rules), deadline <= clock {
            reported = breakers[index].reported.expire(rules)
        }
        if breakers[index].pending.derivedCount == 0, let deadline = breakers[index].derived.expiry(rules), deadline <= clock {
            derived = breakers[index].derived.expire(rules)
        }
        add(reported, derived, position, &counters)
        schedule(position, rules)
    }

    private mutating func add(
        _ reported: BreakerEffects, _ derived: BreakerEffects, _ position: Int32, _ counters: inout CounterTable
    ) {
        let index = Int(position)
        markDirty(position)
        if breakers[index].reported.stage != nil { reportedCounters(index, &counters)?.add(reported, &counters) }
        guard let stage = breakers[index].derived.stage else { return }
        if breakers[index].derivedCounters == nil {
            let labels = labels(index, stage)
            breakers[index].derivedCounters = .derived(labels, &counters, created: created)
        }
        breakers[index].derivedCounters?.add(derived, &counters)
    }

    private mutating func reportedCounters(_ index: Int, _ counters: inout CounterTable) -> BreakerCounters? {
        if breakers[index].reportedCounters == nil, let stage = breakers[index].reported.stage {
            let labels = labels(index, stage)
            breakers[index].reportedCounters = .reported(labels, &counters, created: created)
        }
        return breakers[index].reportedCounters
    }

    private func labels(_ index: Int, _ stage: Stage) -> String {
        BreakerCounters.labels(service: breakers[index].serviceLabel, tool: breakers[index].toolLabel, stage: stage)
    }

    private mutating func setExemplar(_ index: Int, _ record: PendingObservation, _ counters: inout CounterTable) {
        guard let opens = reportedCounters(index, &counters)?.opens else { return }
        counters.setExemplar(
            opens,
            CounterTable.Exemplar(
                traceID: record.order.traceID, spanID: record.order.spanID, value: 1,
                timeUnixNano: record.time.addingSaturated(offset)))
    }

    private mutating func schedule(_ position: Int32, _ rules: BreakerRules) {
        guard let deadline = breakers[Int(position)].deadline(rules) else { return }
        if let scheduled = breakers[Int(position)].scheduled, scheduled <= deadline { return }
        breakers[Int(position)].scheduled = deadline
        expiries.insert(ExpiryHeap.Entry(deadline: deadline, breaker: position))
    }

    private mutating func markDirty(_ position: Int32) {
        guard !breakers[Int(position)].isDirty else { return }
        breakers[Int(position)].isDirty = true
        dirty.append(position)
    }
}

extension BreakerBook {
    /// Forgets breakers that have been silent for long, at the settle clock `clock`. True when one was forgotten.
    mutating func sweep(_ clock: Int64, _ presence: inout PresenceTable) -> Bool {
        var isChanged = false
        for (key, position) in ids.sorted(by: { $0.value < $1.value }) {
            let breaker = breakers[Int(position)]
            guard breaker.pending.isEmpty, !breaker.isDirty, breaker.scheduled == nil else { continue }
            let silence = clock.subtractingSaturated(presence.lastReceived(service: breaker.service, instance: breaker.instance))
            let limit =
                breaker.isAsNew
                ? SpanDerivations.Limits.breakerIdleNanoseconds : SpanDerivations.Limits.breakerForgottenNanoseconds
            guard silence > limit else { continue }
            ids[key] = nil
            free.append(position)
            removed.append(key)
            presence.releaseBreaker(instance: breaker.instance)
            isChanged = true
        }
        return isChanged
    }

    /// The rows of the breakers that are new or changed, and the keys of those that are gone.
    mutating func takeChanges() -> (rows: [StateRow], removed: [DerivationChanges.StateKey]) {
        var rows: [StateRow] = []
        rows.reserveCapacity(dirty.count)
        for position in dirty {
            breakers[Int(position)].isDirty = false
            rows.append(breakers[Int(position)].stateRow)
        }
        dirty.removeAll(keepingCapacity: dirty.count < 4_096)
        let keys = removed.filter { ids[$0] == nil }.map { key in
            DerivationChanges.StateKey(kind: Breaker.stateKind, key: key.text)
        }
        removed = []
        return (rows, keys)
    }
}
