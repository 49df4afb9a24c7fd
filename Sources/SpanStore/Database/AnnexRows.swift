package import TelemetryModel

/// What a commit writes beside spans and counters: evals, prices, stalls, heartbeats.
package struct AnnexRows: Sendable {
    package var evals: [EvalRow] = []
    /// Replaces the whole price table.
    package var prices: PriceTable?
    package var evalCalls: [EvalCallRow] = []
    package var stalls: [StallRow] = []
    /// Runs whose spans were all received up to here are looked through for stalls.
    package var stallWatermarkUnixNano: Int64?
    package var heartbeat: HeartbeatRow?
    /// What an operator wants of targets.
    package var forwardOrders: [ForwardOrder] = []
    /// What is to be forgotten; maintenance carries it out.
    package var forgetOrders: [ForgetOrder] = []

    package init(evals: [EvalRow] = [], heartbeat: HeartbeatRow? = nil) {
        self.evals = evals
        self.heartbeat = heartbeat
    }

    package var isEmpty: Bool {
        evals.isEmpty && prices == nil && evalCalls.isEmpty && stalls.isEmpty && stallWatermarkUnixNano == nil && heartbeat == nil
            && forwardOrders.isEmpty && forgetOrders.isEmpty
    }
}

/// Attempts or runs that carry an eval id: how many more of them there are.
package struct EvalCallRow: Equatable, Sendable {
    package struct Key: Hashable, Sendable {
        @ByBytes package var evalID: String
        @ByBytes package var serviceName: String
        @ByBytes package var workflowName: String
        package var outcome: String

        package init(evalID: String, serviceName: String, workflowName: String, outcome: String) {
            self.evalID = evalID
            self.serviceName = serviceName
            self.workflowName = workflowName
            self.outcome = outcome
        }
    }

    package var key: Key
    package var increment: Int64
    package var lastSeenUnixNano: Int64

    package init(key: Key, increment: Int64, lastSeenUnixNano: Int64) {
        self.key = key
        self.increment = increment
        self.lastSeenUnixNano = lastSeenUnixNano
    }
}

/// A stall of an agent's loop.
package struct StallRow: Equatable, Sendable {
    package enum Kind: String, CaseIterable, Sendable {
        case gap
        case repetition = "repeat"
        case cycle
        case eventLoop = "event_loop"
    }

    /// When it began, nanoseconds since 1970.
    package var timeUnixNano: Int64
    package var kind: Kind
    package var serviceName: String
    package var workflowName: String
    package var traceID: String
    /// The span that is suspected.
    package var spanID: String?
    package var spanName: String?
    package var durationNanoseconds: Int64?
    /// What was seen, for people.
    package var detail: String

    package init(
        timeUnixNano: Int64, kind: Kind, serviceName: String, workflowName: String, traceID: String, spanID: String?,
        spanName: String?, durationNanoseconds: Int64?, detail: String
    ) {
        self.timeUnixNano = timeUnixNano
        self.kind = kind
        self.serviceName = serviceName
        self.workflowName = workflowName
        self.traceID = traceID
        self.spanID = spanID
        self.spanName = spanName
        self.durationNanoseconds = durationNanoseconds
        self.detail = detail
    }
}

/// One minute in which the server ran, with the spans that it took, refused and could not keep since the last one.
package struct HeartbeatRow: Equatable, Sendable {
    /// Minutes since 1970.
    package var minute: Int64
    package var accepted: Int64 = 0
    package var rejected: Int64 = 0
    package var dropped: Int64 = 0

    package init(minute: Int64) {
        self.minute = minute
    }
}
