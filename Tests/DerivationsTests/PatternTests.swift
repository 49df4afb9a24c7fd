import TelemetryTesting
import Testing

@testable import Derivations

@Suite struct PatternTests {
    @Test func timeoutTypesMatchTheirRegularExpression() throws {
        let pattern = try Regex(
            "(?i)(time[d]?[ _-]?out|deadline[ _-]?exceeded|etimedout)([ _-]?(error|exception|expired))?('>)?$")
        var generator = Phrases(seed: 1)
        for _ in 0..<12_000 {
            let text = generator.next()
            #expect(ErrorPatterns.isTimeoutType(text) == (text.firstMatch(of: pattern) != nil), "\(text)")
        }
    }

    @Test func rejectionTypesMatchTheirRegularExpression() throws {
        let pattern = try Regex(
            "(?i)(circuit[ _-]?(breaker[ _-]?)?(is[ _-]?)?open|breaker[ _-]?(is[ _-]?)?open|circuit[ _-]?breaker"
                + "|broken[ _-]?circuit|call[ _-]?not[ _-]?permitted)([ _-]?(error|exception))?('>)?$")
        var generator = Phrases(seed: 2)
        for _ in 0..<12_000 {
            let text = generator.next()
            #expect(ErrorPatterns.isRejectionType(text) == (text.firstMatch(of: pattern) != nil), "\(text)")
        }
    }

    @Test func timeoutMessagesMatchTheirRegularExpression() throws {
        let pattern = try Regex(
            "(?i)(timed out|deadline exceeded"
                + "|(timed[_-]?out|deadline[_-]?exceeded)(?![\"' ]*[:=][\"' ]*(false|none|null|no|0)(?![a-z0-9_\\x{80}-\\x{10FFFF}]))"
                + "|time[ _-]?out (exceeded|expired|reached|elapsed)|due to (a )?time[ _-]?out"
                + "|^[\\w.:]*timeout(error|exception|expired)?(:|$))")
        var generator = Phrases(seed: 3)
        for _ in 0..<12_000 {
            let text = generator.next()
            #expect(ErrorPatterns.isTimeoutMessage(text) == (text.firstMatch(of: pattern) != nil), "\(text)")
        }
    }

    @Test func longTextsAreReadInPart() {
        let filler = String(repeating: "x", count: 100_000)
        #expect(ErrorPatterns.isTimeoutType(filler + "TimeoutError"))
        #expect(!ErrorPatterns.isTimeoutType("TimeoutError" + filler))
        #expect(ErrorPatterns.isTimeoutMessage("request timed out" + filler))
        #expect(!ErrorPatterns.isTimeoutMessage(filler + "timed out"))
    }

    /// What failures of other types say, and whether that tells of a timeout inside.
    @Test(arguments: [
        ("Request timed out.", true), ("Upstream request timed out, please retry", true), ("timed out", true),
        ("('<class \u{27}Chat\u{27}> service failed to complete the prompt', APITimeoutError('Request timed out.'))", true),
        ("ReadTimeout('timed out')", true), ("ReadTimeout('')Traceback (most recent call last):", true),
        ("httpx.ReadTimeout: ", true), ("litellm.Timeout: APITimeoutError - no answer", true), ("Timeout(30)", true),
        ("TimeoutError: ", true), ("The operation was aborted due to timeout", true), ("context deadline exceeded", true),
        ("wait: timeout exceeded", true), ("Command timed out: no output", true), ("Request 'tools/call' timed out", true),
        ("HTTPPool(host='h'): Read timed out. (timeout=1)", true), ("upstream timed out", false), ("the job timed out", false),
        ("timeout must be a positive number", false), ("unexpected keyword argument 'timeout'", false),
        ("Timeout: 30 is more than the limit", false), ("timeout: Input should be a number", false),
        ("exit 1 (timed_out=False, killed=True)", false), ("{\"timed_out\": false}", false), ("timedout = none", false),
        ("set timeout=30 in the settings", false), ("no such city: Oslo", false), ("", false),
        ("ValueError('no such city')Traceback (most recent call last):\n  except ReadTimeout: # timed out\n", false),
        ("the time ran out", false), ("retried after ReadTimeout", false),
    ])
    func messagesOfOtherFailuresTellOfATimeoutInside(message: String, isTimeout: Bool) {
        #expect(ErrorPatterns.isNestedTimeoutMessage(message) == isTimeout, "\(message)")
    }

    @Test func typesOfTimeoutsAreKnownInEverySpelling() {
        for type in [
            "timeout_error", "client_timeout_error", "<class 'TimeoutError'>", "Read Timeout Error", "mcp_request_timeout",
        ] {
            #expect(ErrorPatterns.isTimeoutType(type), "\(type)")
        }
        for type in [
            "timeout_setting", "<class 'ServiceResponseException'>", "tool_error", "TimeoutErrors", "InvalidTimeoutValue",
        ] {
            #expect(!ErrorPatterns.isTimeoutType(type), "\(type)")
        }
    }

    /// Strings of the patterns' own pieces, some broken, so that matches and near misses are both frequent.
    private struct Phrases {
        var generator: SplitMix64

        init(seed: UInt64) { generator = SplitMix64(seed: seed) }

        private static let pieces = [
            "time", "timed", "out", "timeout", "deadline", "exceeded", "etimedout", "error", "exception", "expired", "circuit",
            "breaker", "is", "open", "broken", "call", "not", "permitted", " ", "_", "-", ".", ":", "a", "é", "x9", "'>", "=",
            "false", "no", "reached", "due to ", "a ", "\"",
        ]

        mutating func next() -> String {
            var text = ""
            for _ in 0..<Int.random(in: 0...6, using: &generator) {
                var piece = generator.pick(Self.pieces, or: "")
                if generator.chance(0.2) { piece = piece.uppercased() }
                if generator.chance(0.05) { piece = String(piece.dropLast()) }
                text += piece
            }
            return text
        }
    }
}
