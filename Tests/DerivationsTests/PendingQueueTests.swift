import TelemetryModel
import TelemetryTesting
import Testing

@testable import Derivations

@Suite struct PendingQueueTests {
    private func record(time: Int64, span: UInt64, receipt: UInt32 = 1) -> PendingObservation {
        var record = PendingObservation(
            order: OrderKey(time: time, start: 0, traceID: TraceID(high: 1, low: 1), spanID: SpanID(span), index: 0),
            receipt: receipt, stage: .other)
        record.setDerived(.ok, .slow)
        return record
    }

    @Test(arguments: [10, 100, 5_000, 30_000])
    func recordsHaveTheirTurnInEventOrderHoweverTheyCame(count: Int) {
        for spread in [1, 50, count] {
            var random = SplitMix64(seed: UInt64(count + spread))
            var queue = PendingQueue()
            var expected: [(time: Int64, span: UInt64)] = []
            for number in 0..<count {
                // Times repeat, so that the rest of the order decides as well.
                let time = Int64(number / 3 + Int.random(in: 0..<spread, using: &random))
                let span = random.next()
                queue.append(record(time: time, span: span))
                expected.append((time, span))
            }
            expected.sort { ($0.time, $0.span) < ($1.time, $1.span) }
            #expect(queue.ordered().map(\.span) == expected.map(\.span))
            let end = queue.prefix(holding: count, due: 1)
            #expect(end == count)
            var seen: [UInt64] = []
            queue.take(to: end, due: 1) { record, _, isDerived in
                if isDerived { seen.append(record.span) }
            }
            #expect(seen == expected.map(\.span))
            #expect(queue.isEmpty)
        }
    }

    @Test func whatIsNotDueStaysThoughItIsOlder() {
        var queue = PendingQueue()
        for number in 0..<20_000 { queue.append(record(time: Int64(20_000 - number), span: UInt64(number), receipt: UInt32(number % 2))) }
        // Half of the records are due; the others lie between them, and those before the last that is due have their turn early.
        let end = queue.prefix(holding: 10_000, due: 0)
        var seen: [Int64] = []
        queue.take(to: end, due: 0) { record, _, isDerived in
            if isDerived { seen.append(record.time) }
        }
        #expect(seen == Array(seen.sorted()))
        #expect(queue.count == 20_000 - seen.count)
        #expect(queue.remaining(of: 10_000, receipt: 1) == 20_000 - seen.count)
    }
}
