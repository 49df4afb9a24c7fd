import Derivations
import SpanStore
import StoreSQL
import Synchronization
import TelemetryModel
import Threads

/// Finds requests between services in what is stored, on a thread of its own behind the writer, and hands them over to be counted with how
/// far it has come: in one commit, so that a restart counts none twice and loses none. No span waits for it (docs/adr/0100).
final class ServiceGraphLoop: Sendable {
    private static let intervalMax = Duration.seconds(2)
    private static let intervalMin = Duration.milliseconds(100)
    /// How much of the time it may work: one part in this many.
    private static let dutyCycle = 10
    /// Spans that one pass reads: while it does, the write-ahead log cannot start over.
    private static let spansPerPassMax = 25_000
    /// The cursor is stored at least so often, in spans, though nothing was counted.
    private static let spansPerSaveMax: Int64 = 50_000

    private let source: ForwardSource
    private let turns: ReadingTurns
    /// How long a span waits for its relatives.
    private let settle: Duration
    /// What the file holds; `nil` when the writer stops.
    private let stored: @Sendable () -> ServiceGraphCursor?
    /// Commits through the writer; `false` when that failed.
    private let commit: @Sendable (ServiceGraphUpdate) -> Bool
    /// All spans before it are counted.
    private let counted = Atomic<Int64>(0)
    private let thread = WorkerThread()

    init(
        source: ForwardSource, turns: ReadingTurns, settleNanoseconds: Int64,
        stored: @escaping @Sendable () -> ServiceGraphCursor?,
        commit: @escaping @Sendable (ServiceGraphUpdate) -> Bool
    ) {
        (self.source, self.turns, self.stored, self.commit) = (source, turns, stored, commit)
        settle = .nanoseconds(max(0, settleNanoseconds))
        thread.start("fusebox.servicegraph", .background) { [self] in run() }
    }

    /// Stored spans whose requests are not all counted yet.
    var pendingSpans: Int { Int(max(0, source.nextOrdinal(of: .traces) - counted.load(ordering: .acquiring))) }

    func stop() { thread.stop() }

    /// What the loop has seen of the store.
    private struct Progress {
        var walk: OrdinalWalk
        var book: ServiceGraphBook
        var saved: ServiceGraphCursor
        /// When spans up to an ordinal were read.
        var reads: [(ordinal: Int64, at: ContinuousClock.Instant)] = []
    }

    private func run() {
        var progress: Progress?
        let interval = max(Self.intervalMin, min(Self.intervalMax, settle / 2))
        var pause = interval
        while thread.rest(pause) {
            let start = ContinuousClock.now
            var isBehind = false
            do {
                isBehind = try pass(&progress)
            } catch {
                // What could not be read or counted is read again from what the file holds.
                progress = nil
            }
            pause = max(isBehind ? Self.intervalMin : interval, (ContinuousClock.now - start) * Self.dutyCycle)
        }
    }

    /// Reads what came since the last pass and counts what is known by that; `true` when there is more.
    private func pass(_ current: inout Progress?) throws -> Bool {
        if current == nil {
            guard let cursor = stored() else { return false }
            // A file in whose place an older one was put goes on where that ends.
            let last = source.nextOrdinal(of: .traces)
            let begin = ServiceGraphCursor(read: min(cursor.read, last), settled: min(cursor.settled, last))
            current = Progress(walk: try OrdinalWalk(source), book: ServiceGraphBook(begin), saved: cursor)
        }
        guard var progress = current else { return false }
        current = nil
        let end = min(source.nextOrdinal(of: .traces), progress.book.readLimit)
        if progress.book.next < end {
            let until = try turns.whileReading { try read(progress.book.next..<end, &progress) }
            progress.book.advance(to: until)
            progress.reads.append((progress.book.next, .now))
        } else {
            progress.walk.rest(.traces)
        }
        let isBehind = progress.book.next < source.nextOrdinal(of: .traces)
        let requests = progress.book.settle(before: settledOrdinal(&progress.reads))
        let cursor = progress.book.cursor
        if !requests.isEmpty || cursor.settled - progress.saved.settled >= Self.spansPerSaveMax {
            guard commit(ServiceGraphUpdate(requests: requests, cursor: cursor)) else { throw IngestError.stopping }
            progress.saved = cursor
        }
        counted.store(cursor.settled, ordering: .releasing)
        current = progress
        return isBehind
    }

    /// All spans before it were read so long ago that no relatives are waited for.
    private func settledOrdinal(_ reads: inout [(ordinal: Int64, at: ContinuousClock.Instant)]) -> Int64 {
        let now = ContinuousClock.now
        guard let last = reads.lastIndex(where: { now - $0.at >= settle }) else { return 0 }
        let ordinal = reads[last].ordinal
        reads.removeFirst(last + 1)
        return ordinal
    }

    private func read(_ range: Range<Int64>, _ progress: inout Progress) throws -> Int64 {
        // Moved out and back: a second owner would copy them.
        var names = progress.book.names
        progress.book.names = GraphNames()
        var taken: [(span: GraphSpan, trace: TraceID, call: ToldCall?)] = []
        let until = try progress.walk.graphSpans(range, countMax: Self.spansPerPassMax, &names) { taken.append(($0, $1, $2)) }
        progress.book.names = names
        for (span, trace, call) in taken { progress.book.take(span, of: trace, call) }
        return until
    }
}
