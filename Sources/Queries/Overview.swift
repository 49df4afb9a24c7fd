import SQLite
import TelemetryModel

/// What one stretch of time held.
package struct OverviewBucket: Equatable, Sendable {
    package var spans: Int64 = 0
    package var errors: Int64 = 0
    package var calls: Int64 = 0
    package var timeouts: Int64 = 0
    package var rejected: Int64 = 0
    package var failedRuns: Int64 = 0
    /// Of the runs that began in it, nanoseconds, in no order.
    package var runDurations: [Int64] = []
    package var tokens: Int64 = 0
    /// Tokens of models without a price: their dollars are not in `dollars`.
    package var unpricedTokens: Int64 = 0
    package var dollars = 0.0

    package init() {}

    /// Takes in what another stretch held.
    package mutating func merge(_ other: OverviewBucket) {
        spans += other.spans
        errors += other.errors
        calls += other.calls
        timeouts += other.timeouts
        rejected += other.rejected
        failedRuns += other.failedRuns
        runDurations += other.runDurations
        tokens = tokens.addingSaturated(other.tokens)
        unpricedTokens = unpricedTokens.addingSaturated(other.unpricedTokens)
        dollars += other.dollars
    }

    /// The duration at rank ⌈p/100 · n⌉; `nil` without runs.
    package func runDuration(percentile: Double) -> Int64? {
        guard !runDurations.isEmpty else { return nil }
        let sorted = runDurations.sorted()
        return sorted[max(0, Int((percentile / 100 * Double(sorted.count)).rounded(.up)) - 1)]
    }
}
