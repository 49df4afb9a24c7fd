import Testing

@testable import Queries

@Suite struct CriticalPathTests {
    private typealias Span = (id: String, parent: String?, start: Int64, end: Int64?)

    private static func path(_ spans: [Span]) -> CriticalPath {
        CriticalPath(
            spans.map { (TraceTree.Node(spanID: $0.id, parentSpanID: $0.parent, service: "a", kind: 1), $0.start, $0.end) })
    }

    /// `root 0-3`, in the order of time; `-` for nobody.
    private static func told(_ spans: [Span]) -> [String] {
        path(spans).segments.map { "\($0.index.map { spans[$0].id } ?? "-") \($0.interval.start)-\($0.interval.end)" }
    }

    @Test func aSpanAloneIsTheWholePath() {
        #expect(Self.told([("root", nil, 5, 15)]) == ["root 5-15"])
        #expect(Self.told([]) == [])
        #expect(Self.told([("root", nil, 5, 5)]) == [])
    }

    @Test func whatNoChildCoversIsTheParentsOwn() {
        #expect(
            Self.told([("root", nil, 0, 10), ("a", "root", 1, 4), ("b", "root", 5, 9)])
                == ["root 0-1", "a 1-4", "root 4-5", "b 5-9", "root 9-10"])
    }

    @Test func ofCallsAtOnceTheLastToEndIsWaitedFor() {
        #expect(
            Self.told([("root", nil, 0, 10), ("a", "root", 1, 4), ("b", "root", 1, 9), ("c", "root", 2, 6)])
                == ["root 0-1", "b 1-9", "root 9-10"])
    }

    @Test func anOverlappingSiblingIsCutOffWhereTheNextBegan() {
        #expect(Self.told([("root", nil, 0, 10), ("a", "root", 0, 6), ("b", "root", 5, 10)]) == ["a 0-5", "b 5-10"])
    }

    @Test func thePathGoesDownToWhatWasWaitedForInside() {
        #expect(
            Self.told([("root", nil, 0, 10), ("agent", "root", 0, 10), ("llm", "agent", 2, 5), ("tool", "agent", 5, 8)])
                == ["agent 0-2", "llm 2-5", "tool 5-8", "agent 8-10"])
    }

    @Test func workThatOutlivesItsParentIsOnThePath() {
        #expect(Self.told([("root", nil, 0, 10), ("later", "root", 4, 20)]) == ["root 0-4", "later 4-20"])
        #expect(Self.told([("root", nil, 0, 10), ("later", "root", 15, 20)]) == ["root 0-10", "- 10-15", "later 15-20"])
    }

    @Test func timeBetweenASpanAndItsLaterWorkIsTheNextSpansAboveThatRan() {
        #expect(
            Self.told([("root", nil, 0, 30), ("call", "root", 5, 10), ("late", "call", 20, 25)])
                == ["root 0-5", "call 5-10", "root 10-20", "late 20-25", "root 25-30"])
    }

    @Test func whatStillRunsEndsWithTheTrace() {
        #expect(Self.told([("root", nil, 0, nil), ("a", "root", 2, 8)]) == ["root 0-2", "a 2-8"])
        #expect(Self.told([("a", "gone", 2, 6), ("b", "gone", 4, nil), ("c", "gone", 5, 8)]) == ["a 2-4", "b 4-8"])
    }

    @Test func ringsAndTimesAtTheEndsOfIntegersDoNoHarm() {
        #expect(Self.path([("a", "b", 0, 5), ("b", "a", 1, 6)]).segments.count > 0)
        let wide = Self.path([("a", nil, .min, .max), ("b", "a", -5, .max), ("c", "a", .max, .min)])
        #expect(wide.whole.nanoseconds == .max)
        #expect(wide.segments.first?.interval.start == .min)
    }

    @Test func aDeepChainAndAWideFanAreWalkedQuickly() {
        let chain = (0..<50_000).map {
            Span(id: "\($0)", parent: $0 == 0 ? nil : "\($0 - 1)", start: Int64($0) * 2, end: Int64($0) * 2 + 1)
        }
        #expect(Self.path(chain).segments.count == 99_999)
        let fan =
            [Span(id: "root", parent: nil, start: 0, end: 100_000)]
            + (0..<49_999).map { Span(id: "\($0)", parent: "root", start: Int64($0), end: Int64($0) + 40_000) }
        #expect(Self.path(fan).segments.last?.interval.end == 100_000)
    }

    /// Held against the rule told moment by moment.
    @Test func everyMomentIsGivenToOneSpanAsTheRuleSays() {
        var generator = Lehmer(state: 7)
        for _ in 0..<300 {
            let count = Int(generator.next(9)) + 1
            var spans: [Span] = []
            for index in 0..<count {
                let start = Int64(generator.next(20))
                spans.append(
                    (
                        "\(index)", index == 0 || generator.next(6) == 0 ? nil : "\(generator.next(UInt64(index)))", start,
                        start + Int64(generator.next(15))
                    ))
            }
            let path = Self.path(spans)
            var moments: [Int64: Int?] = [:]
            var last = path.whole.start
            for segment in path.segments {
                #expect(segment.interval.start == last)
                last = segment.interval.end
                for moment in segment.interval.start..<segment.interval.end { moments[moment] = .some(segment.index) }
            }
            #expect(last == path.whole.end)
            let expected = Model(spans: spans.map { ($0.parent.flatMap { Int($0) }, $0.start, $0.end ?? 0) }).moments
            #expect(moments == expected, "\(spans)")
        }
    }

    /// The rule as a person would follow it with a finger: from the last moment to the first, one at a time.
    private struct Model {
        let spans: [(parent: Int?, start: Int64, end: Int64)]

        private func extent(_ index: Int) -> (start: Int64, end: Int64) {
            let below = spans.indices.filter { spans[$0].parent == index }.map(extent)
            return (
                min(spans[index].start, below.map(\.start).min() ?? .max), max(spans[index].end, below.map(\.end).max() ?? .min)
            )
        }

        var moments: [Int64: Int?] {
            var given: [Int64: Int?] = [:]
            let whole = (spans.map(\.start).min() ?? 0)..<(spans.map(\.end).max() ?? 0)
            follow(nil, whole.lowerBound, whole.upperBound, &given)
            return given
        }

        private func follow(_ parent: Int?, _ from: Int64, _ to: Int64, _ given: inout [Int64: Int?]) {
            var at = to
            var left = Set(spans.indices.filter { spans[$0].parent == parent })
            while at > from {
                let begun = left.filter { extent($0).start < at && extent($0).end > from }
                // Of those that had begun, the last to end; of two that end together, the longer.
                let next = begun.min { (-extent($0).end, extent($0).start, $0) < (-extent($1).end, extent($1).start, $1) }
                guard let next, extent(next).end >= at else {
                    at -= 1
                    given[at] = .some(owner(parent, at))
                    continue
                }
                left.remove(next)
                let start = max(from, extent(next).start)
                follow(next, start, at, &given)
                at = start
            }
        }

        private func owner(_ index: Int?, _ moment: Int64) -> Int? {
            var index = index
            while let current = index {
                if spans[current].start <= moment, moment < spans[current].end { return current }
                index = spans[current].parent
            }
            return nil
        }
    }

    private struct Lehmer {
        var state: UInt64

        mutating func next(_ bound: UInt64) -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 33) % bound
        }
    }
}
