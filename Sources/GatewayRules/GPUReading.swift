/// What is known of a machine's GPUs at a moment, as far as its driver tells it.
package struct GPUReading: Equatable, Sendable {
    private static let devicesMax = 64
    private static let usesMax = 4_096

    package struct Device: Equatable, Sendable {
        package var name: String
        /// From 0 to 1.
        package var utilizationRatio: Double?
        package var usedBytes: Int64?
        package var totalBytes: Int64?

        package init(name: String, utilizationRatio: Double? = nil, usedBytes: Int64? = nil, totalBytes: Int64? = nil) {
            self.name = name
            self.utilizationRatio = utilizationRatio
            self.usedBytes = usedBytes
            self.totalBytes = totalBytes
        }
    }

    /// Memory that a process has on one GPU.
    package struct Use: Equatable, Sendable {
        package var pid: Int32
        package var bytes: Int64

        package init(pid: Int32, bytes: Int64) {
            self.pid = pid
            self.bytes = bytes
        }
    }

    package var devices: [Device]
    package var uses: [Use]

    package init(devices: [Device] = [], uses: [Use] = []) {
        self.devices = devices
        self.uses = uses
    }

    // MARK: nvidia-smi

    package static let nvidiaDevices = [
        "nvidia-smi", "--query-gpu=index,utilization.gpu,memory.used,memory.total", "--format=csv,noheader,nounits",
    ]
    package static let nvidiaUses = ["nvidia-smi", "--query-compute-apps=pid,used_gpu_memory", "--format=csv,noheader,nounits"]

    /// What `nvidiaDevices` prints: a GPU a line, percent and mebibytes. What it does not know (`[N/A]`) is left out.
    package static func devices(nvidia text: String) -> [Device] {
        rows(text, columns: 4).prefix(devicesMax).compactMap { row in
            guard Int(row[0]) != nil else { return nil }
            return Device(
                name: String(row[0]), utilizationRatio: ratio(row[1]), usedBytes: mebibytes(row[2]), totalBytes: mebibytes(row[3])
            )
        }
    }

    /// What `nvidiaUses` prints: a process and GPU a line.
    package static func uses(nvidia text: String) -> [Use] {
        rows(text, columns: 2).prefix(usesMax).compactMap { row in
            guard let pid = Int32(row[0]), pid > 0, let bytes = mebibytes(row[1]) else { return nil }
            return Use(pid: pid, bytes: bytes)
        }
    }

    private static func rows(_ text: String, columns: Int) -> [[Substring]] {
        text.split(whereSeparator: \.isNewline).compactMap { line in
            let fields = line.split(separator: ",", omittingEmptySubsequences: false).map(trimmed)
            return fields.count == columns ? fields : nil
        }
    }

    private static func mebibytes(_ text: Substring) -> Int64? {
        guard let count = Int64(text), count >= 0 else { return nil }
        let (bytes, overflow) = count.multipliedReportingOverflow(by: 1 << 20)
        return overflow ? nil : bytes
    }

    // MARK: amdgpu

    /// From the files `gpu_busy_percent`, `mem_info_vram_used` and `mem_info_vram_total` of a card; `nil` when they tell nothing.
    package static func device(amd name: String, busyPercent: String, usedBytes: String, totalBytes: String) -> Device? {
        let device = Device(
            name: name, utilizationRatio: ratio(trimmed(busyPercent[...])), usedBytes: bytes(trimmed(usedBytes[...])),
            totalBytes: bytes(trimmed(totalBytes[...])))
        return device == Device(name: name) ? nil : device
    }

    private static func bytes(_ text: Substring) -> Int64? {
        guard let bytes = Int64(text), bytes >= 0 else { return nil }
        return bytes
    }

    private static func ratio(_ percent: Substring) -> Double? {
        guard let percent = Int(percent), (0...100).contains(percent) else { return nil }
        return Double(percent) / 100
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text.drop { $0.isWhitespace }
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}
