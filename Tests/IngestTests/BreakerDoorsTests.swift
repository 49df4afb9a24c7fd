import Derivations
import Foundation
import PrometheusText
import Queries
import SQLite
import SpanStore
import StoreSQL
import TelemetryModel
import Testing

@testable import Ingest
@testable import Reports

/// How often and how long breakers were open is one answer, at whichever door one asks.
@Suite struct BreakerDoorsTests {
    private static let epoch: Int64 = 1_795_242_900_000_000_000
    private static let second: Int64 = 1_000_000_000

    private struct Generator: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = (state ^ state >> 30) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
            return mixed ^ mixed >> 31
        }
    }

    /// Opens and open nanoseconds by tool, `reported` and `derived` apart.
    private struct Figures: Equatable {
        var opens: [String: Int64] = [:]
        var nanoseconds: [String: Int64] = [:]

        mutating func add(_ tool: String, _ machine: String, opens count: Int64, _ open: Int64) {
            opens["\(tool) \(machine)", default: 0] += count
            nanoseconds["\(tool) \(machine)", default: 0] += open
        }

        /// Without those that never opened.
        var told: Figures {
            Figures(opens: opens.filter { $0.value > 0 }, nanoseconds: nanoseconds.filter { opens[$0.key] ?? 0 > 0 })
        }
    }

    /// A store that was given a history of calls, restarts and jumps of the clock.
    private final class Store {
        let folder = StoreFolder(path: NSTemporaryDirectory() + "fusebox-tests-\(UUID().uuidString)")
        var policy = FusePolicy()
        var generator: Generator
        var state: WriterState?
        var now = BreakerDoorsTests.epoch
        private var number: UInt64 = 0
        private var clockError: Int64 = 0

        init(seed: UInt64) throws {
            generator = Generator(state: seed)
            policy.breakerCooldownNanoseconds = 5 * BreakerDoorsTests.second
            policy.breakerSettleNanoseconds = 2 * BreakerDoorsTests.second
            try start()
        }

        deinit {
            state = nil
            try? FileManager.default.removeItem(atPath: folder.path)
        }

        private func start() throws {
            state = nil
            let store = try SpanStore(folder: folder, gate: CommitGate())
            state = try WriterState(store, lane: DirectLane(store), policy: policy)
        }

        private var moment: Moment { Moment(unixNano: now + clockError, elapsed: now) }
        var wall: Int64 { now + clockError }

        func step() throws {
            try store()
            pass(Int64.random(in: 0...3, using: &generator))
            if Int.random(in: 0..<40, using: &generator) == 0 {
                clockError = [0, 3_600, -3_600].randomElement(using: &generator).map { $0 * BreakerDoorsTests.second } ?? 0
                pass(1)
            }
            if Int.random(in: 0..<25, using: &generator) == 0 { try start() }
        }

        private func store() throws {
            let state = try #require(state)
            var builder = SpanBatchBuilder()
            builder.beginResource(["service.name": "agent", "service.instance.id": Bool.random(using: &generator) ? "a" : "b"])
            builder.beginScope(name: "tests")
            for _ in 0..<Int.random(in: 1...4, using: &generator) { builder.append(call()) }
            state.store(Answer().request(builder.batch), now: moment)
            state.drain()
        }

        func pass(_ seconds: Int64) {
            for _ in 0..<seconds {
                now += BreakerDoorsTests.second
                state?.tick(now: moment)
            }
        }

        private func call() -> SpanDescription {
            number += 1
            var span = SpanDescription(traceID: TraceID(high: 1, low: number), spanID: SpanID(number), name: "call")
            span.endTimeUnixNano = wall - Int64.random(in: 0...BreakerDoorsTests.second, using: &generator)
            span.startTimeUnixNano = span.endTimeUnixNano - 1_000_000
            let tool = ["web", "shell", "db"].randomElement(using: &generator) ?? "web"
            var attributes: AttributeList = ["tool_name": .string(tool), "stage": "http_tool"]
            if Int.random(in: 0..<3, using: &generator) > 0 { attributes.append("timeout", .bool(true)) }
            if tool != "db", let reported = ["open", "open", "closed", "half_open"].randomElement(using: &generator) {
                attributes.append("breaker_state", .string(reported))
            }
            span.attributes = attributes
            return span
        }
    }

    @Test(arguments: 0..<12)
    func everyDoorGivesTheSame(seed: Int) throws {
        let store = try Store(seed: UInt64(seed))
        for _ in 0..<120 { try store.step() }
        store.pass(30)
        let derivations = try #require(store.state?.derivations)
        #expect(derivations.pendingObservations == 0)
        let wanted = Self.counters(derivations.view.collect(at: store.wall))
        #expect(wanted.opens.values.reduce(0, +) > 10)
        var views = Figures()
        for breaker in derivations.view.breakers(at: store.wall) {
            for (machine, figures) in [("reported", breaker.reported), ("derived", breaker.derived)] {
                if let figures { views.add(breaker.tool, machine, opens: figures.opens, figures.cooldownNanoseconds) }
            }
        }
        #expect(views.told == wanted)
        let reader = try SQLReader(folder: store.folder)
        #expect(try Self.rows(reader) == wanted)
        #expect(try Self.page(store.folder, at: store.wall) == wanted)
        try Self.expectReport(reader, wanted)
    }

    private static func counters(_ families: [MetricFamily]) -> Figures {
        var figures = Figures()
        for (machine, name) in [("reported", "agent_breaker"), ("derived", "agent_breaker_derived")] {
            for family in families where family.name == name + "_opens_total" || family.name == name + "_cooldown_seconds_total" {
                for sample in family.samples {
                    let tool = sample.labels.split(separator: "tool=\"").last?.split(separator: "\"").first ?? ""
                    switch sample.value {
                    case .integer(let value): figures.add(String(tool), machine, opens: value, 0)
                    case .double(let value): figures.add(String(tool), machine, opens: 0, Int64((value * 1e9).rounded()))
                    default: break
                    }
                }
            }
        }
        return figures.told
    }

    private static func rows(_ reader: SQLReader) throws -> Figures {
        var figures = Figures()
        let statement = try reader.connection.prepare(
            "SELECT tool_name, machine, count(*), sum(credited_ns) FROM breaker_openings GROUP BY 1, 2")
        while try statement.step() {
            figures.add(statement.text(0) ?? "", statement.text(1) ?? "", opens: statement.integer(2), statement.integer(3))
        }
        return figures.told
    }

    private static func page(_ folder: StoreFolder, at now: Int64) throws -> Figures {
        var figures = Figures()
        for opening in try OpeningReading.openings(TimeWindow(), QueryReader(folder: folder)) {
            #expect(opening.toUnixNano != nil, "all have ended or expired")
            let open = opening.openNanoseconds(from: .min, to: .max, at: now)
            #expect(open == opening.creditedNanoseconds)
            figures.add(opening.toolName, opening.machine, opens: 1, open)
        }
        return figures.told
    }

    private static func expectReport(_ reader: SQLReader, _ wanted: Figures) throws {
        var counts = ToolReport.Counts()
        let section = try ToolReport(ReportReader(reader)).breakers(ReportWindow(fromUnixNano: 0, untilUnixNano: .max), &counts)
        var gate: Int64 = 0
        for row in section.rows {
            guard case .text(let tool) = row[1] else { continue }
            let (reported, derived) = (wanted.opens["\(tool) reported"] ?? 0, wanted.opens["\(tool) derived"] ?? 0)
            #expect(row[2] == .count(reported) && row[3] == .count(derived))
            for (column, machine) in [(4, "reported"), (5, "derived")] {
                #expect(row[column] == .number(Double(wanted.nanoseconds["\(tool) \(machine)"] ?? 0) / 6e10, digits: 2))
            }
            gate += reported > 0 ? reported : derived
        }
        #expect(counts.opens == gate)
    }

    @Test func anOpeningThatRunsCountsUpToNowAndOneCooldownAtMost() {
        func opening(to end: Int64?, until: Int64) -> BreakerOpening {
            BreakerOpening(
                serviceName: "s", scope: "", toolName: "t", isReported: true, fromUnixNano: 30, toUnixNano: end,
                untilUnixNano: until, creditedNanoseconds: 0, traceID: TraceID(high: 0, low: 1), spanID: SpanID(1))
        }
        let running = opening(to: nil, until: 60)
        #expect(running.openNanoseconds(from: 0, to: .max, at: 45) == 15)
        #expect(running.openNanoseconds(from: 0, to: .max, at: 500) == 30)
        #expect(running.openNanoseconds(from: 40, to: 50, at: 500) == 10)
        #expect(running.openNanoseconds(from: 0, to: .max, at: 10) == 0)
        #expect(opening(to: 55, until: 55).openNanoseconds(from: 0, to: .max, at: 40) == 25)
        #expect(running.isCounted(from: 30, to: 31) && !running.isCounted(from: 0, to: 30))
        let edge = BreakerOpening(
            serviceName: "s", scope: "", toolName: "t", isReported: true, fromUnixNano: .min, toUnixNano: nil,
            untilUnixNano: .max, creditedNanoseconds: 0, traceID: TraceID(high: 0, low: 1), spanID: SpanID(1))
        #expect(edge.openNanoseconds(from: .min, to: .max, at: .max) == .max)
    }

    @Test func openingsOfAnOlderFileAreTakenFromItsEdgesOnce() throws {
        let folder = StoreFolder(path: NSTemporaryDirectory() + "fusebox-tests-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(atPath: folder.path) }
        do {
            let store = try SpanStore(folder: folder, gate: CommitGate())
            var rows = DerivationRows()
            let edges = [
                (10, "closed", "open"), (40, "open", "half_open"), (41, "half_open", "open"), (9_000, "open", "closed"),
            ]
            for (time, from, to) in edges {
                rows.transitions.append(
                    BreakerTransitionRow(
                        timeUnixNano: Int64(time) * Self.second, serviceName: "s", scope: "", toolName: "t", isReported: true,
                        fromState: from, toState: to, traceID: TraceID(high: 1, low: 1), spanID: SpanID(UInt64(time))))
            }
            try store.commit(nil, rows, nowUnixNano: Self.epoch)
        }
        try Connection(path: folder.databasePath, access: .readWrite)
            .execute("DROP TABLE breaker_opening; PRAGMA user_version = 3")
        #expect(try SQLReader(folder: folder).connection.integer("SELECT count(*) FROM breaker_openings") == 0)
        for _ in 0..<2 {
            _ = try SpanStore(folder: folder, gate: CommitGate())
            let reader = try SQLReader(folder: folder)
            let statement = try reader.connection.prepare(
                "SELECT from_unix_nano, to_unix_nano, credited_ns FROM breaker_openings ORDER BY 1")
            var found: [[Int64]] = []
            while try statement.step() { found.append((0..<3).map { statement.integer($0) / Self.second }) }
            #expect(found == [[10, 40, 30], [41, 71, 30]])
        }
    }
}
