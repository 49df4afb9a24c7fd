import PrometheusText
import SpanStore

/// Says once a minute that the server runs, and what it could not keep since the last time: reports tell by it which minutes were
/// watched.
struct Heartbeat {
    private let metrics: IngestMetrics
    private var lastMinute: Int64?
    private var counted = Counts()
    private var pending: (minute: Int64, counts: Counts)?

    private struct Counts {
        var accepted: Int64 = 0
        var rejected: Int64 = 0
        var dropped: Int64 = 0
    }

    init(_ metrics: IngestMetrics) {
        self.metrics = metrics
    }

    private var current: Counts {
        Counts(accepted: metrics.accepted.value, rejected: metrics.rejected.total, dropped: metrics.dropped.total)
    }

    /// The row that is due: with each new minute, and a last one at the end.
    mutating func row(nowUnixNano: Int64, isLast: Bool) -> HeartbeatRow? {
        let minute = nowUnixNano / 60_000_000_000
        guard isLast || minute != lastMinute else { return nil }
        let now = current
        pending = (minute, now)
        var row = HeartbeatRow(minute: minute)
        row.accepted = now.accepted - counted.accepted
        row.rejected = now.rejected - counted.rejected
        row.dropped = now.dropped - counted.dropped
        return row
    }

    mutating func didStore() {
        guard let pending else { return }
        lastMinute = pending.minute
        counted = pending.counts
    }
}
