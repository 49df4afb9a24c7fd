import GatewayRules
import TelemetryModel
import Testing

struct DialectTests {
    private static let ollama = [
        #"{"model":"llama3.2","created_at":"2026-11-29T10:00:00Z","message":{"role":"assistant","content":""},"done":false}"#,
        #"{"model":"llama3.2","created_at":"2026-11-29T10:00:00Z","message":{"role":"assistant","content":"Thé"},"done":false}"#,
        #"{"model":"llama3.2","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","prompt_eval_count":26,"eval_count":282}"#,
    ].joined(separator: "\n")

    private static let messages = """
        event: message_start
        data: {"type":"message_start","message":{"id":"msg_1","model":"claude-x","content":[],"stop_reason":null,"usage":{"input_tokens":25,"cache_read_input_tokens":5,"output_tokens":1}}}

        event: content_block_start
        data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

        event: ping
        data: {"type":"ping"}

        event: content_block_delta
        data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}

        event: message_delta
        data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":15}}

        event: message_stop
        data: {"type":"message_stop"}


        """

    /// Whatever pieces it comes in, in the middle of a character too: the bytes pass as they are, and the same is read.
    @Test(arguments: [Dialect.ollama, .anthropic], 1..<40)
    func aStreamIsReadTheSameInAnyPieces(_ dialect: Dialect, _ size: Int) {
        let bytes = Array((dialect == .ollama ? Self.ollama : Self.messages).utf8)
        var reader = EventStreamReader(removesUsage: false, dialect)
        var passed: [UInt8] = []
        var tokens = 0
        for start in stride(from: 0, to: bytes.count, by: size) {
            let piece = reader.read(Array(bytes[start..<min(start + size, bytes.count)]))
            passed += piece.bytes
            if piece.hasToken { tokens += 1 }
        }
        passed += reader.finish()
        #expect(passed == bytes)
        #expect(tokens == 1)
        #expect(reader.isDone)
        #expect(reader.failure == nil)
        #expect(reader.facts.inputTokens == (dialect == .ollama ? 26 : 30))
        #expect(reader.facts.outputTokens == (dialect == .ollama ? 282 : 15))
        #expect(reader.facts.finishReasons == [dialect == .ollama ? "stop" : "end_turn"])
    }

    @Test func aStreamWithoutItsEndIsNotDoneAndOneThatTellsOfAnErrorSaysSo() {
        var cut = EventStreamReader(removesUsage: false, .ollama)
        _ = cut.read(Array(Self.ollama.prefix(200).utf8))
        _ = cut.finish()
        #expect(!cut.isDone)
        var failed = EventStreamReader(removesUsage: false, .ollama)
        _ = failed.read(Array("{\"error\":\"no memory\"}\n".utf8))
        #expect(failed.failure == "no memory")
    }

    @Test(arguments: [
        ("/v1/chat/completions", "chat", Dialect.openAI), ("/api/chat", "chat", .ollama),
        ("/api/generate", "text_completion", .ollama),
        ("/api/embed", "embeddings", .ollama), ("/v1/messages", "chat", .anthropic),
    ])
    func aPathSaysWhatIsAskedAndHow(_ path: String, _ operation: String, _ dialect: Dialect) throws {
        let route = try #require(ModelRoute(path: path))
        #expect(route.operation.rawValue == operation)
        #expect(route.dialect == dialect)
    }

    @Test func ollamaStreamsUnlessItIsToldNotToAndIsNotAskedForCounts() throws {
        let route = ModelRoute(.chat, .ollama)
        let request = try ModelRequest(route, body: Array(#"{"model":"m","messages":[]}"#.utf8))
        #expect(request.isStreamed)
        #expect(!request.addsUsage(BackendPlan(name: "b", host: "h", port: 1)))
        #expect(try !ModelRequest(route, body: Array(#"{"model":"m","stream":false}"#.utf8)).isStreamed)
    }

    @Test(arguments: Dialect.allCases)
    func everyRefusalIsAnObjectOfItsDialectAndItsEventAsWell(_ dialect: Dialect) throws {
        for refusal in [
            GatewayRefusal.queueFull(depth: 3, waitSeconds: 1), .unknownModel("x\n"),
            .firstTokenTimeout(backend: "b", seconds: 1),
        ] {
            let value = try JSONValue.parse(Array(refusal.body(dialect).utf8)[...])
            let text = value["error"]?["message"]?.text ?? value["error"]?.text
            #expect(text?.contains(refusal.message) == true)
            #expect(!refusal.body(dialect).contains("\n"))
            #expect(refusal.event(dialect).contains(refusal.body(dialect)))
        }
    }
}

struct BackendWatchTests {
    private let second: Int64 = 1_000_000_000

    @Test func whatIsKnownHasAnAgeAndIsNoMoreKnownWhenItIsOld() {
        var watch = BackendWatch(at: 0)
        #expect(watch.state(at: 0) == .unknown)
        let asks = [0, 1].map { watch.look(progress: 0, answer: nil, at: $0) }
        #expect(asks == [true, false])
        _ = watch.look(progress: 0, answer: .ready, at: second)
        #expect(watch.state(at: 2 * second) == .ready)
        #expect(watch.state(at: 30 * second) == .stale)
        #expect(watch.lastEvidence == second)
    }

    @Test func callsThatBringSomethingTakeThePlaceOfQuestions() {
        var watch = BackendWatch(at: 0)
        var asked = (1..<100).count { watch.look(progress: UInt64($0), answer: nil, at: Int64($0) * second) }
        #expect(asked == 0)
        #expect(watch.state(at: 99 * second) == .ready)
        asked += watch.look(progress: 99, answer: nil, at: 105 * second) ? 1 : 0
        #expect(asked == 1)
        _ = watch.look(progress: 99, answer: .nothing, at: 107 * second)
        #expect(watch.state(at: 107 * second) == .silent)
        let asksAgain = watch.look(progress: 99, answer: nil, at: 109 * second)
        #expect(asksAgain)
    }
}

struct SaturationTests {
    @Test func oneInTenLateFirstTokensAreTooManyAndOneInFiftyIsNot() {
        var saturation = Saturation()
        for index in 0..<50 { saturation.firstToken(budgetShare: index % 50 == 0 ? 1.2 : 0.3) }
        #expect(!saturation.firstTokensAreLate)
        for index in 0..<50 { saturation.firstToken(budgetShare: index % 10 == 0 ? 1.2 : 0.3) }
        #expect(saturation.firstTokensAreLate)
        for _ in 0..<50 { saturation.firstToken(budgetShare: 0.3) }
        #expect(!saturation.firstTokensAreLate)
    }

    @Test func aFewFailuresSayNothingAndAThirdSaysThatItFailsOften() {
        var saturation = Saturation()
        for _ in 0..<9 { saturation.ended(isFailure: true) }
        #expect(!saturation.failsOften)
        for index in 0..<60 { saturation.ended(isFailure: index % 3 == 0) }
        #expect(saturation.failsOften)
        for _ in 0..<50 { saturation.ended(isFailure: false) }
        #expect(!saturation.failsOften)
    }

    @Test func callsOfAServerAreReadFromItsOwnMetrics() {
        let llama = "# TYPE llamacpp:requests_processing gauge\nllamacpp:requests_processing 1\nllamacpp:requests_deferred 3\n"
        #expect(ServerLoad.calls(llama, .llamaCpp) == 4)
        #expect(
            ServerLoad.calls(
                "vllm:num_requests_running{model_name=\"a b\"} 2.0\nvllm:num_requests_waiting{engine=\"0\"} 1.0", .vllm) == 3)
        #expect(ServerLoad.calls("vllm:num_requests_running NaN", .vllm) == nil)
        #expect(ServerLoad.calls("other 1", .llamaCpp) == nil)
        #expect(!ServerLoad.isTold(by: .ollama))
    }

    @Test func slotsThatWorkMoveTheirMark() throws {
        func list(_ processed: Int, _ decoded: Int) throws -> SlotList {
            let text = """
                [{"id":0,"is_processing":true,"id_task":3,"n_prompt_tokens_processed":\(processed),"next_token":[{"n_decoded":\(decoded)}]},{"id":1,"is_processing":false}]
                """
            return try #require(SlotList(Array(text.utf8)))
        }
        #expect(try list(64, 0).busy == 1)
        #expect(try list(64, 0) == list(64, 0))
        #expect(try list(64, 0).mark != list(128, 0).mark)
        #expect(try list(64, 0).mark != list(64, 1).mark)
        #expect(SlotList(Array("{}".utf8)) == nil)
    }
}
