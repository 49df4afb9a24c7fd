import SemanticColumns
import TelemetryModel
import Testing

/// How attribute values become column values.
struct ColumnConversionTests {
    @Test(
        "Row 82: counts take integers, integral doubles and decimal texts, not negative",
        arguments: [
            ("12", "12"), (.double(12.0), "12"), (-5, nil), (.double(.infinity), nil), ("1e400", nil), (0, "0"), ("0", "0"),
            (.int(.max), "9223372036854775807"), ("9223372036854775807", "9223372036854775807"), ("9223372036854775808", nil),
            (.double(9.3e18), nil), (.double(12.5), nil), (.double(.nan), nil), (.double(-0.0), "0"), ("-5", nil), (" 7 ", "7"),
            ("1e3", "1000"), ("12.0", "12"), ("twelve", nil), ("", nil), (true, nil), (.bytes([0x31]), nil), (.empty, nil),
            ([12], nil), ("100000000000000000000000000000", nil), ("12 13", nil), ("0x10", nil), ("0X1p4", nil), ("inf", nil), ("+12", "12"),
        ] as [(AttributeValue, String?)])
    func counts(value: AttributeValue, expected: String?) {
        #expect(ReadColumns.of(["tokens": value])["tokens"] == expected)
        #expect(ReadColumns.of(["queue_depth": value])["queue_depth"] == expected)
    }

    @Test(
        "A cache was hit or missed, or nobody knows",
        arguments: [
            (true, "1"), (false, "0"), (1, "1"), (0, "0"), (2, nil), (-1, nil), ("true", "1"), ("TRUE", "1"), ("False", "0"),
            ("hit", "1"), ("HIT", "1"), ("miss", "0"), (" Miss ", "0"), ("1", "1"), ("0", "0"), ("maybe", nil), ("", nil),
            (.empty, nil), (.double(1), nil), ([true], nil),
        ] as [(AttributeValue, String?)])
    func flags(value: AttributeValue, expected: String?) {
        #expect(ReadColumns.of(["cache_hit": value])["cache_hit"] == expected)
    }

    @Test(
        "Spellings of a breaker's state are folded; numbers stay numbers, since the field numbers states in conflicting ways",
        arguments: [
            ("closed", "closed"), ("CLOSED", "closed"), ("close", "closed"), ("open", "open"), ("Opened", "open"),
            ("half_open", "half_open"), ("half-open", "half_open"), ("HALF_OPEN", "half_open"), ("halfOpen", "half_open"),
            (" Half Open\n", "half_open"), ("half_opened", "half_open"), ("forced_open", "forced_open"),
            ("Isolated", "isolated"), (1, "code:1"), (-1, "code:-1"), ("", nil), ("  ", nil), (true, nil), (.double(1), nil),
        ] as [(AttributeValue, String?)])
    func breakerStates(value: AttributeValue, expected: String?) {
        #expect(ReadColumns.of(["breaker_state": value])["breaker_state"] == expected)
        #expect(ReadColumns.of(["circuit_breaker.state": value])["breaker_state"] == expected)
    }

    @Test(
        "Names of exceptions that an open breaker throws say open, and nothing else does",
        arguments: [
            ("CircuitBreakerOpen", "open"), ("pybreaker.CircuitBreakerError", "open"), ("CallNotPermittedException", "open"),
            ("Polly.CircuitBreaker.BrokenCircuitException", "open"), ("IsolatedCircuitException", "open"), ("TimeoutError", nil),
            ("BreakerOpenDoor", nil), ("", nil),
        ] as [(AttributeValue, String?)])
    func breakerErrors(type: AttributeValue, expected: String?) {
        #expect(ReadColumns.of(["error.type": type])["breaker_state"] == expected)
        // A stated state comes before a guessed one.
        #expect(ReadColumns.of(["error.type": type, "breaker_state": "closed"])["breaker_state"] == "closed")
    }

    @Test(
        "Text takes integers in decimal and loses the blanks around it",
        arguments: [
            ("02-retrieve", "02-retrieve"), (2, "2"), (-2, "-2"), (.double(2.0), "2"), (.double(2.5), nil), (true, "true"),
            (" padded\t", "padded"), ("   ", nil), ("", nil), ("a b", "a b"), ("é", "é"), (.bytes([0x61]), nil), (["a"], nil),
        ] as [(AttributeValue, String?)])
    func texts(value: AttributeValue, expected: String?) {
        #expect(ReadColumns.of(["step_id": value])["step_id"] == expected)
        #expect(ReadColumns.of(["workflow_name": value])["workflow_name"] == expected)
    }

    @Test(
        "Seconds are kept as nanoseconds",
        arguments: [
            (.double(0.25), "250000000"), (2, "2000000000"), (0, "0"), (.double(-1), nil), (.double(.nan), nil),
            (.double(.infinity), nil), (.double(1e10), nil), (.int(.max), nil), ("1", nil),
        ] as [(AttributeValue, String?)])
    func seconds(value: AttributeValue, expected: String?) {
        #expect(ReadColumns.of(["ttft_s": value])["first_token_seconds"] == expected)
    }

    @Test func exitCodesMayBeNegative() {
        #expect(ReadColumns.of(["process.exit.code": -9])["exit_code"] == "-9")
        #expect(ReadColumns.of(["exit_code": "124"])["exit_code"] == "124")
    }

    @Test func ofTwoEqualKeysTheLastWins() {
        #expect(ReadColumns.of(["tokens": 1, "tokens": 2])["tokens"] == "2")
        #expect(ReadColumns.of(["tool_name": "a", "gen_ai.tool.name": "x", "tool_name": "b"])["tool_name"] == "b")
        // The last that converts: what does not is as if it were not there.
        #expect(ReadColumns.of(["tokens": 1, "tokens": "many"])["tokens"] == "1")
    }

    @Test func earlierSourcesWinWhateverTheOrderOfAttributes() {
        #expect(ReadColumns.of(["gen_ai.usage.total_tokens": 9, "tokens": 1])["tokens"] == "1")
        #expect(ReadColumns.of(["tokens": -1, "gen_ai.usage.total_tokens": 9])["tokens"] == "9")
        #expect(ReadColumns.of(["gen_ai.request.model": "asked", "gen_ai.response.model": "got"])["model"] == "got")
    }

    @Test func tokensAreTheSumOfWhatIsThere() {
        #expect(ReadColumns.of(["gen_ai.usage.input_tokens": 3, "gen_ai.usage.output_tokens": 4])["tokens"] == "7")
        #expect(ReadColumns.of(["gen_ai.usage.input_tokens": 3])["tokens"] == "3")
        // A sum stops where counting ends: calls of so many tokens are counted like all others.
        #expect(ReadColumns.of(["gen_ai.usage.input_tokens": .int(.max), "output_tokens": 1])["tokens"] == "9223372036854775807")
        #expect(ReadColumns.of([:])["tokens"] == nil)
    }

    @Test func cachedTokensSayWhetherAPromptCacheWasHit() {
        #expect(ReadColumns.of(["gen_ai.usage.cache_read.input_tokens": 5])["cache_hit"] == "1")
        #expect(ReadColumns.of(["gen_ai.usage.cache_read.input_tokens": 0])["cache_hit"] == "0")
        #expect(ReadColumns.of(["gen_ai.usage.cache_read.input_tokens": 5, "cache_hit": false])["cache_hit"] == "0")
        #expect(ReadColumns.of([:], events: [.init("cache.miss", timeUnixNano: 0)])["cache_hit"] == "0")
    }
}
