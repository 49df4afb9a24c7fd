import Derivations
import Foundation
import OTLP
import PrometheusText
import SQLite
import SemanticColumns
import SpanStore
import StoreSQL
import TelemetryModel
import Testing

@testable import Ingest

/// The writer's state over real requests: a restart anywhere, and spans that come twice, change no derived number.
@Suite struct WriterStateTests {
    private static let fixtures = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Fixtures/otlp")

    private static func requests(_ name: String) throws -> [SpanBatch] {
        let folder = fixtures.appendingPathComponent(name)
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        return try files.filter { $0.hasSuffix(".bin") }.compactMap { file in
            let headers = folder.appendingPathComponent(file.replacing(".bin", with: ".json-headers"))
            guard try String(contentsOf: headers, encoding: .utf8).contains(#""signal": "traces""#) else { return nil }
            let body = [UInt8](try Data(contentsOf: folder.appendingPathComponent(file)))
            return try TraceDecoder().decode(body)
        }
    }

    /// A store in a folder of its own and the state over it.
    private final class Server {
        let folder = StoreFolder(path: NSTemporaryDirectory() + "fusebox-tests-\(UUID().uuidString)")
        let policy: FusePolicy
        private(set) var state: WriterState?
        private(set) var lane: DirectLane?
        var now: Int64 = 1_795_242_900_000_000_000

        init() throws {
            var policy = FusePolicy()
            policy.breakerCooldownNanoseconds = 500_000_000
            policy.breakerSettleNanoseconds = 1_000_000_000
            self.policy = policy
            try start()
        }

        deinit {
            state = nil
            lane = nil
            try? FileManager.default.removeItem(atPath: folder.path)
        }

        private func start() throws {
            let store = try SpanStore(folder: folder, gate: CommitGate())
            let lane = DirectLane(store)
            self.lane = lane
            state = try WriterState(store, lane: lane, policy: policy)
        }

        func restart() throws {
            state = nil
            lane = nil
            try start()
        }

        @discardableResult
        func store(_ batch: SpanBatch) throws -> IngestResult {
            now += 100_000_000
            let state = try #require(state)
            let answer = Answer()
            state.store(answer.request(batch), now: Moment(steady: now))
            state.drain()
            return try #require(answer.result).get()
        }

        /// The derived families after everything has settled.
        func exposition() throws -> String {
            now += 60_000_000_000
            let state = try #require(state)
            state.tick(now: Moment(steady: now))
            state.drain()
            return String(decoding: ExpositionEncoder.encode(state.derivations.view.collect(at: now), as: .text004), as: UTF8.self)
        }
    }

    @Test(arguments: ["handmade", "llamaindex-native", "langgraph-openllmetry"])
    func aRestartAfterEveryRequestChangesNothing(name: String) throws {
        let requests = try Self.requests(name)
        let plain = try Server()
        let restarted = try Server()
        for request in requests {
            try plain.store(request)
            try restarted.store(request)
            try restarted.restart()
        }
        #expect(try plain.exposition() == restarted.exposition())
    }

    @Test func spansThatComeTwiceChangeNothing() throws {
        let requests = try Self.requests("handmade")
        let once = try Server()
        let twice = try Server()
        for request in requests {
            try once.store(request)
            #expect(try twice.store(request).accepted == request.spans.count)
        }
        for request in requests.reversed() {
            let result = try twice.store(request)
            #expect((result.accepted, result.duplicates, result.conflicts) == (0, request.spans.count, 0))
        }
        once.now = twice.now
        #expect(try once.exposition() == twice.exposition())
    }

    @Test func aRequestLargerThanASegmentIsStoredWhole() throws {
        var builder = SpanBatchBuilder()
        builder.beginResource(["service.name": "big"])
        builder.beginScope(name: "tests")
        for number in 1...45_000 {
            var span = SpanDescription(
                traceID: TraceID(high: UInt64(number / 10 + 1), low: 1), spanID: SpanID(UInt64(number)), name: "n")
            span.startTimeUnixNano = 1
            span.endTimeUnixNano = 2
            builder.append(span)
        }
        let server = try Server()
        #expect(try server.store(builder.batch).accepted == 45_000)
        #expect(try server.store(builder.batch).duplicates == 45_000)
        let reader = try SQLReader(folder: server.folder)
        #expect(try reader.connection.integer("SELECT count(DISTINCT span_id) FROM spans") == 45_000)
        #expect(try reader.connection.integer("SELECT count(*) FROM segment") == 3)
    }

    @Test func anIdleServerWritesNothing() throws {
        let server = try Server()
        try server.store(try Self.requests("handmade")[0])
        _ = try server.exposition()
        let reader = try SQLReader(folder: server.folder)
        _ = try server.exposition()
        let before = try reader.connection.integer("PRAGMA data_version")
        let state = try #require(server.state)
        for _ in 0..<20 {
            server.now += 1_000_000_000
            state.tick(now: Moment(steady: server.now))
            state.drain()
        }
        #expect(try reader.connection.integer("PRAGMA data_version") == before)
    }

    @Test func aTickHandsOverNothingUntilTheClockHasGoneAStep() throws {
        let server = try Server()
        try server.store(try Self.requests("handmade")[0])
        let state = try #require(server.state)
        let lane = try #require(server.lane)
        server.now += 1_000_000_000
        state.tick(now: Moment(steady: server.now))
        let before = lane.submissions
        for _ in 0..<10 {
            server.now += 1_000
            state.tick(now: Moment(steady: server.now))
        }
        #expect(lane.submissions == before)
        server.now += 1_000_000_000
        state.tick(now: Moment(steady: server.now))
        #expect(lane.submissions == before + 1)
    }

    @Test func everyEdgeOfABreakerIsATransition() throws {
        let server = try Server()
        for request in try Self.requests("handmade") { try server.store(request) }
        let text = try server.exposition()
        let reader = try SQLReader(folder: server.folder)
        let statement = try reader.connection.prepare(
            "SELECT tool_name, to_state, count(*) FROM breaker_transitions WHERE machine = 'reported' GROUP BY 1, 2")
        let families = ["open": "opens", "half_open": "half_opens", "closed": "closes"]
        var count = 0
        while try statement.step() {
            let tool = statement.text(0) ?? ""
            let family = try #require(families[statement.text(1) ?? ""])
            let line = "agent_breaker_\(family)_total{service_name=\"agent-handmade\",tool=\"\(tool)\",stage=\"other\"} "
            #expect(text.contains(line + "\(statement.integer(2))\n"), "\(line)")
            count += 1
        }
        #expect(count == 6)
    }
}

@Suite struct IngestQueueTests {
    private static func request(_ spans: Int, bytes: Int = 1) -> IngestQueue.Request {
        var batch = SpanBatch(bytes: [])
        batch.spans = Array(repeating: SpanRecord(), count: spans)
        return IngestQueue.Request(batch: batch, bytes: bytes, enqueued: .now, finish: { _ in })
    }

    @Test func refusesWhatDoesNotFitAndTakesAnythingWhenEmpty() {
        var limits = IngestLimits()
        limits.queueSpansMax = 10
        limits.queueBytesMax = 100
        let queue = IngestQueue(limits: limits)
        #expect(queue.add(Self.request(50)) == nil)
        #expect(queue.add(Self.request(1)).map { "\($0)" } == "queueFull")
        _ = queue.take(spansMax: 100, deadline: .now())
        #expect(queue.add(Self.request(6)) == nil)
        #expect(queue.add(Self.request(5)).map { "\($0)" } == "queueFull")
        #expect(queue.add(Self.request(4, bytes: 100)).map { "\($0)" } == "queueFull")
        #expect(queue.add(Self.request(4)) == nil)
        #expect(queue.depth.spans == 10)
    }

    @Test func givesWorkInTheOrderOfArrivalUpToACap() {
        let queue = IngestQueue(limits: IngestLimits())
        for spans in [3, 4, 5, 20] { #expect(queue.add(Self.request(spans)) == nil) }
        let takes = (0..<3).map { _ in queue.take(spansMax: 8, deadline: .now()).requests.map(\.batch.spans.count) }
        #expect(takes == [[3, 4], [5], [20]])
    }

    @Test func servesWhatIsInAfterItWasClosed() {
        let queue = IngestQueue(limits: IngestLimits())
        #expect(queue.add(Self.request(1)) == nil)
        queue.close()
        #expect(queue.add(Self.request(1)).map { "\($0)" } == "stopping")
        #expect(!queue.add { _ in })
        let work = queue.take(spansMax: 8, deadline: .now())
        #expect(work.requests.count == 1 && work.isClosed)
    }
}
