/// The row of the fuse table that a span falls under; metrics.md 2.1.
package enum Stage: String, CaseIterable, Sendable {
    case httpTool = "http_tool"
    case subprocess
    case llm
    case vector
    case other

    /// As `init(rawValue:)`, but faster: short strings are compared as numbers.
    @inline(__always)
    init?(text: String) {
        if text == "http_tool" {
            self = .httpTool
        } else if text == "llm" {
            self = .llm
        } else if text == "vector" {
            self = .vector
        } else if text == "subprocess" {
            self = .subprocess
        } else if text == "other" {
            self = .other
        } else {
            return nil
        }
    }

    /// A number below 8, for packing: the position in `allCases`.
    @inline(__always)
    package var code: UInt8 {
        switch self {
        case .httpTool: 0
        case .subprocess: 1
        case .llm: 2
        case .vector: 3
        case .other: 4
        }
    }

    @inline(__always)
    init(code: UInt8) {
        switch code {
        case 0: self = .httpTool
        case 1: self = .subprocess
        case 2: self = .llm
        case 3: self = .vector
        default: self = .other
        }
    }
}

/// How an attempt ended; metrics.md 2.2.
package enum Outcome: String, CaseIterable, Sendable {
    case ok
    case error
    case timeout
    /// A breaker refused the call: it never ran.
    case rejected

    /// The position in `allCases`.
    @inline(__always)
    package var code: UInt8 {
        switch self {
        case .ok: 0
        case .error: 1
        case .timeout: 2
        case .rejected: 3
        }
    }

    @inline(__always)
    init(code: UInt8) {
        switch code {
        case 0: self = .ok
        case 1: self = .error
        case 2: self = .timeout
        default: self = .rejected
        }
    }
}

/// Which rule of metrics.md 2.2 called an attempt timed out.
package enum TimeoutReason: String, CaseIterable, Sendable {
    case explicit
    case httpStatus = "http_status"
    case rpcStatus = "rpc_status"
    case errorType = "error_type"
    case exception
    case statusMessage = "status_message"
    case exitCode = "exit_code"
    case fuse

    /// The position in `allCases`.
    package var code: UInt8 {
        switch self {
        case .explicit: 0
        case .httpStatus: 1
        case .rpcStatus: 2
        case .errorType: 3
        case .exception: 4
        case .statusMessage: 5
        case .exitCode: 6
        case .fuse: 7
        }
    }
}

/// Where in a call it timed out: only calls of language models have phases.
package enum Phase: String, CaseIterable, Sendable {
    case call
    case prefill
    case generation

    /// The position in `allCases`.
    package var code: UInt8 {
        switch self {
        case .call: 0
        case .prefill: 1
        case .generation: 2
        }
    }
}

/// A breaker's state.
package enum BreakerState: String, CaseIterable, Sendable {
    case closed
    case open
    case halfOpen = "half_open"
    /// Open when last heard of, more than a cooldown ago. No client reports it.
    case unknown

    @inline(__always)
    var code: UInt8 {
        switch self {
        case .closed: 0
        case .open: 1
        case .halfOpen: 2
        case .unknown: 3
        }
    }

    @inline(__always)
    init(code: UInt8) {
        switch code {
        case 0: self = .closed
        case 1: self = .open
        case 2: self = .halfOpen
        default: self = .unknown
        }
    }

    /// Reads what a client wrote, in the spellings of metrics.md 2.1; `nil` for anything else, such as `forced_open`.
    init?(reported text: String) {
        if text == "closed" {
            self = .closed
        } else if text == "open" {
            self = .open
        } else if text == "half_open" {
            self = .halfOpen
        } else {
            guard let state = Self.slowRead(text) else { return nil }
            self = state
        }
    }

    private static func slowRead(_ text: String) -> BreakerState? {
        guard text.utf8.count <= SpanDerivations.Limits.labelBytesMax else { return nil }
        var scalars = text.unicodeScalars[...]
        while let first = scalars.first, first.properties.isWhitespace { scalars.removeFirst() }
        while let last = scalars.last, last.properties.isWhitespace { scalars.removeLast() }
        switch String(scalars).lowercased() {
        case "closed", "close": return .closed
        case "open", "opened": return .open
        case "half_open", "half-open", "halfopen", "half open": return .halfOpen
        default: return nil
        }
    }
}
