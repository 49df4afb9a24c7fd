import OTLP
import OutboundHTTP
import SpanStore
import TelemetryModel

/// How a kind of target is spoken to: what becomes of spans and log records, and what answers mean. Used by one thread.
protocol ForwardDialect: AnyObject {
    /// Names of the derived columns of spans that it sends.
    var derivedColumns: [String] { get }

    /// How many of the first of a run may go at once; `nil` when all may.
    func countAtOnce(_ run: OrdinalRun<SpanBatch>) -> Int?
    func countAtOnce(_ run: OrdinalRun<LogBatch>) -> Int?

    /// Whether something must be asked before something of a signal can be sent.
    func hasQuestion(_ signal: ForwardSignal) -> Bool
    /// What must be asked; `nil` when nothing must.
    func question(_ signal: ForwardSignal, credential: String?) -> OutboundRequest?
    /// Takes the answer to that; what is in the way, `nil` when nothing is.
    func learn(_ answer: OutboundAnswer, _ signal: ForwardSignal, nowUnixNano: Int64) -> DeliveryAnswer?

    func cargo(_ run: OrdinalRun<SpanBatch>) -> Cargo
    func cargo(_ run: OrdinalRun<LogBatch>) -> Cargo
    /// The request of one part of a cargo; `nil` when memory is short.
    func request(_ cargo: Cargo, part: Int, _ signal: ForwardSignal, credential: String?) -> OutboundRequest?
    func read(_ answer: OutboundAnswer, _ signal: ForwardSignal, nowUnixNano: Int64) -> DeliveryAnswer
}

/// How long a target may take.
enum ForwardTimeout {
    /// For a request, and a second more for each megabyte.
    private static let nanoseconds: Int64 = 30_000_000_000
    private static let nanosecondsPerByte: Int64 = 1_000

    /// For a question that reads what is stored.
    static let questionNanoseconds: Int64 = 300_000_000_000

    static func nanoseconds(bytes: Int) -> Int64 { nanoseconds + Int64(bytes) * nanosecondsPerByte }
}

/// OTLP over HTTP as protobuf.
final class OTLPDialect: ForwardDialect {
    private let plan: ForwardTargetPlan

    init(_ plan: ForwardTargetPlan) {
        self.plan = plan
    }

    var derivedColumns: [String] { [] }

    func countAtOnce(_ run: OrdinalRun<SpanBatch>) -> Int? { nil }
    func countAtOnce(_ run: OrdinalRun<LogBatch>) -> Int? { nil }
    func hasQuestion(_ signal: ForwardSignal) -> Bool { false }
    func question(_ signal: ForwardSignal, credential: String?) -> OutboundRequest? { nil }
    func learn(_ answer: OutboundAnswer, _ signal: ForwardSignal, nowUnixNano: Int64) -> DeliveryAnswer? { nil }

    func cargo(_ run: OrdinalRun<SpanBatch>) -> Cargo { Cargo(run, leavesOutToldByLog: plan.signals.contains(.logs)) }
    func cargo(_ run: OrdinalRun<LogBatch>) -> Cargo { Cargo(run) }

    func request(_ cargo: Cargo, part: Int, _ signal: ForwardSignal, credential: String?) -> OutboundRequest? {
        guard let body = Compression.compress(cargo.parts[part].body, plan.compression) else { return nil }
        var headers = [("Content-Type", "application/x-protobuf"), ("User-Agent", "fusebox")]
        if plan.compression != .identity { headers.append(("Content-Encoding", plan.compression.rawValue)) }
        if let credential { headers.append(("Authorization", "Bearer \(credential)")) }
        headers += plan.headers.map { ($0.name, $0.value) }
        return OutboundRequest(
            path: "/v1/\(signal.rawValue)", headers: headers.map { (name: $0.0, value: $0.1) }, body: body,
            timeoutNanoseconds: ForwardTimeout.nanoseconds(bytes: body.count))
    }

    func read(_ answer: OutboundAnswer, _ signal: ForwardSignal, nowUnixNano: Int64) -> DeliveryAnswer {
        DeliveryAnswer(answer, nowUnixNano: nowUnixNano)
    }
}
