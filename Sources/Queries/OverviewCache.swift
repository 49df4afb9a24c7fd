import SQLite
import SpanStore
import StoreSQL
import Synchronization
import TelemetryModel

/// Buckets of the overview, kept until spans come that belong to them: the store may hold millions of spans, and a page asks again
/// every few seconds.
package final class OverviewCache: Sendable {
    /// Widths of a bucket, nanoseconds: ten seconds to a week. Buckets begin at multiples of their width.
    package static let steps: [Int64] = [10, 60, 300, 900, 3600, 21_600, 86_400, 604_800].map { $0 * 1_000_000_000 }
    /// Run durations that are kept, over all buckets; past it everything is read anew.
    private static let durationsMax = 8_000_000
    private static let bucketsMax = 200_000

    private struct State {
        /// By width, then by number.
        var buckets: [Int64: [Int64: OverviewBucket]] = [:]
        var lastSegment: Int64 = 0
        var firstSegment: Int64 = 0
        var generation = 0
    }

    private let state = Mutex(State())

    package init() {}

    /// The narrowest width that divides a span of time into at most `points` buckets.
    package static func step(for nanoseconds: Int64, points: Int) -> Int64 {
        steps.first { nanoseconds / $0 < Int64(points) } ?? steps[steps.count - 1]
    }

    /// The buckets of a span of time, by number; those without spans are left out. What lies before or behind the window is in none of
    /// them: a bucket that the window cuts holds the part within, so the sum is the same whatever the width. Whole buckets alone are kept.
    package func read(
        _ window: TimeWindow, step: Int64, service: String?, _ reader: QueryReader
    ) throws -> [Int64: OverviewBucket] {
        // The largest number as the end is no end.
        guard window.from <= window.last else { return [:] }
        let reading = OverviewReading(stepNanoseconds: step, service: service)
        if service != nil || reader.reader.scope != nil { return try reading.read(window, reader) }
        let (first, last) = (Self.number(of: window.from, step), Self.number(of: window.last, step))
        // At the ends of an integer a bucket's own ends stop there, and are those of the window.
        let isFirstCut = first.multipliedSaturated(by: step) < window.from
        let isLastCut = Self.end(of: last, step) > window.to
        if first == last, isFirstCut || isLastCut { return try reading.read(window, reader) }
        var found = isFirstCut ? try reading.read(TimeWindow(from: window.from, to: Self.end(of: first, step)), reader) : [:]
        let (firstWhole, lastWhole) = (isFirstCut ? first + 1 : first, isLastCut ? last - 1 : last)
        if firstWhole <= lastWhole { found.merge(try readWhole(firstWhole...lastWhole, step, reading, reader)) { $1 } }
        if isLastCut { found.merge(try reading.read(TimeWindow(from: last.multipliedSaturated(by: step), to: window.to), reader)) { $1 } }
        return found
    }

    /// The number of the bucket that a time is in, also before 1970.
    static func number(of time: Int64, _ step: Int64) -> Int64 {
        let (quotient, remainder) = time.quotientAndRemainder(dividingBy: step)
        return remainder < 0 ? quotient - 1 : quotient
    }

    private static func end(of number: Int64, _ step: Int64) -> Int64 { number.addingSaturated(1).multipliedSaturated(by: step) }

    /// Buckets that the window holds whole: those that are known, and the others as they are read and kept.
    private func readWhole(
        _ numbers: ClosedRange<Int64>, _ step: Int64, _ reading: OverviewReading, _ reader: QueryReader
    ) throws -> [Int64: OverviewBucket] {
        let generation = try forgetChanged(reader)
        let known = state.withLock { $0.buckets[step] ?? [:] }
        var found: [Int64: OverviewBucket] = [:]
        var missing: ClosedRange<Int64>?
        func fill() throws {
            guard let range = missing else { return }
            missing = nil
            let window = TimeWindow(from: range.lowerBound.multipliedSaturated(by: step), to: Self.end(of: range.upperBound, step))
            let fresh = try reading.read(window, reader)
            keep(fresh, range, step, generation)
            found.merge(fresh) { $1 }
        }
        for number in numbers {
            if let bucket = known[number] {
                try fill()
                found[number] = bucket
            } else {
                missing = (missing?.lowerBound ?? number)...number
            }
        }
        try fill()
        return found.filter { $0.value.spans > 0 || !$0.value.runDurations.isEmpty }
    }

    /// The same without what is kept, for stores that are not the one whose buckets are.
    package static func read(
        _ window: TimeWindow, step: Int64, service: String?, _ reader: QueryReader
    ) throws -> [Int64: OverviewBucket] {
        guard window.from < window.to else { return [:] }
        return try OverviewReading(stepNanoseconds: step, service: service).read(window, reader)
    }

    /// Forgets the buckets that segments committed or deleted since the last call touch.
    private func forgetChanged(_ reader: QueryReader) throws -> Int {
        let known = state.withLock { ($0.lastSegment, $0.firstSegment) }
        let ends = try reader.first("SELECT coalesce(min(id), 0), coalesce(max(id), 0) FROM segment") ?? []
        var changed: [(start: Int64, end: Int64)] = []
        try reader.each("SELECT start_min, start_max FROM segment WHERE id > ?1", [.integer(known.0)]) { row in
            changed.append((row.integer(0), row.integer(1)))
            return true
        }
        let firstSegment = ends.first?.integer ?? 0
        let lastSegment = ends.last?.integer ?? 0
        return state.withLock { state in
            // Segments left the store: what they held is in some buckets, and which is not known.
            if firstSegment != known.1 && known.1 != 0 { state.buckets = [:] }
            state.firstSegment = firstSegment
            state.lastSegment = max(state.lastSegment, lastSegment)
            if !changed.isEmpty { state.generation += 1 }
            for (step, buckets) in state.buckets where !changed.isEmpty {
                state.buckets[step] = buckets.filter { number, _ in
                    let start = number.multipliedSaturated(by: step)
                    let end = start.addingSaturated(step - 1)
                    return !changed.contains { $0.start <= end && $0.end >= start }
                }
            }
            return state.generation
        }
    }

    private func keep(_ fresh: [Int64: OverviewBucket], _ range: ClosedRange<Int64>, _ step: Int64, _ generation: Int) {
        state.withLock { state in
            // Spans came while the store was read: they may be missing.
            guard state.generation == generation else { return }
            let kept = state.buckets.values.reduce(0) { $0 + $1.count }
            let durations = state.buckets.values.reduce(0) { $0 + $1.values.reduce(0) { $0 + $1.runDurations.count } }
            if kept > Self.bucketsMax || durations > Self.durationsMax { state.buckets = [:] }
            guard range.count <= Self.bucketsMax else { return }
            for number in range { state.buckets[step, default: [:]][number] = fresh[number] ?? OverviewBucket() }
        }
    }
}
