package import TelemetryModel

/// What the derivations read of one stored span. The caller has resolved the attribute aliases of metrics.md 2.1; `nil` is an
/// attribute that the span does not have. Times are nanoseconds since 1970, as the client gave them.
package struct ObservedSpan: Sendable {
    package var traceID: TraceID
    package var spanID: SpanID
    /// Zero for a root.
    package var parentSpanID = SpanID(0)
    package var service = ""
    /// The process: `service.instance.id` or its stand-ins; empty when unknown.
    package var instance = ""
    package var workflow: String?
    package var step: String?
    package var tool: String?
    package var model: String?
    /// `gen_ai.operation.name`.
    package var operation: String?
    /// The attribute `stage`.
    package var stageAttribute: String?
    /// 0 when the client gave none.
    package var startTimeUnixNano: Int64 = 0
    package var endTimeUnixNano: Int64 = 0
    /// The server's clock at receipt: positive, and never less than that of an earlier span.
    package var receivedTimeUnixNano: Int64 = 0
    /// OTLP's span kind; 3 is client.
    package var kind: Int32 = 0
    /// OTLP's status code; 2 is error.
    package var statusCode: Int32 = 0
    /// Read only when the status is error.
    package var statusMessage: String?
    package var errorType: String?
    /// The attribute `timeout`.
    package var timeoutFlag: Bool?
    /// The attribute `breaker.rejected`.
    package var breakerRejected: Bool?
    package var httpStatus: Int64?
    package var grpcStatus: Int64?
    package var rpcStatusText: String?
    package var exitCode: Int64?
    package var hasProcessCommand = false
    package var hasHTTPRequestMethod = false
    package var hasURL = false
    package var hasDatabaseSystem = false
    /// The watchdog killed the process.
    package var watchdog = false
    /// The state as the client spelled it.
    package var breakerState: String?
    /// The attribute `breaker.id`, which overrides the scope.
    package var breakerID: String?
    package var retrievalBatch: Int64?
    package var cacheHit: Bool?
    package var queueDepth: Int64?
    /// A total; used only when neither input nor output is given.
    package var tokens: Int64?
    /// Includes what was read from and written to a cache.
    package var inputTokens: Int64?
    package var outputTokens: Int64?
    package var cacheReadTokens: Int64?
    package var cacheWriteTokens: Int64?
    package var timeToFirstTokenNanoseconds: Int64?
    package var retryAttempt: Int64?
    package var resendCount: Int64?
    package var workflowRoot: Bool?
    /// The exceptions and breaker transitions only, in wire order.
    package var events: [ObservedEvent] = []

    package init(traceID: TraceID, spanID: SpanID) {
        self.traceID = traceID
        self.spanID = spanID
    }

    /// A span without a start or an end takes no part in anything that needs a duration or an order.
    @inline(__always)
    var isTimed: Bool { startTimeUnixNano != 0 && endTimeUnixNano != 0 }

    /// End minus start; 0 when the clock ran backwards.
    @inline(__always)
    var durationNanoseconds: Int64 { max(0, endTimeUnixNano.subtractingSaturated(startTimeUnixNano)) }

    /// The client says itself that this is a repetition.
    @inline(__always)
    var isMarkedRetry: Bool { (retryAttempt ?? 0) >= 1 || (resendCount ?? 0) >= 1 }
}

/// An event of a span that the derivations read.
package struct ObservedEvent: Sendable {
    package enum Kind: Sendable {
        case exception
        case breakerTransition
    }

    package var kind: Kind
    /// Nanoseconds since 1970; 0 when the client gave none, then a transition counts as being at the span's end.
    package var timeUnixNano: Int64
    /// `exception.type`, or the transition's `to`; empty when absent.
    package var text: String

    package init(kind: Kind, timeUnixNano: Int64, text: String) {
        self.kind = kind
        self.timeUnixNano = timeUnixNano
        self.text = text
    }
}
