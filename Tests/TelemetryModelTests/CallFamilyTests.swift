import Testing

@testable import TelemetryModel

/// Which of several spans that tell of one call counts: docs/metrics.md 2.12.
@Suite struct CallFamilyTests {
    private static func call(
        _ span: UInt64, in parent: UInt64 = 0, _ start: Int64, _ end: Int64, _ carries: CallFacets = [.call, .tokens], scope: UInt64 = 1
    ) -> ToldCall {
        var call = ToldCall(span: span, parent: parent)
        (call.start, call.end, call.scope, call.model) = (start, end, scope, 9)
        (call.carries, call.sort) = (carries, .model)
        if carries.contains(.tokens) { (call.input, call.output) = (10, 2) }
        return call
    }

    /// What counts by span, the calls given in some order.
    private static func counted(_ calls: [ToldCall]) -> [UInt64: CallFacets] {
        let family = CallFamily(calls)
        return Dictionary(uniqueKeysWithValues: calls.indices.map { (calls[$0].span, family.verdict($0).facets) })
    }

    private static func expect(_ calls: [ToldCall], _ wanted: [UInt64: CallFacets]) {
        for shift in calls.indices {
            let turned = Array(calls[shift...] + calls[..<shift])
            #expect(counted(turned).filter { !$0.value.isEmpty } == wanted)
            #expect(counted(turned.reversed()).filter { !$0.value.isEmpty } == wanted)
        }
    }

    @Test func eachFacetCountsAtTheInnermostThatHasIt() {
        Self.expect(
            [
                Self.call(1, 0, 9, [.call, .tokens, .cache]), Self.call(2, in: 1, 1, 8, [.call, .tokens]),
                Self.call(3, in: 2, 2, 7, .call),
            ], [1: .cache, 2: .tokens, 3: .call])
    }

    @Test func ofTwinsTheOneClosestToTheWireCounts() {
        var (outer, inner) = (Self.call(1, in: 7, 0, 9), Self.call(2, in: 7, 1, 8, scope: 2))
        Self.expect([outer, inner], [2: [.call, .tokens]])
        // Clients count the end of a stream differently.
        inner.output = 3
        Self.expect([outer, inner], [2: [.call, .tokens]])
        inner.output = 4
        Self.expect([outer, inner], [1: [.call, .tokens], 2: [.call, .tokens]])
        (outer.response, inner.response) = (5, 5)
        Self.expect([outer, inner], [2: [.call, .tokens]])
        inner.response = 6
        Self.expect([outer, inner], [1: [.call, .tokens], 2: [.call, .tokens]])
    }

    @Test func equalCallsAtTheSameTimeStayTwo() {
        Self.expect(
            [
                Self.call(1, in: 7, 0, 100), Self.call(2, in: 7, 1, 99, scope: 2), Self.call(3, in: 7, 2, 98),
                Self.call(4, in: 7, 3, 97, scope: 2),
            ], [2: [.call, .tokens], 4: [.call, .tokens]])
    }

    @Test func aTwinOfAWrapperIsOneToo() {
        Self.expect(
            [Self.call(1, in: 7, 0, 9), Self.call(2, in: 7, 1, 8, scope: 2), Self.call(3, in: 1, 2, 7)], [3: [.call, .tokens]])
    }

    @Test func aToolInsideOfAModelCallSaysNothingOfIt() {
        var tool = Self.call(2, in: 1, 1, 8)
        tool.sort = .tool
        Self.expect(
            [Self.call(1, 0, 9), tool, Self.call(3, in: 2, 2, 7)], [1: [.call, .tokens], 2: .call, 3: [.call, .tokens]])
    }

    @Test func calledInCirclesNothingHangs() {
        let circle = (1...200).map { Self.call($0, in: $0 == 1 ? 200 : $0 - 1, Int64($0), 900) }
        #expect(Self.counted(circle).values.allSatisfy { $0 == [] })
        let chain = (1...5_000).map { Self.call($0, in: $0 - 1, Int64($0), 90_000) }
        #expect(Self.counted(chain).filter { !$0.value.isEmpty } == [5_000: [.call, .tokens]])
        let crowd = (1...5_000).map { Self.call($0, in: 1 << 40, Int64($0 % 7), 90_000, scope: $0 % 3) }
        #expect(!Self.counted(crowd).isEmpty)
    }
}
