import TelemetryModel

extension SpanDerivations {
    /// Takes in a span that the store took as new; once each, in order of arrival. Advances to its receipt.
    ///
    /// A span without a start or an end is a clock anomaly and no attempt or run: it counts what needs no time of its own
    /// (tokens, first-token wait, cache, batch size, queue depth histogram, exit codes), and shows that its process lives.
    @discardableResult
    package mutating func observe(_ span: borrowing ObservedSpan) -> Classification {
        advance(to: span.receivedTimeUnixNano)
        let classification = Classification.classify(span, policy)
        let fixed = fixedCounters(span.receivedTimeUnixNano)
        let instance = instance(of: span)
        var overflow: OverflowSet = presence.instances[Int(instance)].isServiceOverflow ? .service : []
        touch(span, instance)
        if span.isTimed {
            if span.endTimeUnixNano < span.startTimeUnixNano { counters.add(fixed.negativeDuration) }
            if span.endTimeUnixNano > span.receivedTimeUnixNano.addingSaturated(Limits.futureNanoseconds) {
                counters.add(fixed.future)
            }
            if classification.isAttempt { observeAttempt(span, classification, instance, &overflow) }
            if classification.isRun { observeRun(span, instance, &overflow) }
        } else {
            counters.add(fixed.missingTime)
        }
        if classification.stage == .llm && classification.isAttempt {
            observeModel(span, classification, instance, &overflow)
        }
        observeTokens(span, classification, instance, &overflow)
        if span.cacheHit != nil || span.exitCode != nil || span.watchdog {
            observeTool(span, classification, instance, &overflow)
        }
        if span.retrievalBatch != nil || span.queueDepth != nil { observeSizes(span, instance) }
        if !overflow.isEmpty { count(overflow, fixed) }
        return classification
    }

    /// Gives back what a stored span left that no row holds: what waits, presence, the window of silent retries. Counts nothing.
    /// Before the first `advance`; every stored span received after `restoreFromUnixNano`, in order of arrival.
    package mutating func restore(_ span: borrowing ObservedSpan) {
        let classification = Classification.classify(span, policy)
        let isUnsettled = span.receivedTimeUnixNano > watermarkUnixNano
        guard isUnsettled || classification.isAttempt && span.isTimed else { return }
        let instance = instance(of: span)
        if isUnsettled { touch(span, instance) }
        guard classification.isAttempt && span.isTimed else { return }
        let cell = attemptCell(span, classification, instance)
        addToRetries(span, classification, cell, isRestoration: true)
        if isUnsettled { restoreBreaker(span, classification, instance, cell) }
    }

    @inline(__always)
    mutating func fixedCounters(_ created: Int64) -> FixedCounters {
        if let fixed { return fixed }
        let made = FixedCounters(&counters, created: created)
        fixed = made
        return made
    }

    private mutating func touch(_ span: borrowing ObservedSpan, _ instance: Int32) {
        presence.touch(
            instance, received: span.receivedTimeUnixNano, end: span.isTimed ? span.endTimeUnixNano : 0,
            queueDepth: span.queueDepth)
    }

    private mutating func count(_ overflow: OverflowSet, _ fixed: FixedCounters) {
        if overflow.contains(.service) { counters.add(fixed.serviceOverflow) }
        if overflow.contains(.tool) { counters.add(fixed.toolOverflow) }
        if overflow.contains(.workflow) { counters.add(fixed.workflowOverflow) }
        if overflow.contains(.model) { counters.add(fixed.modelOverflow) }
    }

    @inline(__always)
    private mutating func observeAttempt(
        _ span: borrowing ObservedSpan, _ classification: Classification, _ instance: Int32, _ overflow: inout OverflowSet
    ) {
        let cell = attemptCell(span, classification, instance)
        overflow.formUnion(attempts.cells[cell].overflow)
        counters.add(attempts.cells[cell].calls(classification.outcome))
        let duration = span.durationNanoseconds
        if classification.outcome == .rejected {
            countRejection(cell, span.receivedTimeUnixNano)
        } else {
            counters.observe(attempts.cells[cell].duration, duration, .toolCallDuration)
        }
        if classification.outcome == .timeout { countTimeout(span, classification, cell) }
        if attempts.cells[cell].overruns >= 0, classification.outcome == .ok || classification.outcome == .error,
            let fuse = policy.fuseNanoseconds(stage: classification.stage, model: nil), duration >= fuse
        {
            counters.add(attempts.cells[cell].overruns)
        }
        addToRetries(span, classification, cell, isRestoration: false)
        observeBreaker(span, classification, instance, cell)
    }

    private mutating func countRejection(_ cell: Int, _ received: Int64) {
        if attempts.cells[cell].rejections < 0 {
            attempts.cells[cell].rejections = counters.id(.breakerRejections, attempts.names[cell].labels, created: received)
        }
        counters.add(attempts.cells[cell].rejections)
    }

    @inline(__always)
    private mutating func addToRetries(
        _ span: borrowing ObservedSpan, _ classification: Classification, _ cell: Int, isRestoration: Bool
    ) {
        let hasFailed = classification.outcome == .error || classification.outcome == .timeout
        let attempt = RetryWindow.Attempt(
            group: RetryWindow.group(
                trace: span.traceID, parent: span.parentSpanID, step: span.step, tool: attempts.cells[cell].toolHash),
            start: span.startTimeUnixNano,
            failureEnd: hasFailed ? min(span.endTimeUnixNano, .max - 1) : .max,
            received: span.receivedTimeUnixNano,
            counter: span.isMarkedRetry ? -1 : attempts.cells[cell].retries)
        retries.add(attempt, &counters, isRestoration: isRestoration)
    }

    private mutating func observeRun(_ span: borrowing ObservedSpan, _ instance: Int32, _ overflow: inout OverflowSet) {
        let cell = runCell(span, instance)
        overflow.formUnion(runs.cells[cell].overflow)
        counters.add(span.statusCode == 2 ? runs.cells[cell].error : runs.cells[cell].ok)
        counters.observe(runs.cells[cell].duration, span.durationNanoseconds, .workflowDuration)
    }

    private mutating func observeSizes(_ span: borrowing ObservedSpan, _ instance: Int32) {
        let service = Int(presence.instances[Int(instance)].service)
        let created = span.receivedTimeUnixNano
        if let size = span.retrievalBatch {
            if presence.services[service].retrievalBatch < 0 {
                presence.services[service].retrievalBatch = counters.id(.retrievalBatch, serviceLabels(service), created: created)
            }
            counters.observe(presence.services[service].retrievalBatch, size, .retrievalBatch)
        }
        if let depth = span.queueDepth {
            if presence.services[service].queueDepthObserved < 0 {
                presence.services[service].queueDepthObserved = counters.id(
                    .queueDepthObserved, serviceLabels(service), created: created)
            }
            counters.observe(presence.services[service].queueDepthObserved, depth, .queueDepthObserved)
        }
    }
}
