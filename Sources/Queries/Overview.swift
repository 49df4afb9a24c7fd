import SQLite

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
        tokens += other.tokens
        unpricedTokens += other.unpricedTokens
        dollars += other.dollars
    }

    /// The duration at rank ⌈p/100 · n⌉; `nil` without runs.
    package func runDuration(percentile: Double) -> Int64? {
        guard !runDurations.isEmpty else { return nil }
        let sorted = runDurations.sorted()
        return sorted[max(0, Int((percentile / 100 * Double(sorted.count)).rounded(.up)) - 1)]
    }
}

/// Reads buckets of one width from the store.
struct OverviewReading {
    /// A child's tokens are looked for this long after its parent's start: longer calls than an hour are counted with their children.
    private static let childrenWithin: Int64 = 3_600_000_000_000

    let stepNanoseconds: Int64
    let service: String?

    /// The buckets from `first` up to `last`, which is in; buckets without spans are left out.
    func read(_ first: Int64, _ last: Int64, _ reader: QueryReader) throws -> [Int64: OverviewBucket] {
        var buckets: [Int64: OverviewBucket] = [:]
        let from = first &* stepNanoseconds
        let (end, overflow) = (last + 1).multipliedReportingOverflow(by: stepNanoseconds)
        let to = overflow ? Int64.max : end
        let condition = service == nil ? "" : " AND service_name = ?3"
        let values: [QueryValue] = [.integer(from), .integer(to)] + (service.map { [.text($0)] } ?? [])
        let inWindow = "start_time_unix_nano >= ?1 AND start_time_unix_nano < ?2\(condition)"
        try reader.each(
            """
            SELECT start_time_unix_nano / \(stepNanoseconds), count(*), sum(status_code = 2), sum(outcome IS NOT NULL),
                sum(outcome = 'timeout'), sum(outcome = 'rejected')
            FROM spans WHERE \(inWindow) GROUP BY 1
            """, values
        ) { row in
            var bucket = OverviewBucket()
            (bucket.spans, bucket.errors, bucket.calls) = (row.integer(1), row.integer(2), row.integer(3))
            (bucket.timeouts, bucket.rejected) = (row.integer(4), row.integer(5))
            buckets[row.integer(0)] = bucket
            return true
        }
        guard !buckets.isEmpty else { return buckets }
        try reader.each(
            """
            SELECT start_time_unix_nano / \(stepNanoseconds), duration_ns, status_code FROM spans
            WHERE \(inWindow) AND parent_span_id IS NULL AND workflow_name IS NOT NULL AND duration_ns IS NOT NULL
            """, values
        ) { row in
            buckets[row.integer(0), default: OverviewBucket()].runDurations.append(row.integer(1))
            if row.integer(2) == 2 { buckets[row.integer(0), default: OverviewBucket()].failedRuns += 1 }
            return true
        }
        try readTokens(inWindow, values, &buckets, reader)
        return buckets
    }

    private func readTokens(
        _ inWindow: String, _ values: [QueryValue], _ buckets: inout [Int64: OverviewBucket], _ reader: QueryReader
    ) throws {
        let later = inWindow.replacing("< ?2", with: "< min(?2, \(Int64.max - Self.childrenWithin)) + \(Self.childrenWithin)")
        try reader.each(
            """
            WITH counted AS MATERIALIZED (
                SELECT trace_id, span_id, parent_span_id, start_time_unix_nano, end_time_unix_nano, model, tokens, input_tokens,
                    cached_tokens, output_tokens
                FROM spans WHERE \(later) AND \(TraceSummary.countsTokens)),
            priced AS (
                SELECT start_time_unix_nano / \(stepNanoseconds) AS bucket, tokens, (
                    SELECT (max(0, coalesce(input_tokens, 0) - coalesce(cached_tokens, 0)) * price.input
                        + coalesce(cached_tokens, 0) * price.cache_read + coalesce(output_tokens, 0) * price.output) / 1e6
                    FROM main.model_price AS price
                    WHERE price.model = counted.model AND price.effective_from_unix_nano <= counted.end_time_unix_nano
                    ORDER BY price.effective_from_unix_nano DESC LIMIT 1) AS dollars
                FROM counted WHERE start_time_unix_nano < ?2 AND NOT EXISTS (
                    SELECT 1 FROM counted AS child
                    WHERE child.trace_id = counted.trace_id AND child.parent_span_id = counted.span_id))
            SELECT bucket, sum(tokens), coalesce(sum(dollars), 0), sum(CASE WHEN dollars IS NULL THEN tokens ELSE 0 END)
            FROM priced GROUP BY bucket
            """, values
        ) { row in
            buckets[row.integer(0), default: OverviewBucket()].tokens = row.integer(1)
            buckets[row.integer(0), default: OverviewBucket()].dollars = row.double(2)
            buckets[row.integer(0), default: OverviewBucket()].unpricedTokens = row.integer(3)
            return true
        }
    }
}
