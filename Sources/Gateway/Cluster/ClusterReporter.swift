import Dispatch
import GatewayRules
import Logging
import NIOPosix
import Synchronization
import TelemetryModel

/// Tells a cluster which models can be called here, on a thread of its own: does what `ClusterReport` says.
final class ClusterReporter: Sendable {
    /// Between two looks at what is true here.
    private static let lookPause: Int64 = 250_000_000
    /// When the gateway stops, its objects have this long to be taken away.
    private static let farewell: Int64 = 2_000_000_000

    /// What is known of the cluster, for those who ask.
    struct Condition: Sendable {
        var isInSync = false
        var trouble: String?
        /// When the API server last did what it was asked, by the clock of fuses.
        var answeredAt: Int64?
    }

    private struct State {
        var condition = Condition()
        var stopsBy: Int64?
        var isOver = false
        var waiting: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())
    private let wake = DispatchSemaphore(value: 0)
    private let plan: ClusterPlan
    private let access: ClusterAccess
    private let shared: GatewayShared
    private let group: MultiThreadedEventLoopGroup
    private let logger: Logger

    init(
        _ plan: ClusterPlan, access: ClusterAccess, shared: GatewayShared, group: MultiThreadedEventLoopGroup, logger: Logger
    ) {
        self.plan = plan
        self.access = access
        self.shared = shared
        self.group = group
        self.logger = logger
    }

    var condition: Condition { state.withLock { $0.condition } }

    func start() {
        DispatchQueue(label: "fusebox.gateway.cluster", qos: .utility).async { [self] in
            work()
            let waiting = state.withLock { state in
                state.isOver = true
                return state.waiting.take()
            }
            waiting?.resume()
        }
    }

    /// Takes away what was told, as far as it can be done in time; returns when nothing is sent any more.
    func finish() async {
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                state.stopsBy = GatewaySources.uptimeNanoseconds().addingSaturated(Self.farewell)
                if !state.isOver { state.waiting = continuation }
                return state.isOver
            }
            wake.signal()
            if isOver { continuation.resume() }
        }
    }

    private func work() {
        let client = ClusterClient(access, plan: plan, versionText: shared.settings.versionText, group: group)
        var report = ClusterReport(plan)
        while true {
            let moment = shared.sources.moment()
            let stopsBy = state.withLock { $0.stopsBy }
            if let stopsBy {
                report.stop()
                if moment.nanoseconds >= stopsBy { return }
            }
            report.set(ready: GatewayStatus.servedModels(shared))
            switch report.next(at: moment.nanoseconds, unixNano: shared.sources.unixNano()) {
            case .finished: return
            case .send(let request):
                let left = stopsBy.map { $0.subtractingSaturated(moment.nanoseconds) } ?? ClusterClient.requestTimeout
                let answer = client.send(request, timeout: min(ClusterClient.requestTimeout, left))
                shared.metrics.cluster(request, answer)
                report.take(answer, at: shared.sources.moment())
                show(report, answer)
            case .wait(let until):
                show(report, nil)
                let pause = min(until.subtractingSaturated(moment.nanoseconds), Self.lookPause)
                _ = wake.wait(timeout: .now() + .nanoseconds(Int(clamping: max(pause, 1_000_000))))
            }
        }
    }

    private func show(_ report: ClusterReport, _ answer: ClusterAnswer?) {
        let trouble = report.trouble
        let before = state.withLock { state in
            let before = state.condition.trouble
            state.condition.isInSync = report.isInSync
            state.condition.trouble = trouble
            if case .done? = answer { state.condition.answeredAt = GatewaySources.uptimeNanoseconds() }
            return before
        }
        guard trouble != before else { return }
        if let trouble {
            logger.warning("the gateway cannot tell the cluster of its models: \(trouble)")
        } else {
            logger.notice("the gateway tells the cluster of its models again")
        }
    }

    /// For the status.
    var document: JSONValue {
        let condition = condition
        let now = GatewaySources.uptimeNanoseconds()
        return [
            "namespace": .string(plan.namespace), "in_sync": .bool(condition.isInSync), "trouble": .optional(condition.trouble),
            "evidence_s": .optional(condition.answeredAt.map { Double(max(0, now.subtractingSaturated($0))) / 1e9 }),
            "services": .array(plan.models.indices.map { .string(ClusterObject.service($0).name(plan)) }),
        ]
    }
}

/// Who tells the cluster, once somebody does.
final class ClusterDesk: Sendable {
    private let current = Mutex<ClusterReporter?>(nil)

    var reporter: ClusterReporter? { current.withLock { $0 } }

    func set(_ reporter: ClusterReporter) { current.withLock { $0 = reporter } }
}
