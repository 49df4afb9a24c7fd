import SQLite
package import SegmentFormat
package import TelemetryModel

/// What lies between two ordinals.
package struct OrdinalRun<Batch: Sendable>: Sendable {
    /// The first ordinal, and the one behind the last.
    package var ordinals: Range<Int64>
    /// How many of them are gone: retention, `prune` or an accident of the file took them. What `fusebox forget` took is not among them, but
    /// for what stood at the very beginning of all that is stored.
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

    private typealias Listed = (id: Int64, first: Int64, count: Int64, rows: Int64)

    private let source: ForwardSource
    private let connection: Connection
    private var lastSpans: (segment: Listed, reader: SegmentReader, arrivals: [(row: Int, place: Int)])?
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
            {
                (
                    source.ledger.nextOrdinal,
                    source.ledger.entries.map { ($0.id, $0.firstOrdinal, $0.ordinalCount, Int64($0.spanCount)) }
                )
            }
        ) { next, segments throws in
            var collector = RunCollector<SpanBatch>(range.clamped(to: 0..<max(next, range.lowerBound)), limits)
            var values = [[DerivedValue]](repeating: [], count: derived.count)
            for (segment, places) in collector.wanted(segments) where !collector.isFull {
                try check(segment, "segment", "span_count")
                let (reader, arrivals) = try spans(of: segment)
                let wanted = arrivals[Self.within(places, arrivals.count) { Int64(arrivals[$0].place) }]
                var stored = try StoredBatch(reader, rows: wanted.prefix(collector.countLeft).map(\.row))
                let taken = collector.take(
                    places, of: segment.first, wanted.map { Int64($0.place) }, received: stored.receivedTimesUnixNano
                ) { stored.batch.encodedCost(stored.batch.spans[$0]) }
                stored.truncate(to: taken)
                collector.parts.append(stored.batch)
                for (index, name) in derived.enumerated() {
                    try Self.append(reader, name, wanted.prefix(taken).map(\.row), to: &values[index])
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
            { (source.logs.nextOrdinal, source.logs.entries.map { ($0.id, $0.firstOrdinal, $0.ordinalCount, $0.recordCount) }) }
        ) { next, segments throws in
            var collector = RunCollector<StoredLogs>(range.clamped(to: 0..<max(next, range.lowerBound)), limits)
            for (segment, places) in collector.wanted(segments) where !collector.isFull {
                try check(segment, "log_segment", "record_count")
                var logs = try logs(of: segment)
                let facts = logs.facts
                let wanted = Self.within(places, facts.rows.count) { facts.rows[$0].place }
                let rows = wanted.prefix(collector.countLeft)
                let taken = collector.take(
                    places, of: segment.first, facts.rows[wanted].map(\.place),
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
    package func segments(
        _ range: Range<Int64>, countMax: Int, _ body: (SegmentReader, [(row: Int, ordinal: Int64)]) throws -> Void
    ) throws(StoreError) -> Int64 {
        try reading(
            { (source.ledger.nextOrdinal, source.ledger.entries.map { ($0.id, $0.firstOrdinal, $0.ordinalCount, Int64($0.spanCount)) }) }
        ) { next, segments throws in
            let range = range.clamped(to: 0..<max(next, range.lowerBound))
            var parts: [(reader: SegmentReader, rows: [(row: Int, ordinal: Int64)])] = []
            var count = 0
            var end: Int64?
            for segment in segments where end == nil {
                let own = (segment.first..<max(segment.first, segment.first.addingSaturated(segment.count))).clamped(to: range)
                if own.isEmpty { continue }
                guard count < countMax else {
                    end = own.lowerBound
                    break
                }
                try check(segment, "segment", "span_count")
                let (reader, arrivals) = try spans(of: segment)
                let places = own.lowerBound - segment.first..<own.upperBound - segment.first
                let wanted = arrivals[Self.within(places, arrivals.count) { Int64(arrivals[$0].place) }]
                let taken = wanted.prefix(countMax - count)
                parts.append((reader, taken.map { ($0.row, segment.first + Int64($0.place)) }))
                count += taken.count
                if let next = wanted.dropFirst(taken.count).first { end = segment.first + Int64(next.place) }
            }
            // Only when no merge came between is anything told: nothing is told twice.
            for part in parts { try body(part.reader, part.rows) }
            return end ?? range.upperBound
        }
    }

    /// Where in a list that is sorted by places those of a range stand.
    private static func within(_ places: Range<Int64>, _ count: Int, _ place: (Int) -> Int64) -> Range<Int> {
        func first(atOrBehind bound: Int64) -> Int {
            var (low, high) = (0, count)
            while low < high {
                let middle = (low + high) >> 1
                if place(middle) < bound { low = middle + 1 } else { high = middle }
            }
            return low
        }
        let start = first(atOrBehind: places.lowerBound)
        return start..<max(start, first(atOrBehind: places.upperBound))
    }

    /// Lets go of what is decoded of a signal: nothing more is to be read of it for a while.
    package func rest(_ signal: ForwardSignal) {
        switch signal {
        case .traces: lastSpans = nil
        case .logs: lastLogs = nil
        }
    }

    /// A segment, of which `check` said that it is still that one, and its rows in the order of arrival.
    private func spans(of segment: Listed) throws -> (SegmentReader, arrivals: [(row: Int, place: Int)]) {
        if let lastSpans, lastSpans.segment == segment { return (lastSpans.reader, lastSpans.arrivals) }
        lastSpans = nil
        guard let reader = try SegmentLoader(connection).open(segment.id) else { throw Changed() }
        let arrivals = try StoredBatch.arrivals(reader)
        lastSpans = (segment, reader, arrivals)
        return (reader, arrivals)
    }

    private func logs(of segment: Listed) throws -> StoredLogs {
        if let lastLogs, lastLogs.segment == segment { return lastLogs.logs }
        lastLogs = nil
        let facts = try LogTables.facts(of: segment.id, connection)
        let logs = StoredLogs(facts: facts, contents: try LogTables.contents(of: segment.id, connection), rows: 0..<0)
        lastLogs = (segment, logs)
        return logs
    }

    /// A segment that was merged, or of which something was forgotten, since the list was taken has another row, or none.
    private func check(_ segment: Listed, _ table: String, _ rows: String) throws {
        let statement = try connection.prepare(
            "SELECT first_ordinal, coalesce(ordinal_count, \(rows)), \(rows) FROM \(table) WHERE id = ?1")
        try statement.bind(1, segment.id)
        guard try statement.step(), statement.integer(0) == segment.first, statement.integer(1) == segment.count,
            statement.integer(2) == segment.rows
        else { throw Changed() }
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
        _ segments: [(id: Int64, first: Int64, count: Int64, rows: Int64)]
    ) -> [(segment: (id: Int64, first: Int64, count: Int64, rows: Int64), places: Range<Int64>)] {
        segments.compactMap { segment in
            let own = segment.first..<max(segment.first, segment.first.addingSaturated(segment.count))
            guard own.overlaps(range) else { return nil }
            let part = own.clamped(to: range)
            return (segment, part.lowerBound - segment.first..<part.upperBound - segment.first)
        }
    }

    /// Takes the first of what a segment has of the range, as many as fit, and says how many.
    ///
    /// - Parameters:
    ///   - stretch: the places of the segment that lie in the range; those that it has no span or record for were forgotten.
    ///   - first: the segment's first ordinal.
    ///   - wanted: the places in the stretch that it has a span or record for.
    ///   - times: the times of receipt of the first of them, that were read.
    mutating func take(
        _ stretch: Range<Int64>, of first: Int64, _ wanted: [Int64], received times: [Int64], cost: (Int) -> Int
    ) -> Int {
        var taken = 0
        while taken < times.count {
            let own = cost(taken)
            if places.count + taken > 0, taken + places.count >= limits.count || bytes + own > limits.bytes { break }
            bytes += own
            taken += 1
        }
        isFull = taken < wanted.count
        if taken > 0 || !isFull {
            missing += max(0, first + stretch.lowerBound - next)
            places.append(contentsOf: wanted.prefix(taken).map { first + $0 })
            received.append(contentsOf: times.prefix(taken))
            next = first + (isFull ? wanted[taken - 1] + 1 : stretch.upperBound)
        }
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
