import TelemetryModel
import Testing

@testable import Ingest

/// Numbers of texts, against a dictionary.
@Suite struct TextInternerTests {
    private func number(_ text: String, _ interner: inout TextInterner) -> UInt32 {
        // Not at the beginning of its bytes.
        let bytes = Array("…\(text)…".utf8)
        return interner.number(bytes.span.bytes, WireRange(offset: 3, count: bytes.count - 6))
    }

    @Test func theSameTextHasTheSameNumberAndNoOtherHasIt() {
        var interner = TextInterner()
        var known: [String: UInt32] = [:]
        // Texts that end alike, and are as long, and texts of which another one is a part.
        let ends = ["", "a", "search", "web_search", "12345678", "x12345678", "y12345678", "longer than a word 12345678", "longer_than a word 12345678"]
        for round in 0..<3 {
            for end in ends {
                for count in [0, 1, 7, 8, 9, 40, 41] {
                    let text = String(repeating: "-", count: count) + end
                    let found = number(text, &interner)
                    #expect(found != 0 && interner.text(found) == text)
                    if let before = known[text] { #expect(found == before) } else { #expect(round == 0 && !known.values.contains(found)) }
                    known[text] = found
                }
            }
        }
    }

    @Test func textsThatAreTooLongHaveNoNumberAndZerosCount() {
        var interner = TextInterner()
        #expect(number(String(repeating: "x", count: 257), &interner) == 0)
        #expect(number(String(repeating: "x", count: 256), &interner) != 0)
        #expect(number("\0", &interner) != number("\0\0", &interner))
        #expect(number("", &interner) != number("\0", &interner))
    }

    @Test func whatItKnewBeforeItStartedAnewIsForgotten() {
        var interner = TextInterner()
        let before = (numbering: interner.numbering, number: number("tool", &interner))
        var place = 0
        while interner.numbering == before.numbering, place < 1 << 17 {
            _ = number("text \(place)", &interner)
            place += 1
        }
        #expect(interner.numbering != before.numbering)
        let after = number("tool", &interner)
        #expect(after != before.number && interner.text(after) == "tool")
        #expect(number("tool", &interner) == after)
    }
}
