import OTLP
import TelemetryModel
import Testing

struct RedactionTests {
    private func matches(_ pattern: String, _ text: String) throws -> [String] {
        let bytes = Array(text.utf8)
        return try Pattern(pattern).matches(in: bytes[...]).map { String(decoding: bytes[$0], as: UTF8.self) }
    }

    @Test(
        "A pattern finds every stretch that one of its matches covers",
        arguments: [
            ("abc", "xabcabc abc", ["abcabc", "abc"]), ("a+", "caaat", ["aaa"]), ("a|bc", "abcb", ["abc"]),
            ("[0-9]{3}", "12 123 1234", ["123", "1234"]), ("x.{0,2}y", "xy x12y x123y", ["xy", "x12y"]),
            ("\\bcat\\b", "cat concat cats", ["cat"]),
            ("(?i)Key", "KEY key", ["KEY", "key"]), ("[^a-c]+", "abXYc", ["XY"]), ("\\d\\s\\w", "1 a", ["1 a"]),
            ("(ab)*c", "ababc", ["ababc"]),
            ("a{2,}", "a aa aaa", ["aa", "aaa"]), ("colou?r", "color colour", ["color", "colour"]), ("[]x]", "]x", ["]x"]),
            ("é", "café", ["é"]),
        ])
    func finds(pattern: String, text: String, found: [String]) throws {
        #expect(try matches(pattern, text) == found)
    }

    @Test(
        "What is no pattern is refused, and what could match nothing too",
        arguments: [
            "", "a*", "(", ")", "[", "a{2", "a{3,2}", "a{9999}", "*", "\\1", "(?=a)", "^a", "a$", "\\b", "\\", "[b-a]",
            "((((a{200}){200}){200}))",
        ])
    func refused(pattern: String) {
        #expect(throws: PatternError.self) { try Pattern(pattern) }
    }

    @Test(
        "Detectors find what they are for and leave what is not alone",
        arguments: [
            ("email", "write to Ann.Lee+x@mail.example.co.uk!", "write to [redacted]!"), ("email", "a @ b", "a @ b"),
            ("card", "card 4111 1111 1111 1111.", "card [redacted]."),
            ("card", "at 1795000000000000000", "at 1795000000000000000"),
            ("card", "5500005555555559", "[redacted]"),
            ("bearer", "Authorization: Bearer abcdef123456", "Authorization: [redacted]"),
            ("jwt", "t=eyJhbGciOi.eyJzdWIi.sig_-1 ok", "t=[redacted] ok"),
            ("api_key", "key sk-proj-abcdefghijklmnop end", "key [redacted] end"),
            ("api_key", "AKIAIOSFODNN7EXAMPLE", "[redacted]"), ("api_key", "task-abcdefghijklmnop", "task-abcdefghijklmnop"),
            ("private_key", "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nAB==\n-----END RSA PRIVATE KEY-----\n", "[redacted]\n"),
            ("assignment", "{\"password\": \"hunter2\", \"a\": 1}", "{\"[redacted]\", \"a\": 1}"),
            ("assignment", "max_tokens: 5", "max_tokens: 5"),
        ])
    func detectors(name: String, text: String, result: String) throws {
        var rules = RedactionRules()
        try rules.add(detector: name)
        let redactor = Redactor(rules)
        let request = TestRequests.span { $0.lengthDelimited(5, text.utf8) }
        let expected = TestRequests.span { $0.lengthDelimited(5, result.utf8) }
        #expect(try redactor.redacted(request, as: .traceRequest) == expected)
    }

    @Test func aKeysValueIsTakenOutWhateverItIs() throws {
        var rules = RedactionRules()
        for key in ["http.*.authorization", "Secret*", "*pass*word*"] { rules.add(key: key) }
        let redactor = Redactor(rules)
        func hidden(_ key: String) throws -> Bool {
            let request = TestRequests.span { span in
                span.message(9) { pair in
                    pair.message(2) { $0.varint(3, 5) }
                    pair.lengthDelimited(1, key.utf8)
                }
            }
            let batch = try TraceDecoder().decode(redactor.redacted(request, as: .traceRequest))
            #expect(batch.string(batch.keys[0]) == key)
            return batch.attributes[0].kind == .string && batch.string(batch.attributes[0].slice) == "[redacted]"
        }
        for key in ["http.request.Authorization", "secret", "SECRET_KEY", "my-password", "passXwordY"] {
            #expect(try hidden(key))
        }
        for key in ["http.authorization", "my.secret", "word.pass", "authorization"] { #expect(try !hidden(key)) }
    }

    @Test func nothingHiddenLeavesTheRequestAsItWas() throws {
        var rules = RedactionRules()
        try rules.add(pattern: "a text that stands nowhere")
        for capture in try Captures.all() {
            let body = try capture.inflated()
            let batch = try TraceDecoder().decode(Redactor(rules).redacted(body, as: .traceRequest))
            #expect(BatchContent(batch) == BatchContent(try TraceDecoder().decode(body)))
        }
    }

    @Test func aSecretIsFoundInEveryTextOfARequest() throws {
        var rules = RedactionRules()
        try rules.add(pattern: "SECRET-[0-9]+")
        let text = Array("a SECRET-42 b".utf8)
        func value(_ writer: inout WireWriter) { writer.lengthDelimited(1, text) }
        func pair(_ field: Int, _ writer: inout WireWriter) {
            writer.message(field) { pair in
                pair.lengthDelimited(1, text)
                pair.message(2) { any in
                    any.message(5) { array in
                        array.message(1, value)
                        array.message(1) {
                            $0.message(6) { $0.message(1) { inner in inner.message(2) { $0.lengthDelimited(7, text) } } }
                        }
                    }
                }
            }
        }
        var writer = WireWriter()
        writer.message(1) { resource in
            resource.message(1) { inner in
                pair(1, &inner)
                inner.message(3) { entity in for field in 1...4 { entity.lengthDelimited(field, text) } }
            }
            resource.message(2) { scope in
                scope.message(1) { inner in
                    inner.lengthDelimited(1, text)
                    inner.lengthDelimited(2, text)
                    pair(3, &inner)
                }
                scope.message(2) { span in
                    TestRequests.valid(&span)
                    span.lengthDelimited(3, text)
                    span.lengthDelimited(5, text)
                    pair(9, &span)
                    span.message(11) { event in
                        event.lengthDelimited(2, text)
                        pair(3, &event)
                    }
                    span.message(13) { link in
                        link.lengthDelimited(3, text)
                        pair(4, &link)
                    }
                    span.message(15) { $0.lengthDelimited(2, text) }
                    span.lengthDelimited(99, text)
                }
                scope.lengthDelimited(3, text)
            }
            resource.lengthDelimited(3, text)
        }
        let clean = try Redactor(rules).redacted(writer.bytes, as: .traceRequest)
        #expect(String(decoding: writer.bytes, as: UTF8.self).contains("SECRET-42"))
        #expect(!String(decoding: clean, as: UTF8.self).contains("SECRET"))
        #expect(try TraceDecoder().decode(clean).spans.count == 1)
    }

    @Test func aTextMadeToBeSlowIsNot() throws {
        // Backtracking machines take 2^30 steps or more here; this one takes about 30 times the text.
        let pattern = try Pattern("(a+)+(a|a)*b\\b[a-z]+c")
        let text = [UInt8](repeating: UInt8(ascii: "a"), count: 20_000)
        #expect(pattern.matches(in: text[...]).isEmpty)
    }
}
