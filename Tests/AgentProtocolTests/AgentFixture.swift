import Derivations
import Foundation
import Ingest
import Queries
import Reports
import SpanStore
import TelemetryModel

@testable import AgentProtocol

/// A data file in a folder of its own, and a server of agents over it, with a clock that stands at `now`.
final class AgentFixture: Sendable {
    /// 2026-01-01T00:00:00Z.
    static let epoch: Int64 = 1_767_225_600_000_000_000
    /// An hour later: when the tests ask.
    static let now = epoch + 3_600_000_000_000

    let folder = StoreFolder(path: NSTemporaryDirectory() + "fusebox-tests-\(UUID().uuidString)")
    let server: AgentServer

    init(_ spans: [SpanDescription], limits: CallLimits = CallLimits()) async throws {
        let writer = try IngestWriter(folder: folder, policy: FusePolicy(), metrics: IngestMetrics(), clock: { Self.now })
        var builder = SpanBatchBuilder()
        builder.beginResource(["service.name": "svc"])
        builder.beginScope(name: "tests")
        for span in spans { builder.append(span) }
        if !spans.isEmpty { _ = try await writer.store(builder.batch) }
        writer.stop()
        server = AgentServer(
            sources: AgentSources(
                pool: QueryPool(folder: folder), breakers: { [] }, policy: FusePolicy(), gates: GateLimits(), versionText: "1",
                // Time decides nothing here.
                clock: { Self.now }, timeLimit: .seconds(3600)), limits: limits, instant: { Self.instant })
    }

    private static let instant = ContinuousClock.now

    deinit {
        try? FileManager.default.removeItem(atPath: folder.path)
    }

    static func span(_ id: UInt64, _ name: String, parent: UInt64 = 0, _ attributes: AttributeList = [:]) -> SpanDescription {
        var span = SpanDescription(traceID: TraceID(high: 7, low: 1), spanID: SpanID(id), name: name)
        span.parentSpanID = SpanID(parent)
        span.startTimeUnixNano = epoch + Int64(id) * 1_000_000
        span.endTimeUnixNano = epoch + 1_000_000_000
        span.attributes = attributes
        return span
    }

    static let trace = TraceID(high: 7, low: 1).hexadecimal

    func send(_ text: String, _ headers: MessageHeaders? = nil) async -> AgentServer.Answer? {
        await server.answer(Array(text.utf8)[...], headers: headers)
    }

    /// The answer of a tool as text, and whether it failed.
    func call(_ tool: String, _ arguments: JSONValue = [:]) async throws -> (value: JSONValue, text: String, isError: Bool) {
        let message: JSONValue = [
            "jsonrpc": "2.0", "id": .integer(1), "method": "tools/call", "params": ["name": .string(tool), "arguments": arguments],
        ]
        let result = await send(message.line)?.message["result"] ?? .null
        guard case .array(let content)? = result["content"], let text = content.first?["text"]?.text else { return (.null, "", true) }
        return (result["structuredContent"] ?? .null, text, result["isError"] == .bool(true))
    }
}
