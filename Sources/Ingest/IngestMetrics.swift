package import PrometheusText

/// The collector's own counters about ingest. They live as long as the process; the derived ones live in the store.
package final class IngestMetrics: Sendable {
    package let registry: MetricRegistry
    package let received: CounterMetric
    package let accepted: CounterMetric
    package let rejected: LabeledCounterMetric
    package let dropped: LabeledCounterMetric
    package let duplicates: LabeledCounterMetric
    package let queueSpans: GaugeMetric
    package let queueBytes: GaugeMetric
    package let queueCapacity: GaugeMetric
    package let queueWait: HistogramMetric
    package let commitDuration: HistogramMetric
    package let commitSpans: HistogramMetric
    package let commits: LabeledCounterMetric
    package let lastCommit: GaugeMetric
    package let checkpoints: LabeledCounterMetric
    package let checkpointDuration: HistogramMetric
    package let checkpointHold: GaugeMetric
    package let storedSpans: GaugeMetric
    package let databaseBytes: GaugeMetric
    package let logBytes: GaugeMetric
    package let diskFreeBytes: GaugeMetric
    package let pendingObservations: GaugeMetric
    let serviceGraphPending: GaugeMetric
    let snapshotAge: GaugeMetric
    package let storageSuspect: GaugeMetric

    /// Reasons of `fusebox_spans_dropped_total`, and of the same of log records.
    static let dropReasons = [
        "queue_full", "queue_timeout", "shutdown", "disk_full", "suspect", "log_full", "data_file", "forward_hold", "error",
    ]

    /// Reasons of `fusebox_spans_rejected_total`.
    package static let rejectionReasons = ["invalid", "too_old", "too_large", "decode"]

    package init(registry: MetricRegistry = MetricRegistry()) {
        self.registry = registry
        received = registry.register(
            CounterMetric("fusebox_spans_received_total", help: "Spans decoded from export requests."))
        accepted = registry.register(
            CounterMetric("fusebox_spans_accepted_total", help: "Spans stored in a committed transaction."))
        rejected = registry.register(
            LabeledCounterMetric(
                "fusebox_spans_rejected_total", help: "Spans refused and reported in partial_success.", labels: ["reason"],
                labelSetsMax: 8))
        dropped = registry.register(
            LabeledCounterMetric(
                "fusebox_spans_dropped_total", help: "Spans answered with 503 because they could not be stored.",
                labels: ["reason"], labelSetsMax: 16))
        duplicates = registry.register(
            LabeledCounterMetric(
                "fusebox_spans_duplicate_total", help: "Spans that were stored before, by whether their content was the same.",
                labels: ["kind"], labelSetsMax: 4))
        queueSpans = registry.register(GaugeMetric("fusebox_queue_spans", help: "Spans waiting for a commit."))
        queueBytes = registry.register(
            GaugeMetric("fusebox_queue_bytes", help: "Bytes of requests waiting for a commit.", unit: .bytes))
        queueCapacity = registry.register(GaugeMetric("fusebox_queue_capacity_spans", help: "Spans that may wait for a commit."))
        queueWait = registry.register(
            HistogramMetric(
                "fusebox_queue_wait_seconds", help: "From the end of decoding to the start of the commit.", unit: .seconds,
                bounds: HistogramBounds.latencySeconds))
        commitDuration = registry.register(
            HistogramMetric(
                "fusebox_commit_duration_seconds", help: "Encoding and committing one group, fsync included.", unit: .seconds,
                bounds: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]))
        commitSpans = registry.register(
            HistogramMetric(
                "fusebox_commit_batch_spans", help: "Spans in one commit.",
                bounds: [1, 10, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 20000]))
        commits = registry.register(
            LabeledCounterMetric("fusebox_commits_total", help: "Commits by result.", labels: ["result"], labelSetsMax: 8))
        lastCommit = registry.register(
            GaugeMetric(
                "fusebox_last_commit_timestamp_seconds", help: "When the last commit ended.", unit: .seconds, initially: nil))
        checkpoints = registry.register(
            LabeledCounterMetric(
                "fusebox_checkpoints_total", help: "Checkpoints of the write-ahead log.", labels: ["mode", "result"],
                labelSetsMax: 8))
        checkpointDuration = registry.register(
            HistogramMetric(
                "fusebox_checkpoint_duration_seconds", help: "Duration of checkpoints.", unit: .seconds,
                bounds: HistogramBounds.latencySeconds))
        checkpointHold = registry.register(
            GaugeMetric(
                "fusebox_checkpoint_hold_max_seconds", help: "Longest time that commits waited for a checkpoint since the start.",
                unit: .seconds))
        storedSpans = registry.register(GaugeMetric("fusebox_stored_spans", help: "Spans in the store."))
        databaseBytes = registry.register(
            GaugeMetric("fusebox_db_size_bytes", help: "Size of the database file.", unit: .bytes))
        logBytes = registry.register(
            GaugeMetric("fusebox_wal_size_bytes", help: "Size of the write-ahead log.", unit: .bytes))
        diskFreeBytes = registry.register(
            GaugeMetric(
                "fusebox_disk_free_bytes", help: "Free space on the data folder's disk.", unit: .bytes, initially: nil))
        pendingObservations = registry.register(
            GaugeMetric("fusebox_pending_observations", help: "Breaker observations and calls that wait to settle."))
        serviceGraphPending = Self.serviceGraphPending(registry)
        snapshotAge = Self.snapshotAge(registry)
        storageSuspect = Self.storageSuspect(registry)
        for reason in Self.rejectionReasons { _ = rejected.cell(reason) }
        for reason in Self.dropReasons { _ = dropped.cell(reason) }
        for kind in ["identical", "conflict"] { _ = duplicates.cell(kind) }
        for result in ["ok", "busy", "full", "error"] { _ = commits.cell(result) }
    }

    private static func storageSuspect(_ registry: MetricRegistry) -> GaugeMetric {
        registry.register(
            GaugeMetric(
                "fusebox_storage_suspect",
                help: "1 from a failed read, write or fsync until the data file has been checked; nothing is stored meanwhile."))
    }

    private static func serviceGraphPending(_ registry: MetricRegistry) -> GaugeMetric {
        registry.register(
            GaugeMetric("fusebox_service_graph_pending_spans", help: "Stored spans whose requests between services are not all counted yet."))
    }

    private static func snapshotAge(_ registry: MetricRegistry) -> GaugeMetric {
        registry.register(
            GaugeMetric(
                "fusebox_snapshot_age_seconds",
                help: "How old what is shown here is, while something newer is committed; 0 when this is the newest.",
                unit: .seconds))
    }
}
