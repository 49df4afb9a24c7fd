package import SpanStore

/// Why a question about the store has no answer.
package enum QueryError: Error, Sendable {
    /// The question itself is wrong: what, and what would be right.
    case invalid(String)
    /// There is nothing of that name or id.
    case notFound(String)
    /// It took longer than it may.
    case tooLong(seconds: Double)
    /// The answer is larger than it may be.
    case tooLarge(String)
    /// It asks for what its token may not read.
    case forbidden(String)
    /// It is about what only nodes have, and an engine is asked.
    case notHere(String)
    /// Who is asked in place of a data folder does not answer.
    case unavailable(String)
    /// As many questions wait as may wait.
    case busy
    /// It was ended since spans would have had to wait for it.
    case gaveWay
    case store(StoreError)

    package var isRetryable: Bool {
        switch self {
        case .busy, .gaveWay, .unavailable: true
        case .store(let error): error.isRetryable
        case .invalid, .notFound, .tooLong, .tooLarge, .forbidden, .notHere: false
        }
    }

    /// What happened and what to do next.
    package var message: String {
        switch self {
        case .invalid(let what), .notFound(let what), .tooLarge(let what), .forbidden(let what), .notHere(let what),
            .unavailable(let what):
            what
        case .tooLong(let seconds):
            "the query ran longer than \(seconds) s; narrow it, above all by start_time_unix_nano or trace_id"
        case .gaveWay: "spans come in so fast that this query was ended before its answer; ask again in a moment, or for a shorter time"
        case .busy: "too many queries wait already; try again in a moment"
        case .store(let error): error.message
        }
    }
}
