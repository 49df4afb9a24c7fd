import TelemetryModel
import Testing

@testable import Queries

/// A filter by an attribute finds the spans whose value is shown as that text, and `!=` all others; TraceQL compares values of one type alone.
@Suite struct AttributeFilterTests {
    private static let values: [(value: AttributeValue?, text: String?)] = [
        (nil, nil), (.string("true"), "true"), (.string("1"), "1"), (.string("x"), "x"), (.string(""), ""), (.bool(true), "true"), (.bool(false), "false"),
        (.int(1), "1"), (.int(0), "0"), (.int(-7), "-7"), (.array([.bool(true)]), "[true]"),
    ]

    @Test(arguments: ["flag", "it's a flag"])
    func itFindsWhatIsShownSo(key: String) async throws {
        var batches: [SpanBatch] = []
        // All in one segment, each in one of its own, and a segment that has no such attribute.
        for (number, batch) in ([Self.values] + Self.values.map { [$0] }).enumerated() {
            var builder = SpanBatchBuilder()
            builder.beginResource(["service.name": .string("filtered")])
            builder.beginScope(name: "tests")
            for (place, one) in batch.enumerated() {
                var span = SpanDescription(
                    traceID: TraceID(high: 1, low: UInt64(batch.count)), spanID: SpanID(UInt64(number * 100 + place + 1)), name: one.text ?? "nothing")
                if let value = one.value { span.attributes.append(key, value) }
                builder.append(span)
            }
            batches.append(builder.batch)
        }
        try await StoredBatches.read(batches) { reader in
            func names(_ condition: SQLCondition) throws -> [String] {
                try reader.rows("SELECT name FROM spans WHERE \(condition.sql)", condition.values).compactMap(\.[0].text).sorted()
            }
            let shown = (Self.values + Self.values).map { $0.text ?? "nothing" }.sorted()
            for text in ["true", "false", "1", "0", "-7", "x", "[true]", "nowhere"] {
                for isExcluded in [false, true] {
                    var criteria = SpanCriteria()
                    criteria.attributes = [.init(key: key, value: text, isExcluded: isExcluded)]
                    let found = try names(try #require(criteria.condition))
                    #expect(found == shown.filter { ($0 == text) != isExcluded }, "\(isExcluded ? "!=" : "=") \(text)")
                }
            }
            guard key == "flag" else { return }
            let field = try TraceQLField("span.flag")
            for (symbol, operand, wanted) in [
                ("=", .name("true"), ["true", "[true]"]), ("!=", .name("true"), ["false"]), ("=", .name("false"), ["false"]),
                ("!=", .name("false"), ["true", "[true]"]), ("=", .integer(1), ["1"]), ("=", .text("true"), ["true"]),
            ] as [(String, TraceQLToken, [String])] {
                guard case .attribute(let exact, let candidates) = try TraceQLMeaning.filter(field, symbol, operand) else {
                    Issue.record("\(symbol) \(operand)")
                    continue
                }
                let both = try names(SQLCondition("(\(candidates.sql)) AND (\(exact.sql))", candidates.values + exact.values))
                #expect(try both == names(exact), "\(symbol) \(operand)")
                // A text, a number or a boolean: of two that are shown alike one is meant.
                #expect(both == (wanted + wanted).sorted(), "\(symbol) \(operand)")
            }
        }
    }
}
