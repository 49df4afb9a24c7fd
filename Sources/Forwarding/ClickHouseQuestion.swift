import ClickHouse
package import OutboundHTTP

/// Asks a ClickHouse, and reads whether what comes back is its answer. Used by one thread.
package struct ClickHouseQuestion {
    /// Why there is no answer.
    package struct Problem: Error, Sendable {
        /// The engine's own code of its error; `nil` when it said none, or nobody answered.
        package var code: Int?
        package var message: String
        package var isRetryable: Bool { code.flatMap { ClickHouseError(code: $0) } != .schema }
    }

    private let plan: ForwardTargetPlan
    private let database: ClickHousePlan
    private let transport: any ForwardTransport

    /// `nil` for a target of another kind.
    package init?(_ plan: ForwardTargetPlan, transport: any ForwardTransport) {
        guard case .clickHouse(let database) = plan.kind else { return nil }
        self.plan = plan
        self.database = database
        self.transport = transport
    }

    /// The body of the answer to a question.
    ///
    /// - Parameters:
    ///   - path: with the statement or its settings, as `ClickHouseQuery` makes it.
    ///   - body: the statement, where the path does not have it.
    ///   - answerBytesMax: a longer answer is none.
    package func answer(
        path: String, body: [UInt8] = [], timeoutNanoseconds: Int64, answerBytesMax: Int = OutboundRequest.answerBytesUsually
    ) throws(Problem) -> OutboundAnswer {
        let answer: OutboundAnswer
        do {
            let credential = try plan.credentialFile?.token()
            let headers = database.headers(credential) + plan.headers.map { (name: $0.name, value: $0.value) }
            var request = OutboundRequest(path: path, headers: headers, body: body, timeoutNanoseconds: timeoutNanoseconds)
            request.answerBytesMax = answerBytesMax
            answer = try transport.post(request)
        } catch let error as OutboundError {
            throw Problem(message: error.message)
        } catch let error as TokenFile.Problem {
            throw Problem(message: error.message)
        } catch {
            throw Problem(message: "\(error)")
        }
        guard answer.status == 200, ClickHouseAnswer.isOfClickHouse(answer), !ClickHouseAnswer.hasError(answer) else {
            throw Problem(code: ClickHouseAnswer.code(answer), message: "HTTP \(answer.status)\(DeliveryAnswer.said(answer))")
        }
        return answer
    }
}
