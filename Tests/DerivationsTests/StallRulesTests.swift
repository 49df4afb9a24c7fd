import Testing

@testable import Derivations

/// The vectors of stalls: gap, repeat, cycle, event loop.
@Suite struct StallRulesTests {
    private func span(_ id: String, _ start: Double, _ end: Double, parent: String? = "root", tool: String? = nil) -> StallSpan {
        var span = StallSpan(
            traceID: "t", spanID: id, parentSpanID: parent, name: "span \(id)", start: Int64(start * 1e9), end: Int64(end * 1e9))
        span.tool = tool
        return span
    }

    private func signatures(_ names: String, arguments: Int? = 1) -> [StallRules.Signature] {
        names.split(separator: " ").map { StallRules.Signature(String($0), arguments: arguments) }
    }

    @Test(arguments: [("A A A", 1), ("A A B A A", 0), ("A A A A A A", 1), ("A A A B A A A", 2)])
    func repeatsWithArguments(names: String, count: Int) {
        #expect(StallRules.repeats(signatures(names)).count == count)
    }

    @Test func withoutArgumentsFiveCallsInARowAreARepeat() {
        #expect(StallRules.repeats(signatures("A A A A", arguments: nil)).isEmpty)
        #expect(StallRules.repeats(signatures("A A A A A", arguments: nil)) == [0..<5])
    }

    @Test(arguments: [
        ("A B A B A B", 1), ("A A A A A A", 0), ("A B A B", 0), ("A B C A B C A B C", 1), ("A B A B A B A B A B A B", 1),
        ("A A B A A B A A B", 1), ("A B C D A B C D A B C D", 1), ("A B C D E A B C D E A B C D E", 0),
    ])
    func cycles(names: String, count: Int) {
        #expect(StallRules.cycles(signatures(names)).count == count)
    }

    @Test func aHoleOfARunIsAGap() {
        let run = span("root", 0, 200, parent: nil)
        let children = [span("a", 0, 10), span("b", 95, 100), span("c", 100, 199)]
        let found = StallRules.gaps(run: run, spans: [run] + children, longerThan: 60_000_000_000)
        #expect(found.map(\.duration) == [85_000_000_000])
        #expect(found.map(\.suspect) == [1])
        #expect(StallRules.gaps(run: run, spans: [run], longerThan: 1).isEmpty)
    }

    @Test func aBlockedProcessIsAnEventLoopStall() {
        let blocked = [span("a", 0, 7), span("b", 1, 7.01), span("c", 2, 7.02)]
        let found = StallRules.eventLoops(spans: blocked)
        #expect(found.map(\.duration) == [5_000_000_000])
        #expect(found.map(\.suspect) == [0])
        #expect(StallRules.eventLoops(spans: [span("a", 0, 3), span("b", 1, 5), span("c", 2, 7)]).isEmpty)
    }

    @Test func aChainOfNestedSpansIsNone() {
        let chain = [
            span("root", 0, 9, parent: nil), span("step", 0.1, 8.99), span("call", 0.2, 8.98, parent: "step"),
        ]
        #expect(StallRules.eventLoops(spans: chain).isEmpty)
    }

    @Test func modelCallsBetweenToolsDoNotInterruptARow() {
        var spans = [span("root", 0, 10, parent: nil)]
        for index in 0..<3 {
            spans.append(span("m\(index)", Double(index), Double(index) + 0.4))
            var call = span("c\(index)", Double(index) + 0.5, Double(index) + 0.9, tool: "search")
            call.argumentsHash = 7
            spans.append(call)
        }
        let found = StallRules.repetitions(spans: spans)
        #expect(found.map(\.kind) == [.repetition])
        #expect(found.first?.detail == "search 3 times in a row")
    }

    @Test func aRunIsLookedAtOnceWhenItHasSettled() {
        var watch = StallWatch(gapNanoseconds: 60_000_000_000, settleNanoseconds: 10)
        watch.take(span("a", 0, 10), service: "s", workflow: nil, instance: "", isRun: false, received: 100)
        #expect(watch.active(at: 90_000_000_000).isEmpty)
        watch.take(span("root", 0, 200, parent: nil), service: "s", workflow: "w", instance: "", isRun: true, received: 101)
        #expect(watch.advance(to: 105).isEmpty)
        let found = watch.advance(to: 111)
        #expect(found.map(\.finding.kind) == [.gap])
        #expect(found.map(\.workflow) == ["w"])
        #expect(watch.advance(to: 1000).isEmpty)
    }

    @Test func aRunWithoutAnEndIsActiveWhileItIsSilent() {
        var watch = StallWatch(gapNanoseconds: 60_000_000_000, settleNanoseconds: 10)
        watch.take(span("a", 0, 10), service: "s", workflow: "w", instance: "", isRun: false, received: 100)
        #expect(watch.active(at: 69_000_000_000).isEmpty)
        #expect(watch.active(at: 71_000_000_000) == [StallWatch.Active(service: "s", workflow: "w"): 1])
        watch.take(span("b", 70, 71), service: "s", workflow: "w", instance: "", isRun: false, received: 200)
        #expect(watch.active(at: 72_000_000_000).isEmpty)
    }
}
