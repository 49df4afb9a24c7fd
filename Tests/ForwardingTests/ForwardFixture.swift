import Foundation
import OTLP
import OutboundHTTP
import PrometheusText
import SQLite
import SegmentFormat
import SpanStore
import StoreSQL
import TelemetryModel

@testable import Forwarding

/// A store in a folder of its own, a target that is a script, and clocks that the test moves.
final class ForwardFixture {
    let folder = StoreFolder(path: NSTemporaryDirectory() + "fusebox-forward-\(UUID().uuidString)")
    private var opened: SpanStore?
    private var encoder = SegmentEncoder(
        derivedColumns: [], annotations: AnnotationValues(stages: ["other"], outcomes: [], timeoutReasons: [], timeoutPhases: []))
    let clock = TestClock()
    let hub = ScriptedHub()
    private let transport: any ForwardTransport
    let registry = MetricRegistry()
    private(set) var plan = ForwardTargetPlan(
        name: "hub", endpoint: OutboundEndpoint(host: "127.0.0.1", port: 1, isEncrypted: false, pathPrefix: ""))
    private var metrics: ForwardMetrics
    private(set) var sender: ForwardSender
    private var nextSpan: UInt64 = 1

    /// - Parameter transport: in place of the hub.
    init(transport: (any ForwardTransport)? = nil, _ change: (inout ForwardTargetPlan) -> Void = { _ in }) throws {
        self.transport = transport ?? hub
        let store = try SpanStore(folder: folder, gate: CommitGate())
        opened = store
        change(&plan)
        metrics = ForwardMetrics(registry: registry, source: store.forwardSource, retention: RetentionLimits(), unixNano: clock.unixNano)
        sender = Self.sender(plan, store, self.transport, metrics, clock)
        try begin()
    }

    deinit { try? FileManager.default.removeItem(atPath: folder.path) }

    private static func sender(
        _ plan: ForwardTargetPlan, _ store: SpanStore, _ transport: any ForwardTransport, _ metrics: ForwardMetrics, _ clock: TestClock
    ) -> ForwardSender {
        ForwardSender(
            plan, source: store.forwardSource, turns: ReadingTurns(), transport: transport, metrics: metrics,
            sources: ForwardSources(unixNano: clock.unixNano, steadyNano: clock.unixNano, chance: { 0.5 }), report: { _ in })
    }

    /// The store as it is open now.
    var store: SpanStore {
        get throws {
            guard let opened else { throw CancellationError() }
            return opened
        }
    }

    private func begin() throws {
        let source = try store.forwardSource
        try ForwardJournal(source).begin(
            plan.signals.map {
                .init(target: plan.name, signal: $0, holds: plan.holds, ordinal: source.oldestOrdinal(of: $0))
            }, nowUnixNano: clock.now)
    }

    /// As a process that begins anew after the one before was killed.
    func restart(opensStore: Bool = false) throws {
        if opensStore {
            opened = nil
            opened = try SpanStore(folder: folder, gate: CommitGate())
            try begin()
        }
        sender = Self.sender(plan, try store, transport, metrics, clock)
    }

    // MARK: What is stored

    /// Commits spans, and gives their ids.
    @discardableResult
    func ingest(_ count: Int, _ change: (inout SpanDescription, Int) -> Void = { _, _ in }) throws -> [UInt64] {
        var builder = SpanBatchBuilder()
        builder.beginResource(["service.name": .string("svc-\(nextSpan % 3)")])
        builder.beginScope(name: "tests")
        var ids: [UInt64] = []
        for index in 0..<count {
            var span = SpanDescription(traceID: TraceID(high: nextSpan % 17 + 1, low: 7), spanID: SpanID(nextSpan), name: "s\(nextSpan % 5)")
            span.startTimeUnixNano = clock.now - 1_000
            span.endTimeUnixNano = clock.now
            // Keys come in another order in each commit, as columns do.
            let pairs: [(String, AttributeValue)] = [("b", .int(Int64(nextSpan))), ("a", .string("x\(nextSpan)")), ("é", .bool(true))]
            for pair in nextSpan.isMultiple(of: 2) ? pairs : pairs.reversed() { span.attributes.append(pair.0, pair.1) }
            change(&span, index)
            builder.append(span)
            ids.append(nextSpan)
            nextSpan += 1
        }
        try commit(builder.batch)
        return ids
    }

    func commit(_ batch: SpanBatch) throws {
        clock.now += 1_000_000
        var group = SpanGroup()
        var annotations = SpanAnnotations()
        annotations.receivedTimeUnixNano = clock.now
        for (index, span) in batch.spans.enumerated() { group.append(span, at: index, annotations: annotations) }
        group.add(batch)
        try store.commit(try encoder.encode(group), DerivationRows(), nowUnixNano: clock.now)
    }

    func commit(_ batch: LogBatch) throws {
        clock.now += 1_000_000
        var group = LogGroup()
        group.append(batch, receivedTimeUnixNano: clock.now)
        try store.commit(nil, DerivationRows(), logs: try LogSegmentEncoder().encode(group), nowUnixNano: clock.now)
    }

    func merge() throws {
        let merger = try SegmentMerger(store.maintenance())
        while try merger.runOnce() {}
        let logs = LogMerger(try store.maintenance())
        while try logs.runOnce() {}
    }

    func order(_ order: ForwardOrder) throws {
        var rows = AnnexRows()
        rows.forwardOrders = [order]
        try store.commit(nil, DerivationRows(), annex: rows, nowUnixNano: clock.now)
    }

    // MARK: Sending

    /// Steps until nothing is to be done, letting the time pass that is waited for.
    func drain(steps: Int = 5_000) {
        var idle = 0
        for _ in 0..<steps where idle < 40 {
            switch sender.step() {
            case .worked: idle = 0
            case .idle(let nanoseconds):
                idle += 1
                clock.now += max(nanoseconds, 1_000_000_000)
            }
        }
    }

    func cursor(_ signal: ForwardSignal = .traces) throws -> ForwardCursor {
        guard let cursor = try ForwardJournal(try store.forwardSource).cursor(plan.name, signal) else { throw CancellationError() }
        return cursor
    }

    func rows(_ query: String) throws -> [[String]] {
        let statement = try SQLReader(folder: folder).connection.prepare(query)
        var rows: [[String]] = []
        while try statement.step() { rows.append((0..<statement.columnCount).map { statement.text($0) ?? "∅" }) }
        return rows
    }
}

/// One clock for all.
final class TestClock: @unchecked Sendable {
    var now: Int64 = 1_767_225_600_000_000_000
    var unixNano: @Sendable () -> Int64 { { self.now } }
}

/// A target that a script answers for. What it takes it knows by ids, as a Fusebox does.
final class ScriptedHub: ForwardTransport {
    enum Move {
        case answer(Int, [(name: String, value: String)] = [], [UInt8] = [])
        /// It takes what was sent, and the answer is lost.
        case takeAndCut
        /// It takes nothing.
        case cut
    }

    /// What is said to a request with so many spans; without one it takes everything.
    var script: ((_ request: OutboundRequest, _ ids: [UInt64]) -> Move)?
    private(set) var requests: [(request: OutboundRequest, body: [UInt8])] = []
    /// By id the span as it came first, and how often one came.
    private(set) var spans: [UInt64: String] = [:]
    private(set) var times: [UInt64: Int] = [:]
    private(set) var records: [String] = []
    /// Ids that came again with other contents.
    private(set) var conflicts: [UInt64] = []

    func post(_ request: OutboundRequest) throws(OutboundError) -> OutboundAnswer {
        let encoding = ContentEncoding(header: request.headers.first { $0.name == "Content-Encoding" }?.value) ?? .identity
        guard let body = try? Inflation.inflate(request.body, encoding, limit: 64 << 20) else { throw .cutOff("not inflated") }
        requests.append((request, body))
        let isLogs = request.path.hasSuffix("/v1/logs")
        let batch = isLogs ? nil : try? TraceDecoder().decode(body)
        let ids = batch?.spans.map(\.spanID.value) ?? []
        switch script?(request, ids) ?? .answer(200) {
        case .answer(let status, let headers, let answer):
            if status == 200, headers.first?.value != "text/html" { take(batch, isLogs ? body : nil) }
            return OutboundAnswer(status: status, headers: headers, body: answer)
        case .takeAndCut:
            take(batch, isLogs ? body : nil)
            throw .cutOff("")
        case .cut: throw .cutOff("")
        }
    }

    private func take(_ batch: SpanBatch?, _ logs: [UInt8]?) {
        if let batch {
            for span in batch.spans {
                let text = "\(span.contentHash) \(batch.string(span.name)) "
                    + batch.attributes[span.attributes.indices].map { "\(batch.string(batch.keys[Int($0.key)]))" }.joined(separator: ",")
                if let known = spans[span.spanID.value], known != text { conflicts.append(span.spanID.value) }
                spans[span.spanID.value] = spans[span.spanID.value] ?? text
                times[span.spanID.value, default: 0] += 1
            }
        }
        if let logs, let decoded = try? LogsDecoder().decode(logs) {
            records += decoded.records.map { "\($0.timeUnixNano) \(decoded.string($0.body.slice))" }
        }
    }
}
