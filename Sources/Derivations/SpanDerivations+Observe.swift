import TelemetryModel

extension SpanDerivations {
    /// Takes in a span that the store took as new; once each, in order of arrival, after `advance` to the moment of its receipt.
    ///
    /// What more than one span may tell of waits for its relatives, and counts when it settles.
    ///
    /// A span without a start or an end is a clock anomaly and no attempt or run: it counts what needs no time of its own
    /// (tokens, first-token wait, cache, batch size, queue depth histogram, exit codes), and shows that its process lives.
    @discardableResult
    package mutating func observe(_ span: borrowing ObservedSpan) -> Classification {
        time.arrive()
        let fixed = fixedCounters(span.receivedTimeUnixNano)
        let instance = instance(of: span)
        let key = DecisionMemo.Key(span, instance: instance)
        var place: Int?
        if let key { place = self.place(of: key, span.numbers.numbering) }
        var decision = decided(place) ?? Decision(span, policy)
        let known = decision.cells
        let isAttempt = decision.classification.isAttempt
        var overflow: OverflowSet = presence.instances[Int(instance)].isServiceOverflow ? .service : []
        touch(span, instance)
        if span.isTimed {
            if span.endTimeUnixNano < span.startTimeUnixNano { counters.add(fixed.negativeDuration) }
            if span.endTimeUnixNano > span.receivedTimeUnixNano.addingSaturated(Limits.futureNanoseconds) {
                counters.add(fixed.future)
            }
            if isAttempt && !decision.isInDoubt { observeAttempt(span, &decision, instance, &overflow) }
            if decision.classification.isRun { observeRun(span, &decision, instance, &overflow) }
        } else {
            counters.add(fixed.missingTime)
        }
        if decision.isInDoubt || !span.parentSpanID.isValid { noteWorkflow(span) }
        if decision.isInDoubt {
            awaitVerdict(span, &decision, instance, &overflow)
        } else if span.cacheHit != nil && !Operations.isWrapper(span.operation) {
            counters.add(cacheCounter(span, &decision, instance, &overflow))
        }
        if span.exitCode != nil || span.watchdog { observeExit(span, &decision, instance, &overflow) }
        if span.retrievalBatch != nil || span.queueDepth != nil { observeSizes(span, instance) }
        if decision.isOfLoop || span.hasReadings { observeContract(span, decision, instance, &overflow) }
        if !overflow.isEmpty { count(overflow, fixed) }
        if let key { remember(decision, key, place, known) }
        if book.pendingCount > pendingMax { settleEarly() }
        return decision.classification
    }

    @inline(__always)
    private mutating func place(of key: DecisionMemo.Key, _ numbering: UInt64) -> Int? {
        decisions.begin(numbering: numbering, generation: cellGeneration)
        return decisions.place(of: key)
    }

    @inline(__always)
    private func decided(_ place: Int?) -> Decision? {
        guard let place else { return nil }
        return decisions[place]
    }

    @inline(__always)
    private mutating func remember(_ decision: Decision, _ key: DecisionMemo.Key, _ place: Int?, _ known: Decision.Cells) {
        if place != nil && decision.cells == known { return }
        // A timeout's phase depends on when the first token came.
        guard decision.classification.outcome != .timeout else { return }
        decisions.begin(numbering: decisions.numbering, generation: cellGeneration)
        decisions.insert(decision, for: key)
    }

    /// Changes when positions of cells do.
    private var cellGeneration: Int {
        attempts.generation &+ runs.generation &+ tools.generation &+ models.generation
    }

    /// Gives back what a stored span left that no row holds: what waits, presence, the window of silent retries. Counts nothing.
    /// Before the first `advance`; the stored spans from `firstWanted` on, in order of arrival, each with its ordinal.
    package mutating func restore(_ span: borrowing ObservedSpan, ordinal: Int64) {
        guard time.restore(ordinal) else { return }
        restore(span)
    }

    /// The same of a store that was written before receipts were (`olderWatermarkUnixNano`): each of its last spans, those that
    /// wait, in order of arrival. They settle one settle time after the clock that was stored.
    package mutating func adopt(_ span: borrowing ObservedSpan) {
        time.arrive()
        restore(span)
        if book.pendingCount > pendingMax { settleEarly() }
    }

    private mutating func restore(_ span: borrowing ObservedSpan) {
        var decision = Decision(span, policy)
        let isInDoubt = decision.isInDoubt
        let isUnsettled = !time.isDue(time.current.due)
        let isTimedAttempt = decision.classification.isAttempt && span.isTimed
        replayCalls()
        if isInDoubt || !span.parentSpanID.isValid { noteWorkflow(span) }
        guard isUnsettled || isInDoubt || isTimedAttempt else { return }
        let instance = instance(of: span)
        if isUnsettled { touch(span, instance) }
        if isInDoubt {
            var overflow: OverflowSet = []
            awaitVerdict(span, &decision, instance, &overflow)
        }
        guard isTimedAttempt else { return }
        let cell = attemptCell(span, &decision, instance)
        if !isInDoubt { retries.add(retryAttempt(span, decision.classification, cell), &counters, isRestoration: true) }
        if isUnsettled { restoreBreaker(span, decision.classification, instance, cell) }
    }

    @inline(__always)
    mutating func fixedCounters(_ created: Int64) -> FixedCounters {
        if let fixed { return fixed }
        let made = FixedCounters(&counters, created: created)
        fixed = made
        return made
    }

    private mutating func touch(_ span: borrowing ObservedSpan, _ instance: Int32) {
        let receipt = time.current
        presence.touch(
            instance, received: span.receivedTimeUnixNano.subtractingSaturated(receipt.offset),
            end: span.isTimed ? span.endTimeUnixNano.subtractingSaturated(receipt.offset) : nil, queueDepth: span.queueDepth,
            receipt)
    }

    private mutating func count(_ overflow: OverflowSet, _ fixed: FixedCounters) {
        if overflow.contains(.service) { counters.add(fixed.serviceOverflow) }
        if overflow.contains(.tool) { counters.add(fixed.toolOverflow) }
        if overflow.contains(.workflow) { counters.add(fixed.workflowOverflow) }
        if overflow.contains(.model) { counters.add(fixed.modelOverflow) }
        if overflow.contains(.host) { counters.add(fixed.hostOverflow) }
    }

    @inline(__always)
    private mutating func observeAttempt(
        _ span: borrowing ObservedSpan, _ decision: inout Decision, _ instance: Int32, _ overflow: inout OverflowSet
    ) {
        let cell = attemptCell(span, &decision, instance)
        let classification = decision.classification
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
        retries.add(retryAttempt(span, classification, cell), &counters, isRestoration: false)
        observeBreaker(span, classification, instance, cell)
    }

    private mutating func countRejection(_ cell: Int, _ received: Int64) {
        counters.add(rejectionCounter(cell, received))
    }

    mutating func rejectionCounter(_ cell: Int, _ received: Int64) -> CounterTable.ID {
        if attempts.cells[cell].rejections < 0 {
            attempts.cells[cell].rejections = counters.id(.breakerRejections, attempts.names[cell].labels, created: received)
        }
        return attempts.cells[cell].rejections
    }

    @inline(__always)
    func retryAttempt(
        _ span: borrowing ObservedSpan, _ classification: borrowing Classification, _ cell: Int
    ) -> RetryWindow.Attempt {
        let hasFailed = classification.outcome == .error || classification.outcome == .timeout
        return RetryWindow.Attempt(
            group: RetryWindow.group(
                trace: span.traceID, parent: span.parentSpanID, step: span.step, tool: attempts.cells[cell].toolHash),
            start: span.startTimeUnixNano,
            failureEnd: hasFailed ? min(span.endTimeUnixNano, .max - 1) : .max,
            received: time.current.due,
            counter: span.isMarkedRetry ? -1 : attempts.cells[cell].retries)
    }

    private mutating func observeRun(
        _ span: borrowing ObservedSpan, _ decision: inout Decision, _ instance: Int32, _ overflow: inout OverflowSet
    ) {
        let cell = runCell(span, &decision, instance)
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
