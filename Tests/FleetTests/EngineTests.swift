import ClickHouse
import Forwarding
import OutboundHTTP
import Testing

@testable import Fleet

/// A ClickHouse that answers as it is told.
final class ScriptedEngine: ForwardTransport {
    var answer = OutboundAnswer(status: 200, headers: [(name: "x-clickhouse-format", value: ClickHouseRows.format)])
    var failure: OutboundError?
    private(set) var asked: [OutboundRequest] = []

    func post(_ request: OutboundRequest) throws(OutboundError) -> OutboundAnswer {
        asked.append(request)
        if let failure { throw failure }
        return answer
    }

    func fail(_ code: Int, status: Int = 500) {
        answer = OutboundAnswer(
            status: status, headers: [(name: "x-clickhouse-exception-code", value: "\(code)")],
            body: Array("Code: \(code). DB::Exception: no".utf8))
    }

    func engine(_ change: (inout ClickHousePlan) -> Void = { _ in }) throws -> Engine {
        var plan = ForwardTargetPlan(
            name: "fleet", endpoint: OutboundEndpoint(host: "h", port: 1, isEncrypted: false, pathPrefix: ""))
        var database = ClickHousePlan()
        change(&database)
        plan.kind = .clickHouse(database)
        return try #require(Engine(plan, transport: self))
    }
}

@Suite struct EngineTests {
    private let script = ScriptedEngine()

    @Test func aQuestionSaysItsLimitsAndThatItOnlyReads() throws {
        let engine = try script.engine { $0.views = "v" }
        var limits = EngineLimits()
        (limits.seconds, limits.rows) = (7, 12)
        _ = try engine.rows("SELECT 1", parameters: ["a": "x y"], limits)
        let request = try #require(script.asked.first)
        #expect(request.body == Array("SELECT 1".utf8) && request.timeoutNanoseconds == 17_000_000_000)
        for part in [
            "database=v", "readonly=2", "max_execution_time=7", "timeout_overflow_mode=throw", "max_result_rows=12",
            "result_overflow_mode=throw",
            "max_bytes_to_read=107374182400", "param_a=x%20y", "default_format=JSONCompactEachRowWithNamesAndTypes",
        ] { #expect(request.path.contains(part), "\(part)") }
    }

    @Test func anAnswerThatIsCutEndsOneRowBehindWhatIsWanted() throws {
        var limits = EngineLimits()
        (limits.rows, limits.isCut) = (7, true)
        _ = try script.engine().rows("SELECT 1", limits)
        let path = try #require(script.asked.first?.path)
        #expect(path.contains("result_overflow_mode=break") && path.contains("&limit=8"))
    }

    @Test func whatWritesIsNotEvenSent() throws {
        #expect(throws: EngineError.self) { try script.engine().rows("DROP TABLE t", EngineLimits()) }
        #expect(script.asked.isEmpty)
    }

    @Test func errorsOfTheEngineSayWhatToDoNext() throws {
        let engine = try script.engine()
        let cases: [(code: Int, word: String)] = [
            (159, "narrow it"), (396, "LIMIT"), (307, "GiB"), (241, "memory"), (164, "readonly = 2"), (516, "GRANT SELECT"),
            (60, "ddl"),
            (81, "ddl"), (202, "in a moment"), (47, "fleet: HTTP 500: Code: 47"),
        ]
        for one in cases {
            script.fail(one.code)
            do {
                _ = try engine.rows("SELECT 1", EngineLimits())
                Issue.record("\(one.code) is no error")
            } catch { #expect(error.message.contains(one.word) && error.message.contains("fleet"), "\(error.message)") }
        }
        script.failure = .notConnected("refused")
        do {
            _ = try engine.rows("SELECT 1", EngineLimits())
            Issue.record("no connection is no error")
        } catch { #expect(error.isRetryable && error.message.contains("endpoint")) }
    }

    @Test func somebodyElseOnTheWayIsNotTakenForTheEngine() throws {
        script.answer = OutboundAnswer(
            status: 200, headers: [(name: "content-type", value: "text/html")], body: Array("<html>".utf8))
        #expect(throws: EngineError.self) { try script.engine().rows("SELECT 1", EngineLimits()) }
    }

    @Test func aFormatInTheStatementIsRefused() throws {
        script.answer = OutboundAnswer(
            status: 200, headers: [(name: "x-clickhouse-format", value: "CSV")], body: Array("1\n".utf8))
        #expect(throws: EngineError.self) { try script.engine().rows("SELECT 1 FORMAT CSV", EngineLimits()) }
    }
}
