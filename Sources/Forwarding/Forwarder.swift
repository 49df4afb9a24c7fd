import Dispatch
import NIOCore
package import NIOPosix
import OutboundHTTP
package import PrometheusText
package import SpanStore
import Synchronization
import Threads

/// Sends what is stored to the targets of the configuration: each on a thread of its own, with connections of its own to the file and to the
/// target, so that one that is dead holds up nothing but itself.
package final class Forwarder: Sendable {
    private static let stopSeconds = 2

    private let group: MultiThreadedEventLoopGroup
    private let loops: [ForwardLoop]

    /// Starts to send, as soon as the targets could be entered in the file.
    ///
    /// - Parameters:
    ///   - retention: what is kept, for the metric of how long it will be.
    ///   - report: takes a line for the server's log.
    package init(
        _ plan: ForwardPlan, source: ForwardSource, turns: ReadingTurns, registry: MetricRegistry, retention: RetentionLimits,
        sources: ForwardSources, report: @escaping @Sendable (String) -> Void
    ) {
        let beginnings = plan.targets.flatMap { target in
            target.signals.map { signal in
                ForwardJournal.Beginning(
                    target: target.name, signal: signal, holds: target.holds, ordinal: source.oldestOrdinal(of: signal))
            }
        }
        let entry = TargetEntry(beginnings, source: source, unixNano: sources.unixNano, report: report)
        let metrics = ForwardMetrics(
            registry: registry, source: source, retention: retention, unixNano: sources.unixNano)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        self.group = group
        loops = plan.targets.map { target in
            ForwardLoop(name: target.name, entry: entry) {
                ForwardSender(
                    target, source: source, turns: turns, transport: FailoverTransport(target, group: group),
                    metrics: metrics, sources: sources, report: report)
            }
        }
    }

    /// Enters in a file's tables that nothing is forwarded any more, so that retention waits for no target.
    package static func end(source: ForwardSource, nowUnixNano: Int64) throws(StoreError) {
        try ForwardJournal(source).begin([], nowUnixNano: nowUnixNano)
    }

    /// Asks the senders to end, and waits for them for two seconds: a request that has no answer by then is cut off, and made again at the
    /// next start.
    package func stop() {
        for loop in loops { loop.askToStop() }
        let deadline = DispatchTime.now() + .seconds(Self.stopSeconds)
        for loop in loops { loop.waitUntilStopped(deadline) }
        group.shutdownGracefully { _ in }
    }
}

extension FailoverTransport {
    /// The ways to a target's endpoints.
    package convenience init(_ target: ForwardTargetPlan, group: MultiThreadedEventLoopGroup) {
        self.init(([target.endpoint] + target.otherEndpoints).map { OutboundHTTP($0, tls: target.tls, group: group) })
    }
}

/// The targets' rows in the file, which must be there before anything is sent. A disk that is full keeps nobody from starting.
private final class TargetEntry: Sendable {
    private struct State {
        var isDone = false
        var told: String?
    }

    private let beginnings: [ForwardJournal.Beginning]
    private let source: ForwardSource
    private let unixNano: @Sendable () -> Int64
    private let report: @Sendable (String) -> Void
    private let state = Mutex(State())

    init(
        _ beginnings: [ForwardJournal.Beginning], source: ForwardSource, unixNano: @escaping @Sendable () -> Int64,
        report: @escaping @Sendable (String) -> Void
    ) {
        self.beginnings = beginnings
        self.source = source
        self.unixNano = unixNano
        self.report = report
    }

    /// Whether they are there; the first that asks enters them.
    func isDone() -> Bool {
        state.withLock { state in
            if state.isDone { return true }
            do throws(StoreError) {
                try ForwardJournal(source).begin(beginnings, nowUnixNano: unixNano())
                state.isDone = true
            } catch {
                if state.told != error.message {
                    report("forward: the targets cannot be entered in the data file: \(error.message)")
                }
                state.told = error.message
            }
            return state.isDone
        }
    }
}

/// The thread of one target.
private final class ForwardLoop: Sendable {
    private static let entryPause = Duration.seconds(1)

    private let thread = WorkerThread()

    /// - Parameter make: makes what the thread works with, on the thread.
    init(name: String, entry: TargetEntry, make: @escaping @Sendable () -> ForwardSender) {
        thread.start("fusebox.forward.\(name)", .utility) { [self] in
            let sender = make()
            while !thread.isStopping {
                guard entry.isDone() else {
                    thread.rest(Self.entryPause)
                    continue
                }
                if case .idle(let nanoseconds) = sender.step() { thread.rest(.nanoseconds(nanoseconds)) }
            }
        }
    }

    func askToStop() { thread.askToStop() }

    func waitUntilStopped(_ deadline: DispatchTime) { thread.waitUntilStopped(deadline) }
}
