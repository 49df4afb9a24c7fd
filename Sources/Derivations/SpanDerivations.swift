import PrometheusText
package import TelemetryModel

/// Everything that is derived from spans, as a value: counters that never fall, breaker machines in event order, gauges.
///
/// Use, by one writer: `init` from the store's snapshot; `restore` the stored spans from the `firstWanted` on, in order of
/// arrival; then for each batch `advance(to:)` the moment of receipt, `observe` each span that the store took as new, with that
/// moment's wall clock as its time of receipt, and write `takeChanges()` in the same transaction as the spans. When that
/// transaction fails the value is ahead of the store: make a new one.
///
/// Spans are told by their ordinal, which is how many ever came before them: the last one stored has `arrivals` less one, and
/// what is deleted must not be of the last `unsettledSpans`. Of those from `firstWanted` on a deleted one may hide a silent
/// retry. The wall clock may jump in any way; `SettleClock` says what happens then.
///
/// Exact over a restart: counters, breakers, gauges and what waits. Exemplars are lost. Not exact: which of several new
/// processes gets the last place under a full cap of `Limits`, and vector windows and fuses when the policy changed.
package struct SpanDerivations: Sendable {
    let policy: FusePolicy
    /// What tokens cost; a change holds for the spans that come after it.
    package var prices = PriceBook()
    let rules: BreakerRules
    /// One bit a stage, by its code: the derived breakers look at it.
    let derivedStages: UInt8
    /// `Limits.pendingMax`; tests have smaller ones.
    var pendingMax = Limits.pendingMax
    var counters: CounterTable
    var labels: LabelTable
    var presence = PresenceTable()
    var book = BreakerBook()
    var retries = RetryWindow()
    /// Calls that more than one span may tell of.
    var calls = CallBook()
    var traceWorkflows = TraceWorkflows()
    var contract = ContractBook()
    var serviceGraph = ServiceGraphCounters()
    /// Series of tokens under the workflows of traces; emptied when full.
    var tracedSeries: [TracedSeries: CounterTable.ID] = [:]
    /// Stored spans are being read again: what was due was counted before.
    var isRestoring = false
    /// What the order of arrival, settling and all comparisons of times go by.
    var time: SettleClock
    /// The store was written before receipts were: its last spans, those received after this, wait (`adopt`).
    package private(set) var olderWatermarkUnixNano: Int64?
    /// State rows of the snapshot that could not be read, and so count as absent.
    package private(set) var unreadableStates = 0
    private var savedArrivals: Int64 = 0
    private var lastSweep: Int64 = 0

    var fixed: FixedCounters?
    var attempts = CellCache<AttemptCell.Key, AttemptCell, AttemptCell.Names>()
    var tools = CellCache<ToolCell.Key, ToolCell, ToolCell.Names>()
    var models = CellCache<ModelCell.Key, ModelCell, ModelCell.Names>()
    var runs = CellCache<RunCell.Key, RunCell, RunCell.Names>()
    /// Tests have smaller ones, or none.
    var decisions = DecisionMemo()
    private var lastService = ""
    private var lastInstance = ""
    private var lastPosition: Int32 = -1

    package init(policy: FusePolicy, snapshot: DerivationSnapshot = DerivationSnapshot()) {
        self.policy = policy
        rules = BreakerRules(policy)
        time = SettleClock(step: max(1, policy.breakerStepNanoseconds), settle: rules.settle)
        derivedStages = policy.derivedStages.union([.vector]).reduce(0) { $0 | 1 << $1.code }
        counters = CounterTable(rows: snapshot.counters)
        labels = LabelTable(rows: snapshot.labels)
        read(snapshot.states)
        savedArrivals = counters.existing(.arrivals, "").map(counters.value) ?? 0
        time.finishReading(arrivals: savedArrivals)
    }

    /// The settle clock: steady time in whole steps of the policy. Everything that settles, settles when it moves.
    package var clock: Int64 { time.clock }

    /// How many spans ever came: what was stored last has the ordinal before it.
    package var arrivals: Int64 { time.arrivals }

    /// The ordinal of the first span of which something waits; `arrivals` when nothing does.
    package var firstUnsettled: Int64 { time.firstUnsettled }

    /// The ordinal of the first span that is wanted in a restoration: those that are settled fill the window of silent retries,
    /// and of them a caller may leave out all but the last `2 * Limits.retryAttemptsMax` attempts.
    package var firstWanted: Int64 { time.firstWanted }

    /// How many of the last spans must not be deleted.
    package var unsettledSpans: Int64 { time.arrivals - time.firstUnsettled }

    /// Observations that wait for older ones, and calls that wait for their relatives.
    package var pendingObservations: Int { book.pendingCount + calls.waitingCount }

    /// Moves on to a moment, and applies what is due then. O(what is due).
    package mutating func advance(to moment: Moment) {
        finishRestoration()
        guard time.advance(to: moment) else { return }
        applyDue()
        let sweep = time.clock / Limits.sweepNanoseconds
        guard sweep > lastSweep else { return }
        lastSweep = sweep
        if book.sweep(time.clock, &presence) { attempts.removeAll() }
        if presence.sweep(time.clock) { forgetInstances() }
    }

    private mutating func applyDue() {
        settleCalls(through: time.settledUpTo)
        let skewed = book.advance(time, rules, &counters)
        if skewed > 0 { counters.add(fixedCounters(time.wall(time.clock)).discardedSkew, skewed) }
    }

    /// Keeps what waits within its limit: the oldest receipts have their turn before their time.
    mutating func settleEarly() {
        while book.pendingCount > pendingMax {
            let before = book.pendingCount
            time.settleEarly()
            applyDue()
            guard book.pendingCount < before else { return }
            counters.add(fixedCounters(time.wall(time.clock)).settledEarly, Int64(before - book.pendingCount))
        }
    }

    /// What changed since the last call, to be written with the spans that were observed since.
    package mutating func takeChanges() -> DerivationChanges {
        var changes = DerivationChanges()
        if time.arrivals > savedArrivals {
            counters.add(counters.id(.arrivals, "", created: time.wall(time.clock)), time.arrivals - savedArrivals)
            savedArrivals = time.arrivals
        }
        (changes.counters, changes.counterValues) = counters.takeDirty()
        changes.labels = labels.takeUnsaved()
        changes.openings = book.takeOpenings(rules)
        let breakers = book.takeChanges()
        let present = presence.takeChanges(time)
        let contracts = contract.takeChanges()
        changes.states = breakers.rows + present.rows + contracts.rows + serviceGraph.takeChanges()
        changes.removedStates = breakers.removed + present.removed + contracts.removed
        changes.transitions = book.takeTransitions()
        let times = time.takeChanges(hasOther: !changes.isEmpty)
        changes.states += times.rows
        changes.removedStates += times.removed
        return changes
    }

    /// The position of the span's process. Strings of one resource are usually the same ones as the last span's.
    @inline(__always)
    mutating func instance(of span: borrowing ObservedSpan) -> Int32 {
        if lastPosition >= 0, span.service.isExactly(lastService), span.instance.isExactly(lastInstance) { return lastPosition }
        return findInstance(span)
    }

    private mutating func findInstance(_ span: borrowing ObservedSpan) -> Int32 {
        let key = PresenceTable.InstanceKey(
            service: LabelSanitiser.clean(span.service),
            instance: span.instance.isEmpty ? "" : LabelSanitiser.clean(span.instance))
        let position: Int32
        if let known = presence.existing(key) {
            position = known
        } else {
            let label = labels.admit(
                .service, key.service, service: "", capacity: policy.serviceLabelsMax, isOpen: isAdmitting,
                at: span.receivedTimeUnixNano)
            position = presence.instance(key, service: presence.service(label.value), isServiceOverflow: label.isOverflow)
        }
        lastService = span.service
        lastInstance = span.instance
        lastPosition = position
        return position
    }

    /// New label values are admitted.
    var isAdmitting: Bool { counters.count < Limits.countersMax }

    /// Positions of processes are about to be used again.
    private mutating func forgetInstances() {
        lastPosition = -1
        attempts.removeAll()
        tools.removeAll()
        models.removeAll()
        runs.removeAll()
    }

    private mutating func read(_ states: [StateRow]) {
        // Processes before their breakers, and both in one order whatever the store's.
        let kinds = [
            SettleClock.kind, SettleClock.receiptKind, PresenceTable.serviceKind, PresenceTable.instanceKind, Breaker.stateKind,
            ContractBook.runsKind, ContractBook.callsKind, Self.serviceGraphKind,
        ]
        for kind in kinds {
            for row in states.filter({ $0.kind == kind }).sorted(by: { $0.key < $1.key }) where !read(row) {
                unreadableStates += 1
            }
        }
        contract.finishReading()
    }

    private mutating func read(_ row: StateRow) -> Bool {
        guard let reader = StateReader(row.value) else { return false }
        switch row.kind {
        case SettleClock.kind:
            let (isReadable, watermark) = time.read(reader)
            olderWatermarkUnixNano = watermark
            lastSweep = time.clock / Limits.sweepNanoseconds
            return isReadable
        case SettleClock.receiptKind: return time.read(receipt: row.key, reader)
        case ContractBook.runsKind, ContractBook.callsKind: return contract.read(row, reader)
        case Self.serviceGraphKind: return serviceGraph.read(reader)
        case PresenceTable.serviceKind: presence.read(service: row.key, reader)
        case PresenceTable.instanceKind:
            guard let service = reader.string("service"), let instance = reader.string("instance") else { return false }
            presence.read(instance: restoredInstance(service, instance), reader)
        default:
            guard let key = Breaker.key(reader) else { return false }
            let instance = key.kind == .process ? restoredInstance(key.service, key.scope) : -1
            guard let position = insertBreaker(key, instance: instance, isSaved: true) else { return false }
            book.readMachines(position, reader, rules)
        }
        return true
    }

    private mutating func restoredInstance(_ service: String, _ instance: String) -> Int32 {
        let label = labels.exposed(.service, service, service: "")
        let isOverflow = label == LabelSanitiser.overflow && service != LabelSanitiser.overflow
        return presence.instance(
            PresenceTable.InstanceKey(service: service, instance: instance), service: presence.service(label),
            isServiceOverflow: isOverflow)
    }

    /// The position of a breaker that is not there yet; `nil` when there is no room. `instance` is negative but in process scope.
    mutating func insertBreaker(_ key: BreakerKey, instance: Int32, isSaved: Bool) -> Int32? {
        let serviceLabel = labels.exposed(.service, key.service, service: "")
        let breaker = Breaker(
            key: key, serviceLabel: serviceLabel, toolLabel: labels.exposed(.tool, key.tool, service: serviceLabel),
            service: presence.service(serviceLabel), instance: instance)
        guard let position = book.insert(breaker, isSaved: isSaved) else { return nil }
        presence.retainBreaker(instance: instance)
        return position
    }
}
