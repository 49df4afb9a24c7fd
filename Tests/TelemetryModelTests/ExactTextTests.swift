import TelemetryModel
import Testing

@Suite struct ExactTextTests {
    @Test func textsOfEveryLengthDifferByAnyByte() {
        for length in 0...40 {
            let text = String((0..<length).map { Character(Unicode.Scalar(UInt8(ascii: "a") + UInt8($0 % 26))) })
            // A copy that shares no storage.
            #expect(text.isExactly(String(decoding: Array(text.utf8), as: UTF8.self)))
            #expect(!text.isExactly(text + "x"))
            for place in 0..<length {
                var bytes = Array(text.utf8)
                bytes[place] = UInt8(ascii: "Z")
                #expect(!text.isExactly(String(decoding: bytes, as: UTF8.self)), "\(length) \(place)")
            }
        }
    }

    @Test func keysThatLookAlikeAreTwo() {
        struct Key: Hashable {
            @ByBytes var name: String
            @ByBytes var more: String?
        }
        let keys = [Key(name: "\u{E9}", more: nil), Key(name: "e\u{301}", more: nil), Key(name: "", more: "\u{E9}"), Key(name: "", more: "e\u{301}")]
        #expect(Set(keys).count == 4)
        #expect(Set(keys + keys).count == 4)
        #expect(Set(["\u{E9}", "e\u{301}"].map(ExactText.init)).count == 2)
        #expect(Key(name: "", more: nil) != Key(name: "", more: ""))
    }
}
