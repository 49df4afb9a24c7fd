package import PrometheusText
import SpanStore
import Synchronization

/// The account of why spans are refused, if they are: one value behind a lock, written by whoever meets a reason, and read from
/// any thread without asking another.
package final class IntakeAccount: MetricSource {
    private struct Account {
        var state = IntakeState()
        /// Why spans were refused at some time since the log was last asked for its line.
        var untold: IngestError?
    }

    private let account = Mutex(Account())

    package init() {}

    /// All of it, as it is now.
    package var current: IntakeState { account.withLock { $0.state } }

    /// Why spans are refused now; `nil` when they are stored.
    package var refusal: IngestError? { current.refusal }

    func update<Value: Sendable>(_ change: (inout IntakeState) -> Value) -> Value {
        account.withLock { account in
            let value = change(&account.state)
            if let refusal = account.state.refusal { account.untold = refusal }
            return value
        }
    }

    /// Why spans were refused since this was last asked, though they be stored again by now: what was refused for a moment is told too.
    func takeUntold() -> IngestError? {
        account.withLock { account in
            defer { account.untold = account.state.refusal }
            return account.untold
        }
    }

    /// A commit ended. Says whether the error is the first that makes the disk suspect.
    func note(_ error: StoreError?) -> Bool {
        update { state in
            guard let error, error.isDiskSuspect else {
                state.commitFailure = error
                return false
            }
            guard state.suspicion == nil else { return false }
            state.suspicion = error.message
            return true
        }
    }

    /// 1 for the reason for which spans are refused now, 0 for the others.
    package func family() -> MetricFamily {
        let reason = refusal?.dropReason
        return MetricFamily(
            name: "fusebox_refusing_spans", help: "1 for the reason for which spans are refused now.", kind: .gauge,
            samples: IngestMetrics.dropReasons.map {
                .init(labels: LabelText.render([("reason", $0)]), value: .integer($0 == reason ? 1 : 0))
            })
    }
}
