import TelemetryModel

/// Whose breaker it is: metrics.md 2.4. Clean strings, so that none has the separator of `text`.
struct BreakerKey: Hashable, Sendable {
    @ByBytes var service: String
    /// The process, empty, or the client's own id, by `kind`.
    @ByBytes var scope: String
    @ByBytes var tool: String
    var kind: Kind

    enum Kind: String, Sendable {
        case process
        case service
        case identified
    }

    /// The key of the state row; the parts are separated by U+001F.
    var text: String { "\(service)\u{1F}\(kind.rawValue)\u{1F}\(scope)\u{1F}\(tool)" }
}

/// One breaker: the machine that follows its client's reports, the machine of the fuse table, and what waits for both.
struct Breaker: Sendable {
    let key: BreakerKey
    /// Exposed values.
    let serviceLabel: String
    let toolLabel: String
    /// The position of its service and, in process scope, its process in the `PresenceTable`; the latter -1 otherwise.
    let service: Int32
    let instance: Int32

    var reported = ReportedBreaker()
    var derived = DerivedBreaker()
    var pending = PendingQueue()
    var reportedCounters: BreakerCounters?
    var derivedCounters: BreakerCounters?
    /// The number, and the receipt, of its last entry in the book's queue of arrivals.
    var arrival = -1
    var arrivalReceipt: UInt32 = 0
    /// How many due records this advance found.
    var dueCount = 0
    /// The deadline of its valid entry in the heap.
    var scheduled: Int64?
    var isDirty = false

    init(key: BreakerKey, serviceLabel: String, toolLabel: String, service: Int32, instance: Int32) {
        self.key = key
        self.serviceLabel = serviceLabel
        self.toolLabel = toolLabel
        self.service = service
        self.instance = instance
    }

    /// The earliest deadline of a machine for which nothing waits.
    func deadline(_ rules: BreakerRules) -> Int64? {
        let reportedDeadline = pending.reportedCount == 0 ? reported.expiry(rules) : nil
        let derivedDeadline = pending.derivedCount == 0 ? derived.expiry(rules) : nil
        guard let reportedDeadline else { return derivedDeadline }
        return min(reportedDeadline, derivedDeadline ?? .max)
    }

    /// Nothing would be different had it never been.
    var isAsNew: Bool {
        reported.state == .closed && derived.state == .closed && derived.timeouts == 0 && derived.window.count == 0
    }

    /// The machines as they will be once all that waits is applied, at the server's time `now`; `nil` for one that never saw
    /// anything.
    func replayed(at now: Int64, _ rules: BreakerRules) -> (reported: ReportedBreaker?, derived: DerivedBreaker?) {
        var reported = reported
        var derived = derived
        for record in pending.isEmpty ? [] : pending.ordered() {
            if record.isReported { _ = reported.apply(record, rules) }
            if record.isDerived { _ = derived.apply(record, rules) }
        }
        if let deadline = reported.expiry(rules), now >= deadline { _ = reported.expire(rules) }
        if let deadline = derived.expiry(rules), now >= deadline { _ = derived.expire(rules) }
        return (reported.last == nil ? nil : reported, derived.last == nil ? nil : derived)
    }
}
