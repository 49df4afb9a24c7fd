/// What gates let pass; `nil` reports a figure without judging it.
package struct GateLimits: Equatable, Sendable {
    package var p95LatencyNanoseconds: Int64?
    package var dollarsPerMillionTokens: Double?
    package var idleGPUMinutes: Double?
    package var rentDollars: Double?
    package var egressDollars: Double?
    package var timeouts: Double?
    package var breakerOpens: Double?
    package var stalls: Double?
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
