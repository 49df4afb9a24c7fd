package import ClickHouse
package import Forwarding
package import NIOPosix
import OutboundHTTP

/// An engine that nodes forward to, as one that is asked. Used by one thread at a time; it waits for answers.
package final class Engine {
    package let name: String
    package let database: ClickHousePlan
    private let question: ClickHouseQuestion

    /// `nil` for a target that is no engine.
    package convenience init?(_ plan: ForwardTargetPlan, group: MultiThreadedEventLoopGroup) {
        self.init(plan, transport: FailoverTransport(plan, group: group))
    }

    package init?(_ plan: ForwardTargetPlan, transport: any ForwardTransport) {
        guard case .clickHouse(let database) = plan.kind, let question = ClickHouseQuestion(plan, transport: transport) else {
            return nil
        }
        name = plan.name
        self.database = database
        self.question = question
    }

    /// The rows that one statement gives. It goes as it is, in the engine's dialect; names without a database are those of the views.
    ///
    /// - Parameter parameters: values for `{name:Type}` in it.
    package func rows(
        _ statement: String, parameters: [String: String] = [:], _ limits: EngineLimits
    ) throws(EngineError) -> ClickHouseRows {
        if let objection = StatementText.objection(statement) { throw .invalid(objection) }
        let answer = try ask(statement, format: ClickHouseRows.format, parameters, limits)
        if let format = answer.header("x-clickhouse-format"), format != ClickHouseRows.format {
            throw .invalid("leave FORMAT \(format) out of the statement: --format says how rows are written")
        }
        do throws(ClickHouseRows.Problem) {
            return try ClickHouseRows(answer.body)
        } catch {
            throw Self.unreadable(error, name)
        }
    }

    /// The answer to a statement of ours in `RowBinary`.
    package func binary(_ statement: String, _ limits: EngineLimits) throws(EngineError) -> [UInt8] {
        try ask(statement, format: "RowBinary", [:], limits).body
    }

    static func unreadable(_ problem: ClickHouseRows.Problem, _ name: String) -> EngineError {
        .unavailable("\(name): the answer cannot be read: \(problem.message)")
    }

    private func ask(
        _ statement: String, format: String, _ parameters: [String: String], _ limits: EngineLimits
    ) throws(EngineError) -> OutboundAnswer {
        do throws(ClickHouseQuestion.Problem) {
            return try question.answer(
                path: ClickHouseQuery.question(in: database.views, format: format, limits, parameters: parameters),
                body: Array(statement.utf8), timeoutNanoseconds: limits.waitNanoseconds, answerBytesMax: limits.answerBytes)
        } catch {
            throw EngineError(error, of: name, limits)
        }
    }
}
