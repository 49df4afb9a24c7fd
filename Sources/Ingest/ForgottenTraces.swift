import SemanticColumns
package import SpanStore
import Synchronization
import TelemetryModel

/// Traces that were forgotten of late: what was read of them before is not to be written down any more.
final class ForgottenTraces: Sendable {
    /// Past it those of before are no longer known: what was read of them has been written, or let go.
    private static let tracesMax = 200_000

    private let traces = Mutex<Set<String>>([])

    func add(_ forgotten: Set<TraceID>) {
        traces.withLock { traces in
            if traces.count + forgotten.count > Self.tracesMax { traces.removeAll() }
            for trace in forgotten.prefix(Self.tracesMax) { traces.insert(trace.hexadecimal) }
        }
    }

    func contains(_ trace: String) -> Bool { traces.withLock { $0.contains(trace) } }
}

extension ForgetKeys {
    /// By the alias table: the attributes that name a span's session and user name a log record's.
    package static let standard = ForgetKeys(
        session: ColumnTable.standard.directKeys(of: .session_id), user: ColumnTable.standard.directKeys(of: .user_id))
}
