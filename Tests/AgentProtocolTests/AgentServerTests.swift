import TelemetryModel
import Testing

@testable import AgentProtocol

@Suite struct AgentServerTests {
    private static let envelope =
        #""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#

    @Test(arguments: [("2025-11-25", "2025-11-25"), ("2025-06-18", "2025-06-18"), ("2024-11-05", "2025-11-25"), ("x", "2025-11-25")])
    func aHandshakeAgreesOnWhatBothKnow(asked: String, agreed: String) async throws {
        let fixture = try await AgentFixture([])
        let answer = await fixture.send(#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"\#(asked)"}}"#)
        #expect(answer?.message["result"]?["protocolVersion"]?.text == agreed)
        #expect(answer?.message["result"]?["resultType"] == nil)
    }

    @Test func theStatelessRevisionNeedsNoHandshakeAndTellsWhatAnswers() async throws {
        let fixture = try await AgentFixture([])
        let found = await fixture.send(#"{"jsonrpc":"2.0","id":"a","method":"server/discover","params":{\#(Self.envelope)}}"#)
        #expect(found?.message["result"]?["supportedVersions"] == ["2026-07-28", "2025-11-25", "2025-06-18"])
        let list = await fixture.send(#"{"jsonrpc":"2.0","id":"a","method":"tools/list","params":{\#(Self.envelope)}}"#)
        #expect(list?.message["result"]?["resultType"]?.text == "complete")
        #expect(list?.message["result"]?["cacheScope"]?.text == "private")
        #expect(list?.message["result"]?["_meta"]?["io.modelcontextprotocol/serverInfo"]?["name"]?.text == "fusebox")
    }

    @Test func aVersionThatIsNotKnownIsRefusedWithThoseThatAre() async throws {
        let fixture = try await AgentFixture([])
        let text = #"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{\#(Self.envelope)}}"#
        let answer = await fixture.send(text.replacing("2026-07-28", with: "2031-01-01"))
        #expect(answer?.failure?.code == .unsupportedVersion)
        #expect(answer?.message["error"]?["data"]?["requested"]?.text == "2031-01-01")
    }

    @Test(arguments: [
        ("2026-07-28", "tools/call", "get_trace", true), ("2026-07-28", "tools/call", "=?base64?Z2V0X3RyYWNl?=", true),
        ("2026-07-28", "tools/call", "get_span", false), ("2026-07-28", "tools/list", "get_trace", false),
        ("2025-11-25", "tools/call", "get_trace", false),
    ])
    func headersMustSayWhatTheBodySays(version: String, method: String, name: String, isRight: Bool) async throws {
        let fixture = try await AgentFixture([])
        let answer = await fixture.send(
            #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_trace","arguments":{},\#(Self.envelope)}}"#,
            MessageHeaders(protocolVersion: version, method: method, name: name))
        #expect((answer?.failure == nil) == isRight)
        if !isRight { #expect(answer?.failure?.code == .headerMismatch) }
    }

    @Test(arguments: [
        ("{", ProtocolFailure.Code.parse), ("[]", .invalidRequest), (#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, .invalidRequest),
        (#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, .invalidRequest), (#"{"jsonrpc":"2.0","id":1,"method":"nonsense"}"#, .methodNotFound),
        (#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"nonsense"}}"#, .invalidParameters),
        (#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"file:///etc/passwd"}}"#, .invalidParameters),
        (#"{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"write_a_gate"}}"#, .invalidParameters),
    ])
    func whatIsNoMessageOrNamesNothingIsAnError(text: String, code: ProtocolFailure.Code) async throws {
        let fixture = try await AgentFixture([])
        #expect(await fixture.send(text)?.failure?.code == code)
    }

    @Test func notificationsAreNotAnswered() async throws {
        let fixture = try await AgentFixture([])
        #expect(await fixture.send(#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#) == nil)
    }

    @Test func everyToolSaysWhatItTakesAndGives() {
        #expect(Set(ToolCatalog.tools.map(\.name)).count == ToolCatalog.tools.count)
        for tool in ToolCatalog.tools {
            #expect(tool.description["outputSchema"]?["type"]?.text == "object")
            #expect(Set(tool.parameters.map(\.name)).count == tool.parameters.count, "\(tool.name)")
            #expect(tool.description.line.utf8.count < 8000, "\(tool.name)")
        }
    }

    @Test func callsAreLimitedByTimeAndByNumber() {
        let start = ContinuousClock.now
        let limits = CallLimits()
        for _ in 0..<60 {
            #expect(limits.enter(at: start) == nil)
            limits.leave()
        }
        #expect(limits.enter(at: start)?.contains("calls a second") == true)
        #expect(limits.enter(at: start + .milliseconds(100)) == nil)
        #expect(limits.enter(at: start + .milliseconds(100)) == nil)
        #expect(limits.enter(at: start + .seconds(10))?.contains("already") == true)
        limits.leave()
        #expect(limits.enter(at: start + .seconds(10)) == nil)
    }
}
