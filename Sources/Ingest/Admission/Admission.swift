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

    /// The account of a client, for as long as it is connected.
    package func client(_ name: String) -> AdmissionClient {
        AdmissionClient(self, place: ledger.withLock { $0.register(name) })
    }

    fileprivate func forget(_ place: AdmissionLedger.Place) {
        ledger.withLock { $0.unregister(place) }
    }

    fileprivate func enter(_ place: AdmissionLedger.Place, announced: Int) throws(AdmissionRefusal) {
        if let refusal = ledger.withLock({ $0.enter(place, announced: announced) }) { throw counted(refusal) }
    }

    fileprivate func hold(_ place: AdmissionLedger.Place, _ more: Int, own: Int) throws(AdmissionRefusal) {
        if let refusal = ledger.withLock({ $0.hold(place, more, own: own) }) { throw counted(refusal) }
    }

    fileprivate func start(_ place: AdmissionLedger.Place) throws(AdmissionRefusal) {
        if let refusal = ledger.withLock({ $0.start(place) }) { throw counted(refusal) }
    }

    fileprivate func leave(_ place: AdmissionLedger.Place, bytes: Int, hasStarted: Bool) {
        ledger.withLock { $0.leave(place, bytes: bytes, hasStarted: hasStarted) }
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

/// Whose requests they are. Its account ends with its last reference.
package final class AdmissionClient: Sendable {
    fileprivate let admission: Admission
    fileprivate let place: AdmissionLedger.Place

    fileprivate init(_ admission: Admission, place: AdmissionLedger.Place) {
        self.admission = admission
        self.place = place
    }

    deinit {
        admission.forget(place)
    }
}

/// A request's leave to be under way, which ends with it. It has one owner, so that nothing but the ledger needs a lock.
package struct AdmissionPermit: ~Copyable {
    private let client: AdmissionClient
    private var bytes = 0
    private var hasStarted = false

    /// Lets a request of a client in, or says why not.
    ///
    /// - Parameter announced: bytes of the body as announced; 0 when nobody said.
    package init(_ client: AdmissionClient, announced: Int) throws(AdmissionRefusal) {
        try client.admission.enter(client.place, announced: announced)
        self.client = client
    }

    /// Asks for leave to hold `bytes` in all; no more than it holds already is always granted and changes nothing.
    package mutating func hold(_ bytes: Int) throws(AdmissionRefusal) {
        guard bytes > self.bytes else { return }
        try client.admission.hold(client.place, bytes - self.bytes, own: self.bytes)
        self.bytes = bytes
    }

    /// Asks for a place to be worked on, once the body is whole.
    package mutating func start() throws(AdmissionRefusal) {
        try client.admission.start(client.place)
        hasStarted = true
    }

    deinit {
        client.admission.leave(client.place, bytes: bytes, hasStarted: hasStarted)
    }
}
