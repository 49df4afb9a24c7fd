import TelemetryModel
import Testing

/// One call's tokens by type, whatever its span tells of them: docs/metrics.md 2.16.
@Suite struct TokenCountsTests {
    /// What a span tells, and the types that it comes to: input, cache_read, cache_write, output, unspecified.
    struct Case: Sendable, CustomTestStringConvertible {
        var total, input, output, read, written: Int64?
        var types: [Int64]
        var testDescription: String { "\([total, input, output, read, written]) \(types)" }
    }

    @Test(arguments: [
        Case(input: 100, output: 10, types: [100, 0, 0, 10, 0]),
        Case(total: 110, input: 100, output: 10, read: 60, written: 10, types: [30, 60, 10, 10, 0]),
        Case(total: 500, types: [0, 0, 0, 0, 500]),
        // More in a cache than there is input: the input is without it.
        Case(input: 100, output: 10, read: 5000, types: [100, 5000, 0, 10, 0]),
        Case(total: 110, input: 100, output: 10, read: 5000, types: [100, 5000, 0, 10, 0]),
        Case(input: 100, output: 10, read: 60, written: 50, types: [100, 60, 50, 10, 0]),
        // The total says that the input is without it.
        Case(total: 170, input: 100, output: 10, read: 60, types: [100, 60, 0, 10, 0]),
        Case(total: 180, input: 100, output: 10, read: 60, written: 10, types: [100, 60, 10, 10, 0]),
        // A total beyond its parts.
        Case(total: 500, input: 100, output: 100, types: [100, 0, 0, 100, 300]),
        Case(total: 500, input: 100, types: [100, 0, 0, 0, 400]),
        Case(total: 500, read: 100, types: [0, 100, 0, 0, 400]),
        // A total below its parts is none.
        Case(total: 5, input: 100, output: 10, types: [100, 0, 0, 10, 0]),
        // Without an input, what a cache gave is all that is known of it, and nothing was written to one.
        Case(output: 10, read: 100, types: [0, 100, 0, 10, 0]),
        Case(output: 10, written: 100, types: [0, 0, 0, 10, 0]),
        Case(read: 100, types: [0, 0, 0, 0, 0]),
        Case(total: -1, input: -5, output: 7, read: -2, types: [0, 0, 0, 7, 0]),
        Case(input: .max, output: .max, read: .max, written: .max, types: [0, .max, .max, .max, 0]),
    ])
    func aSpansTokensHaveTypesThatAddUp(one: Case) {
        let counts = TokenCounts(total: one.total, input: one.input, output: one.output, cacheRead: one.read, cacheWrite: one.written)
        #expect([counts.input, counts.cacheRead, counts.cacheWrite, counts.output, counts.unspecified] == one.types)
        #expect(counts.total == one.types.reduce(0, TokenCounts.sum))
        // As it is stored, with the sum as its total, a call has the same types.
        guard one.total != nil || one.input != nil || one.output != nil else { return }
        let stored = TokenCounts(total: counts.total, input: one.input, output: one.output, cacheRead: one.read, cacheWrite: one.written)
        #expect(stored == counts)
    }
}
