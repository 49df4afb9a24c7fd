import ClickHouse
import Forwarding

/// Why an engine does not answer a question.
package enum EngineError: Error, Sendable {
    /// The statement is none that is asked, or the engine finds it wrong.
    case invalid(String)
    /// It takes more time, rows or bytes than it may.
    case tooMuch(String)
    /// Who asks may not.
    case unauthorized(String)
    /// Tables or views are not there, or not as they must be.
    case schema(String)
    /// Nobody answers, or not now.
    case unavailable(String)

    package var isRetryable: Bool {
        switch self {
        case .unavailable: true
        case .invalid, .tooMuch, .unauthorized, .schema: false
        }
    }

    /// What happened, where, and what to do next.
    package var message: String {
        switch self {
        case .invalid(let what), .tooMuch(let what), .unauthorized(let what), .schema(let what), .unavailable(let what): what
        }
    }

    /// - Parameter engine: its name.
    init(_ problem: ClickHouseQuestion.Problem, of engine: String, _ limits: EngineLimits) {
        let said = "\(engine): \(problem.message)"
        guard let code = problem.code else {
            self = .unavailable("\(said); is its endpoint right, and does it run?")
            return
        }
        self =
            switch code {
            // TIMEOUT_EXCEEDED, TOO_SLOW
            case 159, 160:
                .tooMuch("\(engine) ended the query after \(limits.seconds) s; narrow it, above all by Timestamp or trace_id")
            // TOO_MANY_ROWS_OR_BYTES: of the answer.
            case 396:
                .tooMuch(
                    "\(engine): the answer has more than \(limits.rows) rows or \(limits.answerBytes >> 20) MiB; add a LIMIT, or ask for less"
                )
            // TOO_MANY_ROWS, TOO_MANY_BYTES, MEMORY_LIMIT_EXCEEDED
            case 158, 307:
                .tooMuch("\(engine) would read more than \(limits.readBytes >> 30) GiB; narrow it, above all by Timestamp")
            case 241: .tooMuch("\(said); it is short of memory for this: narrow it, above all by Timestamp")
            // READONLY
            case 164: .unauthorized("\(said); queries only read, and their limits go along: the user needs readonly = 2, not 1")
            case 192, 193, 194, 497, 516:
                .unauthorized("\(said); the user needs GRANT SELECT, and the password file what is in it to be right")
            // UNKNOWN_TABLE, UNKNOWN_DATABASE
            case 60, 81:
                .schema(
                    "\(said); SHOW TABLES lists what there is, and `fusebox ddl clickhouse` prints the tables and views that are wanted"
                )
            case 202, 203, 209, 210, 225, 242, 279, 425, 999: .unavailable("\(said); ask again in a moment")
            default: .invalid(said)
            }
    }
}
