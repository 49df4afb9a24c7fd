import PrometheusText
import TelemetryModel

/// Calls that more than one span may tell of: metrics.md 2.12. They wait as long as breakers' observations do; then what is known
/// of their relatives decides what of them counts.
extension SpanDerivations {
    /// Whether other spans may tell of what this one tells.
    @inline(__always)
    static func isInDoubt(_ span: borrowing ObservedSpan, _ classification: borrowing Classification) -> Bool {
        if classification.stage == .llm && classification.isAttempt || span.isSpecial { return true }
        // A tool's look-up in a cache is its own, and so is that of a vector query.
        let mayRepeatLookUp = span.cacheHit != nil && span.hasNoTool && !classification.isAttempt
        let mayCarry = span.hasTokens || mayRepeatLookUp
        return mayCarry && !Operations.isWrapper(span.operation)
    }

    /// Lets a span wait for its relatives, with all that it may count. A restoration counts nothing, and finds every series made.
    mutating func awaitVerdict(
        _ span: borrowing ObservedSpan, _ decision: inout Decision, _ instance: Int32, _ overflow: inout OverflowSet
    ) {
        if calls.waitingCount >= Limits.callsWaitingMax { settleOldest(isEarly: true) }
        var call = ToldCall(span: span.spanID.value, parent: span.parentSpanID.value)
        var counts = CallCounts(endUnixNano: min(span.endTimeUnixNano, span.receivedTimeUnixNano))
        describe(span, decision.classification, &call)
        // What was counted before a restart is known by its attempt alone.
        let isCounted = isRestoring && time.isDue(time.current.due)
        if decision.classification.isAttempt {
            call.carries.insert(.call)
            if span.isTimed { counts.attempt = resolvedAttempt(span, &decision, instance, &overflow) }
            if decision.classification.stage == .llm && !isCounted {
                resolveFirstToken(span, &decision, instance, &counts, &overflow)
            }
        }
        if span.hasTokens, !Operations.isWrapper(span.operation) {
            call.carries.insert(.tokens)
            if !isCounted { counts.tokens = resolvedTokens(span, &decision, instance, &overflow) }
        }
        if span.cacheHit != nil && !Operations.isWrapper(span.operation) {
            call.carries.insert(.cache)
            if !isCounted { counts.cacheLookups = cacheCounter(span, &decision, instance, &overflow) }
        }
        calls.add(call, trace: span.traceID, session: span.session, due: time.current.due, counts)
    }

    private func describe(
        _ span: borrowing ObservedSpan, _ classification: borrowing Classification, _ call: inout ToldCall
    ) {
        call.start = span.startTimeUnixNano
        call.end = span.endTimeUnixNano
        call.scope = span.scope
        call.model = span.model.map(RetryWindow.hash) ?? 0
        call.response = span.response
        call.input = span.inputTokens ?? -1
        call.output = span.outputTokens ?? -1
        call.total = span.tokens ?? -1
        call.sort = classification.stage == .llm && classification.isAttempt ? .model : classification.isAttempt ? .tool : .none
        if span.protocolMethod != 0 {
            call.side = span.kind == 2 ? .server : .client
            call.tool = RetryWindow.hash(classification.toolLabel) ^ span.protocolMethod
        }
        call.source = ToldCall.Source(rawValue: UInt8(clamping: min(2, max(0, span.toldByLog)))) ?? .span
        call.tellsParent = span.tellsParent
        call.isToldByChild = span.mayBeTold && classification.outcome == .ok && (span.errorType ?? "").isEmpty
        if span.tellsParent {
            call.failure = CallCounts.failure(classification.outcome, classification.timeoutReason, classification.phase)
        }
    }

    private mutating func resolvedAttempt(
        _ span: borrowing ObservedSpan, _ decision: inout Decision, _ instance: Int32, _ overflow: inout OverflowSet
    ) -> CallCounts.Attempt {
        let cell = attemptCell(span, &decision, instance)
        let classification = decision.classification
        overflow.formUnion(attempts.cells[cell].overflow)
        let found = attempts.cells[cell]
        let retry = retryAttempt(span, classification, cell)
        var attempt = CallCounts.Attempt(
            outcome: classification.outcome, ok: found.ok, error: found.error, timeout: found.timeout, rejected: found.rejected,
            duration: found.duration, retryGroup: retry.group, retries: retry.counter, durationNanoseconds: span.durationNanoseconds)
        if let reason = timeoutCounter(span, classification, cell) { attempt.timeoutReason = reason }
        if classification.outcome == .rejected { attempt.rejections = rejectionCounter(cell, span.receivedTimeUnixNano) }
        if found.overruns >= 0, let fuse = policy.fuseNanoseconds(stage: classification.stage, model: nil),
            span.durationNanoseconds >= fuse
        {
            attempt.overruns = found.overruns
        }
        if !isRestoring { observeBreaker(span, classification, instance, cell) }
        return attempt
    }

    // MARK: Settling

    /// Decides the calls whose receipts are due up to a steady time, and counts what of them counts. O(what is due).
    mutating func settleCalls(through settled: Int64) {
        while let due = calls.firstDue, due <= settled { settleOldest(isEarly: false) }
    }

    private mutating func settleOldest(isEarly: Bool) {
        guard let settled = calls.settleNext() else { return }
        let facets = settled.verdict.facets
        if isEarly && !isRestoring { counters.add(fixedCounters(settled.counts.endUnixNano).settledEarly) }
        if facets.contains(.call) { countCall(settled) }
        if isRestoring { return }
        if facets.contains(.tokens), let tokens = settled.counts.tokens { count(tokens, of: settled.trace) }
        if facets.contains(.cache) { counters.add(settled.counts.cacheLookups) }
    }

    private mutating func countCall(_ settled: borrowing CallBook.Settled) {
        if let attempt = settled.counts.attempt { count(attempt, settled) }
        if isRestoring { return }
        if settled.counts.timeToFirstToken >= 0 {
            counters.observe(settled.counts.timeToFirstToken, settled.counts.firstTokenNanoseconds, .timeToFirstToken)
        }
        counters.add(settled.counts.prefillBreaches)
    }

    private mutating func count(_ attempt: CallCounts.Attempt, _ settled: borrowing CallBook.Settled) {
        var (outcome, timeoutReason) = (attempt.outcome, attempt.timeoutReason)
        var failureEnd = outcome == .error || outcome == .timeout ? min(settled.end, .max - 1) : .max
        if settled.verdict.failure != 0 {
            let (ending, reason, phase) = CallCounts.ending(settled.verdict.failure)
            outcome = ending
            failureEnd = min(settled.counts.endUnixNano, .max - 1)
            if let reason, !isRestoring {
                timeoutReason = timeoutCounter(
                    callLabels: counters.labels(attempt.ok), reason, phase, created: time.wall(time.clock))
            }
        }
        let retry = RetryWindow.Attempt(
            group: attempt.retryGroup, start: settled.start, failureEnd: failureEnd, received: settled.due, counter: attempt.retries)
        retries.add(retry, &counters, isRestoration: isRestoring)
        if isRestoring { return }
        counters.add(attempt.calls(outcome))
        if outcome == .rejected {
            counters.add(attempt.rejections)
        } else {
            counters.observe(attempt.duration, attempt.durationNanoseconds, .toolCallDuration)
        }
        if outcome == .timeout {
            countTimeout(timeoutReason, settled.trace, SpanID(settled.span), endUnixNano: settled.counts.endUnixNano)
        }
        if outcome == .ok || outcome == .error { counters.add(attempt.overruns) }
    }

    private mutating func count(_ tokens: CallCounts.Tokens, of trace: TraceID) {
        var tokens = tokens
        if tokens.hasNoWorkflow, let workflow = traceWorkflows.label(of: trace, received: tokens.received) {
            tokens.input = traced(tokens.input, .tokens, workflow, tokens)
            tokens.cacheRead = traced(tokens.cacheRead, .tokens, workflow, tokens)
            tokens.cacheWrite = traced(tokens.cacheWrite, .tokens, workflow, tokens)
            tokens.output = traced(tokens.output, .tokens, workflow, tokens)
            tokens.unspecified = traced(tokens.unspecified, .tokens, workflow, tokens)
            tokens.cost = traced(tokens.cost, .apiCost, workflow, tokens)
        }
        counters.add(tokens.input, tokens.counts.input)
        counters.add(tokens.cacheRead, tokens.counts.cacheRead)
        counters.add(tokens.cacheWrite, tokens.counts.cacheWrite)
        counters.add(tokens.output, tokens.counts.output)
        counters.add(tokens.unspecified, tokens.counts.unspecified)
        counters.add(tokens.cost, tokens.nanoDollars)
        counters.add(tokens.unpriced, tokens.counts.total)
    }

    // MARK: Workflows of traces

    /// Learns the workflow of a span's trace, when the span names one.
    mutating func noteWorkflow(_ span: borrowing ObservedSpan) {
        guard let workflow = span.workflow, !workflow.isEmpty else { return }
        traceWorkflows.note(span, workflow)
    }

    /// The series like this one under a trace's workflow; this one when there are too many already.
    private mutating func traced(
        _ id: CounterTable.ID, _ family: Family, _ workflow: String, _ tokens: CallCounts.Tokens
    ) -> CounterTable.ID {
        guard id >= 0 else { return id }
        let key = TracedSeries(id: id, workflow: workflow)
        if let known = tracedSeries[key] { return known }
        let text = counters.labels(id)
        guard let start = text.firstRange(of: ",workflow=\""), let end = text.firstRange(of: "\",model=\"")
        else { return id }
        let label = admit(.workflow, workflow, presence.services[Int(tokens.service)].label, tokens.received).value
        var moved = text
        moved.replaceSubrange(start.upperBound..<end.lowerBound, with: LabelText.escape(label))
        if foldsWorkflow(family, moved) { return id }
        if tracedSeries.count >= Limits.cellsMax { tracedSeries.removeAll() }
        let found = counters.id(family, moved, created: tokens.received)
        tracedSeries[key] = found
        return found
    }

    // MARK: Restoring

    /// Decides again what was decided before the span that is being restored was known.
    mutating func replayCalls() {
        isRestoring = true
        settleCalls(through: min(time.current.clock, time.settledUpTo))
    }

    /// Ends a restoration; `advance` does so too. What was due by the saved settle clock was counted before; a store that was written before calls waited counted all of them.
    package mutating func finishRestoration() {
        guard isRestoring else { return }
        settleCalls(through: olderWatermarkUnixNano == nil ? time.settledUpTo : .max)
        isRestoring = false
    }
}

extension ObservedSpan {
    /// Something says that another span, or a log record, has to do with the same call.
    @inline(__always)
    var isSpecial: Bool { protocolMethod != 0 || tellsParent || mayBeTold || toldByLog != 0 }

    @inline(__always)
    var hasTokens: Bool { tokens != nil || inputTokens != nil || outputTokens != nil }

    @inline(__always)
    fileprivate var hasNoTool: Bool { tool.map(\.isEmpty) ?? true }
}

/// A series of tokens, and the workflow that its tokens go by instead.
struct TracedSeries: Hashable, Sendable {
    var id: CounterTable.ID
    @ByBytes var workflow: String
}
