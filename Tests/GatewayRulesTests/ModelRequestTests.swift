import GatewayRules
import TelemetryModel
import Testing

struct ModelRequestTests {
    private func body(_ text: String, _ change: (inout BackendPlan) -> Void = { _ in }) throws -> String {
        var backend = BackendPlan(name: "b", host: "h", port: 1)
        change(&backend)
        return String(
            decoding: try ModelRequest(ModelRoute(.chat, .openAI), body: Array(text.utf8)).body(for: backend), as: UTF8.self)
    }

    @Test func aBodyGoesOnByteForByteWhenThereIsNothingToChange() throws {
        let text =
            " { \"model\" : \"m\", \"temperature\": 1.10, \"messages\":[{\"role\":\"user\",\"content\":\"{\\\"model\\\":1}\"}] } "
        #expect(try body(text) == text)
    }

    @Test func theModelsNameIsReplacedWhereAnotherOneIsConfigured() throws {
        let text = #"{"messages":[{"content":"\"model\":\"x\""}],"model":"m","n":1}"#
        #expect(
            try body(text) { $0.upstreamModel = "a \"b\"" }
                == #"{"messages":[{"content":"\"model\":\"x\""}],"model":"a \"b\"","n":1}"#)
    }

    @Test func aStreamIsAskedForItsTokensUnlessTheClientSaidSomethingOfItsOwn() throws {
        #expect(
            try body(#"{"model":"m","stream":true}"#)
                == #"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#)
        let own = #"{"model":"m","stream":true,"stream_options":{"include_usage":false}}"#
        #expect(try body(own) == own)
        #expect(try body(#"{"model":"m","stream":true}"#) { $0.asksForUsage = false } == #"{"model":"m","stream":true}"#)
    }

    @Test(arguments: [
        "", "[]", "{", "{}", #"{"model":1}"#, #"{"model":""}"#, #"{"model":"m""#, #"{"model":"m"} x"#, #"{"model"}"#, #"{"a":}"#,
        #"{"model":"m",}"#, #"{"model":"\"#, "null",
    ])
    func whatIsNoRequestIsRefused(_ text: String) {
        #expect(throws: GatewayRefusal.self) { try ModelRequest(ModelRoute(.chat, .openAI), body: Array(text.utf8)) }
    }

    @Test func whatSpansTellComesFromTheBodyAndPromptsDoNot() throws {
        let text = #"{"model":"m","max_tokens":5,"temperature":0.5,"top_p":1,"messages":[{"content":"secret"}],"stream":true}"#
        let request = try ModelRequest(ModelRoute(.chat, .openAI), body: Array(text.utf8))
        #expect(request.isStreamed)
        #expect(
            request.attributes == [
                "gen_ai.request.max_tokens": 5, "gen_ai.request.temperature": 0.5, "gen_ai.request.top_p": 1.0,
            ])
        #expect(request.promptTokens == 5)
    }
}

struct TraceContextTests {
    private let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    @Test func aParentIsTakenAndPassedOnWithTheSpanOfTheCall() throws {
        let context = try #require(TraceContext(traceparent: good))
        #expect(context.traceparent(SpanID(0xAB)) == "00-0af7651916cd43dd8448eb211c80319c-00000000000000ab-01")
    }

    @Test(arguments: [
        "", "00", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0af7651916cd43dd8448eb211c80319x-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
    ])
    func whatIsNoParentBeginsATraceOfItsOwn(_ text: String) {
        #expect(TraceContext(traceparent: text) == nil)
    }

    @Test func baggageIsReadByNameAndDecoded() {
        let header = "a=1,workflow_name = nightly%20run ;p=1, step_id=plan"
        #expect(Baggage.value("workflow_name", in: header) == "nightly run")
        #expect(Baggage.value("step_id", in: header) == "plan")
        #expect(Baggage.value("b", in: header) == nil)
        #expect(Baggage.value("a", in: "a=%") == "%")
    }
}

struct CallFusesTests {
    private func limits() -> FuseLimits {
        var limits = FuseLimits()
        limits.firstTokenNanoseconds = 100
        limits.firstTokenNanosecondsPerThousand = 50
        limits.connectNanoseconds = 10
        limits.gapNanoseconds = 20
        limits.answerNanoseconds = 500
        return limits
    }

    @Test func theFirstTokenFuseRunsFromTheSlotOverAllAttemptsAndEndsWithTheFirstToken() {
        var fuses = CallFuses(limits(), isStreamed: true, promptTokens: 2000, grantedAt: 0)
        #expect(fuses.blown(at: 10) == .connect)
        fuses.connected()
        #expect(fuses.next?.at == 200)
        fuses.connects(at: 150)
        fuses.connected()
        #expect(fuses.blown(at: 199) == nil)
        #expect(fuses.blown(at: 200) == .firstToken)
        fuses.token(at: 199)
        #expect(fuses.blown(at: 218) == nil)
        #expect(fuses.blown(at: 219) == .gap)
        // However long it goes on.
        fuses.token(at: 1_000_000)
        #expect(fuses.blown(at: 1_000_019) == nil)
    }

    @Test func anAnswerThatIsNotStreamedHasOneFuseForTheWholeOfIt() {
        var fuses = CallFuses(limits(), isStreamed: false, promptTokens: 0, grantedAt: 0)
        fuses.connected()
        #expect(fuses.next?.at == 500)
        #expect(fuses.next?.fuse == .answer)
    }

    @Test func aTotalCapHoldsOnlyWhereItIsAskedFor() {
        var limits = limits()
        limits.totalNanoseconds = 30
        var fuses = CallFuses(limits, isStreamed: true, promptTokens: 0, grantedAt: 0)
        fuses.token(at: 29)
        #expect(fuses.blown(at: 30) == .total)
    }
}

struct GatewayRefusalTests {
    @Test func refusalsAreErrorObjectsOfOpenAIsForm() throws {
        let refusal = GatewayRefusal.breakerOpen(backend: "local", waitNanoseconds: 12_100_000_000)
        let error = try JSONValue.parse(Array(refusal.body(.openAI).utf8)[...])["error"]
        #expect(error?["code"]?.text == "fusebox_breaker_open")
        #expect(error?["type"]?.text == "unavailable_error")
        #expect(error?["param"] == .null)
        #expect(refusal.status == 503)
        #expect(refusal.retryAfterSeconds == 13)
        #expect(refusal.shouldRetry == false)
        #expect(GatewayRefusal.firstTokenTimeout(backend: "local", seconds: 2.5).status == 504)
        #expect(GatewayRefusal.queueFull(depth: 4, waitSeconds: 500).retryAfterSeconds == 60)
    }
}
