import FuseboxHTTP
import GatewayRules
import Logging
import Synchronization
import TelemetryModel

/// Those who look after the processes of the gateway's backends.
final class Supervisors: Sendable {
    private struct State {
        var list: [BackendSupervisor] = []
        /// Processes of an earlier run that nothing is configured for.
        var orphans: [ProcessRecord] = []
        /// Set once this program stops: whether the processes end with it.
        var takesProcesses: Bool?
    }

    private let state = Mutex(State())

    var isFinished: Bool { state.withLock { $0.takesProcesses != nil } }

    var list: [BackendSupervisor] { state.withLock { $0.list } }

    func named(_ name: String) -> BackendSupervisor? { list.first { $0.name == name } }

    subscript(backend: Int) -> BackendSupervisor? { list.first { $0.backend == backend } }

    /// Makes one for every process that is configured. A process of an earlier run is adopted when its backend is configured as it was;
    /// others are orphans.
    func prepare(_ shared: GatewayShared, log: ProcessLog) {
        let folder = ProcessFolder(path: shared.settings.processFolder)
        if shared.settings.plan.backends.contains(where: { $0.process != nil }) { _ = folder.create() }
        let memory = MemoryGate(headroomRatio: shared.settings.headroomRatio)
        var found: [String: ProcessRecord] = [:]
        for record in folder.records() { found[record.backend] = record }
        var supervisors: [BackendSupervisor] = []
        for (backend, plan) in shared.settings.plan.backends.enumerated() {
            guard let process = plan.process else { continue }
            var adopted = found[plan.name]
            if adopted?.command != process.command || adopted?.process == nil { adopted = nil }
            if adopted != nil { found[plan.name] = nil }
            supervisors.append(
                BackendSupervisor(
                    shared, backend: backend, plan: process, folder: folder, log: log, memory: memory, adopted: adopted))
        }
        state.withLock { state in
            state.list = supervisors
            state.orphans = Array(found.values)
        }
    }

    /// Ends orphans, and looks after the processes until `finish`.
    func run(_ shared: GatewayShared) async {
        let (list, orphans) = state.withLock { ($0.list, $0.orphans) }
        await Orphans.end(orphans, in: ProcessFolder(path: shared.settings.processFolder))
        await withTaskGroup(of: Void.self) { tasks in
            for supervisor in list { tasks.addTask { await supervisor.run() } }
        }
    }

    func finish(takesProcesses: Bool) {
        let list = state.withLock { state in
            state.takesProcesses = takesProcesses
            return state.list
        }
        for supervisor in list { supervisor.finish(takesProcess: takesProcesses) }
    }
}

/// Processes of an earlier run that nothing is configured for.
private enum Orphans {
    private static let patience: Int64 = 10_000_000_000

    /// Ends them, and waits until they are gone: their memory is needed.
    static func end(_ records: [ProcessRecord], in folder: ProcessFolder) async {
        let processes = records.compactMap(\.process)
        for process in processes { process.signal(Signals.terminate) }
        let limit = GatewaySources.uptimeNanoseconds().addingSaturated(patience)
        while processes.contains(where: { $0.end() == nil }), GatewaySources.uptimeNanoseconds() < limit {
            try? await Task.sleep(for: .milliseconds(50))
        }
        for process in processes { process.signal(Signals.kill) }
        for record in records { folder.remove(record.backend) }
    }
}
