import PrometheusText
package import TelemetryModel

/// Everything that is derived from spans, as a value: counters that never fall, breaker machines in event order, gauges.
///
/// Use, by one writer: `init` from the store's snapshot; `restore` each stored span received after `restoreFromUnixNano`, in
/// order of arrival; then for each batch `advance(to:)` the time of receipt, `observe` each span that the store took as new, and
/// write `takeChanges()` in the same transaction as the spans. When that transaction fails the value is ahead of the store:
/// make a new one.
///
/// Times of receipt must not fall, not even over a restart: stamp `max(wall clock, clockUnixNano + 1)`. Spans received after
/// the watermark must not be deleted; of those after `restoreFromUnixNano` a deleted one may hide a silent retry.
///
/// Exact over a restart: counters, breakers, gauges and what waits. Exemplars are lost. Not exact: which of several new
/// processes gets the last place under a full cap of `Limits`, and vector windows and fuses when the policy changed.
package struct SpanDerivations: Sendable {
    let policy: FusePolicy
    /// What tokens cost; a change holds for the spans that come after it.
    package var prices = PriceBook()
    let rules: BreakerRules
    let step: Int64
    /// One bit a stage, by its code: the derived breakers look at it.
    let derivedStages: UInt8
    var counters: CounterTable
    var labels: LabelTable
    var presence = PresenceTable()
    var book = BreakerBook()
    var retries = RetryWindow()
    /// The settle clock: a multiple of the policy's step. Nanoseconds since 1970.
    package private(set) var clockUnixNano: Int64 = 0
    /// State rows of the snapshot that could not be read, and so count as absent.
    package private(set) var unreadableStates = 0
    private var savedClock: Int64 = 0
    private var lastSweep: Int64 = 0

    var fixed: FixedCounters?
    var attempts = CellCache<AttemptCell.Key, AttemptCell, AttemptCell.Names>()
    var tools = CellCache<ToolCell.Key, ToolCell, ToolCell.Names>()
    var models = CellCache<ModelCell.Key, ModelCell, ModelCell.Names>()
    var runs = CellCache<RunCell.Key, RunCell, RunCell.Names>()
    private var lastService = ""
    private var lastInstance = ""
    private var lastPosition: Int32 = -1

    package init(policy: FusePolicy, snapshot: DerivationSnapshot = DerivationSnapshot()) {
        self.policy = policy
        rules = BreakerRules(policy)
        step = max(1, policy.breakerStepNanoseconds)
        derivedStages = policy.derivedStages.union([.vector]).reduce(0) { $0 | 1 << $1.code }
        counters = CounterTable(rows: snapshot.counters)
        labels = LabelTable(rows: snapshot.labels)
        read(snapshot.states)
    }

    /// Everything received up to here is applied. Nanoseconds since 1970.
    package var watermarkUnixNano: Int64 { clockUnixNano.subtractingSaturated(rules.settle) }

    /// How far before the watermark stored spans are wanted in a restoration: they fill the window of silent retries. A caller
    /// may stop sooner, after `2 * Limits.retryAttemptsMax` attempts.
    package var restoreHorizonNanoseconds: Int64 { 2 * Limits.retryWindowNanoseconds }

    /// Stored spans received after this time are wanted in a restoration.
    package var restoreFromUnixNano: Int64 { watermarkUnixNano.subtractingSaturated(restoreHorizonNanoseconds) }

    /// Observations that wait for older ones.
    package var pendingObservations: Int { book.pendingCount }

    /// Moves the settle clock, never back, and applies what is due. O(what is due).
    package mutating func advance(to now: Int64) {
        let target = now.subtractingSaturated(now % step)
        guard target > clockUnixNano else { return }
        clockUnixNano = target
        let skewed = book.advance(watermark: watermarkUnixNano, clock: target, rules, &counters)
        if skewed > 0 { counters.add(fixedCounters(now).discardedSkew, skewed) }
        let sweep = target / Limits.sweepNanoseconds
        guard sweep > lastSweep else { return }
        lastSweep = sweep
        if book.sweep(target, &presence) { attempts.removeAll() }
        if presence.sweep(target) { forgetInstances() }
    }

    /// What changed since the last call, to be written with the spans that were observed since.
    package mutating func takeChanges() -> DerivationChanges {
        var changes = DerivationChanges()
        (changes.counters, changes.counterValues) = counters.takeDirty()
        changes.labels = labels.takeUnsaved()
        let breakers = book.takeChanges()
        let present = presence.takeChanges(watermark: watermarkUnixNano)
        changes.states = breakers.rows + present.rows
        changes.removedStates = breakers.removed + present.removed
        changes.transitions = book.takeTransitions()
        // Alone, the clock is not worth a commit: with an older one a restoration only reads more spans again.
        let isDue = clockUnixNano.subtractingSaturated(savedClock) >= Limits.clockSaveNanoseconds
        if clockUnixNano > savedClock && (!changes.isEmpty || isDue) {
            savedClock = clockUnixNano
            changes.states.append(settleRow)
        }
        return changes
    }

    /// The position of the span's process. Strings of one resource are usually the same ones as the last span's.
    @inline(__always)
    mutating func instance(of span: borrowing ObservedSpan) -> Int32 {
        if lastPosition >= 0, span.service == lastService, span.instance == lastInstance { return lastPosition }
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

    private static let settleKind = "settle"

    private var settleRow: StateRow {
        var writer = StateWriter()
        writer.add("clock", clockUnixNano)
        writer.add("watermark", watermarkUnixNano)
        return StateRow(kind: Self.settleKind, key: "", value: writer.finish())
    }

    private mutating func read(_ states: [StateRow]) {
        // Processes before their breakers, and both in one order whatever the store's.
        for kind in [Self.settleKind, PresenceTable.serviceKind, PresenceTable.instanceKind, Breaker.stateKind] {
            for row in states.filter({ $0.kind == kind }).sorted(by: { $0.key < $1.key }) where !read(row) {
                unreadableStates += 1
            }
        }
    }

    private mutating func read(_ row: StateRow) -> Bool {
        guard let reader = StateReader(row.value) else { return false }
        switch row.kind {
        case Self.settleKind:
            guard let clock = reader.integer("clock") else { return false }
            clockUnixNano = clock
            savedClock = clock
            lastSweep = clock / Limits.sweepNanoseconds
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
