import TelemetryModel
import Testing

@Suite struct PatternTests {
    @Test(arguments: [
        ("a|b", "a", true), ("a|b", "ab", false), ("^a.*$", "abc", true), ("a.b", "aéb", true), ("a.b", "a\u{1F600}b", true),
        ("[^x]+", "äöü", true), ("[^x]+", "axb", false), (#"\d{3}"#, "123", true), (#"\d{3}"#, "1234", false), ("", "", true),
        (".*", "", true), (".+", "", false), ("(?i)ABC", "abc", true), (#"a\$"#, "a$", true), ("a*?b", "aab", true),
        (#"\bfoo\b"#, "foo", true), ("(a+)+$", "aaaa", true), (#"a\.b"#, "a.b", true), (#"a\.b"#, "axb", false), ("a.b", "a\nb", false),
    ])
    func aWholeTextMatchesOrDoesNot(pattern: String, text: String, isMatch: Bool) throws {
        #expect(try Pattern(ofWholeText: pattern).matchesWhole(Array(text.utf8)) == isMatch)
    }

    @Test func aTextThatIsMadeForItTakesTimeInProportion() throws {
        #expect(try !Pattern(ofWholeText: "(a+)+b").matchesWhole(Array(String(repeating: "a", count: 100_000).utf8)))
    }

    @Test(arguments: ["(?=a)", "(?<n>a)", "a{1000}", "(", "[", #"\1"#, "*", "[é]"])
    func whatNeedsMemoryOrIsNoPatternIsRefused(pattern: String) {
        #expect(throws: PatternError.self) { try Pattern(ofWholeText: pattern) }
    }
}
