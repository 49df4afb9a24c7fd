import Testing

@testable import Queries

/// The examples of docs/metrics.md 2.12 for reported breakers, in seconds; the cooldown is 30 s.
@Suite struct BreakerTimelineTests {
    private static let key = BreakerTimeline.Key(service: "svc", scope: "", tool: "t", machine: "reported")

    private func cooldown(_ edges: [(Double, String)], evidence: [Double] = [], now: Double = 100_000) -> [Double] {
        func nano(_ seconds: Double) -> Int64 { Int64((seconds * 1e9).rounded()) }
        return BreakerTimeline.openings(
            edges.map { BreakerTimeline.Edge(key: Self.key, timeUnixNano: nano($0.0), toState: $0.1) },
            evidence: [Self.key: evidence.map(nano)], cooldownNanoseconds: nano(30), nowUnixNano: nano(now)
        ).map { Double($0.endUnixNano - $0.startUnixNano) / 1e9 }
    }

    @Test func anOpeningEndsWithItsNextEdge() {
        #expect(cooldown([(30, "open"), (60.2, "half_open"), (61, "closed")], evidence: [30, 40, 55]) == [30.2])
    }

    @Test func silenceCountsOneCooldown() {
        #expect(cooldown([(30, "open"), (36_029, "half_open"), (36_030, "closed")]) == [30])
    }

    @Test func aRejectionCarriesTheOpeningOn() {
        #expect(cooldown([(30, "open"), (90.5, "closed")], evidence: [30, 85]) == [60.5])
    }

    @Test func aProbeThatFailsOpensAgain() {
        #expect(cooldown([(30, "open"), (61, "half_open"), (71, "open"), (102, "closed")], evidence: [30, 71]) == [30, 30])
    }

    @Test func whatIsOpenNowCountsUpToNow() {
        #expect(cooldown([(30, "open")], now: 45) == [15])
        #expect(cooldown([(30, "open")], now: 500) == [30])
    }

    @Test func evidenceOfAnEarlierOpeningDoesNotCarryALaterOne() {
        #expect(cooldown([(30, "open"), (40, "closed"), (1000, "open"), (2000, "closed")], evidence: [30, 35]) == [10, 30])
    }
}
