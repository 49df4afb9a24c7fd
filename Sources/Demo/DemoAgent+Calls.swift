import TelemetryModel

/// What agents call: tools over HTTP, language models, a vector store, programs.
extension DemoAgent {
    /// A tool behind HTTP.
    struct HTTPTool: Sendable {
        /// How a repeated call says so.
        enum Mark: Sendable {
            case attempt, resend, none
        }

        var name: String
        var method = "GET"
        var url: String
        var milliseconds: ClosedRange<Int64>
        /// Out of a thousand calls.
        var timeouts: Int64 = 0
        var errors: Int64 = 0
        var attemptsMax = 1
        var mark = Mark.none
    }

    private static let timeoutNanoseconds: Int64 = 10_000_000_000

    /// Calls until it answers or all attempts are used up; `nil`, or why there is no answer.
    mutating func http(_ tool: HTTPTool, _ run: inout Run, _ place: Place) -> String? {
        var failure: String?
        for attempt in 0..<tool.attemptsMax {
            if attempt > 0 { pass(generator.latency(200...400) << Int64(attempt - 1)) }
            failure = attemptHTTP(tool, attempt, &run, place)
            guard let failure else { return nil }
            if failure == Self.refused { return failure }
        }
        return failure
    }

    private static let refused = "circuit breaker is open"

    private mutating func attemptHTTP(_ tool: HTTPTool, _ attempt: Int, _ run: inout Run, _ place: Place) -> String? {
        let begin = clock
        let id = generator.id()
        let isDown = isOutage && tool.name == "weather_api"
        let isTimeout = isDown || generator.happens(tool.timeouts)
        let isError = generator.happens(tool.errors)
        var breaker = breakers[tool.name] ?? DemoBreaker()
        defer { breakers[tool.name] = breaker }
        guard breaker.admits(at: begin) else {
            pass(generator.latency(0...1) + 40_000)
            breaker.refused(at: clock)
            var span = request(tool, attempt, run, place, from: begin, id: id)
            span.attributes.append("breaker_state", .string(breaker.name))
            span.fail("CircuitBreakerOpen", "\(tool.name): \(Self.refused)")
            run.spans.append(span)
            count(tool.name) { $0.rejections += 1 }
            return Self.refused
        }
        pass(isTimeout ? Self.timeoutNanoseconds + generator.latency(1...40) : generator.latency(tool.milliseconds))
        var span = request(tool, attempt, run, place, from: begin, id: id)
        if isTimeout {
            breaker.timedOut(at: clock)
            span.fail("TimeoutError", "\(tool.name): no answer within 10 s")
            count(tool.name) { $0.timeouts += 1 }
        } else {
            breaker.answered(isError: isError)
            span.attributes.append("http.response.status_code", isError ? 503 : 200)
            if isError {
                span.status = .error("503 Service Unavailable")
                span.attributes.append("error.type", "503")
            }
            count(tool.name) { isError ? ($0.errors += 1) : ($0.ok += 1) }
        }
        span.attributes.append("breaker_state", .string(breaker.name))
        run.spans.append(span)
        if attempt > 0 && tool.mark == .none { count(tool.name) { $0.silentRetries += 1 } }
        return isTimeout ? "\(tool.name) timed out" : isError ? "\(tool.name) answered 503" : nil
    }

    private func request(
        _ tool: HTTPTool, _ attempt: Int, _ run: Run, _ place: Place, from begin: Int64, id: UInt64
    ) -> SpanDescription {
        var span = call("tool \(tool.name)", run, place, from: begin, id: id)
        span.attributes.append("tool_name", .string(tool.name))
        span.attributes.append("http.request.method", .string(tool.method))
        span.attributes.append("url.full", .string(tool.url))
        switch tool.mark {
        case .attempt: span.attributes.append("retry.attempt", .int(Int64(attempt)))
        case .resend: if attempt > 0 { span.attributes.append("http.request.resend_count", .int(Int64(attempt))) }
        case .none: break
        }
        return span
    }

    private mutating func count(_ tool: String, _ change: (inout DemoWorkload.Expectation.Tool) -> Void) {
        expectation.count(process.service, tool, change)
    }

    /// A model call; now and then one is turned away.
    mutating func chat(
        _ model: String, provider: String, input: ClosedRange<Int64>, output: ClosedRange<Int64>, _ run: inout Run, _ place: Place
    ) -> String? {
        let begin = clock
        let id = generator.id()
        let isError = generator.happens(15)
        let firstToken = generator.latency(180...900)
        let outputTokens = generator.number(output)
        // 60 to 100 tokens a second once it speaks.
        let speaking = outputTokens * generator.number(10_000_000...16_000_000)
        pass(isError ? generator.latency(80...300) : firstToken + speaking)
        var span = call("chat \(model)", run, place, from: begin, id: id)
        span.attributes.append("gen_ai.operation.name", "chat")
        span.attributes.append("gen_ai.provider.name", .string(provider))
        span.attributes.append("gen_ai.request.model", .string(model))
        span.attributes.append("gen_ai.conversation.id", .string(run.session))
        if isError {
            span.attributes.append("http.response.status_code", 429)
            span.fail("RateLimitError", "429 Too Many Requests")
        } else {
            let inputTokens = generator.number(input)
            let cached = generator.happens(400) ? inputTokens / 2 : 0
            span.attributes.append("gen_ai.response.model", "\(model)-2026-08-01")
            span.attributes.append("gen_ai.usage.input_tokens", .int(inputTokens))
            span.attributes.append("gen_ai.usage.output_tokens", .int(outputTokens))
            span.attributes.append("gen_ai.usage.cache_read.input_tokens", .int(cached))
            span.attributes.append("gen_ai.response.time_to_first_chunk", .double(Double(firstToken) / 1e9))
            span.attributes.append("cache_hit", .bool(cached > 0))
            if let turn = DemoTalk.turn(workflow: run.workflow, step: place.step, trace: run.traceID) {
                for (key, value) in DemoTalk.attributes(turn) { span.attributes.append(key, value) }
            }
            expectation.inputTokens += inputTokens
            expectation.outputTokens += outputTokens
            countCache(isHit: cached > 0)
        }
        expectation.count(process.service, "llm") { isError ? ($0.errors += 1) : ($0.ok += 1) }
        run.spans.append(span)
        return isError ? "RateLimitError" : nil
    }

    /// A query of the vector store, which may come out of a cache.
    mutating func retrieve(_ collection: String, batch: Int64, _ run: inout Run, _ place: Place) -> String? {
        let begin = clock
        let id = generator.id()
        let isHit = generator.happens(350)
        let isTimeout = !isHit && generator.happens(15)
        pass(isTimeout ? 4_000_000_000 + generator.latency(1...20) : generator.latency(isHit ? 1...6 : 25...900))
        var span = call("retrieval \(collection)", run, place, from: begin, id: id)
        span.attributes.append("gen_ai.operation.name", "retrieval")
        span.attributes.append("tool_name", "knowledge_base")
        span.attributes.append("db.system.name", "qdrant")
        span.attributes.append("db.collection.name", .string(collection))
        span.attributes.append("retrieval_batch", .int(batch))
        span.attributes.append("cache_hit", .bool(isHit))
        if isTimeout { span.fail("TimeoutError", "no result within 4 s") }
        countCache(isHit: isHit)
        expectation.count(process.service, "knowledge_base") { isTimeout ? ($0.timeouts += 1) : ($0.ok += 1) }
        run.spans.append(span)
        return isTimeout ? "retrieval timed out" : nil
    }

    private mutating func countCache(isHit: Bool) {
        if isHit { expectation.cacheHits += 1 } else { expectation.cacheMisses += 1 }
    }

    /// A program that computes something; `timeout` ends it with 124 when it takes too long.
    mutating func program(_ name: String, _ command: String, _ run: inout Run, _ place: Place) -> String? {
        let begin = clock
        let id = generator.id()
        let chance = generator.number(0...99)
        let exitCode: Int64 = chance < 4 ? 124 : chance < 10 ? 1 : 0
        pass(exitCode == 124 ? 20_000_000_000 : generator.latency(900...7_000))
        var span = call("tool \(name)", run, place, from: begin, id: id)
        span.kind = .internal
        span.attributes.append("tool_name", .string(name))
        span.attributes.append("process.command", .string(command))
        span.attributes.append("process.exit.code", .int(exitCode))
        if exitCode != 0 { span.fail("CalledProcessError", "\(command) exited with \(exitCode)") }
        expectation.count(process.service, name) { counters in
            switch exitCode {
            case 0: counters.ok += 1
            case 124: counters.timeouts += 1
            default: counters.errors += 1
            }
        }
        run.spans.append(span)
        return exitCode == 0 ? nil : "\(name) exited with \(exitCode)"
    }
}
