import TelemetryModel

/// From spans to breaker observations: metrics.md 2.3 to 2.6.
extension SpanDerivations {
    @inline(__always)
    mutating func observeBreaker(
        _ span: borrowing ObservedSpan, _ classification: Classification, _ instance: Int32, _ cell: Int
    ) {
        guard isObservedByDerived(classification, span) || span.breakerState != nil || !span.events.isEmpty else { return }
        collectObservations(span, classification, instance, cell, isRestoration: false)
    }

    mutating func restoreBreaker(
        _ span: borrowing ObservedSpan, _ classification: Classification, _ instance: Int32, _ cell: Int
    ) {
        collectObservations(span, classification, instance, cell, isRestoration: true)
    }

    /// A breaker guards who calls: the server's end of an MCP call says nothing to it.
    @inline(__always)
    private func isObservedByDerived(_ classification: Classification, _ span: borrowing ObservedSpan) -> Bool {
        classification.outcome != .rejected && derivedStages >> classification.stage.code & 1 != 0
            && (span.protocolMethod == 0 || span.kind != 2)
    }

    private mutating func collectObservations(
        _ span: borrowing ObservedSpan, _ classification: Classification, _ instance: Int32, _ cell: Int, isRestoration: Bool
    ) {
        let created = span.receivedTimeUnixNano
        let receipt = time.current
        let number = book.receipt(due: receipt.due)
        let received = created.subtractingSaturated(receipt.offset)
        let end = min(span.endTimeUnixNano.subtractingSaturated(receipt.offset), received)
        let start = min(span.startTimeUnixNano.subtractingSaturated(receipt.offset), end)
        let stage = classification.stage
        var index = 0
        func order(_ time: Int64, _ start: Int64) -> OrderKey {
            OrderKey(
                epoch: receipt.epoch, time: time, start: start, traceID: span.traceID, spanID: span.spanID,
                index: UInt16(truncatingIfNeeded: index))
        }
        for event in span.events where event.kind == .breakerTransition {
            if index >= Limits.transitionsPerSpanMax {
                if !isRestoration { counters.add(fixedCounters(created).discardedOverflow) }
                continue
            }
            if let state = BreakerState(reported: event.text) {
                let time = event.timeUnixNano == 0 ? end : min(event.timeUnixNano.subtractingSaturated(receipt.offset), received)
                var record = PendingObservation(order: order(time, start), receipt: number, stage: stage)
                record.setReported(state, .transition)
                add(record, span, instance, cell, isRestoration)
            } else if !isRestoration {
                counters.add(fixedCounters(created).discardedUnknownState)
            }
            index += 1
        }
        var last = PendingObservation(order: order(end, start), receipt: number, stage: stage)
        if let text = span.breakerState {
            if let state = BreakerState(reported: text) {
                let kind: PendingObservation.Kind = classification.outcome == .rejected ? .rejection : .attempt
                if policy.breakerStateAt == .end {
                    last.setReported(state, kind)
                } else {
                    var record = PendingObservation(order: order(start, start), receipt: last.receipt, stage: stage)
                    record.setReported(state, kind)
                    add(record, span, instance, cell, isRestoration)
                }
            } else if !isRestoration {
                counters.add(fixedCounters(created).discardedUnknownState)
            }
        }
        if isObservedByDerived(classification, span) {
            last.setDerived(
                classification.outcome,
                VectorWindow.DurationClass(
                    nanoseconds: span.durationNanoseconds, gate: rules.gate, closingGate: rules.closingGate))
        }
        if !last.isEmpty { add(last, span, instance, cell, isRestoration) }
    }

    /// Lets a record wait, without what is late: older than what its machine has looked at. That is counted here, once, and not
    /// when its turn comes, so that a restoration can tell what waits from what does not by the order key alone.
    private mutating func add(
        _ record: PendingObservation, _ span: borrowing ObservedSpan, _ instance: Int32, _ cell: Int, _ isRestoration: Bool
    ) {
        var record = record
        if !isRestoration { makeCounters(record, cell, span.receivedTimeUnixNano) }
        guard let position = breaker(span, instance, cell, isRestoration) else {
            if !isRestoration {
                let count = Int64((record.isReported ? 1 : 0) + (record.isDerived ? 1 : 0))
                counters.add(fixedCounters(span.receivedTimeUnixNano).discardedOverflow, count)
            }
            return
        }
        let last = book.last(position)
        var late: Int64 = 0
        if record.isReported, let newest = last.reported, !(newest < record.order) {
            record.clearReported()
            late += 1
        }
        if record.isDerived, let newest = last.derived, !(newest < record.order) {
            record.clearDerived()
            late += 1
        }
        if late > 0 && !isRestoration { counters.add(fixedCounters(span.receivedTimeUnixNano).discardedLate, late) }
        if !record.isEmpty { book.append(record, to: position) }
    }

    /// Makes the counters at zero while the first observation waits, so that a scrape sees them before they move.
    @inline(__always)
    private mutating func makeCounters(_ record: PendingObservation, _ cell: Int, _ created: Int64) {
        if record.isReported && !attempts.cells[cell].hasReportedCounters {
            attempts.cells[cell].hasReportedCounters = true
            _ = BreakerCounters.reported(attempts.names[cell].labels, &counters, created: created)
            attempts.cells[cell].rejections = counters.id(.breakerRejections, attempts.names[cell].labels, created: created)
        }
        if record.isDerived && !attempts.cells[cell].hasDerivedCounters {
            attempts.cells[cell].hasDerivedCounters = true
            _ = BreakerCounters.derived(attempts.names[cell].labels, &counters, created: created)
        }
    }

    /// The breaker's position; `nil` when there is no room, or in a restoration none is stored.
    private mutating func breaker(
        _ span: borrowing ObservedSpan, _ instance: Int32, _ cell: Int, _ isRestoration: Bool
    ) -> Int32? {
        if attempts.cells[cell].breaker >= 0 { return attempts.cells[cell].breaker }
        let process = presence.instances[Int(instance)]
        if process.isShared { return nil }
        var key = BreakerKey(service: process.key.service, scope: "", tool: attempts.names[cell].tool, kind: .service)
        var owner: Int32 = -1
        if let id = span.breakerID, !id.isEmpty {
            key.scope = LabelSanitiser.clean(id)
            key.kind = .identified
        } else if policy.breakerScope == .process {
            key.scope = process.key.instance
            key.kind = .process
            owner = instance
        }
        guard let position = book.existing(key) ?? (isRestoration ? nil : insertBreaker(key, instance: owner, isSaved: false))
        else { return nil }
        attempts.cells[cell].breaker = position
        return position
    }
}
