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
                "fusebox_admission_refusals_total", help: "Export requests that were told to come again before they were taken in.",
                labels: ["cause"], labelSetsMax: 4))
        for cause in ["requests", "bytes", "share"] { _ = refusals.cell(cause) }
    }

    /// Lets a request of a client in. What it holds ends with the permit.
    ///
    /// - Parameter bytes: of the body as announced; 0 when nobody said.
    package func admit(_ client: String, bytes: Int) throws(AdmissionRefusal) -> AdmissionPermit {
        if let refusal = ledger.withLock({ $0.admit(client, bytes: bytes) }) { throw counted(refusal) }
        return AdmissionPermit(self, client, bytes)
    }

    fileprivate func grow(_ client: String, by bytes: Int) throws(AdmissionRefusal) {
        if let refusal = ledger.withLock({ $0.grow(client, by: bytes) }) { throw counted(refusal) }
    }

    fileprivate func release(_ client: String, bytes: Int) {
        ledger.withLock { $0.release(client, bytes: bytes) }
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
    private let admission: Admission
    private let client: String
    private let held: Mutex<Int>

    fileprivate init(_ admission: Admission, _ client: String, _ bytes: Int) {
        self.admission = admission
        self.client = client
        held = Mutex(bytes)
    }

    /// Asks for leave to hold `bytes` in all; less than it holds already is always granted and changes nothing.
    package func hold(_ bytes: Int) throws(AdmissionRefusal) {
        let more = held.withLock { bytes - $0 }
        guard more > 0 else { return }
        try admission.grow(client, by: more)
        held.withLock { $0 += more }
    }

    deinit {
        admission.release(client, bytes: held.withLock { $0 })
    }
}
