import TelemetryTesting
import Testing

@testable import Queries

@Suite struct SegmentDensityTests {
    typealias Segment = SegmentDensity.Segment

    private static func starts(_ segments: [Segment], upTo last: Int64, spans: Int) -> [Int64] {
        let density = SegmentDensity(segments)
        var starts: [Int64] = []
        var last = last
        while starts.count < 100_000, let window = density.window(upTo: last, spans: spans) {
            starts.append(window.start)
            guard window.start > .min else { break }
            last = window.start - 1
        }
        return starts
    }

    @Test func segmentsThatOverlapAreDividedIntoTime() {
        // Twenty-five segments of a minute each, two seconds after one another, as five million spans that come at once lie.
        let segments = (0..<25).map { Segment(first: Int64($0) * 2_000, last: Int64($0) * 2_000 + 60_000, spanCount: 200_000) }
        let window = SegmentDensity(segments).window(upTo: .max, spans: 20_000)
        // The latest segment alone reaches so far: 200,000 spans in 60,000 steps, and the next begins to count 2,000 further down.
        #expect(window?.start == 108_000 - 4_000 && window?.spans == 20_000)
        let starts = Self.starts(segments, upTo: .max, spans: 20_000)
        #expect(starts.last == 0 && (200...260).contains(starts.count))
    }

    @Test func timesWithoutSpansAreOneStep() {
        let segments = [Segment(first: 0, last: 9, spanCount: 10), Segment(first: 1 << 60, last: (1 << 60) + 9, spanCount: 10)]
        #expect(Self.starts(segments, upTo: .max, spans: 10) == [1 << 60, 0])
        #expect(Self.starts(segments, upTo: (1 << 60) - 1, spans: 3).first == 6)
        #expect(SegmentDensity([]).window(upTo: .max, spans: 1) == nil)
        #expect(SegmentDensity(segments).window(upTo: -1, spans: 1) == nil)
        #expect(SegmentDensity(segments).window(upTo: .max, spans: 1_000)! == (0, 20))
    }

    @Test(arguments: 0..<40 as Range<UInt64>)
    func windowsGoBackToTheFirstSpanInFewSteps(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let edges: [Int64] = [.min, .min + 1, -1, 0, 1, .max - 1, .max]
        func time() -> Int64 { Bool.random(using: &random) ? edges.randomElement(using: &random) ?? 0 : .random(in: .min ... .max, using: &random) }
        let segments = (0..<Int.random(in: 1...20, using: &random)).map { _ in
            let (one, other) = (time(), Bool.random(using: &random) ? time() : 5)
            return Segment(first: min(one, other), last: max(one, other), spanCount: .random(in: 0...1_000, using: &random))
        }
        let starts = Self.starts(segments, upTo: .max, spans: 100)
        let oldest = segments.map(\.first).min() ?? 0
        // The very first time of all has none before it, which is all that may be missed.
        #expect(starts.last == max(oldest, .min + 1) || starts.last == oldest)
        for (later, earlier) in zip(starts, starts.dropFirst()) { #expect(earlier < later) }
        let total = segments.reduce(0) { $0 + Int($1.spanCount) }
        #expect(starts.count <= total / 100 * 2 + 2 * segments.count + 4)
    }
}
