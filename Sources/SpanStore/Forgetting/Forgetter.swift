import SQLite
import SegmentFormat
package import TelemetryModel

/// Carries orders to forget out, on the maintenance connection and its thread (docs/adr/0105).
///
/// An order is a row of the file from its beginning to its end, so a crash at any point leaves it where it was and the next start goes on. First it is
/// found which traces are meant, and written down; then segment after segment is written again without them, each in one transaction that
/// counts what went; then the bytes that SQLite leaves in free places are overwritten.
package final class Forgetter {
    /// Traces that one transaction writes down.
    private static let tracesPerTransaction = 10_000

    private let maintenance: StoreMaintenance
    private let rewriter: SegmentRewriter
    private let logTables: LogTables
    private let finder: any ForgetFinder
    private let turns: ReadingTurns
    private let compressor = ZstandardCompressor(level: 3)
    private let willForget: (Set<TraceID>) -> Void

    /// - Parameters:
    ///   - finder: finds what an order is about.
    ///   - willForget: is told the traces before the first of their spans goes, for whoever still holds some in memory.
    package init(
        _ maintenance: StoreMaintenance, finder: any ForgetFinder, turns: ReadingTurns,
        willForget: @escaping (Set<TraceID>) -> Void
    ) throws(StoreError) {
        self.maintenance = maintenance
        self.finder = finder
        self.turns = turns
        self.willForget = willForget
        rewriter = try SegmentRewriter(maintenance)
        logTables = LogTables(maintenance.connection)
        do {
            try RowChecksum.register(on: maintenance.connection)
        } catch {
            throw .database(error)
        }
    }

    /// Works at the oldest order that is not done; `false` when there is none. Blocks on the disk.
    ///
    /// - Parameter isStopping: asked now and then; the order waits then for the next call, or the next start.
    package func runOnce(nowUnixNano: Int64, isStopping: @escaping () -> Bool = { false }) throws(StoreError) -> Bool {
        var order: ForgetTables.Pending?
        do {
            order = try ForgetTables.next(maintenance.connection)
            guard let order else { return false }
            try run(order, nowUnixNano, isStopping)
            return true
        } catch is SegmentRewriter.GivenUp {
            return false
        } catch {
            let error = SpanStore.storeError(error)
            // For who waits for it; when this fails as well, there is nobody to tell.
            if let order { try? note(error.message, order.id) }
            throw error
        }
    }

    private func note(_ problem: String, _ id: Int64) throws(SQLiteError) {
        try maintenance.prepare { () throws(SQLiteError) in
            let statement = try maintenance.connection.prepare("UPDATE forget SET problem = ?2 WHERE id = ?1")
            try statement.bind(1, id)
            try statement.bind(2, problem)
            try statement.run()
        }
    }

    private func run(_ order: ForgetTables.Pending, _ now: Int64, _ isStopping: @escaping () -> Bool) throws {
        // What merges left, so that no stream of before is overlooked.
        try maintenance.deleteLeftovers()
        if order.phase == .searching || order.phase == .deleting {
            guard let selection = order.selection else { throw StoreError.setting("an order to forget cannot be read") }
            if order.phase == .searching { try search(order.id, selection) }
            try delete(order.id, selection, isStopping)
        }
        try erase(order.id, now, isStopping)
    }

    // MARK: Searching

    private func search(_ id: Int64, _ selection: ForgetSelection) throws {
        let (traces, evals) = try turns.whileReading { try finder.find(selection) }
        let listed = Array(traces ?? [])
        try maintenance.prepare { () throws(SQLiteError) in
            try maintenance.connection.execute("DELETE FROM forget_trace WHERE forget_id = \(id)")
        }
        for start in stride(from: 0, to: listed.count, by: Self.tracesPerTransaction) {
            try maintenance.prepare { () throws(SQLiteError) in
                try ForgetTables.insert(
                    listed[start..<min(start + Self.tracesPerTransaction, listed.count)], of: id, maintenance.connection)
            }
        }
        // Evals go before the spans that they are joined by.
        try maintenance.commit(
            { () throws(SQLiteError) in
                try QuotedRows.run("DELETE FROM evaluation WHERE id = ?1", evals, maintenance.connection)
                var counts = ForgetCounts()
                counts.evals = Int64(evals.count)
                try ForgetTables.add(counts, to: id, maintenance.connection)
                try maintenance.connection.execute("UPDATE forget SET phase = 'deleting', problem = '' WHERE id = \(id)")
            }, then: {})
    }

    // MARK: Deleting

    private func delete(_ id: Int64, _ selection: ForgetSelection, _ isStopping: () -> Bool) throws {
        let traces = selection.namesTraces ? try ForgetTables.traces(of: id, maintenance.connection) : nil
        if let traces { willForget(traces) }
        let matcher = ForgetMatcher(traces: traces, endedAtOrBefore: selection.endedAtOrBeforeUnixNano)
        if traces == nil, let bound = selection.endedAtOrBeforeUnixNano {
            // By time alone it is a retention by hand: what ended before that is refused, so that it does not come again.
            try maintenance.refuse(endedAtOrBefore: bound)
        }
        try deleteSpans(id, matcher, isStopping)
        try deleteLogs(id, matcher, selection, isStopping)
        try maintenance.deleteLeftovers()
        try maintenance.commit(
            { () throws(SQLiteError) in
                var counts = ForgetCounts()
                counts.stalls = try QuotedRows.delete(matcher, maintenance.connection)
                try ForgetTables.add(counts, to: id, maintenance.connection)
                try maintenance.connection.execute("DELETE FROM forget_trace WHERE forget_id = \(id)")
                // Whom it was about is forgotten as well.
                try maintenance.connection.execute(
                    "UPDATE forget SET phase = 'erasing', selection = NULL, problem = '' WHERE id = \(id)")
            }, then: {})
    }

    private func deleteSpans(_ id: Int64, _ matcher: ForgetMatcher, _ isStopping: () -> Bool) throws {
        var previous: SegmentLedger.Entry?
        for entry in maintenance.ledger.entries {
            if isStopping() { throw SegmentRewriter.GivenUp() }
            guard matcher.mayMatch(entry.filter),
                let segment = try SegmentLoader(maintenance.connection).open(entry.id), let rows = try matcher.rows(segment)
            else {
                previous = entry
                continue
            }
            var counts = ForgetCounts()
            counts.segments = 1
            counts.spans = rows.reduce(0) { $0 + ($1 ? 1 : 0) }
            let input = MergeInput(segment, firstOrdinal: entry.firstOrdinal, without: rows)
            let also = { [maintenance] () throws(SQLiteError) in
                try maintenance.noteDropped(received: entry.receivedMaximum)
                try ForgetTables.add(counts, to: id, maintenance.connection)
            }
            if input.count > 0 {
                _ = try rewriter.replace([entry], by: [input], isStopping, also: also)
                previous = entry
            } else {
                // The one before stands for its ordinals from then on: what came next to them still does.
                let heir = previous.flatMap { $0.endOrdinal == entry.firstOrdinal ? $0 : nil }
                try drop(entry, heir, also)
                previous?.ordinalCount += heir == nil ? 0 : entry.ordinalCount
            }
            try maintenance.deleteLeftovers()
        }
    }

    private func drop(
        _ entry: SegmentLedger.Entry, _ heir: SegmentLedger.Entry?, _ also: () throws(SQLiteError) -> Void
    ) throws(SQLiteError) {
        let connection = maintenance.connection
        try maintenance.commit(
            { () throws(SQLiteError) in
                try connection.execute("DELETE FROM segment WHERE id = \(entry.id)")
                try maintenance.leave(entry.streamSet)
                if let heir {
                    let count = heir.ordinalCount.addingSaturated(entry.ordinalCount)
                    try connection.execute("UPDATE segment SET ordinal_count = \(count) WHERE id = \(heir.id)")
                }
                try maintenance.set(StoredOrdinals.spansKey, maintenance.ledger.nextOrdinal)
                try also()
            }, then: { maintenance.ledger.remove(entry.id, heir: heir?.id) })
    }

    private func deleteLogs(
        _ id: Int64, _ matcher: ForgetMatcher, _ selection: ForgetSelection, _ isStopping: () -> Bool
    ) throws {
        let named = try turns.whileReading { try finder.namedLogs(selection) }
        let connection = maintenance.connection
        let filter = try connection.prepare("SELECT trace_filter, time_min FROM log_segment WHERE id = ?1")
        var previous: LogLedger.Entry?
        for entry in maintenance.logs.entries {
            if isStopping() { throw SegmentRewriter.GivenUp() }
            try filter.bind(1, entry.id)
            let mayMatch =
                try filter.step() && matcher.isWithin(filter.integer(1))
                && (named[entry.id] != nil || matcher.mayMatch(TraceFilter(bytes: filter.blob(0))))
            filter.reset()
            guard mayMatch, let rows = matcher.rows(try LogTables.facts(of: entry.id, connection), named: named[entry.id] ?? [])
            else {
                previous = entry
                continue
            }
            var counts = ForgetCounts()
            counts.logSegments = 1
            counts.logRecords = rows.reduce(0) { $0 + ($1 ? 1 : 0) }
            let rest = try rest(of: entry, without: rows)
            let heir = rest == nil ? previous.flatMap { $0.endOrdinal == entry.firstOrdinal ? $0 : nil } : nil
            try maintenance.commit(
                { () throws(SQLiteError) in
                    try logTables.delete(entry.id)
                    if let rest {
                        try logTables.insert(
                            rest, id: entry.id, firstOrdinal: entry.firstOrdinal, ordinalCount: entry.ordinalCount)
                    } else if let heir {
                        let count = heir.ordinalCount.addingSaturated(entry.ordinalCount)
                        try connection.execute("UPDATE log_segment SET ordinal_count = \(count) WHERE id = \(heir.id)")
                    }
                    try maintenance.set(StoredOrdinals.logsKey, maintenance.logs.nextOrdinal)
                    try maintenance.noteDropped(received: entry.receivedMaximum)
                    try ForgetTables.add(counts, to: id, connection)
                },
                then: {
                    if let rest {
                        maintenance.logs.replace(
                            [entry.id],
                            with: LogLedger.Entry(
                                rest, id: entry.id, firstOrdinal: entry.firstOrdinal, ordinalCount: entry.ordinalCount))
                    } else {
                        maintenance.logs.remove(entry.id, heir: heir?.id)
                    }
                })
            if rest != nil {
                previous = entry
            } else if heir != nil {
                previous?.ordinalCount += entry.ordinalCount
            }
        }
    }

    /// What is left of a log segment; `nil` when nothing is.
    private func rest(of entry: LogLedger.Entry, without rows: [Bool]) throws -> EncodedLogSegment? {
        guard rows.contains(false) else { return nil }
        var builder = LogSegmentBuilder()
        try builder.append(
            LogTables.facts(of: entry.id, maintenance.connection),
            contents: LogTables.contents(of: entry.id, maintenance.connection),
            firstPlace: 0, isKept: { !rows[$0] })
        return try builder.encoded(compressor.compress)
    }

    // MARK: Erasing

    private func erase(_ id: Int64, _ now: Int64, _ isStopping: @escaping () -> Bool) throws {
        let erasure = try FileErasure(maintenance.folder, gate: maintenance.gate)
        try erasure.run(isStopping: isStopping) { () throws(SQLiteError) in
            let statement = try erasure.connection.prepare("UPDATE forget SET overwritten_bytes = ?2 WHERE id = ?1")
            try statement.bind(1, id)
            try statement.bind(2, erasure.overwrittenBytes)
            try statement.run()
        }
        try maintenance.commit(
            { () throws(SQLiteError) in
                try maintenance.connection.execute(
                    """
                    UPDATE forget SET phase = 'done', problem = '', overwritten_bytes = \(erasure.overwrittenBytes), done_unix_nano = \(now)
                    WHERE id = \(id)
                    """)
            }, then: {})
    }
}
