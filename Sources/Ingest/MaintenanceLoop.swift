package import PrometheusText
import SpanStore
import StoreSQL
import Threads

/// Merges small segments and lets old ones go, on a thread of its own, until it is stopped.
final class MaintenanceLoop: Sendable {
    /// With fewer segments than this, merging takes a tenth of a core while spans come, so that they do not wait for it: a burst is
    /// merged behind it. With twice as many it takes half of one, and past that all that it needs.
    private static let segmentsUnhurried = 4_096
    private static let unhurriedPause = 9
    /// After an order to forget could not be carried out.
    private static let forgettingPause = Duration.seconds(2)
    private static let retentionPause = Duration.seconds(60)
    /// While spans are refused for the sake of a target, its progress is looked for more often.
    private static let heldPause = Duration.seconds(2)

    struct Settings: Sendable {
        var retention: RetentionLimits
        /// Nanoseconds since 1970.
        var clock: @Sendable () -> Int64
        /// What was forgotten of late, for those who hold spans in memory.
        var forgotten = ForgottenTraces()
        var turns = ReadingTurns()
        /// Takes the targets of forwarding that keep retention from making the room that it should; none when it could.
        var noteHold: @Sendable ([String]) -> Void = { _ in }
    }

    private let thread = WorkerThread()

    init(_ maintenance: StoreMaintenance, _ settings: Settings, metrics: MaintenanceMetrics) throws(StoreError) {
        let owned = Owned(
            merger: try SegmentMerger(maintenance), logMerger: LogMerger(maintenance),
            retention: try SegmentRetention(maintenance),
            forgetter: try Forgetter(maintenance, keys: .standard, turns: settings.turns, willForget: settings.forgotten.add),
            ledger: maintenance.ledger, metrics: metrics)
        thread.start("fusebox.maintenance", .utility) { [self] in
            var nextRetention = ContinuousClock.now
            var nextForgetting = ContinuousClock.now
            while !thread.isStopping {
                if ContinuousClock.now >= nextRetention {
                    let isHeld = owned.retain(settings)
                    nextRetention = ContinuousClock.now + (isHeld ? Self.heldPause : Self.retentionPause)
                }
                if ContinuousClock.now >= nextForgetting,
                    !owned.forget(settings, isStopping: { [self] in thread.isStopping })
                {
                    nextForgetting = ContinuousClock.now + Self.forgettingPause
                }
                thread.rest(owned.merge { thread.isStopping })
            }
        }
    }

    /// What the one thread uses from then on.
    private struct Owned: @unchecked Sendable {
        let merger: SegmentMerger
        let logMerger: LogMerger
        let retention: SegmentRetention
        let forgetter: Forgetter
        let ledger: SegmentLedger
        let metrics: MaintenanceMetrics

        /// Merges once and gives how long to pause.
        func merge(isStopping: () -> Bool) -> Duration {
            let start = ContinuousClock.now
            let before = merger.progress
            let stored = ledger.storedSpans
            defer { metrics.record(merger.progress, since: before, segments: ledger.segmentCount) }
            do {
                guard try merger.runOnce(isStopping: isStopping) else {
                    // Spans first: log segments come one a commit as well, and are merged when there is nothing else to do.
                    guard !isStopping(), try logMerger.runOnce() else { return .milliseconds(250) }
                    metrics.logMerges.increment()
                    return ContinuousClock.now - start
                }
                metrics.merges.increment("ok")
                let worked = ContinuousClock.now - start
                return worked * pauseFactor(storedBefore: stored)
            } catch {
                // What was begun is deleted with the next try. A full disk gets room from retention, or from the operator.
                metrics.merges.increment("error")
                return .seconds(5)
            }
        }

        /// How long to pause after a merge, in its own length.
        private func pauseFactor(storedBefore stored: Int64) -> Int {
            let count = ledger.segmentCount
            if count >= 2 * MaintenanceLoop.segmentsUnhurried { return 0 }
            let isQuiet = ledger.storedSpans == stored
            return count < MaintenanceLoop.segmentsUnhurried && !isQuiet ? MaintenanceLoop.unhurriedPause : 1
        }

        /// Carries an order to forget out, if there is one; `false` when that failed, and is to be tried again.
        func forget(_ settings: Settings, isStopping: @escaping () -> Bool) -> Bool {
            do {
                _ = try forgetter.runOnce(nowUnixNano: settings.clock(), isStopping: isStopping)
                return true
            } catch {
                // The order says what was wrong, for the command that waits for it.
                return false
            }
        }

        /// Lets old segments go; `true` when it could not make the room that it should.
        func retain(_ settings: Settings) -> Bool {
            let before = retention.removed
            defer { metrics.record(retention.removed, since: before, floor: ledger.retentionFloorUnixNano) }
            do {
                try retention.run(settings.retention, nowUnixNano: settings.clock())
                metrics.retentionPasses.increment("ok")
                settings.noteHold(retention.holdingTargets)
            } catch {
                // Tried again with the next pass; what was deleted until then is deleted.
                metrics.retentionPasses.increment("error")
            }
            return !retention.holdingTargets.isEmpty
        }
    }

    func stop() { thread.stop() }
}

/// The collector's own counters about merging.
package final class MaintenanceMetrics: Sendable {
    let merges: LabeledCounterMetric
    let retentionPasses: LabeledCounterMetric
    let logMerges: CounterMetric
    private let removedSpans: CounterMetric
    private let removedLogRecords: CounterMetric
    private let removedSegments: CounterMetric
    private let retentionFloor: GaugeMetric
    private let mergedSpans: CounterMetric
    private let bytesRead: CounterMetric
    private let bytesWritten: CounterMetric
    private let longestHold: GaugeMetric
    private let segments: GaugeMetric

    package init(registry: MetricRegistry) {
        merges = registry.register(
            LabeledCounterMetric("fusebox_merges_total", help: "Merges of segments.", labels: ["result"], labelSetsMax: 4))
        logMerges = registry.register(CounterMetric("fusebox_log_merges_total", help: "Merges of segments of log records."))
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
        retentionPasses = registry.register(
            LabeledCounterMetric(
                "fusebox_retention_passes_total", help: "Looks for spans to let go.", labels: ["result"], labelSetsMax: 4))
        removedSpans = registry.register(CounterMetric("fusebox_retention_removed_spans_total", help: "Spans that were let go."))
        removedLogRecords = registry.register(
            CounterMetric("fusebox_retention_removed_log_records_total", help: "Log records that were let go."))
        removedSegments = registry.register(
            CounterMetric("fusebox_retention_removed_segments_total", help: "Segments that were let go."))
        retentionFloor = registry.register(
            GaugeMetric(
                "fusebox_retention_floor_timestamp_seconds", help: "Spans that ended at or before this are refused.",
                unit: .seconds,
                initially: nil))
        for result in ["ok", "error"] {
            _ = merges.cell(result)
            _ = retentionPasses.cell(result)
        }
    }

    func record(_ progress: SegmentMerger.Progress, since before: SegmentMerger.Progress, segments count: Int) {
        mergedSpans.increment(by: progress.spans - before.spans)
        bytesRead.increment(by: progress.bytesRead - before.bytesRead)
        bytesWritten.increment(by: progress.bytesWritten - before.bytesWritten)
        longestHold.set(progress.longestHold / .seconds(1))
        segments.set(count)
    }

    func record(_ removed: SegmentRetention.Removed, since before: SegmentRetention.Removed, floor: Int64?) {
        removedSpans.increment(by: removed.spans - before.spans)
        removedLogRecords.increment(by: removed.logRecords - before.logRecords)
        removedSegments.increment(by: Int64(removed.segments - before.segments))
        if let floor { retentionFloor.set(Double(floor) / 1e9) }
    }
}
