import GatewayRules
import HTTPTypes

/// The answer of the attempt that runs.
struct Answer {
    enum Way {
        /// Nothing came yet.
        case none
        /// It goes to the client as it comes.
        case passing
        /// An error that is looked at before anything is done about it.
        case collecting
    }

    var way = Way.none
    var head = HTTPResponse(status: .ok)
    var events: EventStreamReader?
    /// Not sent yet, or looked at.
    var held: [UInt8] = []
    /// Of an answer that is not streamed, for its tokens.
    var whole: [UInt8] = []
    var hasToken = false
    var isCommitted = false
    var isEnded = false
}
