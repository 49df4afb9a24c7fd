import Dispatch
import GatewayRules
import Synchronization
import TelemetryModel

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// What the GPUs of this machine do, where a driver tells it: `nvidia-smi`, run when somebody asks and seldom, or the files of amdgpu. Its
/// answers are those of the last reading; a question itself waits for nothing.
final class GPUReader: Sendable {
    private static let pause: Int64 = 10_000_000_000
    /// An older reading is none.
    private static let ageMax: Int64 = 60_000_000_000
    private static let patience: Int64 = 3_000_000_000
    private static let cardsFolder = "/sys/class/drm"

    private struct State {
        var reading: GPUReading?
        var readAt: Int64?
        var isReading = false
        var output = ChildOutput()
    }

    private let state = Mutex(State())
    private let queue = DispatchQueue(label: "fusebox.gateway.gpus", qos: .utility)
    /// Whether any backend is on this machine, and something here could tell of its GPUs.
    private let isUseful: Bool
    private let hasNvidia: Bool

    init(_ plan: GatewayPlan) {
        hasNvidia = Self.isProgram(GPUReading.nvidiaDevices[0])
        isUseful =
            plan.backends.contains {
                $0.process != nil || $0.host == "localhost" || $0.host == "::1" || $0.host.hasPrefix("127.")
            }
            && (hasNvidia || !Self.cards().isEmpty)
    }

    /// `nil` when nothing could be read of late.
    func current() -> GPUReading? {
        guard isUseful else { return nil }
        let now = GatewaySources.uptimeNanoseconds()
        let (reading, reads): (GPUReading?, Bool) = state.withLock { state in
            let age = state.readAt.map { now.subtractingSaturated($0) } ?? .max
            let reads = !state.isReading && age >= Self.pause
            if reads { state.isReading = true }
            return (age <= Self.ageMax ? state.reading : nil, reads)
        }
        if reads { queue.async { [self] in read() } }
        return reading
    }

    private func read() {
        var output = state.withLock { $0.output }
        var reading = GPUReading()
        if hasNvidia, let text = output.of(GPUReading.nvidiaDevices, nanoseconds: Self.patience) {
            reading.devices = GPUReading.devices(nvidia: text)
            reading.uses = GPUReading.uses(nvidia: output.of(GPUReading.nvidiaUses, nanoseconds: Self.patience) ?? "")
        }
        for card in Self.cards() {
            let folder = "\(Self.cardsFolder)/\(card)/device"
            let device = GPUReading.device(
                amd: card, busyPercent: SmallFile.text("\(folder)/gpu_busy_percent"),
                usedBytes: SmallFile.text("\(folder)/mem_info_vram_used"),
                totalBytes: SmallFile.text("\(folder)/mem_info_vram_total"))
            if let device { reading.devices.append(device) }
        }
        state.withLock { [reading, output] state in
            state.reading = reading
            state.readAt = GatewaySources.uptimeNanoseconds()
            state.output = output
            state.isReading = false
        }
    }

    private static func cards() -> [String] {
        SmallFile.entries(cardsFolder).filter {
            $0.hasPrefix("card") && $0.dropFirst(4).utf8.allSatisfy { (0x30...0x39).contains($0) }
        }.sorted()
    }

    private static func isProgram(_ name: String) -> Bool {
        guard let path = getenv("PATH").map({ String(cString: $0) }) else { return false }
        return path.split(separator: ":").contains { access("\($0)/\(name)", X_OK) == 0 }
    }
}

/// The group that a process belongs to.
enum ProcessGroup {
    static func of(_ pid: Int32) -> Int64 { Int64(getpgid(pid)) }
}
