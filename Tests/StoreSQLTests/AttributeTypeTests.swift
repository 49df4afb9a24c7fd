import SpanStore
import StoreSQL
import StoreTesting
import TelemetryModel
import TelemetryTesting
import Testing

/// What kind of value an attribute has is told by its column as the JSON of all attributes tells it.
@Suite struct AttributeTypeTests {
    private static let values: [AttributeValue] = [
        .string("true"), .string(""), .string("1"), .bool(true), .bool(false), .int(0), .int(1), .int(.min), .double(1), .double(0.5), .double(1e300),
        .double(.nan), .double(.infinity), .array([]), .array([.int(1)]), .keyValueList(["a": .bool(true)]), .bytes([1, 2]), .empty,
    ]

    /// More keys than columns: some have none of their own.
    private static func batch(_ number: Int, _ random: inout SplitMix64) -> SpanBatch {
        var builder = SpanBatchBuilder()
        builder.beginResource(["service.name": .string("typed")])
        builder.beginScope(name: "tests")
        for place in 0..<60 {
            var span = SpanDescription(
                traceID: TraceID(high: 1, low: UInt64(number + 1)), spanID: SpanID(UInt64(number * 100 + place + 1)), name: "typed")
            for key in ["always", "mixed'", "rare \(Int.random(in: 0..<600, using: &random))"] {
                if key == "always" || Bool.random(using: &random) {
                    span.attributes.append(key, values.randomElement(using: &random) ?? .empty)
                }
            }
            // One letter in two spellings, and two keys.
            span.attributes.append(place % 2 == 0 ? "caf\u{E9} \(number)" : "cafe\u{301} \(number)", .int(Int64(place)))
            for key in 0..<10 { span.attributes.append("more \(number * 10 + key)", .int(1)) }
            builder.append(span)
        }
        return builder.batch
    }

    @Test(arguments: [false, true])
    func itIsTheSameByColumn(merged: Bool) throws {
        let fixture = try StoreFixture()
        var random = SplitMix64(seed: 7)
        for number in 0..<70 { try fixture.ingest(Self.batch(number, &random)) }
        if merged { try fixture.merge() }
        for key in ["always", "mixed''", "rare 3", "rare 400", "more 5", "more 650", "caf\u{E9} 1", "cafe\u{301} 1", "caf\u{E9} 65", "cafe\u{301} 65", "nowhere"] {
            for condition in ["1", "attr(attributes, '\(key)') = 1 AND attr_type(attributes, '\(key)') <> 'true'"] {
                let statement = "SELECT span_id, attr(attributes, '\(key)'), attr_type(attributes, '\(key)') FROM spans WHERE \(condition) ORDER BY 1"
                #expect(QueryRewriter.rewrite(statement) != nil)
                #expect(try fixture.sql(statement, rewriting: true) == fixture.sql(statement), "\(key)")
            }
        }
        let kinds = try fixture.sql("SELECT DISTINCT attr_type(attributes, 'always') FROM spans ORDER BY 1", rewriting: true).map(\.[0])
        #expect(kinds == ["array", "false", "integer", "null", "object", "real", "text", "true"])
    }

    /// Keys whose values are of one kind each, so that the column alone tells which; and some spans have none.
    @Test(arguments: [false, true])
    func conditionsOnKindsAndOnValuesOfSeveralKindsFindTheSameRows(merged: Bool) throws {
        let fixture = try StoreFixture()
        var random = SplitMix64(seed: 8)
        for number in 0..<70 {
            let spans = (1...20).map { place in
                var attributes: AttributeList = [:]
                // A batch may hold no value of a key at all.
                if Int.random(in: 0..<3, using: &random) > number % 3 {
                    attributes.append("text", .string(["true", "1", "other"].randomElement(using: &random) ?? ""))
                    attributes.append("truth", .bool(Bool.random(using: &random)))
                }
                if Bool.random(using: &random) { attributes.append("number", .int(Int64.random(in: 0...3, using: &random))) }
                if Bool.random(using: &random) { attributes.append("real", .double(Double(Int.random(in: 0...2, using: &random)))) }
                return Batches.span(UInt64(number + 1), UInt64(place), attributes)
            }
            try fixture.ingest(Batches.of(spans))
        }
        if merged { try fixture.merge() }
        for key in ["text", "truth", "number", "real", "nowhere"] {
            let (value, type) = ("attr(attributes, '\(key)')", "attr_type(attributes, '\(key)')")
            let conditions = [
                "\(type) IN ('true', 'text')", "\(type) IN ('integer', 'false')", "\(type) = 'true'", "\(type) = 'real'", "\(type) IS NULL",
                "\(type) IS NOT NULL", "\(type) IN ('true', NULL)", "\(type) = NULL", "\(type) LIKE 't%'", "\(type) NOT IN ('true', 'false')",
                "\(value) IN ('true', 1)", "\(value) IN ('1', 1, NULL)", "\(value) IN (1.0, 'other')", "\(value) IN (2, 0, 'true')",
                "\(value) IN ('true', 1) AND \(type) IN ('true', 'text')",
            ]
            for condition in conditions {
                let statement = "SELECT trace_id, span_id, \(value) FROM spans WHERE \(condition) ORDER BY 1, 2"
                #expect(try fixture.sql(statement, rewriting: true) == fixture.sql(statement), "\(condition)")
            }
        }
    }
}
