import TelemetryModel

/// Intervals of time, [start, end) in nanoseconds, and what they cover together. Sweeps over sorted ends: O(n log n).
package enum IntervalSweep {
    package struct Interval: Equatable, Sendable {
        package var start: Int64
        package var end: Int64

        package init(_ start: Int64, _ end: Int64) {
            self.start = start
            self.end = end
        }

        var isEmpty: Bool { end <= start }

        func clipped(_ from: Int64, _ until: Int64) -> Interval { Interval(max(start, from), min(end, until)) }
    }

    /// The union, as intervals that do not touch, in order.
    package static func union(_ intervals: [Interval]) -> [Interval] {
        var merged: [Interval] = []
        for interval in intervals.filter({ !$0.isEmpty }).sorted(by: { ($0.start, $0.end) < ($1.start, $1.end) }) {
            if let last = merged.last, interval.start <= last.end {
                merged[merged.count - 1].end = max(last.end, interval.end)
            } else {
                merged.append(interval)
            }
        }
        return merged
    }

    package static func length(_ intervals: [Interval]) -> Int64 {
        intervals.reduce(0) { $0.addingSaturated(max(0, $1.end.subtractingSaturated($1.start))) }
    }

    /// What of the window no interval covers, in order.
    package static func holes(_ intervals: [Interval], from: Int64, until: Int64) -> [Interval] {
        var holes: [Interval] = []
        var reached = from
        for interval in union(intervals.map { $0.clipped(from, until) }) {
            if interval.start > reached { holes.append(Interval(reached, interval.start)) }
            reached = max(reached, interval.end)
        }
        if reached < until { holes.append(Interval(reached, until)) }
        return holes
    }

    /// Time in which some slow interval runs and no busy one: in all, and split by the name of the slow ones. At every instant
    /// it is shared equally among the slow intervals that run then, so the names' parts add up to the whole.
    package static func idle(
        slow: [(name: String, interval: Interval)], busy: [Interval], from: Int64, until: Int64
    ) -> (nanoseconds: Int64, byName: [String: Double]) {
        struct Event {
            var time: Int64
            var isStart: Bool
            /// `nil` for a busy interval.
            var name: String?
        }
        var events: [Event] = []
        for (name, interval) in slow {
            let part = interval.clipped(from, until)
            if part.isEmpty { continue }
            events.append(Event(time: part.start, isStart: true, name: name))
            events.append(Event(time: part.end, isStart: false, name: name))
        }
        for interval in union(busy.map({ $0.clipped(from, until) })) {
            events.append(Event(time: interval.start, isStart: true, name: nil))
            events.append(Event(time: interval.end, isStart: false, name: nil))
        }
        events.sort { $0.time < $1.time }
        var active: [String: Int] = [:]
        var activeCount = 0
        var busyCount = 0
        var total: Int64 = 0
        var byName: [String: Double] = [:]
        var previous = from
        for event in events {
            let elapsed = event.time.subtractingSaturated(previous)
            if elapsed > 0 && busyCount == 0 && activeCount > 0 {
                total = total.addingSaturated(elapsed)
                for (name, count) in active where count > 0 {
                    byName[name, default: 0] += Double(elapsed) * Double(count) / Double(activeCount)
                }
            }
            previous = event.time
            let change = event.isStart ? 1 : -1
            if let name = event.name {
                active[name, default: 0] += change
                activeCount += change
            } else {
                busyCount += change
            }
        }
        return (total, byName)
    }
}
