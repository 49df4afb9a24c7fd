import GatewayRules
import Synchronization
import TelemetryModel

/// Lets a process start only when there is memory for it, and some is left over. Those that are being started are reckoned with.
final class MemoryGate: Sendable {
    private let headroomRatio: Double
    private let pending = Mutex<[Int: Int64]>([:])

    /// - Parameter headroomRatio: part of the memory that stays free, 0 to 1.
    init(headroomRatio: Double) {
        self.headroomRatio = headroomRatio
    }

    func hasRoom(for plan: ProcessPlan, but backend: Int) -> Bool {
        guard let memory = HostMemory.current() else { return true }
        let others = pending.withLock { $0.reduce(Int64(0)) { $1.key == backend ? $0 : $0.addingSaturated($1.value) } }
        let left = memory.availableBytes.subtractingSaturated(others).subtractingSaturated(Self.bytes(plan))
        return Double(left) >= headroomRatio * Double(memory.totalBytes)
    }

    func take(_ backend: Int, _ plan: ProcessPlan) { pending.withLock { $0[backend] = Self.bytes(plan) } }

    /// Its memory is in the system's figures now, or it is gone.
    func settle(_ backend: Int) { pending.withLock { $0[backend] = nil } }

    /// As configured, else the files that the command names: the model.
    private static func bytes(_ plan: ProcessPlan) -> Int64 {
        plan.memoryBytes ?? plan.command.dropFirst().reduce(Int64(0)) { $0.addingSaturated(SmallFile.size($1)) }
    }
}
