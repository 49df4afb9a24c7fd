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

    /// A generator of which each seed gives the same numbers on every machine.
    private struct Steps: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 33) << 32 | (state &* 2_862_933_555_777_941_757 >> 32)
        }
    }

    private static func anyCall(_ random: inout Steps) -> ToldCall {
        var call = ToldCall(span: UInt64.random(in: 0...9, using: &random), parent: UInt64.random(in: 0...9, using: &random))
        call.start = Int64.random(in: 0...9, using: &random)
        call.end = call.start + Int64.random(in: 0...9, using: &random)
        call.scope = .random(in: 1...20, using: &random) == 1 ? 2 : 1
        call.model = .random(in: 0...1, using: &random)
        call.response = .random(in: 0...30, using: &random)
        call.carries = CallFacets(rawValue: .random(in: 0...7, using: &random))
        call.sort = [.none, .model, .tool].randomElement(using: &random) ?? .none
        // Rarely, since most of these are none of the plain ones.
        switch Int.random(in: 0...60, using: &random) {
        case 0: call.source = .log
        case 1: (call.side, call.tool) = (.server, 1)
        case 2: call.tellsParent = true
        case 3: call.isToldByChild = true
        default: break
        }
        return call
    }

    @Test(arguments: 1...8)
    func plainTracesAreDecidedAsAllOthers(seed: UInt64) {
        var random = Steps(state: seed)
        var plainCount = 0
        for _ in 0..<4_000 {
            let calls = (0..<Int.random(in: 0...7, using: &random)).map { _ in Self.anyCall(&random) }
            guard let plain = CallFamily.plainFacets(calls) else { continue }
            plainCount += calls.count > 2 ? 1 : 0
            let family = CallFamily(calls)
            #expect(calls.indices.map { CallFamily.Verdict(facets: plain[$0]) } == calls.indices.map { family.verdict($0) })
        }
        #expect(plainCount > 100)
        let many = (0..<40).map { Self.call($0 + 1, Int64($0), Int64($0) + 1) }
        #expect(CallFamily.plainFacets(many) == nil)
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
