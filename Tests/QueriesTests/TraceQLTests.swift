import TelemetryModel
import Testing

@testable import Queries

@Suite struct TraceQLTests {
    private func condition(_ query: String) throws -> SQLCondition? { try TraceQL(query).condition }

    /// Where attributes are texts, these would find nothing.
    @Test(arguments: [
        ("{ span.n > 5 }", "span.n"), ("{ 5 < span.n }", "span.n"), ("{ .b = true }", ".b"), ("{ .b }", ".b"), ("{ !(resource.n = 7) }", "resource.n"),
        ("{ span.n + 1 = 8 }", "span.n"), ("{ span.d = duration }", "span.d"), ("{ event.n < 1ms }", "event.n"), ("{ -span.n = -1 }", "span.n"),
        ("{} >> { parent.n = 1.5 }", "parent.n"), ("{} | avg(span.n) > 3", "span.n"), ("{} | by(span.n * 2)", "span.n"),
        ("{} | sum_over_time(span.n)", "span.n"), ("{} | quantile_over_time(span.n, .5) by (name)", "span.n"),
        ("{} | compare({ span.n = 1 })", "span.n"), ("{ span.n = -1 }", "span.n"), ("{ span.t = \"a\" && span.n != 1 }", "span.n"),
    ])
    func anAttributeThatIsWantedAsANumberOrABooleanIsKnown(query: String, attribute: String) throws {
        #expect(try TraceQL(query).typedAttribute == attribute)
    }

    @Test(arguments: [
        "{}", "{ span.t = \"a\" }", "{ span.t =~ \"a.*\" }", "{ span.t != nil }", "{ span.t > \"a\" }", "{ span.a = span.b }", "{ name = \"x\" && status = error }",
        "{ duration > 1s && kind = client }", "{ nestedSetParent < 0 } | avg(duration) > 1s", "{} | rate() by (span.n)", "{} | select(span.n)",
        "{} | max_over_time(duration)", "{} | count() > 2", "{ resource.service.name = \"x\" }", "{} | by(span.t)", "{ 1 + 1 = 2 }",
    ])
    func whatTakesAttributesAsTextsWantsNoOtherType(query: String) throws {
        #expect(try TraceQL(query).typedAttribute == nil)
    }

    @Test func anEmptySpanSetMatchesEverySpan() throws {
        #expect(try condition("{}") == nil)
        #expect(try condition("") == nil)
        #expect(try condition(" { } ") == nil)
    }

    @Test func conditionsBecomeSQLWithValuesInOrder() throws {
        #expect(
            try condition(#"{resource.service.name="a" && (duration>1.5s || status=error)}"#)
                == SQLCondition(
                    "(service_name = ? AND (duration_ns > ? OR status_code IN (2)))",
                    [.text("a"), .integer(1_500_000_000)]))
    }

    @Test func attributesAreLookedForWhereTheQuerySays() throws {
        #expect(
            try condition(#"{span.k="v"}"#)
                == SQLCondition("(traceql_compare(attributes, ?, ?, ?))", [.text("k"), .text("="), .text("v")]))
        #expect(
            try condition(#"{resource.k=1}"#)
                == SQLCondition("(traceql_compare(resource_attributes, ?, ?, ?))", [.text("k"), .text("="), .integer(1)]))
        #expect(try condition(#"{span."a key"=nil}"#) == SQLCondition("traceql_value(attributes, ?) IS NULL", [.text("a key")]))
        #expect(try condition("{span.k=true}")?.values == [.text("k"), .text("=?"), .integer(1)])
        #expect(try condition(#"{span.k!~"a|b"}"#)?.values == [.text("k"), .text("!=~"), .text("a|b")])
    }

    @Test(arguments: ["{nestedSetParent<0}", "{nestedSetParent = -1}", "{parent = nil}", "{span:parentID = nil}"])
    func aRootIsFoundWithoutReadingItsTrace(query: String) throws {
        #expect(try TraceQL(query).isSimple)
        #expect(try condition(query) == SQLCondition("parent_span_id IS NULL"))
    }

    @Test func bothSpellingsMeanTheSame() throws {
        for (one, other) in [
            ("span:duration", "duration"), ("span:name", "name"), ("span:status", "status"), ("trace:rootName", "rootName"),
            ("trace:rootService", "rootServiceName"), ("trace:duration", "traceDuration"), ("span:childCount", "childCount"),
        ] {
            #expect(try TraceQLField(one).source == TraceQLField(other).source)
            #expect(try TraceQLField(one).sql == TraceQLField(other).sql)
        }
    }

    @Test func candidatesAreLookedForByWhatTheirSpansMustMeet() throws {
        #expect(try condition(#"{rootName="x"}"#)?.sql == "(parent_span_id IS NULL AND name = ?)")
        #expect(try condition(#"{traceDuration>10s && name="x"}"#)?.sql == "name = ?")
        #expect(try condition("{traceDuration>10s}") == nil)
        #expect(try condition(#"{name="a"} !>> {name="b"}"#)?.values == [.text("b")])
        #expect(try condition(#"{name="a"} || {traceDuration>1s}"#) == nil)
    }

    @Test func operatorsBindAsInTempo() throws {
        #expect(
            try condition(#"{name="a" || name="b" && name="c"}"#)?.sql
                == "((name = ? OR name = ?) AND name = ?)")
        guard case .and(.or, .related) = try TraceQL("{} || {} && {} > {}").pipeline.source else { return #expect(Bool(false)) }
    }

    @Test(arguments: [
        "1 + 2 * 3 = 7", "(1 + 2) * 3 = 9", "2 ^ 3 ^ 2 = 512", "-2 ^ 2 = -4", "7 / 2 = 3", "-7 / 2 = -3", "-7 % 3 = -1", "7.0 / 2 = 3.5",
        "1s / 2 = 500ms", "9223372036854775807 + 1 = 9223372036854775808.0", "-9223372036854775808 < -9223372036854775807", "2 ^ -1 = 0.5",
        "10 - 2 - 3 = 5", "2 * -3 + 1 = -5", "1 < 2", "1h > 59m", "-(1 + 1) = -2", "8 / -2 * 2 = -2",
    ])
    func numbersAreWorkedOutAsTheGrammarBinds(query: String) throws {
        #expect(try TraceQL("{ \(query) }").simpleFilter == .always)
    }

    @Test func whatStandsAtTheRightMayStandAtTheLeft() throws {
        for (one, other) in [("1s < duration", "duration > 1000ms"), ("error = status", "status = error"), ("3 >= span.a", "span.a <= 2 + 1")] {
            #expect(try condition("{\(one)}") == condition("{\(other)}"))
        }
        #expect(try TraceQL("{span.a + duration / 1s > 2}").isSimple)
        #expect(try !TraceQL("{span.a = parent.span.a}").isSimple)
        // An operator inside of a name is a part of it.
        #expect(try condition("{span.a+1 = 2}")?.values.first == .text("a+1"))
        #expect(try condition("{duration-1s > 2s}")?.sql.contains("traceql_calculate") == true)
    }

    @Test(arguments: [
        ("{} | rate()", TraceQL.Measure.rate), ("{} | quantile_over_time(duration, .5, 0.95)", .quantile([0.5, 0.95])),
        ("{} | histogram_over_time(duration) by (name)", .histogram), ("{} | count_over_time() | topk(3)", .count),
        ("{} > {} | sum_over_time(span.x) by (rootName) with(sample=true)", .sum),
    ])
    func metricsAreRead(query: String, measure: TraceQL.Measure) throws {
        #expect(try TraceQL(query).metric?.measure == measure)
    }

    @Test(arguments: [
        "{", "}", "{name}extra", "{name=", #"{name="x}"#, "{name=x}", "{nonsense=1}", "{} | nonsense()", "{} | rate(", "{} {}", "{} >",
        "{duration>1parsec}", "{} | quantile_over_time(duration)", "{} | quantile_over_time(duration, 2)", "{} | count()", "{.a + 1}", "{name = duration}", "{status = parent.kind}", "{name + 1 = 2}", "{1 / 0 = 1}",
        "{event.a = span.a}", "{span.a = span.b = span.c}", "{span.a + 1 =~ \"x\"}", "{parent.traceDuration = nil}", "{(span.a = 1) + 1 = 2}", "{- = 1}",
        "({} | rate()) && {}", "{} | rate() | topk(0)", #"{name=~"(?=a)"}"#, "{name=1}", "{!name=1}", "{traceDuration=nil}", "{status=1}",
    ])
    func whatIsBeyondItIsRefused(query: String) {
        #expect(throws: QueryError.self) { try TraceQL(query) }
    }

    @Test func whatNestsTooDeepIsRefusedBeforeItIsRead() {
        let depth = 5000
        for query in [
            "{" + String(repeating: "(", count: depth) + "true" + String(repeating: ")", count: depth) + "}",
            String(repeating: "(", count: depth) + "{}" + String(repeating: ")", count: depth),
            "{" + String(repeating: "!(", count: depth) + "true" + String(repeating: ")", count: depth) + "}",
        ] {
            #expect(throws: QueryError.self) { try TraceQL(query) }
        }
    }

    @Test func nestingAndLengthHaveBounds() {
        #expect(throws: QueryError.self) { try TraceQL("{" + String(repeating: "(", count: 10_000) + "true") }
        #expect(throws: QueryError.self) { try TraceQL("{" + Array(repeating: "true", count: 100).joined(separator: "&&") + "}") }
        #expect(throws: QueryError.self) { try TraceQL("{name=\"" + String(repeating: "x", count: 20_000) + "\"}") }
        #expect(throws: QueryError.self) { try TraceQL(Array(repeating: "{}", count: 200).joined(separator: ">")) }
    }

    @Test func wordsAreReadWithTheirUnits() throws {
        #expect(try TraceQLToken.all("1m30s 1.5s -2 9007199254740993 .5 2d")
            == [.duration(90e9), .duration(1.5e9), .symbol("-"), .integer(2), .integer(9_007_199_254_740_993), .double(0.5), .duration(172_800e9)])
        #expect(try TraceQLToken.all("{}!>>{}") == [.symbol("{"), .symbol("}"), .symbol("!>>"), .symbol("{"), .symbol("}")])
    }

    /// Spans of a chain and a sibling: 0 over 1 and 3, 1 over 2; 4 hangs under nothing that is stored.
    private static let trace = TraceQLTrace(
        [("a", nil), ("b", "a"), ("c", "b"), ("d", "a"), ("e", "gone")].enumerated().map { place, node in
            TraceQLTrace.Span(
                node: TraceTree.Node(spanID: node.0, parentSpanID: node.1, service: "s", kind: 1), start: Int64(place), end: 100, name: node.0,
                duration: 1, isRoot: node.1 == nil, meets: [], values: [])
        })

    @Test(arguments: [
        (TraceQLSpanset.Relation.child, TraceQLSpanset.Mode.plain, [0], [1, 2, 3], [1, 3]),
        (.descendant, .plain, [0], [1, 2, 3, 4], [1, 2, 3]), (.parent, .plain, [2], [0, 1], [1]), (.ancestor, .plain, [2], [0, 1, 3], [0, 1]),
        (.sibling, .plain, [1], [1, 3], [3]), (.descendant, .negated, [0], [1, 4], [4]), (.child, .union, [0], [1, 2], [0, 1]),
        (.ancestor, .union, [2], [0], [0, 2]), (.sibling, .plain, [1, 3], [1, 3], [1, 3]), (.child, .plain, [], [1], []),
    ])
    func spansStandToEachOther(
        relation: TraceQLSpanset.Relation, mode: TraceQLSpanset.Mode, left: [Int], right: [Int], found: [Int]
    ) {
        #expect(Self.trace.related(relation, mode, left, right) == found)
    }

    @Test func nestedSetsAreNumberedFromTheRoot() {
        func values(_ field: TraceQLField.Computed) -> [QueryValue] { (0..<5).map { Self.trace.value(field, of: $0) } }
        #expect(values(.nestedSetLeft) == [.integer(1), .integer(2), .integer(3), .integer(6), .integer(0)])
        #expect(values(.nestedSetRight) == [.integer(8), .integer(5), .integer(4), .integer(7), .integer(0)])
        #expect(values(.nestedSetParent) == [.integer(-1), .integer(1), .integer(2), .integer(1), .integer(0)])
        #expect(values(.childCount) == [.integer(2), .integer(1), .integer(0), .integer(0), .integer(0)])
    }
}
