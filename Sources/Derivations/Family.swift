import PrometheusText

/// The counter and histogram families that are kept here: metrics.md 3.1, and the persistent ones of 3.2. Gauges are made when
/// they are asked for. Histogram bounds must not change under a name: rows of the old bounds would be counted as the new ones.
enum Family: String, CaseIterable, Sendable {
    case toolCalls = "agent_tool_calls_total"
    case toolTimeouts = "agent_tool_timeouts_total"
    case toolCallDuration = "agent_tool_call_duration_seconds"
    case fuseOverruns = "agent_fuse_overruns_total"
    case silentRetries = "agent_silent_retries_total"
    case subprocessExits = "agent_subprocess_exits_total"
    case breakerOpens = "agent_breaker_opens_total"
    case breakerHalfOpens = "agent_breaker_half_opens_total"
    case breakerCloses = "agent_breaker_closes_total"
    case breakerRejections = "agent_breaker_rejections_total"
    case breakerCooldown = "agent_breaker_cooldown_seconds_total"
    case derivedOpens = "agent_breaker_derived_opens_total"
    case derivedHalfOpens = "agent_breaker_derived_half_opens_total"
    case derivedCloses = "agent_breaker_derived_closes_total"
    case derivedCooldown = "agent_breaker_derived_cooldown_seconds_total"
    case eventsDiscarded = "agent_breaker_events_discarded_total"
    case prefillBreaches = "agent_llm_prefill_breaches_total"
    case timeToFirstToken = "agent_llm_time_to_first_token_seconds"
    case tokens = "agent_tokens_total"
    case apiCost = "agent_api_cost_dollars_total"
    case unpricedTokens = "agent_unpriced_tokens_total"
    case cacheLookups = "agent_cache_lookups_total"
    case retrievalBatch = "agent_retrieval_batch_size"
    case queueDepthObserved = "agent_queue_depth_observed"
    case workflowRuns = "agent_workflow_runs_total"
    case workflowDuration = "agent_workflow_duration_seconds"
    case workflowConcurrency = "agent_workflow_concurrency"
    case hostWorkflowConcurrency = "agent_host_workflow_concurrency"
    case workflowBreaches = "agent_workflow_concurrency_breaches_total"
    case retrievalBatchBreaches = "agent_retrieval_batch_breaches_total"
    case embedBatch = "agent_embed_batch_size"
    case embedBatchBreaches = "agent_embed_batch_breaches_total"
    case embeddingOverlap = "agent_embedding_overlap_seconds_total"
    case processMemoryPeak = "agent_process_memory_peak_bytes"
    case hostMemoryPeak = "agent_host_memory_peak_bytes"
    case hostMemoryTotal = "agent_host_memory_total_bytes"
    case graphRequests = "traces_service_graph_request_total"
    case graphFailures = "traces_service_graph_request_failed_total"
    case graphClientSeconds = "traces_service_graph_request_client_seconds"
    case graphServerSeconds = "traces_service_graph_request_server_seconds"
    case clockAnomalies = "fusebox_clock_anomalies_total"
    case labelOverflow = "fusebox_label_overflow_total"
    case arrivals = "fusebox_arrivals_total"
    case settledEarly = "fusebox_settled_early_total"

    /// Upper bounds of a histogram's buckets, in seconds or items; empty for a counter.
    var bounds: [Double] {
        switch self {
        case .toolCallDuration:
            [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 4, 4.5, 6, 8, 10, 12, 15, 20, 30, 60, 120]
        case .timeToFirstToken:
            [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80]
        case .retrievalBatch: [1, 2, 4, 8, 16, 32, 64, 128, 256]
        case .embedBatch: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048]
        case .queueDepthObserved: [0, 1, 2, 4, 8, 16, 32, 64, 128]
        case .workflowDuration: [0.25, 0.5, 1, 2, 3, 4, 4.5, 5, 6, 8, 10, 15, 30, 60, 120, 300, 600]
        case .graphClientSeconds, .graphServerSeconds: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
        default: []
        }
    }

    var isHistogram: Bool {
        switch self {
        case .toolCallDuration, .timeToFirstToken, .retrievalBatch, .embedBatch, .queueDepthObserved, .workflowDuration, .graphClientSeconds,
            .graphServerSeconds:
            true
        default: false
        }
    }

    /// Kept as nanoseconds, shown as seconds.
    var isSeconds: Bool {
        switch self {
        case .toolCallDuration, .timeToFirstToken, .workflowDuration, .breakerCooldown, .derivedCooldown, .embeddingOverlap,
            .graphClientSeconds, .graphServerSeconds:
            true
        default: false
        }
    }

    /// The largest value so far, in bytes where `isBytes` says so: it never falls either.
    var isPeak: Bool {
        switch self {
        case .workflowConcurrency, .hostWorkflowConcurrency, .processMemoryPeak, .hostMemoryPeak, .hostMemoryTotal: true
        default: false
        }
    }

    private var isBytes: Bool {
        switch self {
        case .processMemoryPeak, .hostMemoryPeak, .hostMemoryTotal: true
        default: false
        }
    }

    /// Kept as nano-dollars, shown as dollars.
    var isDollars: Bool { self == .apiCost }

    var help: String {
        switch self {
        case .toolCalls: "Attempts of tools, models and vector queries, by how they ended."
        case .toolTimeouts: "Attempts that timed out, by the rule that says so."
        case .toolCallDuration: "Duration of attempts; rejected ones are left out."
        case .fuseOverruns: "Attempts that finished past their fuse without timing out: the client did not enforce it."
        case .silentRetries: "Attempts that repeat a failed one without saying so."
        case .subprocessExits: "Subprocesses by the class of their exit code."
        case .breakerOpens: "Openings of breakers, as clients reported them."
        case .breakerHalfOpens: "Half-openings of breakers, as clients reported them."
        case .breakerCloses: "Closings of breakers, as clients reported them."
        case .breakerRejections: "Attempts that a breaker refused."
        case .breakerCooldown: "Time that breakers were open, bounded by the last evidence and one cooldown."
        case .derivedOpens: "Openings that the fuse table asks for."
        case .derivedHalfOpens: "Half-openings that the fuse table asks for."
        case .derivedCloses: "Closings that the fuse table asks for."
        case .derivedCooldown: "Cooldown that the fuse table asks for."
        case .eventsDiscarded: "Breaker observations that could not be used."
        case .prefillBreaches: "Calls of models whose first token came past the model's budget."
        case .timeToFirstToken: "Time until a model's first token."
        case .tokens: "Tokens by type; the types are disjoint."
        case .apiCost: "Dollars of tokens by the price that held when the call ended."
        case .unpricedTokens: "Tokens of models without a price."
        case .cacheLookups: "Cache lookups by result."
        case .retrievalBatch: "Items of one retrieval."
        case .queueDepthObserved: "Queue depths as spans gave them."
        case .workflowRuns: "Runs of workflows by how they ended."
        case .workflowDuration: "Duration of workflow runs, failed ones included."
        case .workflowConcurrency: "The most runs of workflows that were under way at once in one process."
        case .hostWorkflowConcurrency: "The most runs of workflows that were under way at once on one host."
        case .workflowBreaches: "Runs that began while more were under way than may be."
        case .retrievalBatchBreaches: "Retrievals that brought more items than one may."
        case .embedBatch: "Texts that one call embedded."
        case .embedBatchBreaches: "Calls that embedded more texts than one may."
        case .embeddingOverlap: "Time in which embeddings and model calls of one host were under way together."
        case .processMemoryPeak: "The most memory that one process told of."
        case .hostMemoryPeak: "The most memory in use that a host, or a process on it, told of."
        case .hostMemoryTotal: "The memory of a host, as it was told of."
        case .graphRequests: "Requests from one service to another, or to a side that sends no spans."
        case .graphFailures: "Those of them that failed at one side."
        case .graphClientSeconds: "How long requests took as their caller saw it."
        case .graphServerSeconds: "How long requests took where they were answered."
        case .clockAnomalies: "Spans whose times cannot be right."
        case .labelOverflow: "Spans that had a label value past its cap."
        case .arrivals: "Spans that were ever taken in, over all restarts."
        case .settledEarly: "Breaker observations and calls that had their turn before the settle time, since too many waited."
        }
    }

    var kind: MetricFamily.Kind { isHistogram ? .histogram : isPeak ? .gauge : .counter }
    var unit: MetricFamily.Unit? { isSeconds ? .seconds : isDollars ? .dollars : isBytes ? .bytes : nil }

    /// The bounds as the counters are kept: nanoseconds for seconds.
    var storedBounds: [Int64] { bounds.map { bound in Int64((isSeconds ? bound * 1e9 : bound).rounded()) } }
}

/// Stored bounds of the histograms, made once.
struct BucketTable: Sendable {
    static let toolCallDuration = BucketTable(.toolCallDuration)
    static let timeToFirstToken = BucketTable(.timeToFirstToken)
    static let retrievalBatch = BucketTable(.retrievalBatch)
    static let embedBatch = BucketTable(.embedBatch)
    static let queueDepthObserved = BucketTable(.queueDepthObserved)
    static let workflowDuration = BucketTable(.workflowDuration)
    static let serviceGraph = BucketTable(.graphClientSeconds)

    private let bounds: [Int64]

    private init(_ family: Family) {
        bounds = family.storedBounds
    }

    /// The first bucket whose bound is not below `value`; the count of bounds when there is none.
    @inline(__always)
    func index(of value: Int64) -> Int {
        var low = 0
        var high = bounds.count
        while low < high {
            let middle = (low &+ high) >> 1
            if bounds[middle] < value { low = middle &+ 1 } else { high = middle }
        }
        return low
    }

    /// Counters of one series: a bucket each bound, one above them, and the sum.
    var sumOffset: Int { bounds.count + 1 }
}
