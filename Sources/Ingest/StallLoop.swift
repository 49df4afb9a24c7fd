import Derivations
import PrometheusText
import SQLite
import SpanStore
import StoreSQL
import Synchronization
import TelemetryModel
import Threads

/// Looks through stored runs for stalls on a thread of its own, with a connection of its own, behind the writer: no commit waits for
/// it. It works for a tenth of the time at most, so under load it lags and later catches up.
final class StallLoop: Sendable {
    /// Runs that ended are looked at when no more spans of theirs are expected.
    private static let settleNanoseconds: Int64 = 10_000_000_000
    private static let interval = Duration.seconds(5)
    /// How much of the time it may work: one part in this many.
    private static let dutyCycle = 10
    /// After a start, spans this far before the watermark are read again, since runs may have been open.
    private static let rereadNanoseconds: Int64 = 300_000_000_000
    /// Further than this a wall clock does not go by itself between two passes, nor back.
    private static let jumpNanoseconds: Int64 = 60_000_000_000
    /// Segments' spans that one pass reads: while it does, the write-ahead log cannot start over.
    private static let spansPerPassMax = 25_000
    /// Spans between two looks at whether it shall stop.
    private static let spansPerLook = 1024

    private let folder: StoreFolder
    private let turns: ReadingTurns
    private let gapNanoseconds: Int64
    private let clock: @Sendable () -> Int64
    /// Commits rows through the writer; `false` when it stops.
    private let commit: @Sendable (AnnexRows) -> Bool
    private let thread = WorkerThread()
    private let forgotten: ForgottenTraces
    private let active = Mutex<[StallWatch.Active: Int]>([:])

    /// What the loop has seen of the store.
    private struct Progress {
        var watch: StallWatch
        /// Spans received up to here were read; `nil` when only the file says.
        var position: Int64?
        /// How far was read before the wall clock was set back: when it comes here again, what lies between is not read a second
        /// time.
        var furthest: Int64 = 0
    }

    init(
        folder: StoreFolder, turns: ReadingTurns, gapNanoseconds: Int64, clock: @escaping @Sendable () -> Int64,
        forgotten: ForgottenTraces = ForgottenTraces(), commit: @escaping @Sendable (AnnexRows) -> Bool
    ) {
        self.folder = folder
        self.turns = turns
        self.gapNanoseconds = gapNanoseconds
        self.clock = clock
        self.forgotten = forgotten
        self.commit = commit
        thread.start("fusebox.stalls", .background) { [self] in run() }
    }

    func stop() { thread.stop() }

    static let activeStalls = MetricFamily(
        name: "agent_loop_stalls_active", help: "Runs that have begun, have not ended and are silent.", kind: .gauge)

    /// Runs that are silent now.
    func family() -> MetricFamily {
        Self.activeStalls.with(
            active.withLock { active in
                active.map { owner, count in
                    MetricFamily.Sample(
                        labels: LabelText.render([
                            ("service_name", LabelSanitiser.clean(owner.service)),
                            ("workflow", LabelSanitiser.clean(owner.workflow)), ("kind", StallRules.Kind.gap.rawValue),
                        ]), value: .integer(Int64(count)))
                }.sorted { $0.labels < $1.labels }
            })
    }

    private func run() {
        var progress = Progress(watch: newWatch())
        var pause = Self.interval
        while thread.rest(pause) {
            let start = ContinuousClock.now
            var isBehind = false
            do {
                isBehind = try pass(&progress)
            } catch {
                // What could not be read or committed is read again in the next pass.
                progress.position = nil
                progress.watch = newWatch()
            }
            let worked = ContinuousClock.now - start
            pause = max(isBehind ? .milliseconds(100) : Self.interval, worked * Self.dutyCycle)
        }
    }

    private func newWatch() -> StallWatch {
        StallWatch(gapNanoseconds: gapNanoseconds, settleNanoseconds: Self.settleNanoseconds)
    }

    /// Where a pass begins: where the last one ended, unless the wall clock has jumped since.
    private func start(_ progress: inout Progress, stored: Int64?, now: Int64) -> Int64 {
        var from = progress.position ?? max(0, (stored ?? 0) - Self.rereadNanoseconds)
        if from - now > Self.jumpNanoseconds {
            // Set back: receipts are told by the clock as it is now, and runs that had begun by the other one are given up.
            progress.furthest = max(progress.furthest, from)
            progress.watch = newWatch()
            from = max(0, now - Self.settleNanoseconds)
        } else if progress.furthest - from > Self.jumpNanoseconds && progress.furthest <= now {
            from = progress.furthest
        }
        return from
    }

    /// Reads what was received since the last pass; `true` when there is more.
    private func pass(_ progress: inout Progress) throws -> Bool {
        // A run is looked at one settle time after its end came in, and spans are read half of it after they came in.
        let settled = clock() - Self.settleNanoseconds / 2
        let (watermark, from, until) = try turns.whileReading {
            let reader = try SQLReader(folder: folder)
            let watermark = try reader.connection.text("SELECT value FROM meta WHERE key = 'stall_watermark_unix_nano'")
                .flatMap { Int64($0) }
            let from = start(&progress, stored: watermark, now: settled)
            let until = try Self.end(reader.connection, from: from, until: settled)
            if until > from { try read(reader.connection, from: from, until: until, into: &progress.watch) }
            return (watermark, from, until)
        }
        let isBehind = until < settled
        let stalls = progress.watch.advance(to: until)
        progress.position = until
        let shown = isBehind ? [:] : progress.watch.active(at: clock())
        active.withLock { $0 = shown }
        let unsaved = until - (watermark ?? 0)
        guard !stalls.isEmpty || unsaved > 60_000_000_000 && until > from || unsaved < 0 else { return isBehind }
        var rows = AnnexRows()
        rows.stalls = stalls.filter { !forgotten.contains($0.suspect.traceID) }.map { StallRow($0) }
        rows.stallWatermarkUnixNano = until
        guard commit(rows) else { throw IngestError.stopping }
        return isBehind
    }

    /// The time up to which a pass reads: no more spans than its share, by whole segments.
    private static func end(_ connection: Connection, from: Int64, until: Int64) throws(SQLiteError) -> Int64 {
        let statement = try connection.prepare(
            "SELECT received_max, span_count FROM segment WHERE received_max > \(from) ORDER BY received_max")
        var spans = 0
        while try statement.step() {
            spans += Int(statement.integer(1))
            if spans > spansPerPassMax { return min(until, statement.integer(0)) }
        }
        return until
    }

    private func read(_ connection: Connection, from: Int64, until: Int64, into watch: inout StallWatch) throws {
        let bounds = try connection.prepare(
            "SELECT min(start_min), max(start_max) FROM segment WHERE received_max > \(from) AND received_min <= \(until)")
        guard try bounds.step(), !bounds.isNull(0) else { return }
        let statement = try connection.prepare(
            """
            SELECT trace_id, span_id, parent_span_id, name, start_time_unix_nano, end_time_unix_nano, step_id, tool_name,
                tool_arguments, CASE WHEN events <> '[]' THEN events END, service_name, workflow_name,
                coalesce(attr(resource_attributes, 'service.instance.id'), attr(resource_attributes, 'host.name') || ':'
                    || attr(resource_attributes, 'process.pid'), ''),
                is_run, received_time_unix_nano
            FROM spans
            WHERE start_time_unix_nano >= \(bounds.integer(0)) AND start_time_unix_nano <= \(bounds.integer(1))
                AND received_time_unix_nano > \(from) AND received_time_unix_nano <= \(until)
                AND start_time_unix_nano > 0 AND end_time_unix_nano > 0
            """)
        var count = 0
        while try statement.step() {
            count += 1
            if count.isMultiple(of: Self.spansPerLook), thread.isStopping { throw IngestError.stopping }
            var span = StallSpan(
                traceID: statement.text(0) ?? "", spanID: statement.text(1) ?? "", parentSpanID: statement.text(2),
                name: statement.text(3) ?? "", start: statement.integer(4), end: statement.integer(5))
            span.step = statement.text(6)
            span.tool = statement.text(7)
            span.argumentsHash = statement.text(8)?.hashValue
            if let events = statement.text(9) { span.eventTimes = Self.times(events) }
            watch.take(
                span, service: statement.text(10) ?? "", workflow: statement.text(11), instance: statement.text(12) ?? "",
                isRun: statement.integer(13) == 1, received: statement.integer(14))
        }
    }

    private static func times(_ events: String) -> [Int64] {
        guard case .array(let values)? = try? JSONValue.parse(Array(events.utf8)[...]) else { return [] }
        return values.compactMap { event in
            guard case .integer(let time)? = event["time_unix_nano"], time > 0 else { return nil }
            return time
        }
    }
}

extension StallRow {
    fileprivate init(_ stall: StallWatch.Stall) {
        self.init(
            timeUnixNano: stall.finding.time, kind: Kind(rawValue: stall.finding.kind.rawValue) ?? .gap,
            serviceName: LabelSanitiser.clean(stall.service), workflowName: LabelSanitiser.clean(stall.workflow),
            traceID: stall.suspect.traceID, spanID: stall.suspect.spanID, spanName: stall.suspect.name,
            durationNanoseconds: stall.finding.duration, detail: stall.finding.detail)
    }
}
