import Foundation
import PrometheusText
import Testing

/// Lets Prometheus' own tool judge the text format; it reads 0.0.4 only.
struct PromtoolTests {
    @Test(.enabled(if: Promtool.isInstalled, "promtool is not on the path (Debian: prometheus)"))
    func promtoolFindsNothing() throws {
        var families = ProcessMetrics.families() + ExpositionSample.families.filter { $0.name != "agent_absent" }
        let registry = MetricRegistry()
        registry.register(CounterMetric("fusebox_spans_received_total", help: "Decoded spans."))
        registry.register(HistogramMetric("fusebox_queue_wait_seconds", help: "Waiting.", bounds: HistogramBounds.latencySeconds))
        families += registry.families()
        let (status, output) = try check(ExpositionEncoder.encode(families, as: .text004))
        #expect(status == 0, "\(output)")
        #expect(output == "")
    }

    @Test(.enabled(if: Promtool.isInstalled, "promtool is not on the path (Debian: prometheus)"))
    func promtoolWouldObject() throws {
        let (status, _) = try check(Array("# TYPE x counter\nx{ 1\n".utf8))
        #expect(status != 0)
    }

    private func check(_ exposition: [UInt8]) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = Promtool.location
        process.arguments = ["check", "metrics"]
        let input = Pipe()
        let output = Pipe()
        process.standardInput = input
        process.standardOutput = output
        process.standardError = output
        try process.run()
        try input.fileHandleForWriting.write(contentsOf: Data(exposition))
        try input.fileHandleForWriting.close()
        let text = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: text, as: UTF8.self))
    }
}

private enum Promtool {
    static let location: URL? = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        .map { URL(fileURLWithPath: String($0)).appendingPathComponent("promtool") }
        .first { FileManager.default.isExecutableFile(atPath: $0.path) }

    static var isInstalled: Bool { location != nil }
}
