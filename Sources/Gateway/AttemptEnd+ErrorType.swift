import GatewayRules

extension AttemptEnd {
    /// `error.type` of the attempt's span, and the reason in metrics.
    var errorType: String {
        switch self {
        case .connectFailed: "connect"
        case .keptConnectionClosed, .brokenBeforeAnswer: "connection_closed"
        case .status(let status, _): "\(status)"
        case .fuse(let fuse): "\(fuse.rawValue)_timeout"
        case .brokenAnswer: "broken"
        case .clientLeft: "cancelled"
        }
    }
}
