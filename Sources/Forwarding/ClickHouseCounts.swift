import ClickHouse
import OutboundHTTP
package import SpanStore
import TelemetryModel

/// Asks a ClickHouse how many rows of a node it has.
package struct ClickHouseCounts {
    /// Stretches that are asked for at once: some hundred kilobytes of an answer.
    private static let stretchesAtOnce: Int64 = 20_000

    package struct Problem: Error {
        package var message: String
        package var isRetryable: Bool { true }
    }

    private let plan: ForwardTargetPlan
    private let database: ClickHousePlan
    private let node: String
    private let transport: any ForwardTransport

    /// `nil` for a target of another kind.
    package init?(_ plan: ForwardTargetPlan, node: String, transport: any ForwardTransport) {
        guard case .clickHouse(let database) = plan.kind else { return nil }
        self.plan = plan
        self.database = database
        self.node = node
        self.transport = transport
    }

    /// How many of a range of ordinals are there, by stretches of `ForwardAudit.stretch`.
    package func counts(of signal: ForwardSignal, _ ordinals: Range<Int64>) throws(Problem) -> [Int64: Int64] {
        var found: [Int64: Int64] = [:]
        var next = ordinals.lowerBound
        while next < ordinals.upperBound {
            let end = min(ordinals.upperBound, next.addingSaturated(Self.stretchesAtOnce * ForwardAudit.stretch))
            try ask(signal, next..<end, &found)
            next = end
        }
        return found
    }

    private func ask(_ signal: ForwardSignal, _ ordinals: Range<Int64>, _ found: inout [Int64: Int64]) throws(Problem) {
        let table = database.table(signal)
        let answer: OutboundAnswer
        do {
            let credential = try plan.credentialFile?.token()
            let headers = database.headers(credential) + plan.headers.map { (name: $0.name, value: $0.value) }
            answer = try transport.post(
                OutboundRequest(
                    path: ClickHouseQuery.counts(in: table, node: node, ordinals, by: ForwardAudit.stretch), headers: headers,
                    body: [],
                    timeoutNanoseconds: ForwardTimeout.questionNanoseconds))
        } catch let error as OutboundError {
            throw Problem(message: error.message)
        } catch let error as TokenFile.Problem {
            throw Problem(message: error.message)
        } catch {
            throw Problem(message: "\(error)")
        }
        guard answer.status == 200, ClickHouseAnswer.isOfClickHouse(answer), !ClickHouseAnswer.hasError(answer) else {
            throw Problem(message: "HTTP \(answer.status)\(DeliveryAnswer.said(answer))")
        }
        for line in answer.body.split(separator: 0x0A) {
            let fields = line.split(separator: 0x09).compactMap { Int64(String(decoding: $0, as: UTF8.self)) }
            guard fields.count == 2 else { throw Problem(message: "the answer cannot be read\(DeliveryAnswer.said(answer))") }
            found[fields[0], default: 0] += fields[1]
        }
    }
}
