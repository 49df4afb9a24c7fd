import TelemetryModel

/// The runs of one process or of one host that are remembered, and how many were under way when each began, itself among them: metrics.md
/// 2.14.
///
/// A run covers [start, end). Another run can only raise these depths, whenever it comes, so what is counted of them needs no order. Runs lie
/// in chunks of neighbours, and what holds for a whole chunk is said once: a run that covers thousands of others costs a step a chunk.
struct ConcurrencyLedger: Sendable {
    /// A chunk that grows past this is halved.
    private static let chunkRunsMax = 256

    private struct Run: Sendable {
        var start: Int64
        /// In the log of runs.
        var number: Int
        /// Runs that may be under way at once; `Int64.max` without a limit.
        var limit: Int64
        /// Without `Chunk.raised`.
        var depth: Int64
        /// It was counted as a breach.
        var isCounted: Bool
    }

    /// What a run does to those that it covers.
    private struct Effect {
        var deepest: Int64 = 0
        var breaches: [Int] = []
    }

    /// Neighbours by start, one or more.
    private struct Chunk: Sendable {
        private(set) var runs: [Run]
        /// What is to be added to each depth.
        private(set) var raised: Int64 = 0
        /// The largest depth, and by how much the depth of a run that was not counted may grow at least; both without `raised`. Runs may have
        /// gone since, while it `isStale`.
        private var deepest: Int64 = 0
        private var room: Int64 = .max
        private var isStale = false
        /// When the first and the last run began.
        private(set) var first: Int64
        private(set) var last: Int64

        init(_ runs: [Run]) {
            self.runs = runs
            (first, last) = (runs[0].start, runs[runs.count - 1].start)
            sum()
        }

        private mutating func sum() {
            (deepest, room, isStale) = (.min, .max, false)
            for run in runs { note(run) }
        }

        private mutating func note(_ run: Run) {
            deepest = max(deepest, run.depth)
            if !run.isCounted { room = min(room, run.limit.subtractingSaturated(run.depth)) }
        }

        /// The place of the first run that began then or later.
        func place(from start: Int64) -> Int { runs.partitioningIndex { $0.start >= start } }

        mutating func insert(_ run: Run) {
            var run = run
            run.depth -= raised
            runs.insert(run, at: place(from: run.start))
            (first, last) = (min(first, run.start), max(last, run.start))
            note(run)
        }

        /// The place of a run that began then; `nil` when it is not here.
        func place(of number: Int, from start: Int64) -> Int? {
            var place = place(from: start)
            while place < runs.count, runs[place].start == start {
                if runs[place].number == number { return place }
                place += 1
            }
            return nil
        }

        /// Forgets a run; false when none is left.
        mutating func remove(at place: Int) -> Bool {
            runs.remove(at: place)
            // Who goes is the oldest: as a rule, nothing covers its neighbours any more, and nobody asks.
            isStale = true
            guard let first = runs.first, let last = runs.last else { return false }
            (self.first, self.last) = (first.start, last.start)
            return true
        }

        /// Takes the later half out.
        mutating func halve() -> Chunk {
            for index in runs.indices { runs[index].depth += raised }
            raised = 0
            let half = runs.count / 2
            let later = Chunk(Array(runs[half...]))
            runs.removeSubrange(half...)
            last = runs[half - 1].start
            sum()
            return later
        }

        /// Adds to the depths of runs that began in [start, end).
        mutating func shift(_ start: Int64, _ end: Int64, by step: Int64, _ effect: inout Effect) {
            if step > 0 && isStale { sum() }
            if first >= start && last < end {
                raised += step
                effect.deepest = max(effect.deepest, deepest + raised)
            } else {
                for index in place(from: start)..<place(from: end) {
                    runs[index].depth += step
                    effect.deepest = max(effect.deepest, runs[index].depth + raised)
                    if step > 0 { note(runs[index]) }
                }
                // What was the largest depth may be so no more.
                if step < 0 { isStale = true }
            }
            if step > 0 && room < raised { count(&effect) }
        }

        /// Counts the runs that began beyond their limit.
        private mutating func count(_ effect: inout Effect) {
            for index in runs.indices where !runs[index].isCounted && runs[index].depth + raised > runs[index].limit {
                runs[index].isCounted = true
                effect.breaches.append(runs[index].number)
            }
            sum()
        }
    }

    /// By start.
    private var chunks: [Chunk] = []
    /// The ends of all runs.
    private var ends = SortedTimes()

    var isEmpty: Bool { ends.isEmpty }

    /// Adds a run. Gives the largest depth that it made, and the numbers of the runs that now began beyond their limit and were not counted
    /// before.
    mutating func add(
        start: Int64, end: Int64, number: Int, limit: Int64, isCounted: Bool
    ) -> (depthMaximum: Int64, breaches: [Int]) {
        let depth = Int64(1 + countBegun(by: start) - ends.count(upTo: start))
        var effect = Effect(deepest: depth)
        shift(start, end, by: 1, &effect)
        let isBreach = depth > limit && !isCounted
        if isBreach { effect.breaches.append(number) }
        insert(Run(start: start, number: number, limit: limit, depth: depth, isCounted: isCounted || isBreach))
        ends.insert(end)
        return (effect.deepest, effect.breaches)
    }

    /// Forgets a run.
    mutating func remove(start: Int64, end: Int64, number: Int) {
        var index = chunks.partitioningIndex { $0.last >= start }
        while index < chunks.count, chunks[index].first <= start {
            if let place = chunks[index].place(of: number, from: start) {
                if !chunks[index].remove(at: place) { chunks.remove(at: index) }
                ends.remove(end)
                var effect = Effect()
                return shift(start, end, by: -1, &effect)
            }
            index += 1
        }
    }

    /// How many runs began at a time or before.
    private func countBegun(by time: Int64) -> Int {
        var count = 0
        for chunk in chunks {
            if chunk.last > time { return count + chunk.runs.partitioningIndex { $0.start > time } }
            count += chunk.runs.count
        }
        return count
    }

    private mutating func shift(_ start: Int64, _ end: Int64, by step: Int64, _ effect: inout Effect) {
        var index = chunks.partitioningIndex { $0.last >= start }
        while index < chunks.count, chunks[index].first < end {
            chunks[index].shift(start, end, by: step, &effect)
            index += 1
        }
    }

    private mutating func insert(_ run: Run) {
        guard !chunks.isEmpty else { return chunks.append(Chunk([run])) }
        let index = min(chunks.count - 1, chunks.partitioningIndex { $0.last >= run.start })
        chunks[index].insert(run)
        if chunks[index].runs.count > Self.chunkRunsMax { chunks.insert(chunks[index].halve(), at: index + 1) }
    }
}
