import Foundation
import TelemetryModel
import Testing

@testable import Derivations

/// The vectors of the reference model: inputs, clock, restarts and the counters that must come out. Times are milliseconds.
struct ReferenceVectors: Decodable {
    /// 2026-01-01T00:00:00Z: the vectors begin at 0, which is no time for a span.
    static let epochNanoseconds: Int64 = 1_767_225_600 * 1_000_000_000

    var vectors: [Vector]
    var classification: [ClassificationRow]?

    struct Vector: Decodable, CustomTestStringConvertible {
        var name: String
        var config: Config
        var actions: [Action]
        var counters: [Counter]
        var testDescription: String { name }
    }

    struct Config: Decodable {
        var scope: String?
        var error_policy: String?
        var threshold: Int?
        var cooldown: Int64?
        var label_cap: [String: Int]?
    }

    struct Action: Decodable {
        var op: String
        var recv_ms: Int64?
        var now_ms: Int64?
        var ms: Int64?
        var spans: [Span]?
    }

    struct Counter: Decodable {
        var family: String
        var labels: [String: String]
        var value: Int64
    }

    struct ClassificationRow: Decodable, CustomTestStringConvertible {
        var name: String
        var span: Span
        var outcome: String
        var reason: String
        var phase: String
        var testDescription: String { name }
    }

    struct Span: Decodable {
        var sid: String
        var tid: String?
        var start: Int64
        var end: Int64
        var status: Int32?
        var status_message: String?
        var service: String?
        var inst: String?
        var tool: String?
        var stage: String?
        var wf: String?
        var attrs: [String: Value]?
        var events: [Event]?
    }

    struct Event: Decodable {
        var name: String
        var t: Int64
        var to: String?
        var type: String?

        enum CodingKeys: String, CodingKey {
            case name, t, to
            case type = "exception.type"
        }
    }

    enum Value: Decodable {
        case bool(Bool)
        case integer(Int64)
        case string(String)

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let value = try? container.decode(Bool.self) {
                self = .bool(value)
            } else if let value = try? container.decode(Int64.self) {
                self = .integer(value)
            } else {
                self = .string(try container.decode(String.self))
            }
        }

        var text: String? { if case .string(let text) = self { text } else { nil } }
        var integer: Int64? { if case .integer(let value) = self { value } else { nil } }
        var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    }

    static func read(_ name: String) throws -> ReferenceVectors {
        let tests = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
            .deletingLastPathComponent()
        return try JSONDecoder().decode(
            ReferenceVectors.self, from: Data(contentsOf: tests.appendingPathComponent("Fixtures/vectors/\(name)")))
    }

    static func time(_ milliseconds: Int64) -> Int64 { epochNanoseconds + milliseconds * 1_000_000 }
}

extension ReferenceVectors.Config {
    func policy(step: Int64) -> FusePolicy {
        var policy = FusePolicy()
        policy.prefillBudgetsNanoseconds = ["m": 2_500_000_000]
        policy.breakerStepNanoseconds = step
        if scope == "service" { policy.breakerScope = .service }
        if error_policy == "reset" { policy.errorPolicy = .reset }
        if let threshold { policy.breakerThreshold = threshold }
        if let cooldown { policy.breakerCooldownNanoseconds = cooldown * 1_000_000 }
        if let cap = label_cap?["tool"] { policy.toolLabelsMax = cap }
        return policy
    }
}

extension ReferenceVectors.Span {
    var observed: ObservedSpan {
        let trace = (tid ?? "T").utf8.reduce(UInt64(1)) { $0 &* 257 &+ UInt64($1) }
        var span = ObservedSpan(
            traceID: TraceID(high: 1, low: trace), spanID: SpanID(UInt64(sid.dropFirst()).map { $0 + 1 } ?? 0))
        let attributes = attrs ?? [:]
        span.service = service ?? "svc"
        span.instance = inst ?? ""
        span.workflow = wf
        span.tool = tool ?? "t"
        span.stageAttribute = stage ?? "http_tool"
        span.startTimeUnixNano = ReferenceVectors.time(start)
        span.endTimeUnixNano = ReferenceVectors.time(end)
        span.statusCode = status ?? 0
        span.statusMessage = span.statusCode == 2 ? status_message : nil
        span.errorType = attributes["error.type"]?.text
        span.timeoutFlag = attributes["timeout"]?.bool
        span.breakerRejected = attributes["breaker.rejected"]?.bool
        span.httpStatus = attributes["http.response.status_code"]?.integer
        span.grpcStatus = attributes["rpc.grpc.status_code"]?.integer
        span.exitCode = attributes["process.exit.code"]?.integer
        span.model = attributes["model"]?.text
        span.timeToFirstTokenNanoseconds = attributes["ttft_ms"]?.integer.map { $0 * 1_000_000 }
        span.breakerState = attributes["breaker_state"]?.text
        span.events = (events ?? []).map { event in
            ObservedEvent(
                kind: event.name == "exception" ? .exception : .breakerTransition,
                timeUnixNano: ReferenceVectors.time(event.t), text: event.type ?? event.to ?? "")
        }
        return span
    }
}
