import TelemetryModel
import Testing

@testable import Derivations

/// Ids and texts that were chosen to meet in one place of a table do not.
@Suite struct FloodTests {
    /// Numbers that stand in the source of the stored hash, which everybody knows.
    private static let known: [UInt64] = [0x9E37_79B9_7F4A_7C15, 0xD6E8_FEB8_6659_FD93, 0xA076_1D64_78BD_642F, 0]

    @Test func attemptsOfDifferentTracesAndParentsAreOfDifferentGroups() {
        let tool = RetryWindow.hash("search")
        for known in Self.known {
            let numbers = 1...2_000 as ClosedRange<UInt64>
            let byHigh = numbers.map {
                RetryWindow.group(trace: TraceID(high: known, low: $0), parent: SpanID(1), step: nil, tool: tool)
            }
            let byLow = numbers.map {
                RetryWindow.group(trace: TraceID(high: $0, low: known), parent: SpanID(1), step: "a step", tool: tool)
            }
            let byParent = numbers.map {
                RetryWindow.group(trace: TraceID(high: 1, low: 1), parent: SpanID(known), step: "step \($0)", tool: tool)
            }
            #expect(Set(byHigh).count == 2_000 && Set(byLow).count == 2_000 && Set(byParent).count == 2_000)
        }
        let group = { RetryWindow.group(trace: TraceID(high: 5, low: 6), parent: SpanID(7), step: "", tool: tool) }
        #expect(group() == group())
    }

    @Test func equalTextsHashAlikeWhereverTheyLie() {
        for text in ["", "a", "abc", "abcd", "abcdefg", "abcdefgh", "a text of more than fifteen bytes", "é", "a\0b"] {
            var (one, other) = (QuickHash(3, 1), QuickHash(3, 1))
            one.add(text)
            other.add(String(decoding: Array(text.utf8), as: UTF8.self))
            #expect(one.value == other.value)
        }
        for (start, end) in [("tool number ", ""), ("t", ""), ("an agent ", " of many"), ("search-", "!")] {
            var places: Set<UInt64> = []
            for number in 0..<1_000 {
                var hash = QuickHash(0)
                hash.add("\(start)\(number)\(end)")
                places.insert(hash.value >> 32 & 1_023)
            }
            #expect(places.count > 500, "\(start)")
        }
        var (none, empty) = (QuickHash(0), QuickHash(0))
        none.add(nil as String?)
        empty.add("" as String?)
        #expect(none.value != empty.value)
    }
}
