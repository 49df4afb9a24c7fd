import Queries
import TelemetryModel

/// The overview as JSON: buckets over time, and the whole.
struct OverviewText {
    let step: Int64
    let window: TimeWindow
    let buckets: [Int64: OverviewBucket]
    /// When breakers were open; `nil` where that is not known.
    let openings: [BreakerOpening]?
    /// Openings that run are open up to now.
    let nowUnixNano: Int64

    private struct Breakers {
        var opens: Int64 = 0
        var cooldownNanoseconds: Int64 = 0

        mutating func add(_ opening: BreakerOpening, from: Int64, to: Int64, now: Int64) {
            if opening.isCounted(from: from, to: to) { opens += 1 }
            let open = opening.openNanoseconds(from: from, to: to, at: now)
            cooldownNanoseconds = cooldownNanoseconds.addingSaturated(open)
        }
    }

    /// What is told where nothing is stored.
    static func writeNothing(into json: inout JSONWriter) {
        json.raw("{\"step_ns\":0,\"from_unix_nano\":null,\"to_unix_nano\":null,\"buckets\":[],\"totals\":null}")
    }

    func write(into json: inout JSONWriter) {
        json.raw("{\"step_ns\":")
        json.integer(step)
        json.raw(",\"from_unix_nano\":")
        json.string("\(window.from)")
        json.raw(",\"to_unix_nano\":")
        json.string("\(window.to)")
        json.raw(",\"buckets\":[")
        var total = OverviewBucket()
        var numbers = Set(buckets.keys)
        for opening in openings ?? [] {
            let first = max(opening.fromUnixNano, window.from) / step
            let last = min(opening.endUnixNano(at: nowUnixNano), window.last) / step
            if first <= last { for number in first...last { numbers.insert(number) } }
        }
        for (index, number) in numbers.sorted().enumerated() {
            if index > 0 { json.raw(",") }
            let bucket = buckets[number] ?? OverviewBucket()
            total.merge(bucket)
            let start = number.multipliedSaturated(by: step)
            // Of a bucket that the window cuts, the part within: so buckets add up to the totals.
            let part = TimeWindow(from: max(start, window.from), to: min(start.addingSaturated(step), window.to))
            write(bucket, named: start, part, into: &json)
        }
        json.raw("],\"totals\":")
        write(total, named: window.from, window, into: &json)
        json.raw("}")
    }

    /// Writes what a stretch of time held.
    ///
    /// - Parameter start: the time that it goes by, which for a bucket is where the bucket begins though the window may begin later.
    private func write(_ bucket: OverviewBucket, named start: Int64, _ part: TimeWindow, into json: inout JSONWriter) {
        let (from, to) = (part.from, part.to)
        var machines: [String: Breakers] = ["reported": Breakers(), "derived": Breakers()]
        for opening in openings ?? [] where opening.fromUnixNano < to && opening.endUnixNano(at: nowUnixNano) >= from {
            machines[opening.machine]?.add(opening, from: from, to: to, now: nowUnixNano)
        }
        var isFirst = true
        json.raw("{")
        json.key("time_unix_nano", isFirst: &isFirst)
        json.string("\(start)")
        let counts: [(String, Int64)] = [
            ("spans", bucket.spans), ("errors", bucket.errors), ("calls", bucket.calls), ("timeouts", bucket.timeouts),
            ("rejected", bucket.rejected), ("runs", Int64(bucket.runDurations.count)), ("failed_runs", bucket.failedRuns),
            ("tokens", bucket.tokens), ("unpriced_tokens", bucket.unpricedTokens),
        ]
        let ofBreakers: [(String, Int64)] = [
            ("reported_opens", machines["reported"]?.opens ?? 0), ("derived_opens", machines["derived"]?.opens ?? 0),
            ("reported_cooldown_ns", machines["reported"]?.cooldownNanoseconds ?? 0),
            ("derived_cooldown_ns", machines["derived"]?.cooldownNanoseconds ?? 0),
        ]
        for (name, value) in counts + ofBreakers {
            json.key(name, isFirst: &isFirst)
            let isKnown = openings != nil || !ofBreakers.contains { $0.0 == name }
            (isKnown ? QueryValue.integer(value) : .null).write(into: &json)
        }
        for (name, percent) in [("run_p50_ns", 50.0), ("run_p95_ns", 95.0)] {
            json.key(name, isFirst: &isFirst)
            (bucket.runDuration(percentile: percent).map(QueryValue.integer) ?? .null).write(into: &json)
        }
        json.key("dollars", isFirst: &isFirst)
        // Nothing priced is not the same as costing nothing.
        if bucket.tokens > 0 && bucket.unpricedTokens == bucket.tokens { json.raw("null") } else { json.double(bucket.dollars) }
        json.raw("}")
    }
}
