import Dispatch
package import PrometheusText
import SpanStore
import Synchronization

/// Merges small segments and lets old ones go, on a thread of its own, until it is stopped.
final class MaintenanceLoop: Sendable {
    /// With fewer segments than this, merging takes at most every second moment of a core.
    private static let segmentsUnhurried = 2_048

    private let isStopping = Atomic(false)
    private let wake = DispatchSemaphore(value: 0)
    private let finished = DispatchSemaphore(value: 0)

    init(_ merger: SegmentMerger, ledger: SegmentLedger, metrics: MaintenanceMetrics) {
        let owned = Owned(merger: merger)
        DispatchQueue(label: "fusebox.maintenance", qos: .utility).async { [self] in
            while !isStopping.load(ordering: .acquiring) {
                let pause = Self.merge(owned.merger, ledger, metrics)
                _ = wake.wait(timeout: .now() + pause)
            }
            finished.signal()
        }
    }

    /// Hands the merger to the one thread that uses it from then on.
    private struct Owned: @unchecked Sendable {
        let merger: SegmentMerger
    }

    /// Merges once and gives how long to pause.
    private static func merge(
        _ merger: SegmentMerger, _ ledger: SegmentLedger, _ metrics: MaintenanceMetrics
    ) -> DispatchTimeInterval {
        let start = ContinuousClock.now
        let before = merger.progress
        defer { metrics.record(merger.progress, since: before, segments: ledger.segmentCount) }
        do {
            guard try merger.runOnce() else { return .milliseconds(250) }
            metrics.merges.increment("ok")
            guard ledger.segmentCount < segmentsUnhurried else { return .nanoseconds(0) }
            return .microseconds(Int((ContinuousClock.now - start) / .microseconds(1)))
        } catch {
            // What was begun is deleted with the next try. A full disk makes room for itself by retention, or the operator does.
            metrics.merges.increment("error")
            return .seconds(5)
        }
    }

    func stop() {
        isStopping.store(true, ordering: .releasing)
        wake.signal()
        finished.wait()
    }
}

/// The collector's own counters about merging.
package final class MaintenanceMetrics: Sendable {
    let merges: LabeledCounterMetric
    private let mergedSpans: CounterMetric
    private let bytesRead: CounterMetric
    private let bytesWritten: CounterMetric
    private let longestHold: GaugeMetric
    private let segments: GaugeMetric

    package init(registry: MetricRegistry) {
        merges = registry.register(
            LabeledCounterMetric("fusebox_merges_total", help: "Merges of segments.", labels: ["result"], labelSetsMax: 4))
        mergedSpans = registry.register(
            CounterMetric("fusebox_merged_spans_total", help: "Spans written by merging; a span counts each time."))
        bytesRead = registry.register(
            CounterMetric("fusebox_merge_read_bytes_total", help: "Bytes of segments that were merged.", unit: .bytes))
        bytesWritten = registry.register(
            CounterMetric("fusebox_merge_written_bytes_total", help: "Bytes of merged segments.", unit: .bytes))
        longestHold = registry.register(
            GaugeMetric(
                "fusebox_merge_hold_max_seconds", help: "Longest time that commits waited for merging since the start.",
                unit: .seconds))
        segments = registry.register(GaugeMetric("fusebox_segments", help: "Segments in the store."))
        for result in ["ok", "error"] { _ = merges.cell(result) }
    }

    func record(_ progress: SegmentMerger.Progress, since before: SegmentMerger.Progress, segments count: Int) {
        mergedSpans.increment(by: progress.spans - before.spans)
        bytesRead.increment(by: progress.bytesRead - before.bytesRead)
        bytesWritten.increment(by: progress.bytesWritten - before.bytesWritten)
        longestHold.set(progress.longestHold / .seconds(1))
        segments.set(count)
    }
}
