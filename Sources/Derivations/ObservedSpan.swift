public import TelemetryModel

/// What the derivations read of one stored span. The caller has resolved the attribute aliases of metrics.md 2.1; `nil` is an
/// attribute that the span does not have. Times are nanoseconds since 1970, as the client gave them.
public struct ObservedSpan: Sendable {
    public var traceID: TraceID
    public var spanID: SpanID
    /// Zero for a root.
    public var parentSpanID = SpanID(0)
    public var service = ""
    /// The process: `service.instance.id` or its stand-ins; empty when unknown.
    public var instance = ""
    public var workflow: String?
    public var step: String?
    public var tool: String?
    public var model: String?
    /// `gen_ai.operation.name`.
    public var operation: String?
    /// The attribute `stage`.
    public var stageAttribute: String?
    /// 0 when the client gave none.
    public var startTimeUnixNano: Int64 = 0
    public var endTimeUnixNano: Int64 = 0
    /// The server's clock at receipt: positive, and never less than that of an earlier span.
    public var receivedTimeUnixNano: Int64 = 0
    /// OTLP's span kind; 3 is client.
    public var kind: Int32 = 0
    /// OTLP's status code; 2 is error.
    public var statusCode: Int32 = 0
    /// Read only when the status is error.
    public var statusMessage: String?
    public var errorType: String?
    /// The attribute `timeout`.
    public var timeoutFlag: Bool?
    /// The attribute `breaker.rejected`.
    public var breakerRejected: Bool?
    public var httpStatus: Int64?
    public var grpcStatus: Int64?
    public var rpcStatusText: String?
    public var exitCode: Int64?
    public var hasProcessCommand = false
    public var hasHTTPRequestMethod = false
    public var hasURL = false
    public var hasDatabaseSystem = false
    /// The watchdog killed the process.
    public var watchdog = false
    /// The state as the client spelled it.
    public var breakerState: String?
    /// The attribute `breaker.id`, which overrides the scope.
    public var breakerID: String?
    public var retrievalBatch: Int64?
    /// How many texts one call embedded.
    public var embedBatch: Int64?
    /// Bytes; what the resource says of memory is in `declaration`.
    public var processMemory: Int64?
    public var hostMemory: Int64?
    public var hostMemoryTotal: Int64?
    /// What the resource says of the agent's loop.
    public var declaration = LoopDeclaration()
    public var cacheHit: Bool?
    public var queueDepth: Int64?
    /// A total; used only when neither input nor output is given.
    public var tokens: Int64?
    /// Includes what was read from and written to a cache.
    public var inputTokens: Int64?
    public var outputTokens: Int64?
    public var cacheReadTokens: Int64?
    public var cacheWriteTokens: Int64?
    public var timeToFirstTokenNanoseconds: Int64?
    public var retryAttempt: Int64?
    public var resendCount: Int64?
    public var workflowRoot: Bool?
    /// An exception event means failure whatever the status: the client cannot take an ok back.
    public var exceptionFails: Bool?
    /// A number for the name of the instrumentation scope, here and below the same for the same text in one process; 0 without one.
    public var scope: UInt64 = 0
    /// What the model's server called its answer.
    public var response: UInt64 = 0
    /// Read of spans with tokens or facts only.
    public var session: UInt64 = 0
    /// `mcp.method.name`.
    public var protocolMethod: UInt64 = 0
    /// It tells how the tool call that is its parent ended.
    public var tellsParent = false
    /// A child, or a log record, may tell how this tool call ended.
    public var mayBeTold = false
    /// It was made of a log record: 1, or 2 when that knows better than spans; else 0.
    public var toldByLog: Int64 = 0
    /// The exceptions and breaker transitions only, in wire order.
    public var events: [ObservedEvent] = []
    /// Numbers of the texts that decide what the span is.
    public var numbers = TextNumbers()

    public init(traceID: TraceID, spanID: SpanID) {
        self.traceID = traceID
        self.spanID = spanID
    }

    /// A span without a start or an end takes no part in anything that needs a duration or an order.
    @inline(__always)
    var isTimed: Bool { SpanTimes.isTimed(start: startTimeUnixNano, end: endTimeUnixNano) }

    /// Its end, else its start, else its receipt.
    var latestKnownUnixNano: Int64 {
        SpanTimes.latestKnown(start: startTimeUnixNano, end: endTimeUnixNano, received: receivedTimeUnixNano)
    }

    /// End minus start; 0 when the clock ran backwards.
    @inline(__always)
    var durationNanoseconds: Int64 { max(0, endTimeUnixNano.subtractingSaturated(startTimeUnixNano)) }

    /// The client says itself that this is a repetition.
    @inline(__always)
    var isMarkedRetry: Bool { (retryAttempt ?? 0) >= 1 || (resendCount ?? 0) >= 1 }
}

/// Numbers of a span's texts, by which what they decide is found again: the same number for the same text within one numbering, 0 for none.
public struct TextNumbers: Equatable, Sendable {
    /// Numbers of different numberings have nothing to do with each other. 0 when a text of the span has no number: then nothing is
    /// remembered of it.
    public var numbering: UInt64 = 0
    public var workflow: UInt32 = 0
    public var tool: UInt32 = 0
    public var model: UInt32 = 0
    public var operation: UInt32 = 0
    public var stageAttribute: UInt32 = 0
    public var breakerID: UInt32 = 0
    public var errorType: UInt32 = 0
    public var rpcStatus: UInt32 = 0
    public var step: UInt32 = 0
    public var breakerState: UInt32 = 0

    public init() {}
}

/// An event of a span that the derivations read.
public struct ObservedEvent: Sendable {
    public enum Kind: Sendable {
        case exception
        case breakerTransition
    }

    public var kind: Kind
    /// Nanoseconds since 1970; 0 when the client gave none, then a transition counts as being at the span's end.
    public var timeUnixNano: Int64
    /// `exception.type`, or the transition's `to`; empty when absent.
    public var text: String
    /// `exception.message` of a span that failed; empty when absent.
    public var message: String

    public init(kind: Kind, timeUnixNano: Int64, text: String, message: String = "") {
        self.kind = kind
        self.timeUnixNano = timeUnixNano
        self.text = text
        self.message = message
    }
}
