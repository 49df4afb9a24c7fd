import GatewayRules
import Testing

struct EventStreamReaderTests {
    /// Every way of cutting a stream gives the same.
    @Test(arguments: ["llama-stream-usage", "llama-stream", "llama-stream-progress", "mlx-stream-usage", "llama-completions"])
    func howAStreamIsCutMakesNoDifference(_ name: String) throws {
        let body = try Recordings.answer(name).body
        var whole = EventStreamReader(removesUsage: true)
        let expected = whole.read(body).bytes
        for size in [1, 2, 3, 7, 64, 1000] {
            var reader = EventStreamReader(removesUsage: true)
            var bytes: [UInt8] = []
            for start in stride(from: 0, to: body.count, by: size) {
                bytes += reader.read(Array(body[start..<min(start + size, body.count)])).bytes
            }
            bytes += reader.finish()
            #expect(bytes == expected)
            #expect(reader.facts == whole.facts)
            #expect(reader.isDone)
        }
    }

    @Test func bytesGoOnAsTheyCameWhenNothingIsTakenOut() throws {
        let body = try Recordings.answer("llama-stream-usage").body
        var reader = EventStreamReader(removesUsage: false)
        var bytes: [UInt8] = []
        for byte in body { bytes += reader.read([byte]).bytes }
        #expect(bytes == body)
    }

    @Test func theCountsThatWereAskedForOnTheClientsBehalfAreTakenOutAndKnown() throws {
        let body = try Recordings.answer("llama-stream-usage").body
        var reader = EventStreamReader(removesUsage: true)
        let text = String(decoding: reader.read(body).bytes, as: UTF8.self)
        #expect(!text.contains("\"usage\""))
        #expect(text.hasSuffix("data: [DONE]\n\n"))
        #expect(reader.facts.inputTokens == 35)
        #expect(reader.facts.outputTokens == 16)
        #expect(reader.facts.cachedTokens == 34)
        #expect(reader.facts.finishReasons == ["length"])
        #expect(reader.facts.model == "models/slow.gguf")
    }

    @Test func withoutUsageTheServersOwnTimingsTellTheTokens() throws {
        var reader = EventStreamReader(removesUsage: false)
        _ = reader.read(try Recordings.answer("llama-stream").body)
        #expect(reader.facts.inputTokens == 35)
        #expect(reader.facts.outputTokens == 16)
    }

    @Test func progressRolesAndCommentsAreNoTokens() throws {
        var reader = EventStreamReader(removesUsage: false)
        #expect(!reader.read(Array(": keepalive 1/1\n\n".utf8)).hasToken)
        #expect(!reader.read(Array(#"data: {"choices":[{"delta":{"role":"assistant","content":null}}]}"#.utf8)).hasToken)
        #expect(!reader.read(Array("\n\n".utf8)).hasToken)
        #expect(
            !reader.read(Array("data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n".utf8)).hasToken)
        #expect(
            !reader.read(Array("data: {\"choices\":[{\"delta\":{}}],\"prompt_progress\":{\"processed\":64}}\r\n\r\n".utf8))
                .hasToken)
        #expect(reader.read(Array("data: {\"choices\":[{\"delta\":{\"content\":\"r\"}}]}\n\n".utf8)).hasToken)
        #expect(reader.read(Array("data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"r\"}}]}\n\n".utf8)).hasToken)
        #expect(reader.read(Array("data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0}]}}]}\n\n".utf8)).hasToken)
        #expect(reader.read(Array("data: {\"choices\":[{\"text\":\"r\"}]}\n\n".utf8)).hasToken)
    }

    @Test func aKilledServersStreamIsNotDoneAndAnErrorInAStreamIsHeard() throws {
        var killed = EventStreamReader(removesUsage: false)
        _ = killed.read(try Recordings.answer("llama-killed").body)
        #expect(!killed.isDone)
        var failed = EventStreamReader(removesUsage: false)
        _ = failed.read(Array("data: {\"error\":{\"message\":\"no memory\"}}\n\n".utf8))
        #expect(failed.failure == "no memory")
    }

    @Test func anEventOfAnyLengthGoesOnAndNoMoreThanAMegabyteIsKept() {
        let long = Array("data: {\"choices\":[{\"delta\":{\"content\":\"".utf8) + [UInt8](repeating: 0x61, count: 3 << 20)
        let end = Array("\"}}]}\n\ndata: [DONE]\n\n".utf8)
        var reader = EventStreamReader(removesUsage: true)
        var bytes: [UInt8] = []
        for start in stride(from: 0, to: long.count, by: 65_536) {
            bytes += reader.read(Array(long[start..<min(start + 65_536, long.count)])).bytes
            #expect(start - bytes.count < EventStreamReader.eventBytesMax)
        }
        let passed = reader.read(end)
        #expect(passed.hasToken)
        #expect(bytes + passed.bytes == long + end)
        #expect(reader.isDone)
    }

    @Test func aWholeAnswerTellsItsTokens() throws {
        var facts = AnswerFacts()
        facts.take(answer: try Recordings.answer("llama-blocking").body)
        #expect(facts.inputTokens == 35)
        #expect(facts.outputTokens == 16)
        #expect(facts.finishReasons == ["length"])
        #expect(facts.responseID == "chatcmpl-FUBBmbFdqnN6VdVsqTaOPPRCbmb1r2IC")
    }

    @Test func noStreamOfRandomBytesStopsIt() {
        var luck = Luck(7)
        let pieces = [
            "data:", "\n", "\r\n", "{", "}", "\"", "\\", "[DONE]", ":", "{\"usage\":{}}", "\u{0}", "é", "{\"choices\":[]",
        ]
        for _ in 0..<2000 {
            var reader = EventStreamReader(removesUsage: Bool.random(using: &luck))
            for _ in 0..<Int.random(in: 0...40, using: &luck) {
                _ = reader.read(Array((pieces.randomElement(using: &luck) ?? "").utf8))
            }
            _ = reader.finish()
        }
    }
}
