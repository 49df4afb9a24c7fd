import SQLite
package import TelemetryModel

/// What lies between two ordinals.
package struct OrdinalRun<Batch: Sendable>: Sendable {
    /// The first ordinal, and the one behind the last.
    package var ordinals: Range<Int64>
    /// How many of them are gone: retention, `prune` or an accident of the file took them.
    package var missing: Int64
    package var batch: Batch
    /// For each span or record of the batch its ordinal.
    package var places: [Int64]
    /// For each its time of receipt, nanoseconds since 1970.
    package var receivedTimesUnixNano: [Int64]
    /// Of each derived column that was asked for, in that order, a value for each span.
    package var derived: [[DerivedValue]] = []
}

/// How much a run takes at most; one span or record it takes whatever its size.
package struct OrdinalRunLimits: Equatable, Sendable {
    package var count: Int
    /// Of the request that will be made of it, about.
    package var bytes: Int

    package init(count: Int, bytes: Int) {
        self.count = count
        self.bytes = bytes
    }
}

/// Reads what was committed in the order of ordinals, on a connection of its own. Used by one thread.
///
/// Which segments there are it takes from the lists that the store keeps. One that is merged or deleted between that and the reading is
/// noticed, and the run is read once more. The last segment stays decoded (16 MiB inflated at most, and its columns), since the next run
/// mostly begins in it.
package final class OrdinalWalk {
    /// Readings that meet a merge, until one is given up.
    private static let attemptsMax = 5

    private struct Changed: Error {}

    private typealias Listed = (id: Int64, first: Int64, count: Int64)

    private let source: ForwardSource
    private let connection: Connection
    private var lastSpans: (segment: Listed, reader: SegmentReader, rows: [Int])?
    private var lastLogs: (segment: Listed, logs: StoredLogs)?

    package init(_ source: ForwardSource) throws(StoreError) {
        self.source = source
        do {
            connection = try Connection.reading(source.folder.databasePath)
            try StoreSettings.prepareReader(connection)
        } catch {
            throw .database(error)
        }
    }

    /// The spans of a range of ordinals, as many of the first as the limits let; without any the run's batch is empty. All that is
    /// committed is at hand: a range that ends later ends with it.
    ///
    /// - Parameter derived: names of derived columns that are wanted too.
    package func spans(
        _ range: Range<Int64>, _ limits: OrdinalRunLimits, derived: [String] = []
    ) throws(StoreError) -> OrdinalRun<SpanBatch> {
        try reading(
            { (source.ledger.nextOrdinal, source.ledger.entries.map { ($0.id, $0.firstOrdinal, Int64($0.spanCount)) }) }
        ) { next, segments throws in
            var collector = RunCollector<SpanBatch>(range.clamped(to: 0..<max(next, range.lowerBound)), limits)
            var values = [[DerivedValue]](repeating: [], count: derived.count)
            for (segment, places) in collector.wanted(segments) where !collector.isFull {
                try check(segment.id, "segment", "span_count", segment.first, segment.count)
                let (reader, rows) = try spans(of: segment)
                guard rows.count >= Int(places.upperBound) else {
                    throw SegmentError.damaged("a segment shorter than its row says")
                }
                let most = min(Int(places.upperBound), Int(places.lowerBound) + collector.countLeft)
                var stored = try StoredBatch(reader, rows: Array(rows[Int(places.lowerBound)..<most]))
                let taken = collector.take(
                    from: segment.first + places.lowerBound, stored.batch.spans.count, of: Int(places.count),
                    received: stored.receivedTimesUnixNano
                ) { stored.batch.encodedCost(stored.batch.spans[$0]) }
                stored.truncate(to: taken)
                collector.parts.append(stored.batch)
                for (index, name) in derived.enumerated() {
                    try Self.append(reader, name, rows[Int(places.lowerBound)...].prefix(taken), to: &values[index])
                }
            }
            var run = collector.run { SpanBatch.combining($0) }
            run.derived = values
            return run
        }
    }

    private static func append(
        _ reader: SegmentReader, _ name: String, _ rows: some Collection<Int>, to values: inout [DerivedValue]
    ) throws {
        guard let column = try reader.column(.derived, name) else {
            values.append(contentsOf: repeatElement(.none, count: rows.count))
            return
        }
        for row in rows {
            switch column.value(row) {
            case .integer(let integer): values.append(.integer(integer))
            case .text(let range): values.append(.text(column.bytes[range]))
            default: values.append(.none)
            }
        }
    }

    /// The same of log records.
    package func logs(_ range: Range<Int64>, _ limits: OrdinalRunLimits) throws(StoreError) -> OrdinalRun<LogBatch> {
        try reading(
            { (source.logs.nextOrdinal, source.logs.entries.map { ($0.id, $0.firstOrdinal, $0.recordCount) }) }
        ) { next, segments throws in
            var collector = RunCollector<StoredLogs>(range.clamped(to: 0..<max(next, range.lowerBound)), limits)
            for (segment, places) in collector.wanted(segments) where !collector.isFull {
                try check(segment.id, "log_segment", "record_count", segment.first, segment.count)
                var logs = try logs(of: segment)
                let facts = logs.facts
                guard facts.rows.count >= Int(places.upperBound) else {
                    throw SegmentError.damaged("a log segment shorter than its row says")
                }
                let most = min(Int(places.upperBound), Int(places.lowerBound) + collector.countLeft)
                let rows = Int(places.lowerBound)..<most
                let taken = collector.take(
                    from: segment.first + places.lowerBound, rows.count, of: Int(places.count),
                    received: facts.rows[rows].map(\.receivedTimeUnixNano)
                ) { 96 + facts.offsets[rows.lowerBound + $0 + 1] - facts.offsets[rows.lowerBound + $0] }
                logs.rows = rows.lowerBound..<rows.lowerBound + taken
                collector.parts.append(logs)
            }
            return try collector.run { try LogBatch(stored: $0) }
        }
    }

    /// Calls `body` with the segments that hold spans of a range, in the order of arrival, as many as are needed for so many spans: for each
    /// span's row its ordinal. Gives the ordinal up to which all was told.
    func segments(_ range: Range<Int64>, countMax: Int, _ body: (SegmentReader, [(row: Int, ordinal: Int64)]) throws -> Void) throws(StoreError) -> Int64 {
        try reading(
            { (source.ledger.nextOrdinal, source.ledger.entries.map { ($0.id, $0.firstOrdinal, Int64($0.spanCount)) }) }
        ) { next, segments throws in
            let wanted = range.clamped(to: 0..<max(next, range.lowerBound))
            var parts: [(reader: SegmentReader, rows: [(row: Int, ordinal: Int64)])] = []
            var count = 0
            var end: Int64?
            for segment in segments {
                let own = (segment.first..<max(segment.first, segment.first.addingSaturated(segment.count))).clamped(to: wanted)
                if own.isEmpty { continue }
                guard count < countMax else {
                    end = own.lowerBound
                    break
                }
                try check(segment.id, "segment", "span_count", segment.first, segment.count)
                let (reader, rows) = try spans(of: segment)
                guard Int64(rows.count) >= own.upperBound - segment.first else {
                    throw SegmentError.damaged("a segment shorter than its row says")
                }
                let last = min(own.upperBound, own.lowerBound.addingSaturated(Int64(countMax - count)))
                parts.append((reader, (own.lowerBound..<last).map { (rows[Int($0 - segment.first)], $0) }))
                count += Int(last - own.lowerBound)
                if last < own.upperBound {
                    end = last
                    break
                }
            }
            // Only when no merge came between is anything told: nothing is told twice.
            for part in parts { try body(part.reader, part.rows) }
            return end ?? wanted.upperBound
        }
    }

    /// Lets go of what is decoded of a signal: nothing more is to be read of it for a while.
    package func rest(_ signal: ForwardSignal) {
        switch signal {
        case .traces: lastSpans = nil
        case .logs: lastLogs = nil
        }
    }

    /// A segment, of which `check` said that it is still that one, and its rows in the order of arrival.
    private func spans(of segment: Listed) throws -> (SegmentReader, rows: [Int]) {
        if let lastSpans, lastSpans.segment == segment { return (lastSpans.reader, lastSpans.rows) }
        lastSpans = nil
        guard let reader = try SegmentCatalog(connection).open(segment.id) else { throw Changed() }
        let rows = try StoredBatch.rowsByArrival(reader)
        lastSpans = (segment, reader, rows)
        return (reader, rows)
    }

    private func logs(of segment: Listed) throws -> StoredLogs {
        if let lastLogs, lastLogs.segment == segment { return lastLogs.logs }
        lastLogs = nil
        let facts = try LogTables.facts(of: segment.id, connection)
        let logs = StoredLogs(facts: facts, contents: try LogTables.contents(of: segment.id, connection), rows: 0..<0)
        lastLogs = (segment, logs)
        return logs
    }

    /// A segment that was merged since the list was taken has another row, or none.
    private func check(_ id: Int64, _ table: String, _ count: String, _ first: Int64, _ counted: Int64) throws {
        let statement = try connection.prepare("SELECT first_ordinal, \(count) FROM \(table) WHERE id = ?1")
        try statement.bind(1, id)
        guard try statement.step(), statement.integer(0) == first, statement.integer(1) == counted else { throw Changed() }
    }

    /// - Parameter list: gives the next ordinal, and then the segments: what came in between is not missed.
    private func reading<Run>(
        _ list: () -> (next: Int64, segments: [Listed]), _ body: (Int64, [Listed]) throws -> Run
    ) throws(StoreError) -> Run {
        do {
            var attempt = 1
            while true {
                // Before the state that is read begins, which so has all of it but what was merged in between.
                let (next, segments) = list()
                do {
                    try connection.execute("BEGIN")
                    let run = try body(next, segments)
                    try connection.execute("COMMIT")
                    return run
                } catch {
                    // It only read: there is nothing to lose.
                    try? connection.execute("ROLLBACK")
                    guard error is Changed, attempt < Self.attemptsMax else { throw error }
                    attempt += 1
                }
            }
        } catch is Changed {
            throw .setting("segments were merged again and again while they were read")
        } catch {
            throw SpanStore.storeError(error)
        }
    }
}

/// Puts a run together of what segments have of it.
private struct RunCollector<Part> {
    private let range: Range<Int64>
    private let limits: OrdinalRunLimits
    private var next: Int64
    private var missing: Int64 = 0
    private var places: [Int64] = []
    private var received: [Int64] = []
    private var bytes = 0
    private(set) var isFull = false
    var parts: [Part] = []

    init(_ range: Range<Int64>, _ limits: OrdinalRunLimits) {
        self.range = range
        self.limits = limits
        next = range.lowerBound
    }

    var countLeft: Int { max(0, limits.count - places.count) }

    /// The segments that have some of the range, each with the places in it that are wanted.
    func wanted(
        _ segments: [(id: Int64, first: Int64, count: Int64)]
    ) -> [(segment: (id: Int64, first: Int64, count: Int64), places: Range<Int64>)] {
        segments.compactMap { segment in
            let own = segment.first..<max(segment.first, segment.first.addingSaturated(segment.count))
            guard own.overlaps(range) else { return nil }
            let part = own.clamped(to: range)
            return (segment, part.lowerBound - segment.first..<part.upperBound - segment.first)
        }
    }

    /// Takes the first of a segment's places, as many as fit, and says how many.
    ///
    /// - Parameters:
    ///   - count: how many were read.
    ///   - wanted: how many the segment has of the range.
    mutating func take(from first: Int64, _ count: Int, of wanted: Int, received times: [Int64], cost: (Int) -> Int) -> Int {
        var taken = 0
        while taken < count {
            let own = cost(taken)
            if places.count + taken > 0, taken + places.count >= limits.count || bytes + own > limits.bytes { break }
            bytes += own
            taken += 1
        }
        if taken > 0 {
            missing += first - next
            places.append(contentsOf: (0..<taken).map { first + Int64($0) })
            received.append(contentsOf: times.prefix(taken))
            next = first + Int64(taken)
        }
        isFull = taken < wanted
        return taken
    }

    /// The run: to the end of the range, unless the limits ended it before.
    func run<Batch>(_ combine: ([Part]) throws -> Batch) rethrows -> OrdinalRun<Batch> {
        let end = isFull ? next : range.upperBound
        return OrdinalRun(
            ordinals: range.lowerBound..<max(end, range.lowerBound), missing: missing + max(0, end - next),
            batch: try combine(parts),
            places: places, receivedTimesUnixNano: received)
    }
}
