extension SpanDerivations {
    /// Caps of everything here that grows with what clients send. Times are nanoseconds.
    package enum Limits {
        /// Bytes of a label value; metrics.md 2.11.
        package static let labelBytesMax = 128
        /// Counters in all. Past it no new label value is admitted, so that only combinations of known values can be born.
        package static let countersMax = 500_000
        /// Row ids of counters that are believed; a larger one is a damaged row.
        package static let counterIDsMax = 4_000_000
        /// Series of the families with the `workflow` label; past it the workflow of a new set becomes `__overflow__`.
        package static let workflowSeriesMax = 100_000
        /// Entries of each cache from raw strings to counters; a full cache is emptied, which changes no number.
        package static let cellsMax = 65_536
        /// Decisions that are remembered (`DecisionMemo`); a power of two.
        package static let decisionsMax = 8_192
        /// Spans with a longer tool, workflow, model or breaker id are looked up without the caches.
        package static let cachedStringBytesMax = 256
        /// Breaker keys; the observations of a further key are counted as discarded, reason `overflow`.
        package static let breakersMax = 20_000
        /// Processes that are followed for queue depth and presence; further ones of a service share one entry.
        package static let instancesMax = 20_000
        /// Transition events that are read of one span; further ones are counted as discarded, reason `overflow`.
        package static let transitionsPerSpanMax = 64
        /// Durations in the window of the vector rule, whatever the policy asks for.
        package static let vectorWindowMax = 1_000
        /// Bytes at the end of an error type that are compared with the patterns; the longest pattern has fewer.
        package static let patternBytesMax = 64
        /// Bytes at the start of a status message that are searched.
        package static let messageBytesMax = 16_384

        /// Silent retries: two attempts see each other when fewer than this many attempts came between them,
        package static let retryAttemptsMax = 32_768
        /// when they were received within this time of each other, in whole steps of the settle clock,
        package static let retryWindowNanoseconds: Int64 = 300 * 1_000_000_000
        /// and when the search for the earlier one, which goes back through one hash chain, takes no more steps.
        package static let retryStepsMax = 32

        /// Calls that more than one span may tell of: so many wait for their relatives; past it the oldest is decided early, which
        /// `fusebox_settled_early_total` counts. Two see each other when fewer than `callMemoryMax` came between them,
        package static let callsWaitingMax = 131_072
        package static let callMemoryMax = 32_768
        /// when they were received within this time of each other,
        package static let callMemoryNanoseconds: Int64 = 300 * 1_000_000_000
        /// and when the search for one, which goes back through one hash chain, takes no more steps.
        package static let callStepsMax = 256
        /// Relatives that decide about a call, itself among them.
        package static let callRelativesMax = 256

        /// Runs that are remembered for the loop contract, and as many embeddings and model calls: two see each other when fewer came
        /// between them.
        package static let contractEntriesMax = 16_384
        /// Hosts whose counters are found without their labels; a full cache is emptied, which changes no number.
        package static let contractHostsMax = 4_096

        /// Edges of the service graph; past it a further one is `__overflow__` to `__overflow__`.
        package static let serviceGraphEdgesMax = 400

        /// A process without spans for this long leaves the gauges; metrics.md 3.1.
        package static let presenceNanoseconds: Int64 = 900 * 1_000_000_000
        /// A queue depth older than this is not shown; metrics.md 3.1.
        package static let queueDepthNanoseconds: Int64 = 300 * 1_000_000_000
        /// A process without spans and without breakers for this long is forgotten.
        package static let instanceIdleNanoseconds: Int64 = 3_600 * 1_000_000_000
        /// A breaker that is as good as new is forgotten when its process has been silent for this long,
        package static let breakerIdleNanoseconds: Int64 = 24 * 3_600 * 1_000_000_000
        /// and any other one, nothing pending, after this long.
        package static let breakerForgottenNanoseconds: Int64 = 7 * 24 * 3_600 * 1_000_000_000
        /// Idle state is looked for whenever the settle clock passes a multiple of this.
        package static let sweepNanoseconds: Int64 = 3_600 * 1_000_000_000
        /// The settle clock is saved at least this often, though nothing else changes.
        package static let clockSaveNanoseconds: Int64 = 60 * 1_000_000_000
        /// The wall clock has jumped when it is this far from where its pace would have taken it; less is lost in the settle
        /// time.
        package static let clockStepNanoseconds: Int64 = 5 * 1_000_000_000
        /// A server was down for no longer than this, whatever the wall clock says at its start.
        package static let downtimeNanosecondsMax: Int64 = 3_600 * 1_000_000_000
        /// Steady time begins at the wall clock's time, but not after this: the year 2116.
        package static let startUnixNanoMax: Int64 = 1 << 62
        /// Steps of the settle clock of which it is known which spans came in them; spans of further ones settle with the last
        /// one.
        package static let receiptsMax = 16_384
        /// Breaker observations that wait; past it the oldest receipt settles before its time.
        package static let pendingMax = 2_000_000
        /// A span that ends this much after its receipt is a clock anomaly; metrics.md 2.8.
        package static let futureNanoseconds: Int64 = 5 * 1_000_000_000
        /// A state is read as a probe's when it began up to this long before the end of the cooldown; metrics.md 2.5.
        package static let probeSlackNanoseconds: Int64 = 1_000_000_000
        /// The outer limit of a process tree stands this far above the tree's own; metrics.md 2.1.
        package static let subprocessGraceNanoseconds: Int64 = 20 * 1_000_000_000
    }
}
