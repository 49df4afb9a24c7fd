import TelemetryModel
import TelemetryTesting
import Testing

@testable import Queries

@Suite struct TraceSearchTests {
    /// Traces that lie in several batches, most of them short; some spans have not ended, some end before they begin.
    private static func batch(_ number: Int, _ random: inout SplitMix64) -> SpanBatch {
        var builder = SpanBatchBuilder()
        builder.beginResource(["service.name": .string("searched")])
        builder.beginScope(name: "tests")
        for place in 0..<40 {
            let trace = UInt64.random(in: 1...60, using: &random)
            var span = SpanDescription(
                traceID: TraceID(high: trace, low: 7), spanID: SpanID(UInt64(number * 100 + place + 1)), name: "work")
            span.startTimeUnixNano = Int64(trace) * 1_000 + .random(in: 0...(trace % 7 == 0 ? 3_000 : 90), using: &random)
            span.endTimeUnixNano = place % 9 == 0 ? 0 : span.startTimeUnixNano + .random(in: -50...100, using: &random)
            builder.append(span)
        }
        return builder.batch
    }

    @Test(arguments: 0..<4 as Range<UInt64>)
    func tracesOfALengthAreFoundBesideThoseThatAreNot(seed: UInt64) async throws {
        var random = SplitMix64(seed: seed)
        let batches = (0..<8).map { Self.batch($0, &random) }
        try await StoredBatches.read(batches) { reader in
            let all = try reader.rows("SELECT trace_id, duration_ns FROM traces ORDER BY start_time_unix_nano DESC, trace_id DESC")
            for minimum in [1, 150, 1_000, 2_500] as [Int64] {
                let wanted = all.filter { ($0[1].integer ?? 0) >= minimum }.compactMap(\.[0].text)
                var search = TraceSearch()
                // The first window holds little, so most traces are looked for by their length.
                search.firstWindowSpans = 1
                search.limit = 3
                (search.limits.durationMinimum, search.extentMinimum) = seed % 2 == 0 ? (minimum, nil) : (minimum, minimum - 1)
                var found: [String] = []
                for _ in 0...wanted.count {
                    let answer = try search.run(reader)
                    found += answer.traces.map(\.traceID)
                    guard let next = answer.next else { break }
                    search.after = next
                }
                #expect(found == wanted)
            }
        }
    }

    @Test func aQueryTellsHowLongItsTracesLast() throws {
        #expect(try TraceQL(#"{traceDuration > 10s && name = "x"}"#).durationMinimum == 10_000_000_000)
        #expect(try TraceQL("{trace:duration >= 1ms} | count() > 2").durationMinimum == 1_000_000)
        for query in [
            "{traceDuration < 10s}", "{traceDuration > 1s || true}", "{!(traceDuration < 1s)}", "{traceDuration > 1s} || {}",
            "{}",
        ] {
            #expect(try TraceQL(query).durationMinimum == nil)
        }
    }
}
