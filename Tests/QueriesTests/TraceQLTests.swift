import Testing

@testable import Queries

@Suite struct TraceQLTests {
    private func condition(_ query: String) throws -> SQLCondition? { try TraceQL(query).condition }

    @Test func anEmptySpanSetMatchesEverySpan() throws {
        #expect(try condition("{}") == nil)
        #expect(try condition("") == nil)
        #expect(try condition(" { } ") == nil)
    }

    @Test func conditionsBecomeSQLWithValuesInOrder() throws {
        #expect(
            try condition(#"{resource.service.name="a" && (duration>1.5s || status=error)}"#)
                == SQLCondition(
                    "(service_name = ? AND (duration_ns > ? OR status_code = ?))",
                    [.text("a"), .double(1.5e9), .integer(2)]))
    }

    @Test func attributesAreLookedForWhereTheQuerySays() throws {
        #expect(try condition(#"{span.k="v"}"#) == SQLCondition("attr(attributes, ?) = ?", [.text("k"), .text("v")]))
        #expect(try condition(#"{resource.k=1}"#) == SQLCondition("attr(resource_attributes, ?) = ?", [.text("k"), .integer(1)]))
        #expect(
            try condition(#"{.k!=true}"#)
                == SQLCondition(
                    "coalesce(attr(attributes, ?), attr(resource_attributes, ?)) <> ?", [.text("k"), .text("k"), .integer(1)]))
        #expect(try condition(#"{span."a key"=nil}"#) == SQLCondition("attr(attributes, ?) IS NULL", [.text("a key")]))
    }

    @Test(arguments: [
        ("a", ["a"]), ("a|b", ["a", "b"]), (".*a.+", ["*a?*"]), ("a.b", ["a?b"]), (#"a\.b"#, ["a.b"]), ("^a$", ["a"]),
        ("(a|b)", ["a", "b"]),
        ("a[*]".replacing("[*]", with: #"\*"#), ["a[*]"]),
    ])
    func simpleExpressionsBecomePatterns(expression: String, patterns: [String]) throws {
        #expect(try TraceQL.alternatives(expression) == patterns)
    }

    @Test(arguments: ["(a+)+", "a{2}", "[a-z]", #"\d"#, "a*", "a?b+"])
    func expressionsThatMayTakeForeverAreRefused(expression: String) {
        #expect(throws: QueryError.self) { try TraceQL.alternatives(expression) }
    }

    @Test(arguments: [
        ("{} | rate()", TraceQL.Measure.rate), ("{} | quantile_over_time(duration, .5, 0.95)", .quantile([0.5, 0.95])),
        ("{} | histogram_over_time(duration) by (name)", .histogram),
    ])
    func metricsAreRead(query: String, measure: TraceQL.Measure) throws {
        #expect(try TraceQL(query).metric?.measure == measure)
    }

    @Test(arguments: [
        "{", "}", "{name}extra", "{name=", #"{name="x}"#, "{name=x}", "{nonsense=1}", "{} && {}", "{} | nonsense()", "{} | rate(",
        "{duration>1parsec}", "{} | quantile_over_time(duration)", "{} | quantile_over_time(duration, 2)",
    ])
    func whatIsBeyondTheSubsetIsRefused(query: String) {
        #expect(throws: QueryError.self) { try TraceQL(query) }
    }

    @Test func nestingAndLengthHaveBounds() {
        #expect(throws: QueryError.self) { try TraceQL("{" + String(repeating: "(", count: 10_000) + "true") }
        #expect(throws: QueryError.self) { try TraceQL("{" + Array(repeating: "true", count: 100).joined(separator: "&&") + "}") }
        #expect(throws: QueryError.self) { try TraceQL("{name=\"" + String(repeating: "x", count: 20_000) + "\"}") }
    }
}
