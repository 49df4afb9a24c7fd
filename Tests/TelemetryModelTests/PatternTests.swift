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

    /// What RE2 says of each, where it is not what the parser leaves out.
    @Test(arguments: [
        ("[[:alpha:]]+", "abC", true), ("[[:alpha:]]+", "ab1", false), ("[[:digit:]]", "7", true), ("[[:word:]]+", "a_1", true),
        ("[^[:alpha:]]+", "12é", true), ("[[:^alpha:]]+", "12", true), ("[[:^alpha:]]+", "a", false), ("[[:punct:]_x]+", "!_x", true),
        ("[[:space:][:upper:]]+", " A", true), ("[[:xdigit:]-]+", "aF-9", true), ("[:a]+", ":a", true),
        (#"\x41"#, "A", true), (#"\x{e9}"#, "é", true), (#"\x{1F600}"#, "\u{1F600}", true), (#"\101"#, "A", true), (#"\0"#, "\u{0}", true),
        (#"\Qc.at\E"#, "c.at", true), (#"\Qc.at\E"#, "cxat", false), (#"\Qc.at"#, "c.at", true), (#"\Qab\E+"#, "abbb", true),
        (#"\Q\E"#, "", true), (#"\Aab\z"#, "ab", true), (#"a\z|b"#, "b", true), ("^a|b$", "b", true), ("a^b", "ab", false), ("a$b", "ab", false),
        (#"a\B."#, "ab", true), (#"a\Bb"#, "ab", true), (#"a\B "#, "a ", false), (#"\B"#, "", true),
        ("(?s)a.b", "a\nb", true), ("a(?s:.)b", "a\nb", true), ("a(?s:x).b", "ax\nb", false), ("(?s)(?-s)a.b", "a\nb", false),
        ("(?m)a$\n^b", "a\nb", true), ("a$\n^b", "a\nb", false), ("(?m)a^b", "ab", false), ("(?U)a*b", "aab", true),
        ("(?i:c)hat", "Chat", true), ("(?i:c)hat", "CHAT", false), ("c(?i)hat", "cHAT", true), ("(c(?i)h)at", "cHAT", false),
        ("(?i)a|b", "B", true), ("(?i)é", "É", true), ("(?i)É+", "éÉ", true), ("(?i)straße", "STRASSE", false), ("(?i)ж", "Ж", true),
        ("(?i)k", "\u{212A}", true), ("(?i)s", "ſ", true), ("(?i)µ", "Μ", true), ("(?i)i", "ı", false), ("(?i)[a-c]+", "aBC", true),
        ("é+", "éé", true), ("é?x", "x", true), ("日{2}", "日日", true), ("a{,2}", "a{,2}", true), ("a{2", "a{2", true), ("{", "{", true),
        ("x{2,}", "xxx", true), ("(a{2}){2}", "aaaa", true), (#"[\x41-\x43]+"#, "ABC", true), (#"[\d\-x]+"#, "1-x", true), (#"[]a]+"#, "]a", true),
        ("(a||b)", "", true), (#"\a\f\v"#, "\u{07}\u{0C}\u{0B}", true), (#"\é"#, "é", true),
    ])
    func expressionsAreThoseOfRE2(pattern: String, text: String, isMatch: Bool) throws {
        #expect(try Pattern(ofWholeText: pattern).matchesWhole(Array(text.utf8)) == isMatch)
    }

    @Test(arguments: [
        "c**", "c++", "c*?*", "a{2}{3}", "a{2,1}", "+", "{2}", "[[:nothing:]]", #"\x4"#, #"\x{110000}"#, #"\x{}"#, #"\8"#, "(?z)a", "(?i", "[b-a]", #"[a-\d]"#,
        "[a", "a)", #"\Z"#, #"\pL"#, "(?P<n>a)",
    ])
    func whatRE2RefusesIsRefused(pattern: String) {
        #expect(throws: PatternError.self) { try Pattern(ofWholeText: pattern) }
    }

    @Test func aPatternThatLooksInsideOfTextsHasTheSameWords() throws {
        func found(_ pattern: String, _ text: String) throws -> [Range<Int>] { try Pattern(pattern).matches(in: Array(text.utf8)[...]) }
        #expect(try found("[[:digit:]]{3}", "a123b") == [1..<4])
        #expect(try found(#"\Bkey\x3d\w+"#, "akey=v key=v") == [1..<6])
        #expect(try found("(?i:KEY)é+", "keyéé") == [0..<7])
        #expect(throws: PatternError.self) { try Pattern("^a") }
        #expect(throws: PatternError.self) { try Pattern(#"a\z"#) }
    }

    @Test func aTextThatIsMadeForItTakesTimeInProportion() throws {
        #expect(try !Pattern(ofWholeText: "(a+)+b").matchesWhole(Array(String(repeating: "a", count: 100_000).utf8)))
    }

    @Test(arguments: ["(?=a)", "(?<n>a)", "a{1000}", "(", "[", #"\1"#, "*", "[é]"])
    func whatNeedsMemoryOrIsNoPatternIsRefused(pattern: String) {
        #expect(throws: PatternError.self) { try Pattern(ofWholeText: pattern) }
    }
}
