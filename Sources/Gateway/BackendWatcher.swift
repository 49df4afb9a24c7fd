import GatewayRules
import NIOCore
import Synchronization
import TelemetryModel

/// Asks backends that run by themselves for their health, while their calls do not show it.
final class BackendWatcher: Sendable {
    private static let pause = Duration.milliseconds(500)

    /// Between two looks at who else keeps a backend busy. llama.cpp that is asked often does not notice that clients leave.
    private static let loadPause: Int64 = 10_000_000_000

    private struct Watched {
        var loadAskedAt: Int64?
        /// Calls that are not from here, as the last look said: two looks must agree, since one is late by a call or two.
        var foreignCalls = 0
        var watch: BackendWatch
        var answer: Sight.Answer?
        var hasSlots = false
    }

    private let watched: Mutex<[Int: Watched]>

    init(_ plan: GatewayPlan) {
        let now = GatewaySources.uptimeNanoseconds()
        var watched: [Int: Watched] = [:]
        for index in plan.backends.indices {
            if plan.backends[index].process == nil { watched[index] = Watched(watch: BackendWatch(at: now)) }
        }
        self.watched = Mutex(watched)
    }

    /// What is known of a backend; `nil` for one that is a process of ours.
    func condition(_ backend: Int, at now: Int64) -> (state: BackendWatch.State, evidenceAt: Int64?)? {
        watched.withLock { $0[backend].map { ($0.watch.state(at: now), $0.watch.lastEvidence) } }
    }

    /// Asks until `isOver` or its task is cancelled.
    func run(_ shared: GatewayShared, until isOver: @Sendable () -> Bool) async {
        while !Task.isCancelled && !isOver() {
            let now = GatewaySources.uptimeNanoseconds()
            for backend in shared.settings.plan.backends.indices { look(shared, backend, now) }
            try? await Task.sleep(for: Self.pause)
        }
    }

    private func look(_ shared: GatewayShared, _ backend: Int, _ now: Int64) {
        let (asksHealth, asksSlots): (Bool, Bool) = watched.withLock { watched in
            guard var own = watched[backend] else { return (false, false) }
            let answer = own.answer
            own.answer = nil
            let asks = own.watch.look(progress: shared.board.progress(backend), answer: answer, at: now)
            // A server that was away may have come back with other slots.
            let isReady = own.watch.state(at: now) == .ready
            let asksSlots = isReady && !own.hasSlots
            own.hasSlots = isReady
            watched[backend] = own
            return (asks, asksSlots)
        }
        askLoad(shared, backend, now)
        if asksSlots { SlotQuestion.ask(shared, backend) }
        if asksHealth {
            BackendHealth.ask(.health, shared, backend) { [self] answer in
                watched.withLock { $0[backend]?.answer = answer }
            }
        }
    }

    /// Who goes to a backend past the gateway makes calls wait where nobody sees it.
    private func askLoad(_ shared: GatewayShared, _ backend: Int, _ now: Int64) {
        let plan = shared.settings.plan.backends[backend]
        guard ServerLoad.isTold(by: plan.kind) else { return }
        let isDue = watched.withLock { watched in
            guard watched[backend] != nil, now.subtractingSaturated(watched[backend]?.loadAskedAt ?? .min) >= Self.loadPause
            else {
                return false
            }
            watched[backend]?.loadAskedAt = now
            return true
        }
        guard isDue else { return }
        let head = UpstreamHeaders.question("/metrics", to: plan, port: shared.board.port(backend), authorization: nil)
        shared.ask(head, [], backend, patience: .seconds(2)) { [self] result in
            let reply = try? result.get()
            let text = reply.map { String(decoding: $0.body, as: UTF8.self) } ?? ""
            let calls = reply?.status == 200 ? ServerLoad.calls(text, plan.kind) ?? 0 : 0
            let foreign = max(0, calls - shared.desk.running(backend))
            let last = watched.withLock { watched in
                defer { watched[backend]?.foreignCalls = foreign }
                return watched[backend]?.foreignCalls ?? 0
            }
            shared.desk.set(foreignCalls: min(foreign, last), of: backend)
        }
    }
}
