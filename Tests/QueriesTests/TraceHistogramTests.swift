import Foundation
import TelemetryModel
import TelemetryTesting
import Testing

@testable import Queries

/// What stands above a list counts what the list goes through.
@Suite struct TraceHistogramTests {
    private static let traces: UInt64 = 40

    /// Spans of traces that lie in several batches, some without a root, some of whose spans failed or have not ended.
    private static func batch(_ number: Int, _ random: inout SplitMix64) -> SpanBatch {
        var builder = SpanBatchBuilder()
        builder.beginResource(["service.name": .string("counted")])
        builder.beginScope(name: "tests")
        for place in 0..<30 {
            let trace = UInt64.random(in: 1...traces, using: &random)
            var span = SpanDescription(
                traceID: TraceID(high: trace, low: 3), spanID: SpanID(UInt64(number * 100 + place + 1)),
                name: ["plan", "act", "check"].randomElement(using: &random) ?? "")
            if trace % 5 == 0 || place % 4 != 0 { span.parentSpanID = SpanID(UInt64(5_000 + place)) }
            if Int.random(in: 0..<4, using: &random) == 0 { span.status = .error("") }
            span.startTimeUnixNano = Int64(trace) * 1_000 + .random(in: 0...6_000, using: &random)
            span.endTimeUnixNano = place % 11 == 0 ? 0 : span.startTimeUnixNano + .random(in: 0...2_000, using: &random)
            builder.append(span)
        }
        return builder.batch
    }

    private static func listed(_ search: TraceSearch, _ reader: QueryReader) throws -> [TraceSummary] {
        var search = search
        // Small windows and pages, so that traces lie across their edges.
        (search.firstWindowSpans, search.earlierTracesMax, search.limit) = (7, 3, 9)
        var found: [TraceSummary] = []
        for _ in 0...200 {
            let answer = try search.run(reader)
            found += answer.traces
            guard let next = answer.next else { break }
            search.after = next
        }
        return found
    }

    private static func counted(_ histogram: TraceHistogram, _ reader: QueryReader) throws -> Int {
        var json = JSONWriter()
        try histogram.write(nowUnixNano: 1_000_000, reader, into: &json)
        let object = try JSONSerialization.jsonObject(with: Data(json.bytes)) as? [String: Any]
        let buckets = object?["buckets"] as? [[String: Any]] ?? []
        return buckets.reduce(0) { $0 + ($1["traces"] as? Int ?? 0) }
    }

    @Test(arguments: 0..<3 as Range<UInt64>)
    func itCountsTheTracesThatAListShowsWhateverIsAsked(seed: UInt64) async throws {
        var random = SplitMix64(seed: seed)
        let batches = (0..<8).map { Self.batch($0, &random) }
        try await StoredBatches.read(batches) { reader in
            var sizes: Set<Int> = []
            for _ in 0..<60 {
                var search = TraceSearch()
                var histogram = TraceHistogram()
                func maybe<Value>(_ value: Value) -> Value? { Bool.random(using: &random) ? value : nil }
                search.criteria.name = maybe("act")
                search.criteria.status = maybe(.error)
                search.limits.durationMinimum = maybe(.random(in: 0...7_000, using: &random))
                search.limits.durationMaximum = maybe(.random(in: 2_000...9_000, using: &random))
                search.limits.rootStatus = maybe(Bool.random(using: &random) ? .error : .ok)
                search.limits.isRunning = Int.random(in: 0..<4, using: &random) == 0
                search.from = maybe(.random(in: 0...20_000, using: &random)) ?? .min
                search.to = maybe(.random(in: 20_001...50_000, using: &random)) ?? .max
                histogram.criteria = search.criteria
                histogram.limits = search.limits
                histogram.window = TimeWindow(from: search.from, to: search.to)
                let shown = try Self.listed(search, reader)
                #expect(Set(shown.map(\.traceID)).count == shown.count)
                #expect(try Self.counted(histogram, reader) == shown.count, "\(search)")
                sizes.insert(shown.count)
            }
            #expect(sizes.count > 5)
        }
    }
}
