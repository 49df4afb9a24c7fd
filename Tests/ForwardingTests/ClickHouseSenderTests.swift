import ClickHouse
import Foundation
import OTLP
import OutboundHTTP
import SemanticColumns
import SpanStore
import TelemetryModel
import TelemetryTesting
import Testing

@testable import Forwarding

/// A ClickHouse that a script answers for: it knows its tables, and keeps which blocks came under which name.
final class ScriptedEngine: ForwardTransport {
    enum Move {
        case take
        /// It takes what was sent, and the answer is lost.
        case takeAndCut
        case cut
        case error(Int)
    }

    struct Insert {
        var id: String
        var ordinals: Range<Int64>
        var body: [UInt8]
        var isTaken: Bool
    }

    var script: ((_ body: [UInt8]) -> Move)?
    var engine = "ReplacingMergeTree"
    private(set) var surveys = 0
    private(set) var inserts: [Insert] = []

    func post(_ request: OutboundRequest) throws(OutboundError) -> OutboundAnswer {
        let own = [(name: "x-clickhouse-query-id", value: "x")]
        guard request.path.contains("query=INSERT") else {
            surveys += 1
            return OutboundAnswer(status: 200, headers: own, body: Array(survey.utf8))
        }
        let encoding = ContentEncoding(header: request.headers.first { $0.name == "Content-Encoding" }?.value) ?? .identity
        guard let body = try? Inflation.inflate(request.body, encoding, limit: 64 << 20), let id = Self.id(request.path) else {
            throw .cutOff("not understood")
        }
        let numbers = id.split(separator: "-").compactMap { Int64($0) }
        let move = script?(body) ?? .take
        var isTaken = false
        if case .take = move { isTaken = true }
        if case .takeAndCut = move { isTaken = true }
        inserts.append(
            Insert(id: id, ordinals: numbers[numbers.count - 3]..<numbers[numbers.count - 2], body: body, isTaken: isTaken))
        switch move {
        case .take: return OutboundAnswer(status: 200, headers: own)
        case .takeAndCut, .cut: throw .cutOff("")
        case .error(let code):
            return OutboundAnswer(
                status: 500, headers: own + [(name: "x-clickhouse-exception-code", value: "\(code)")],
                body: Array("Code: \(code). DB::Exception: no".utf8))
        }
    }

    private var survey: String {
        let columns =
            ClickHouseColumns.derived.map(\.name) + [
                "Timestamp", "TraceId", "SpanId", "SpanName", "SpanAttributes", "Body", ClickHouseColumns.node,
                ClickHouseColumns.ordinal,
            ]
        return "table\tt\t\(engine)\tTraceId, SpanId, FuseboxNode, FuseboxOrdinal\n"
            + columns.map { "column\t\($0)\tDEFAULT\tString\n" }.joined() + "setting\tasync_insert\t\t\n"
    }

    private static func id(_ path: String) -> String? {
        path.split(separator: "&").first { $0.hasPrefix("query_id=") }.map { String($0.dropFirst(9)) }
    }

    /// Blocks that were taken, by their names, each as it came last.
    var blocks: [String: [UInt8]] { Dictionary(inserts.filter(\.isTaken).map { ($0.id, $0.body) }, uniquingKeysWith: { $1 }) }
}

@Suite struct ClickHouseSenderTests {
    private static let day: Int64 = 86_400_000_000_000

    private func fixture(_ engine: ScriptedEngine, _ change: (inout ForwardTargetPlan) -> Void = { _ in }) throws
        -> ForwardFixture
    {
        try ForwardFixture(transport: engine) { plan in
            plan.kind = .clickHouse(ClickHousePlan())
            plan.compression = .zstd
            change(&plan)
        }
    }

    @Test(arguments: 1...6)
    func afterFailuresKillsAndMergesEveryOrdinalWasTakenWithTheSameBytes(seed: Int) throws {
        var random = SplitMix64(seed: UInt64(seed))
        let engine = ScriptedEngine()
        let fixture = try fixture(engine) { $0.batchCount = 60 }
        var moves = SplitMix64(seed: UInt64(seed) &+ 77)
        engine.script = { _ in
            switch Int.random(in: 0..<7, using: &moves) {
            case 0: .cut
            case 1: .takeAndCut
            case 2: .error([252, 241, 319].randomElement(using: &moves) ?? 252)
            default: .take
            }
        }
        var total: Int64 = 0
        var days = SplitMix64(seed: UInt64(seed) &+ 5)
        for _ in 0..<40 {
            switch Int.random(in: 0..<6, using: &random) {
            case 0...2:
                let count = Int.random(in: 1...90, using: &random)
                try fixture.ingest(count) { span, _ in
                    span.startTimeUnixNano -= Int64.random(in: 0..<3, using: &days) * Self.day
                }
                total += Int64(count)
            case 3: try fixture.merge()
            case 4: try fixture.restart(opensStore: Bool.random(using: &random))
            default: break
            }
            for _ in 0..<Int.random(in: 0...4, using: &random) { _ = fixture.sender.step() }
            fixture.clock.now += Int64.random(in: 0...20_000_000_000, using: &random)
        }
        engine.script = nil
        fixture.drain()
        let cursor = try fixture.cursor()
        #expect(cursor.nextOrdinal == total && cursor.sent == total && cursor.lost == 0 && cursor.refused == 0)
        // Flights follow each other without a gap, and each name had one body.
        var bodies: [String: Data] = [:]
        for insert in engine.inserts {
            #expect(bodies.updateValue(Data(insert.body), forKey: insert.id) ?? Data(insert.body) == Data(insert.body))
        }
        let taken = Set(engine.inserts.filter(\.isTaken).map(\.ordinals)).sorted { $0.lowerBound < $1.lowerBound }
        var next: Int64 = 0
        for ordinals in taken {
            #expect(ordinals.lowerBound == next)
            next = ordinals.upperBound
        }
        #expect(next == total)
        // Rows of all blocks are the spans, and no more.
        #expect(engine.blocks.values.reduce(0) { $0 + Int64($1[1]) } == total)
        #expect(engine.inserts.count > engine.blocks.count)
    }

    @Test func onePoisonSpanIsSetAsideWithTheEnginesCode() throws {
        let engine = ScriptedEngine()
        let fixture = try fixture(engine)
        let ids = try fixture.ingest(2_000) { span, index in span.startTimeUnixNano -= Int64(index % 2) * Self.day }
        let poison = Array(SpanID(ids[1_234]).hexadecimal.utf8)
        engine.script = { body in Data(body).range(of: Data(poison)) == nil ? .take : .error(117) }
        fixture.drain()
        let cursor = try fixture.cursor()
        #expect(cursor.nextOrdinal == 2_000 && cursor.sent == 1_999 && cursor.refused == 1)
        #expect(
            try fixture.rows("SELECT ordinal, count, span_id, code FROM forward_refused") == [
                ["1234", "1", SpanID(ids[1_234]).hexadecimal, "117"]
            ])
    }

    @Test func partsThatHaveTheirAnswerAreNotSentAgainUntilARestartOrAReplay() throws {
        let engine = ScriptedEngine()
        let fixture = try fixture(engine) { $0.batchCount = 30 }
        try fixture.ingest(30) { span, index in span.startTimeUnixNano -= Int64(index % 3) * Self.day }
        var left = 1
        engine.script = { _ in
            left -= 1
            return left < 0 && left > -3 ? .cut : .take
        }
        fixture.drain()
        // The first day once, the second three times, the third once.
        #expect(engine.inserts.count == 5 && Set(engine.inserts.map(\.id)).count == 3)
        #expect(try fixture.cursor().sent == 30)
        engine.script = nil
        try fixture.order(.replay(target: "hub", signal: .traces, from: 0))
        fixture.drain()
        #expect(engine.inserts.count == 8 && Set(engine.inserts.map(\.id)).count == 3)
    }

    @Test func aTableThatIsNotKeyedByIdentityGetsNothing() throws {
        let engine = ScriptedEngine()
        engine.engine = "MergeTree"
        let fixture = try fixture(engine)
        try fixture.ingest(5)
        fixture.drain(steps: 40)
        #expect(engine.inserts.isEmpty)
        let cursor = try fixture.cursor()
        #expect(cursor.state == "misdirected" && cursor.message.contains("there twice") && cursor.nextOrdinal == 0)
        engine.engine = "ReplicatedReplacingMergeTree"
        fixture.drain()
        #expect(try fixture.cursor().sent == 5)
        let surveys = engine.surveys
        // A table that says that a column is not there is looked at again.
        var isFirst = true
        engine.script = { _ in
            defer { isFirst = false }
            return isFirst ? .error(16) : .take
        }
        try fixture.ingest(5)
        // It waits a minute, which is more than one draining waits.
        fixture.drain()
        fixture.drain()
        #expect(try fixture.cursor().sent == 10)
        #expect(engine.surveys == surveys + 1)
    }

    @Test func spansMadeOfLogRecordsGoToo() throws {
        let engine = ScriptedEngine()
        let fixture = try fixture(engine)
        try fixture.ingest(2) { span, index in
            if index == 1 { span.attributes.append(LogCalls.markKey, .int(1)) }
        }
        fixture.drain()
        #expect(try fixture.cursor().sent == 2 && engine.blocks.values.first?[1] == 2)
    }
}

@Suite struct ClickHouseAnswerTests {
    private func read(_ status: Int, code: Int? = nil, own: Bool = true, body: String = "") -> DeliveryAnswer {
        var headers: [(name: String, value: String)] = own ? [(name: "x-clickhouse-summary", value: "{}")] : []
        if let code { headers.append((name: "x-clickhouse-exception-code", value: "\(code)")) }
        return ClickHouseAnswer.read(OutboundAnswer(status: status, headers: headers, body: Array(body.utf8)), nowUnixNano: 0)
    }

    @Test func onlyAnEmptyAnswerOfClickHouseIsAYes() {
        #expect(read(200) == .accepted(rejected: 0, message: ""))
        for answer in [read(200, own: false), read(200, body: "hello"), read(200, own: false, body: "<html>")] {
            guard case .later(200, nil, _) = answer else {
                Issue.record("\(answer)")
                continue
            }
        }
        guard case .later(241, nil, _) = read(200, body: "Code: 241. DB::Exception: Memory limit") else {
            Issue.record("an error behind a 200")
            return
        }
    }

    @Test func theCodeDecidesAndNotTheStatus() {
        for status in [200, 400, 404, 500] {
            guard case .refused(117, _) = read(status, code: 117), case .misdirected(60, let words) = read(status, code: 60),
                case .unauthorized(516, _) = read(status, code: 516), case .later(242, nil, _) = read(status, code: 242),
                case .tooLarge = read(status, code: 307)
            else {
                Issue.record("\(status)")
                continue
            }
            #expect(words.hasSuffix("fusebox ddl clickhouse prints the tables that are wanted"))
        }
        // One that is not known: the server's own trouble, or something about what was sent.
        guard case .later(9_999, _, _) = read(500, code: 9_999), case .refused(9_999, _) = read(400, code: 9_999) else {
            Issue.record("unknown codes")
            return
        }
    }

    @Test func whoeverStandsInBetweenIsReadByHTTP() {
        guard case .later(503, _, _) = read(503, own: false), case .unauthorized(401, _) = read(401, own: false),
            case .tooLarge = read(413, own: false), case .misdirected(404, _) = read(404, own: false)
        else {
            Issue.record("a proxy")
            return
        }
    }
}

@Suite struct BatchAgeTests {
    @Test func tooManyPartsMakeRequestsWaitLongerAndSuccessTakesItBack() {
        var age = BatchAge()
        for expected in [2, 4, 8, 16, 16] as [Int64] {
            age.widen()
            #expect(age.factor == expected)
        }
        for _ in 0..<63 { age.delivered() }
        #expect(age.factor == 16)
        age.delivered()
        #expect(age.factor == 8)
        for _ in 0..<500 { age.delivered() }
        #expect(age.factor == 1)
    }
}
