import Testing

@testable import Derivations

@Suite struct PatternTests {
    @Test func timeoutTypesMatchTheirRegularExpression() throws {
        let pattern = try Regex("(?i)(time[d]?[ _-]?out|deadline[ _-]?exceeded|etimedout)(error|exception|expired)?$")
        var generator = Phrases(seed: 1)
        for _ in 0..<12_000 {
            let text = generator.next()
            #expect(ErrorPatterns.isTimeoutType(text) == (text.firstMatch(of: pattern) != nil), "\(text)")
        }
    }

    @Test func rejectionTypesMatchTheirRegularExpression() throws {
        let pattern = try Regex(
            "(?i)(circuit[ _-]?(breaker[ _-]?)?(is[ _-]?)?open|breaker[ _-]?(is[ _-]?)?open|circuit[ _-]?breaker"
                + "|broken[ _-]?circuit|call[ _-]?not[ _-]?permitted)(error|exception)?$")
        var generator = Phrases(seed: 2)
        for _ in 0..<12_000 {
            let text = generator.next()
            #expect(ErrorPatterns.isRejectionType(text) == (text.firstMatch(of: pattern) != nil), "\(text)")
        }
    }

    @Test func timeoutMessagesMatchTheirRegularExpression() throws {
        let pattern = try Regex(
            "(?i)(timed[ _-]?out|deadline[ _-]?exceeded|^[\\w.:]*timeout(error|exception|expired)?(:|$))")
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

    /// Strings of the patterns' own pieces, some broken, so that matches and near misses are both frequent.
    private struct Phrases {
        var generator: SplitMix64

        init(seed: UInt64) { generator = SplitMix64(seed: seed) }

        private static let pieces = [
            "time", "timed", "out", "timeout", "deadline", "exceeded", "etimedout", "error", "exception", "expired", "circuit",
            "breaker", "is", "open", "broken", "call", "not", "permitted", " ", "_", "-", ".", ":", "a", "é", "x9",
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
