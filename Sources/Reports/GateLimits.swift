/// What gates let pass; `nil` reports a figure without judging it.
package struct GateLimits: Equatable, Sendable {
    package var p95LatencyNanoseconds: Int64?
    package var dollarsPerMillionTokens: Double?
    /// Whether dollars by public list prices are no data for the gate.
    package var requiresOwnPrices = false
    package var idleGPUMinutes: Double?
    package var rentDollars: Double?
    package var egressDollars: Double?
    package var timeouts: Double?
    package var breakerOpens: Double?
    package var stalls: Double?
    /// Runs of workflows at once in a process or on a host, items of one retrieval, texts of one embedding call. `nil`: what each agent
    /// declares.
    package var workflowConcurrency: Int64?
    package var retrievalBatch: Int64?
    package var embedBatch: Int64?
    /// The least part of a host's memory that stays free, 0...1; `nil`: the usual one, where there are readings.
    package var memoryHeadroom: Double?
    /// Of a sweep's winner.
    package var peakResidentBytes: Double?
    /// A soak that was watched for less has insufficient data.
    package var soakHoursMin = 4.0
    /// A tool attempt of at least this long is slow.
    package var slowToolNanoseconds: Int64 = 5_000_000_000
    /// A longer hole in a run is a stall.
    package var stallGapNanoseconds: Int64 = 60_000_000_000

    package init() {}
}
