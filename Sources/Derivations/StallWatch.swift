package import TelemetryModel

/// Follows traces as their spans come in, and tells of stalls when a run has ended and settled.
package struct StallWatch: Sendable {
    package enum Limits {
        /// Spans that are kept of traces whose run has not ended; past it the oldest traces are forgotten.
        static let spansMax = 200_000
        static let spansPerTraceMax = 10_000
        /// A trace that gets no more spans for this long is forgotten.
        static let traceAgeMax: Int64 = 900_000_000_000
        /// Findings of one run; a run that loops wildly has said enough.
        package static let findingsPerRunMax = 100
    }

    /// A stall with who it happened to.
    package struct Stall: Sendable {
        package var finding: StallRules.Finding
        package var service: String
        package var workflow: String
        package var suspect: StallSpan
    }

    /// A run that has begun and does nothing.
    package struct Active: Hashable, Sendable {
        @ByBytes package var service: String
        @ByBytes package var workflow: String
    }

    private struct Trace {
        var spans: [StallSpan] = []
        var service = ""
        var workflow = ""
        var run: Int?
        var runReceived: Int64 = 0
        var newestEnd: Int64 = 0
        var lastReceived: Int64 = 0
    }

    private let gapNanoseconds: Int64
    private let settleNanoseconds: Int64
    private var traces: [String: Trace] = [:]
    private var spanCount = 0
    /// By process: spans since the last `advance`, for event loops.
    private var instances: [ExactText: [StallSpan]] = [:]
    private var owners: [String: (service: String, workflow: String)] = [:]

    package init(gapNanoseconds: Int64, settleNanoseconds: Int64) {
        self.gapNanoseconds = gapNanoseconds
        self.settleNanoseconds = settleNanoseconds
    }

    /// Takes in a stored span.
    ///
    /// - Parameters:
    ///   - isRun: it is the root of a workflow's run.
    ///   - instance: the process that made it; empty when it is not known.
    package mutating func take(
        _ span: StallSpan, service: String, workflow: String?, instance: String, isRun: Bool, received: Int64
    ) {
        var trace = traces.removeValue(forKey: span.traceID) ?? Trace()
        if trace.service.isEmpty { trace.service = service }
        if let workflow, trace.workflow.isEmpty || isRun { trace.workflow = workflow }
        if trace.spans.count < Limits.spansPerTraceMax {
            if isRun {
                trace.run = trace.spans.count
                trace.runReceived = received
                trace.service = service
            }
            trace.spans.append(span)
            spanCount += 1
        }
        trace.newestEnd = max(trace.newestEnd, span.end)
        trace.lastReceived = max(trace.lastReceived, received)
        traces[span.traceID] = trace
        // Without a name for it, spans of several processes would look like one that was blocked.
        if !instance.isEmpty {
            instances[ExactText("\(service)\u{1F}\(instance)"), default: []].append(span)
            owners[span.traceID] = (trace.service, trace.workflow)
        }
        if spanCount > Limits.spansMax { forgetOldest() }
    }

    /// The stalls of runs whose spans were all received up to `time`, less the settle time.
    package mutating func advance(to time: Int64) -> [Stall] {
        var stalls: [Stall] = []
        for (id, trace) in traces {
            if let run = trace.run, trace.runReceived <= time.subtractingSaturated(settleNanoseconds) {
                stalls += Self.stalls(of: trace, run: run, gap: gapNanoseconds)
                forget(id)
            } else if trace.lastReceived <= time.subtractingSaturated(Limits.traceAgeMax) {
                forget(id)
            }
        }
        for spans in instances.values {
            for finding in StallRules.eventLoops(spans: spans).prefix(Limits.findingsPerRunMax) {
                let suspect = spans[finding.suspect]
                let owner = owners[suspect.traceID]
                stalls.append(
                    Stall(finding: finding, service: owner?.service ?? "", workflow: owner?.workflow ?? "", suspect: suspect))
            }
        }
        instances.removeAll()
        owners.removeAll()
        return stalls.sorted {
            ($0.finding.time, $0.suspect.spanID, $0.finding.kind.rawValue) < ($1.finding.time, $1.suspect.spanID, $1.finding.kind.rawValue)
        }
    }

    private static func stalls(of trace: Trace, run: Int, gap: Int64) -> [Stall] {
        let findings =
            StallRules.gaps(run: trace.spans[run], spans: trace.spans, longerThan: gap)
            + StallRules.repetitions(spans: trace.spans)
        return findings.prefix(Limits.findingsPerRunMax).map { finding in
            Stall(finding: finding, service: trace.service, workflow: trace.workflow, suspect: trace.spans[finding.suspect])
        }
    }

    /// Runs that have begun, have not ended and were silent for longer than a gap: traces with a workflow and no run span.
    package func active(at now: Int64) -> [Active: Int] {
        var active: [Active: Int] = [:]
        for trace in traces.values where trace.run == nil && !trace.workflow.isEmpty && now.subtractingSaturated(trace.newestEnd) > gapNanoseconds {
            active[Active(service: trace.service, workflow: trace.workflow), default: 0] += 1
        }
        return active
    }

    private mutating func forget(_ id: String) {
        spanCount -= traces.removeValue(forKey: id)?.spans.count ?? 0
    }

    private mutating func forgetOldest() {
        let oldest = traces.sorted { ($0.value.lastReceived, $0.key) < ($1.value.lastReceived, $1.key) }
        for (id, _) in oldest {
            guard spanCount > Limits.spansMax / 2 else { return }
            forget(id)
        }
    }
}
