import TelemetryModel

/// A span as the stall rules read it.
package struct StallSpan: Sendable {
    package var traceID: String
    package var spanID: String
    /// `nil` for a root.
    package var parentSpanID: String?
    package var name: String
    /// Nanoseconds since 1970.
    package var start: Int64
    package var end: Int64
    package var step: String?
    package var tool: String?
    /// A hash of the tool's arguments, when the client sends them.
    package var argumentsHash: Int?
    /// Times of its events.
    package var eventTimes: [Int64] = []

    package init(traceID: String, spanID: String, parentSpanID: String?, name: String, start: Int64, end: Int64) {
        self.traceID = traceID
        self.spanID = spanID
        self.parentSpanID = parentSpanID
        self.name = name
        self.start = start
        self.end = end
    }
}

/// Where an agent's loop stood still or ran in circles: docs/stalls.md. Pure functions of the spans.
package enum StallRules {
    package enum Kind: String, CaseIterable, Sendable {
        case gap
        case repetition = "repeat"
        case cycle
        case eventLoop = "event_loop"
    }

    package struct Finding: Equatable, Sendable {
        package var kind: Kind
        /// When it began.
        package var time: Int64
        package var duration: Int64
        /// The position of the suspected span among those given.
        package var suspect: Int
        package var detail: String
    }

    /// Equal calls in a row that are a stall: with their arguments known, and without.
    static let repeatsWithArguments = 3
    static let repeatsWithoutArguments = 5
    static let cycleRepeats = 3
    static let cyclePeriods = 2...4
    /// A silent second with two calls in flight.
    static let eventLoopGapMin: Int64 = 1_000_000_000
    static let eventLoopInFlightMin = 2

    // MARK: Gap

    /// Holes in a run that none of its other spans covers.
    package static func gaps(run: StallSpan, spans: [StallSpan], longerThan limit: Int64) -> [Finding] {
        let inner = spans.indices.filter { spans[$0].spanID != run.spanID }.sorted { spans[$0].start < spans[$1].start }
        guard !inner.isEmpty else { return [] }
        var findings: [Finding] = []
        var reached = run.start
        // Who was last before the hole.
        var last = spans.firstIndex { $0.spanID == run.spanID } ?? inner[0]
        func note(until end: Int64) {
            guard end.subtractingSaturated(reached) > limit else { return }
            findings.append(
                Finding(
                    kind: .gap, time: reached, duration: end.subtractingSaturated(reached), suspect: last,
                    detail: "nothing ran for \(seconds(end.subtractingSaturated(reached))) s behind \(spans[last].name)"))
        }
        for index in inner {
            note(until: min(spans[index].start, run.end))
            if spans[index].end > reached {
                reached = spans[index].end
                last = index
            }
        }
        note(until: run.end)
        return findings
    }

    // MARK: Repeat and cycle

    /// What makes two calls the same.
    struct Signature: Hashable {
        @ByBytes var step: String?
        @ByBytes var tool: String?
        var arguments: Int?

        init(_ span: StallSpan) {
            step = span.step
            tool = span.tool
            arguments = span.argumentsHash
        }

        /// For tests and for calls that say only a name.
        init(_ name: String, arguments: Int? = nil) {
            tool = name
            self.arguments = arguments
        }

        var name: String { tool ?? step ?? "" }
    }

    /// Maximal blocks of equal neighbours, long enough; positions in `signatures`.
    static func repeats(_ signatures: [Signature]) -> [Range<Int>] {
        var blocks: [Range<Int>] = []
        var start = 0
        while start < signatures.count {
            var end = start + 1
            while end < signatures.count && signatures[end] == signatures[start] { end += 1 }
            let needed = signatures[start].arguments != nil ? repeatsWithArguments : repeatsWithoutArguments
            if end - start >= needed { blocks.append(start..<end) }
            start = end
        }
        return blocks
    }

    /// Maximal blocks that repeat a pattern of two to four calls, not all equal, three times; the smallest period counts.
    static func cycles(_ signatures: [Signature]) -> [(block: Range<Int>, period: Int)] {
        var found: [(block: Range<Int>, period: Int)] = []
        for period in cyclePeriods {
            var index = period
            while index < signatures.count {
                guard signatures[index] == signatures[index - period] else {
                    index += 1
                    continue
                }
                let start = index - period
                while index < signatures.count && signatures[index] == signatures[index - period] { index += 1 }
                let block = start..<index
                let pattern = Set(signatures[start..<(start + period)])
                let isKnown = found.contains { $0.block.overlaps(block) }
                if block.count >= cycleRepeats * period && pattern.count > 1 && !isKnown { found.append((block, period)) }
            }
        }
        return found.sorted { $0.block.lowerBound < $1.block.lowerBound }
    }

    /// Stalls among the calls that one span of the run makes, for every span of the run. Spans without a step or a tool, such as
    /// the model calls between tools, do not interrupt a row.
    package static func repetitions(spans: [StallSpan]) -> [Finding] {
        var findings: [Finding] = []
        let calls = spans.indices.filter { spans[$0].step != nil || spans[$0].tool != nil }
        for children in Dictionary(grouping: calls, by: { spans[$0].parentSpanID }).values {
            let ordered = children.sorted { (spans[$0].start, spans[$0].spanID) < (spans[$1].start, spans[$1].spanID) }
            let signatures = ordered.map { Signature(spans[$0]) }
            for block in repeats(signatures) {
                let detail = "\(signatures[block.lowerBound].name) \(block.count) times in a row"
                findings.append(finding(.repetition, block, ordered, spans, detail))
            }
            for (block, period) in cycles(signatures) {
                let pattern = signatures[block.lowerBound..<(block.lowerBound + period)].map(\.name).joined(separator: ", ")
                findings.append(finding(.cycle, block, ordered, spans, "\(pattern) over and over, \(block.count) calls"))
            }
        }
        return findings.sorted { ($0.time, $0.kind.rawValue) < ($1.time, $1.kind.rawValue) }
    }

    private static func finding(
        _ kind: Kind, _ block: Range<Int>, _ ordered: [Int], _ spans: [StallSpan], _ detail: String
    ) -> Finding {
        let first = ordered[block.lowerBound]
        let end = block.reduce(spans[first].end) { max($0, spans[ordered[$1]].end) }
        let duration = max(0, end.subtractingSaturated(spans[first].start))
        return Finding(kind: kind, time: spans[first].start, duration: duration, suspect: first, detail: detail)
    }

    // MARK: Event loop

    /// Times at which a process with several calls in flight said nothing for a second or more, and then much at once: something
    /// blocked its event loop. Of calls inside each other only the innermost counts as in flight, and it is those that must speak
    /// up together: a chain of nested spans that ends is no stall.
    package static func eventLoops(spans: [StallSpan]) -> [Finding] {
        var boundaries: [(time: Int64, span: Int)] = []
        for index in spans.indices {
            boundaries.append((spans[index].start, index))
            boundaries.append((spans[index].end, index))
            for time in spans[index].eventTimes { boundaries.append((time, index)) }
        }
        boundaries.sort { ($0.time, $0.span) < ($1.time, $1.span) }
        var inFlight: Set<Int> = []
        var findings: [Finding] = []
        for place in boundaries.indices {
            if place > 0 {
                let gap = boundaries[place].time.subtractingSaturated(boundaries[place - 1].time)
                if gap >= eventLoopGapMin, inFlight.count >= eventLoopInFlightMin,
                    let finding = eventLoop(boundaries, at: place, gap: gap, inFlight, spans)
                {
                    findings.append(finding)
                }
            }
            let (time, span) = boundaries[place]
            if time == spans[span].start && spans[span].end > time { inFlight.insert(span) }
            if time >= spans[span].end { inFlight.remove(span) }
        }
        return findings
    }

    private static func eventLoop(
        _ boundaries: [(time: Int64, span: Int)], at place: Int, gap: Int64, _ inFlight: Set<Int>, _ spans: [StallSpan]
    ) -> Finding? {
        // Who is the parent of another that flies is not innermost.
        let parents = Set(
            inFlight.compactMap { position in spans[position].parentSpanID.map { spans[position].traceID + $0 } })
        let innermost = inFlight.filter { !parents.contains(spans[$0].traceID + spans[$0].spanID) }
        guard innermost.count >= eventLoopInFlightMin else { return nil }
        let end = boundaries[place].time.addingSaturated(max(50_000_000, gap / 20))
        var speaking: Set<Int> = []
        var next = place
        while next < boundaries.count && boundaries[next].time <= end {
            if innermost.contains(boundaries[next].span) { speaking.insert(boundaries[next].span) }
            next += 1
        }
        guard speaking.count >= innermost.count else { return nil }
        let suspect = boundaries[place].span
        return Finding(
            kind: .eventLoop, time: boundaries[place - 1].time, duration: gap, suspect: suspect,
            detail: "\(innermost.count) calls in flight, silent for \(seconds(gap)) s, then all at once; \(spans[suspect].name) first")
    }

    private static func seconds(_ nanoseconds: Int64) -> String {
        let tenths = nanoseconds.addingSaturated(50_000_000) / 100_000_000
        return tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
    }
}
