import PrometheusText
import TelemetryModel

@testable import Derivations

/// What a caller of the derivations does, with dictionaries for a database: identity, conflicts, the retention floor, one
/// transaction a batch, restarts.
struct StoreStandIn {
    let policy: FusePolicy
    private(set) var derivations: SpanDerivations
    private(set) var accepted = 0
    private(set) var identical = 0
    private(set) var conflicts = 0
    private(set) var tooOld = 0
    private(set) var received = 0
    /// How far the server's wall clock is ahead of the times that are given here.
    private(set) var clockError: Int64 = 0
    var pendingMax = SpanDerivations.Limits.pendingMax {
        didSet { derivations.pendingMax = pendingMax }
    }
    /// How many decisions are remembered.
    var decisionsMax = SpanDerivations.Limits.decisionsMax {
        didSet { derivations.decisions = DecisionMemo(capacity: decisionsMax) }
    }
    private var stored: [SpanIdentity: ObservedSpan] = [:]
    private var arrivals: [SpanIdentity] = []
    private var floor: Int64?
    private var counters: [Int: CounterRow] = [:]
    private var labels: [LabelRow] = []
    private var states: [DerivationChanges.StateKey: StateRow] = [:]

    struct SpanIdentity: Hashable {
        var traceID: TraceID
        var spanID: SpanID
    }

    init(policy: FusePolicy = FusePolicy()) {
        self.policy = policy
        derivations = SpanDerivations(policy: policy)
    }

    var storedCount: Int { stored.count }

    private func moment(_ time: Int64) -> Moment {
        Moment(unixNano: time.addingSaturated(clockError), elapsed: time)
    }

    /// The wall clock jumps, for good or until it jumps back.
    mutating func jump(by nanoseconds: Int64) { clockError += nanoseconds }

    mutating func ingest(_ spans: [ObservedSpan], at time: Int64) {
        derivations.advance(to: moment(time))
        for var span in spans {
            received += 1
            span.receivedTimeUnixNano = moment(time).unixNano
            let identity = SpanIdentity(traceID: span.traceID, spanID: span.spanID)
            if let floor, span.endTimeUnixNano <= floor {
                tooOld += 1
            } else if let first = stored[identity] {
                if isSame(first, span) { identical += 1 } else { conflicts += 1 }
            } else {
                stored[identity] = span
                arrivals.append(identity)
                accepted += 1
                derivations.observe(span)
            }
        }
        commit()
    }

    mutating func advance(to time: Int64) { derivations.advance(to: moment(time)) }

    /// Deletes what ended at or before `cut`, but for spans that a restart would miss.
    mutating func retain(after cut: Int64) {
        floor = max(cut, floor ?? cut)
        let wanted = derivations.arrivals - derivations.firstWanted
        for identity in arrivals.dropLast(Int(wanted)) {
            if let span = stored[identity], span.endTimeUnixNano <= cut { stored[identity] = nil }
        }
        arrivals.removeAll { stored[$0] == nil }
    }

    mutating func commit() {
        let changes = derivations.takeChanges()
        for row in changes.counters {
            precondition(row.value >= counters[row.id]?.value ?? 0, "a counter fell")
            precondition(row.id == counters.count || counters[row.id]?.labels == row.labels, "a counter moved")
            counters[row.id] = row
        }
        for moved in changes.counterValues {
            precondition(moved.value >= counters[moved.id]?.value ?? .max, "a counter fell, or was never made")
            counters[moved.id]?.value = moved.value
        }
        labels += changes.labels
        for row in changes.states { states[DerivationChanges.StateKey(kind: row.kind, key: row.key)] = row }
        for key in changes.removedStates { states[key] = nil }
    }

    /// What a start after a power cut finds: the last commit.
    func reopened(policy: FusePolicy? = nil) -> SpanDerivations {
        var derivations = SpanDerivations(
            policy: policy ?? self.policy,
            snapshot: DerivationSnapshot(
                counters: counters.values.shuffled(), labels: labels, states: states.values.shuffled()))
        precondition(derivations.unreadableStates == 0)
        derivations.pendingMax = pendingMax
        derivations.decisions = DecisionMemo(capacity: decisionsMax)
        for (place, identity) in arrivals.enumerated() {
            let ordinal = derivations.arrivals - Int64(arrivals.count - place)
            guard let span = stored[identity], ordinal >= derivations.firstWanted else { continue }
            derivations.restore(span, ordinal: ordinal)
        }
        return derivations
    }

    mutating func restart() { derivations = reopened() }

    /// The same as lines.
    var lines: [String] { values.map { "\($0.key) \($0.value)" }.sorted() }

    /// Counters that are not zero, as `family{labels}`.
    var values: [String: Int64] {
        var values: [String: Int64] = [:]
        for row in counters.values where row.value != 0 { values["\(row.family){\(row.labels)}"] = row.value }
        return values
    }

    private func isSame(_ first: ObservedSpan, _ second: ObservedSpan) -> Bool {
        first.startTimeUnixNano == second.startTimeUnixNano && first.endTimeUnixNano == second.endTimeUnixNano
            && first.statusCode == second.statusCode && first.errorType == second.errorType
            && first.breakerState == second.breakerState
    }
}

extension SpanDerivations {
    /// Observes a span at the moment of its receipt, by a clock that never jumps.
    mutating func take(_ span: ObservedSpan) {
        advance(to: Moment(steady: span.receivedTimeUnixNano))
        observe(span)
    }

    /// The exposition without exemplars, which only OpenMetrics shows and a restart loses: a line a sample.
    func plainExposition(at now: Int64) -> [String] {
        view.collect(at: now).flatMap { family in family.samples.map { "\(family.name){\($0.labels)} \($0.value)" } }
    }

    /// The sum of a counter family's samples, or of a histogram family's counts, that have all these label pairs.
    func total(_ name: String, _ pairs: String...) -> Int64 {
        var total: Int64 = 0
        for family in view.collect(at: time.wall(clock)) where family.name == name {
            for sample in family.samples where pairs.allSatisfy(sample.labels.contains) {
                switch sample.value {
                case .integer(let value): total += value
                case .double(let value): total += Int64((value * 1e9).rounded())
                case .histogram(let histogram): total += histogram.counts.reduce(0, +)
                }
            }
        }
        return total
    }
}

/// What stands in one exposition only.
func differences(_ first: [String], _ second: [String]) -> [String] {
    if first == second { return [] }
    let known = (Set(first), Set(second))
    return first.filter { !known.1.contains($0) } + second.filter { !known.0.contains($0) }.map { "not " + $0 }
}
