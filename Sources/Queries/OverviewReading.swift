import SQLite
import SegmentFormat
import SpanStore
import StoreSQL
import TelemetryModel

/// Reads buckets of one width from the store, over columns and not by rows of SQL: a page looks at millions of spans.
struct OverviewReading {
    let stepNanoseconds: Int64
    let service: String?

    /// The buckets of the spans that began in the window; buckets without spans are left out.
    func read(_ window: TimeWindow, _ reader: QueryReader) throws -> [Int64: OverviewBucket] {
        var buckets: [Int64: OverviewBucket] = [:]
        let bounds = SpanPass.Bounds(.start, from: window.from, until: window.to, condition: condition)
        try reader.pass(bounds) { segment throws(SQLiteError) in try count(segment, in: &buckets) }
        guard !buckets.isEmpty else { return buckets }
        let book = try reader.prices()
        try reader.passTokenCalls(bounds) { segment throws(SQLiteError) in try addTokens(segment, book, to: &buckets) }
        return buckets
    }

    private var condition: String? { service.map { "service_name = '\($0.replacing("'", with: "''"))'" } }

    private func count(_ segment: PassedSegment, in buckets: inout [Int64: OverviewBucket]) throws(SQLiteError) {
        let start = try segment.integers("start_time_unix_nano")
        let status = try segment.integers("status_code")
        let outcome = try segment.texts("outcome")
        let isRun = try segment.isRun()
        let duration = try segment.integers("duration_ns")
        let timeout = outcome.texts.firstIndex(of: "timeout") ?? .max
        let rejected = outcome.texts.firstIndex(of: "rejected") ?? .max
        var places = BucketPlaces()
        var counted: [OverviewBucket] = []
        segment.forEachRow { row in
            guard let time = start[row] else { return }
            let place = places.place(OverviewCache.number(of: time, stepNanoseconds))
            if place == counted.count { counted.append(OverviewBucket()) }
            let isFailed = status[row] == 2
            let ending = outcome.number(row)
            counted[place].spans += 1
            if isFailed { counted[place].errors += 1 }
            if ending >= 0 { counted[place].calls += 1 }
            if ending == timeout { counted[place].timeouts += 1 }
            if ending == rejected { counted[place].rejected += 1 }
            guard isRun(row), let nanoseconds = duration[row] else { return }
            counted[place].runDurations.append(nanoseconds)
            if isFailed { counted[place].failedRuns += 1 }
        }
        for (number, bucket) in zip(places.numbers, counted) { buckets[number, default: OverviewBucket()].merge(bucket) }
    }

    private func addTokens(
        _ segment: PassedSegment, _ book: PriceBook, to buckets: inout [Int64: OverviewBucket]
    ) throws(SQLiteError) {
        let start = try segment.integers("start_time_unix_nano")
        let times = try segment.integers("latest_known_unix_nano")
        let model = try segment.texts("model")
        let tokens = try segment.integers("tokens")
        let columns = try PassedTokens(segment)
        let prices = model.texts.map { book.prices(of: $0) }
        var places = BucketPlaces()
        var counted: [OverviewBucket] = []
        segment.forEachRow { row in
            guard let time = start[row], let count = tokens[row] else { return }
            let place = places.place(OverviewCache.number(of: time, stepNanoseconds))
            if place == counted.count { counted.append(OverviewBucket()) }
            counted[place].tokens = TokenCounts.sum(counted[place].tokens, count)
            let number = model.number(row)
            guard number >= 0, let price = prices[number].first(where: { $0.effectiveFromUnixNano <= times[row] ?? 0 }) else {
                counted[place].unpricedTokens = TokenCounts.sum(counted[place].unpricedTokens, count)
                return
            }
            counted[place].dollars += columns.counts(row).dollars(at: price)
        }
        for (number, bucket) in zip(places.numbers, counted) { buckets[number, default: OverviewBucket()].merge(bucket) }
    }
}

/// Numbers of buckets in the order in which a segment names them: neighbours are mostly of one.
private struct BucketPlaces {
    private(set) var numbers: [Int64] = []
    private var places: [Int64: Int] = [:]
    private var last: (number: Int64, place: Int)?

    /// The place of a bucket; that of a new one is the count of those before.
    mutating func place(_ number: Int64) -> Int {
        if let last, last.number == number { return last.place }
        let place = places[number] ?? numbers.count
        if place == numbers.count {
            places[number] = place
            numbers.append(number)
        }
        last = (number, place)
        return place
    }
}
