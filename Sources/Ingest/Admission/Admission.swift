package import PrometheusText
import Synchronization

/// Decides which requests may be under way, before their bodies are read. One for all transports of a server.
package final class Admission: Sendable {
    private let ledger: Mutex<AdmissionLedger>
    private let limits: AdmissionLimits
    private let refusals: LabeledCounterMetric

    package init(limits: AdmissionLimits = AdmissionLimits(), registry: MetricRegistry) {
        self.limits = limits
        ledger = Mutex(AdmissionLedger(limits: limits))
        refusals = registry.register(
            LabeledCounterMetric(
                "fusebox_admission_refusals_total",
                help: "Export requests that were told to come again before they were taken in.",
                labels: ["cause"], labelSetsMax: 4))
        for cause in ["requests", "bytes", "share"] { _ = refusals.cell(cause) }
    }

    /// Lets a request of a client in. What it holds ends with the permit.
    ///
    /// - Parameter announced: bytes of the body as announced; 0 when nobody said.
    package func admit(_ client: String, announced: Int) throws(AdmissionRefusal) -> AdmissionPermit {
        if let refusal = ledger.withLock({ $0.enter(client, announced: announced) }) { throw counted(refusal) }
        return AdmissionPermit(self, client)
    }

    fileprivate func hold(_ client: String, _ more: Int, own: Int) throws(AdmissionRefusal) {
        if let refusal = ledger.withLock({ $0.hold(client, more, own: own) }) { throw counted(refusal) }
    }

    fileprivate func start(_ client: String) throws(AdmissionRefusal) {
        if let refusal = ledger.withLock({ $0.start(client) }) { throw counted(refusal) }
    }

    fileprivate func leave(_ client: String, bytes: Int, hasStarted: Bool) {
        ledger.withLock { $0.leave(client, bytes: bytes, hasStarted: hasStarted) }
    }

    private func counted(_ refusal: AdmissionRefusal) -> AdmissionRefusal {
        refusals.increment(refusal.cause)
        return refusal
    }

    /// How full the room is, by what fills it: 0 empty, 1 full.
    package var saturation: [(cause: String, level: Double)] {
        let (requests, bytes) = ledger.withLock { ($0.requests, $0.bytes) }
        return [
            ("requests", Double(requests) / Double(max(limits.requestsMax, 1))),
            ("bytes", Double(bytes) / Double(max(limits.bytesMax, 1))),
        ]
    }
}

/// A request's leave to be under way. Ends with its last reference.
package final class AdmissionPermit: Sendable {
    private struct Held {
        var bytes = 0
        var hasStarted = false
    }

    private let admission: Admission
    private let client: String
    private let held = Mutex(Held())

    fileprivate init(_ admission: Admission, _ client: String) {
        self.admission = admission
        self.client = client
    }

    /// Asks for leave to hold `bytes` in all; no more than it holds already is always granted and changes nothing.
    package func hold(_ bytes: Int) throws(AdmissionRefusal) {
        let own = held.withLock { $0.bytes }
        guard bytes > own else { return }
        try admission.hold(client, bytes - own, own: own)
        held.withLock { $0.bytes = bytes }
    }

    /// Asks for a place to be worked on, once the body is whole.
    package func start() throws(AdmissionRefusal) {
        try admission.start(client)
        held.withLock { $0.hasStarted = true }
    }

    deinit {
        let held = held.withLock { $0 }
        admission.leave(client, bytes: held.bytes, hasStarted: held.hasStarted)
    }
}
