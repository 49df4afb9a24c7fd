import ArgumentParser
import Demo
import Foundation
import OTLP
import TelemetryModel

/// `fusebox demo`: sends what some agents would have sent in the last ten minutes, to see what the collector makes of it.
struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Send ten minutes of made-up agent spans to a running collector.",
        discussion: """
            Three workflows, language models, a vector store, programs, and tools over HTTP, one of which fails until its circuit \
            breaker opens. Every run sends new traces that end now.
            """)

    private static let endpointVariable = "OTEL_EXPORTER_OTLP_ENDPOINT"

    @Option(help: "Base address of the collector (OTEL_EXPORTER_OTLP_ENDPOINT, http://127.0.0.1:4318).")
    var endpoint: String?

    @Option(help: "A token for sending; or OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20….")
    var token: String?

    @Option(help: "Another number makes other agents.")
    var seed: UInt64 = 1

    mutating func run() async throws {
        let text = endpoint ?? ProcessInfo.processInfo.environment[Self.endpointVariable] ?? "http://127.0.0.1:4318"
        let address = try CollectorAddress(text)
        let workload = DemoWorkload(seed: seed, nowUnixNano: Clock.unixNano())
        var client = TraceClient(address: address, headers: ExporterHeaders.with(token: token))
        var progress = ProgressLine("sent")
        var rejected: Int64 = 0
        var spans = 0
        do {
            for (index, batch) in workload.batches.enumerated() {
                rejected += try await client.send(TraceRequestMessage.encode(batch)).rejected
                spans += batch.spans.count
                progress.show("\(index + 1) of \(workload.batches.count) batches, \(spans) spans")
            }
        } catch {
            progress.end()
            await client.close()
            throw CommandFailure(.failed, "\(error.message(address)); \(spans) of \(workload.expectation.spans) spans were sent")
        }
        progress.end()
        await client.close()
        Terminal.write(Self.summary(workload, rejected: rejected, address: address))
    }

    private static func summary(_ workload: DemoWorkload, rejected: Int64, address: CollectorAddress) -> String {
        let expectation = workload.expectation
        let weather = expectation.tool("weather_api")
        let seconds = Double(weather.cooldownNanoseconds / 100_000_000) / 10
        let refusal = rejected > 0 ? "\nThe collector rejected \(rejected) of the spans; its message is in its log.\n" : ""
        return """
            Sent \(expectation.spans) spans of \(expectation.traces) traces in \(workload.batches.count) batches to \(address.text).
            \(refusal)
            In them weather_api timed out \(weather.timeouts) times; its breakers opened \(weather.opens) times, for \(seconds) s in all, \
            and refused \(weather.rejections) calls.
            Breakers are counted ten seconds after their spans came in. Try:

              fusebox sql 'SELECT tool_name, stage, calls, timeouts, rejected, p95_ms FROM tools ORDER BY timeouts DESC'
              curl -s \(address.text)/metrics | grep agent_breaker
              fusebox fuses

            """
    }
}
