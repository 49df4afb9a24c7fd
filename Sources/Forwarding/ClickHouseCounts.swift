import ClickHouse
import OutboundHTTP
package import SpanStore
import TelemetryModel

/// Asks a ClickHouse how many rows of a node it has.
package struct ClickHouseCounts {
    /// Stretches that are asked for at once: some hundred kilobytes of an answer.
    private static let stretchesAtOnce: Int64 = 20_000

    private let database: ClickHousePlan
    private let node: String
    private let question: ClickHouseQuestion

    /// `nil` for a target of another kind.
    package init?(_ plan: ForwardTargetPlan, node: String, transport: any ForwardTransport) {
        guard case .clickHouse(let database) = plan.kind, let question = ClickHouseQuestion(plan, transport: transport) else { return nil }
        self.database = database
        self.node = node
        self.question = question
    }

    /// How many of a range of ordinals are there, by stretches of `ForwardAudit.stretch`.
    package func counts(of signal: ForwardSignal, _ ordinals: Range<Int64>) throws(ClickHouseQuestion.Problem) -> [Int64: Int64] {
        var found: [Int64: Int64] = [:]
        var next = ordinals.lowerBound
        while next < ordinals.upperBound {
            let end = min(ordinals.upperBound, next.addingSaturated(Self.stretchesAtOnce * ForwardAudit.stretch))
            try ask(signal, next..<end, &found)
            next = end
        }
        return found
    }

    private func ask(_ signal: ForwardSignal, _ ordinals: Range<Int64>, _ found: inout [Int64: Int64]) throws(ClickHouseQuestion.Problem) {
        let answer = try question.answer(
            path: ClickHouseQuery.counts(in: database.table(signal), node: node, ordinals, by: ForwardAudit.stretch),
            timeoutNanoseconds: ForwardTimeout.questionNanoseconds)
        for line in answer.body.split(separator: 0x0A) {
            let fields = line.split(separator: 0x09).compactMap { Int64(String(decoding: $0, as: UTF8.self)) }
            guard fields.count == 2 else { throw ClickHouseQuestion.Problem(message: "the answer cannot be read\(DeliveryAnswer.said(answer))") }
            found[fields[0], default: 0] += fields[1]
        }
    }
}
