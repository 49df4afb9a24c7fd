import ClickHouse
import Derivations
import Forwarding
import Foundation
import OutboundHTTP
import Queries
import SpanStore
import Synchronization
import TelemetryModel
import Testing

@testable import Fleet

/// Bytes of `RowBinary`.
private struct RowBytes {
    var bytes: [UInt8] = []

    mutating func varint(_ value: Int) {
        var rest = UInt64(value)
        while rest >= 0x80 {
            bytes.append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    mutating func text(_ text: String) {
        varint(text.utf8.count)
        bytes += text.utf8
    }

    mutating func integer(_ integer: Int64) { withUnsafeBytes(of: integer.littleEndian) { bytes += $0 } }

    mutating func map(_ pairs: [(String, String)]) {
        varint(pairs.count)
        for (key, value) in pairs {
            text(key)
            text(value)
        }
    }

    /// A row as a node wrote it, its columns in the order in which they are asked for.
    mutating func row(trace: String, span: String, name: String, derived: [String: String] = [:], node: String = "n1") {
        for part in [trace, span, "", "", name, "Client"] { text(part) }
        integer(1_000)
        integer(500)
        map([("service.name", "s")])
        for part in ["scope", "1"] { text(part) }
        map([("gen_ai.tool.name", "from the attribute"), ("n", "7")])
        for part in ["Error", "it broke"] { text(part) }
        for _ in 0..<7 { varint(0) }
        integer(9_000)
        text(node)
        for column in ClickHouseColumns.derived {
            switch (column.kind, derived[column.name]) {
            case (.text, let value): text(value ?? "")
            case (_, let value?):
                bytes.append(0)
                integer(Int64(value) ?? 0)
            case (_, nil): bytes.append(1)
            }
        }
    }
}

/// Answers how many spans there are, and gives them.
private final class SpansEngine: ForwardTransport {
    let rows: [UInt8]
    let count: Int
    private(set) var statements: [String] = []

    init(_ rows: [UInt8], count: Int) {
        (self.rows, self.count) = (rows, count)
    }

    func post(_ request: OutboundRequest) throws(OutboundError) -> OutboundAnswer {
        let statement = String(decoding: request.body, as: UTF8.self)
        statements.append(statement)
        let own = [(name: "x-clickhouse-query-id", value: "x")]
        if request.path.contains("RowBinary") { return OutboundAnswer(status: 200, headers: own, body: rows) }
        if statement.contains("otel_logs") { return OutboundAnswer(status: 200, headers: own, body: Array("[\"c\"]\n[\"Int64\"]\n[0]\n".utf8)) }
        let text =
            statement.contains("_trace_id_ts") && !statement.contains("SELECT toInt64(count())")
            ? "[\"a\",\"b\",\"c\"]\n[\"Int64\",\"Int64\",\"UInt64\"]\n[10,20,1]\n" : "[\"c\"]\n[\"Int64\"]\n[\(count)]\n"
        return OutboundAnswer(status: 200, headers: own, body: Array(text.utf8))
    }
}

@Suite struct FleetSpansTests {
    private let trace = String(repeating: "ab", count: 16)

    private func spans(_ engine: SpansEngine, _ limits: FleetSpans.Limits = .init()) -> FleetSpans {
        var plan = ForwardTargetPlan(
            name: "fleet", endpoint: OutboundEndpoint(host: "h", port: 1, isEncrypted: false, pathPrefix: ""))
        plan.kind = .clickHouse(ClickHousePlan())
        let given = UncheckedEngine(transport: engine)
        return FleetSpans(plan, policy: FusePolicy(), prices: PriceTable(), limits: limits) {
            Engine($0, transport: given.transport)
        }
    }

    /// One thread asks here.
    private struct UncheckedEngine: @unchecked Sendable {
        let transport: SpansEngine
    }

    @Test func aQuestionIsAskedOverTheSpansThatItNeeds() throws {
        var bytes = RowBytes()
        bytes.row(
            trace: trace, span: "00000000000000a1", name: "one",
            derived: ["tool_name": "from the node", "tokens": "5", "stage": "llm", "outcome": "timeout"])
        bytes.row(trace: "no id", span: "1", name: "of another program")
        let engine = SpansEngine(bytes.bytes, count: 2)
        let (folder, held) = try spans(engine).folder(of: .trace(trace), seconds: 5)
        let row = try withExtendedLifetime(held) {
            try QueryReader(folder: folder).first(
                "SELECT name, tool_name, tokens, outcome, stage, received_time_unix_nano, attr(attributes, 'n'), status_message, end_time_unix_nano FROM spans"
            )
        }
        #expect(
            row == [
                .text("one"), .text("from the node"), .integer(5), .text("timeout"), .text("llm"), .integer(9_000), .text("7"),
                .text("it broke"),
                .integer(1_500),
            ])
        #expect(engine.statements.count == 4 && engine.statements[2].contains("LIMIT 1 BY TraceId, SpanId, SpanKind"))
        // Log records of the trace, a day around it.
        #expect(engine.statements[3].contains("otel_logs WHERE TraceId = '\(trace)' AND Timestamp >= toDateTime64(0, 9"))
        #expect(engine.statements[3].contains("Timestamp < toDateTime64(86421, 9"))
        #expect(
            engine.statements[2].contains("Timestamp >= toDateTime64(10, 9, 'UTC') AND Timestamp < toDateTime64(21, 9, 'UTC')"))
    }

    @Test func theFolderGoesWithWhoHoldsIt() throws {
        let fleet = spans(
            SpansEngine([], count: 0),
            {
                var limits = FleetSpans.Limits(); limits.keptSeconds = -1; return limits
            }())
        var (folder, held): (StoreFolder, (any AnyObject & Sendable)?) = try fleet.folder(of: .trace(trace), seconds: 5)
        #expect(folder.databaseExists && held != nil)
        _ = try fleet.folder(of: .session("x"), seconds: 5)
        held = nil
        #expect(!folder.databaseExists)
        folder = StoreFolder(path: "")
    }

    @Test func rowsOfOthersAreLookedAtAsSpansThatComeIn() throws {
        var bytes = RowBytes()
        bytes.row(trace: trace, span: "00000000000000a1", name: "one", node: "")
        let (folder, held) = try spans(SpansEngine(bytes.bytes, count: 1)).folder(of: .session("it's"), seconds: 5)
        let row = try withExtendedLifetime(held) { try QueryReader(folder: folder).first("SELECT tool_name, outcome FROM spans") }
        #expect(row == [.text("from the attribute"), .text("error")])
    }

    @Test func aStoreOfAWindowServesTheWindowsInIt() throws {
        let engine = SpansEngine([], count: 0)
        let fleet = spans(engine)
        let wide = try fleet.folder(of: .window(from: 1_000, to: .max), seconds: 5)
        for need in [SpanNeed.window(from: 1_000, to: .max), .window(from: 2_000, to: .max), .window(from: 2_000, to: 3_000)] {
            #expect(try fleet.folder(of: need, seconds: 5).folder.path == wide.folder.path)
        }
        // When they were, and how many: there are none to read.
        #expect(engine.statements.count == 2)
        #expect(try fleet.folder(of: .window(from: 999, to: 3_000), seconds: 5).folder.path != wide.folder.path)
        #expect(try fleet.folder(of: .trace(trace), seconds: 5).folder.path != wide.folder.path)
    }

    @Test func whoAsksWhileAStoreIsBeingMadeWaitsForIt() throws {
        let kept = KeptStores(seconds: 5)
        let made = Mutex(0)
        let isAsked = DispatchSemaphore(value: 0)
        let stores = Mutex<[ObjectIdentifier]>([])
        let all = DispatchGroup()
        for number in 0..<8 {
            DispatchQueue.global().async(group: all) {
                if number > 0 { isAsked.wait() }
                let store = try? kept.store(of: .window(from: Int64(number), to: .max), seconds: 60) {
                    made.withLock { $0 += 1 }
                    for _ in 1..<8 { isAsked.signal() }
                    // Time for the others to ask; whoever is later finds the store.
                    usleep(100_000)
                    return try WorkingStore.make(policy: FusePolicy(), prices: PriceTable()) { _ in }
                }
                stores.withLock { $0.append(contentsOf: store.map { [ObjectIdentifier($0)] } ?? []) }
            }
        }
        all.wait()
        #expect(made.withLock { $0 } == 1)
        #expect(stores.withLock { $0.count } == 8 && stores.withLock { Set($0).count } == 1)
    }

    @Test func whatCouldNotBeMadeIsToldToAllAndNotKept() throws {
        let kept = KeptStores(seconds: 5)
        #expect(throws: QueryError.self) { try kept.store(of: .nothing, seconds: 1) { throw QueryError.unavailable("gone") } }
        _ = try kept.store(of: .nothing, seconds: 1) { try WorkingStore.make(policy: FusePolicy(), prices: PriceTable()) { _ in } }
    }

    @Test func tooManySpansAreRefusedBeforeTheyAreRead() {
        let engine = SpansEngine([], count: 200_001)
        #expect { try spans(engine).folder(of: .window(from: 1, to: 2), seconds: 5) } throws: { error in
            guard case QueryError.tooLarge(let message) = error else { return false }
            return message.contains("200001") && message.contains("shorter time")
        }
        #expect(engine.statements.count == 2)
    }

    @Test func whatOnlyNodesHaveIsNotEvenAsked() {
        let engine = SpansEngine([], count: 0)
        #expect { try spans(engine).folder(of: .node, seconds: 5) } throws: { error in
            if case QueryError.notHere = error { true } else { false }
        }
        #expect(engine.statements.isEmpty)
    }

    @Test func anAnswerThatIsCutOffAnywhereIsNone() throws {
        var bytes = RowBytes()
        bytes.row(trace: trace, span: "00000000000000a1", name: "one", derived: ["tool_name": "t", "tokens": "5"])
        for count in 1..<bytes.bytes.count {
            var reader = RowBinaryReader(Array(bytes.bytes.prefix(count)))
            #expect(throws: RowBinaryReader.Problem.self) { try EngineRow.read(&reader) }
        }
        var reader = RowBinaryReader([UInt8](repeating: 0xFF, count: 64))
        #expect(throws: RowBinaryReader.Problem.self) { try EngineRow.read(&reader) }
    }

    @Test func aListOfLogRecordsBringsThoseThatItShows() throws {
        let engine = SpansEngine([], count: 0)
        var search = LogSearch()
        (search.service, search.eventName, search.limit) = ("it's", "e", 10)
        (search.from, search.to, search.after) = (5, 9_000, LogCursor(timeUnixNano: 700, count: 2))
        _ = try spans(engine).folder(of: search.need, seconds: 5)
        let statement = try #require(engine.statements.first)
        for part in [
            "FINAL", "Timestamp >= fromUnixTimestamp64Nano(5, 'UTC')", "Timestamp < fromUnixTimestamp64Nano(701, 'UTC')",
            "ServiceName = 'it\\'s'", "EventName = 'e'", "ORDER BY Timestamp DESC LIMIT 13 WITH TIES",
        ] { #expect(statement.contains(part), "\(part)") }
        // Those of a trace are few, and all of them come.
        search.traceID = TraceID(hexadecimal: trace)
        _ = try spans(engine).folder(of: search.need, seconds: 5)
        let ofTrace = try #require(engine.statements.last)
        #expect(ofTrace.contains("TraceId = '\(trace)'") && ofTrace.contains("LIMIT 1 BY FuseboxNode, FuseboxOrdinal"))
        #expect(!ofTrace.contains("FINAL") && !ofTrace.contains("WITH TIES"))
        search.traceID = nil
        // What is looked for in texts may be anywhere in the window.
        search.text = "x"
        _ = try spans(engine).folder(of: search.need, seconds: 5)
        #expect(try !#require(engine.statements.last).contains("LIMIT"))
    }

    @Test func aLogRecordThatIsCutOffAnywhereIsNone() throws {
        var bytes = RowBytes()
        for part in [trace, "00000000000000a1"] { bytes.text(part) }
        for part in [1_000, 9] as [Int64] { bytes.integer(part) }
        for part in ["INFO", "e", "body"] { bytes.text(part) }
        bytes.map([("service.name", "s")])
        for part in ["scope", "1"] { bytes.text(part) }
        bytes.map([])
        bytes.map([("k", "v")])
        bytes.integer(5_000)
        for count in 0..<bytes.bytes.count {
            var reader = RowBinaryReader(Array(bytes.bytes.prefix(count)))
            #expect(throws: RowBinaryReader.Problem.self) { try EngineLogRow.read(&reader) }
        }
        let store = try WorkingStore.make(policy: FusePolicy(), prices: PriceTable()) { writer in
            var reader = RowBinaryReader(bytes.bytes)
            try writer.append([try EngineLogRow.read(&reader)], bytes.bytes)
        }
        let row = try QueryReader(folder: store.folder).first(
            "SELECT trace_id, span_id, time_unix_nano, received_time_unix_nano, severity_number, severity_text, event_name, body, service_name, attributes FROM logs")
        #expect(
            row == [
                .text(trace), .text("00000000000000a1"), .integer(1_000), .integer(5_000), .integer(9), .text("INFO"), .text("e"), .text("body"),
                .text("s"), .text("{\"k\":\"v\"}"),
            ])
    }

    @Test func textsOfAQuestionStayTexts() throws {
        let engine = SpansEngine([], count: 0)
        _ = try spans(engine).folder(of: .session("a' OR 1 = 1 --\\"), seconds: 5)
        #expect(engine.statements[0].contains("session_id = 'a\\' OR 1 = 1 --\\\\'"))
    }
}
