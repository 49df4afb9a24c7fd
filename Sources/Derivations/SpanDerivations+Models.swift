import TelemetryModel

/// Caches and exit codes, and the series of models' families: metrics.md 3.1.
extension SpanDerivations {
    /// The series of a span's cache look-up; without a tool's name the label is `unknown`.
    mutating func cacheCounter(
        _ span: borrowing ObservedSpan, _ decision: inout Decision, _ instance: Int32, _ overflow: inout OverflowSet
    ) -> CounterTable.ID {
        let cell = toolCell(span, &decision, instance)
        overflow.formUnion(tools.cells[cell].overflow)
        if tools.cells[cell].hits < 0 {
            let (labels, created) = (tools.names[cell].labels, span.receivedTimeUnixNano)
            tools.cells[cell].hits = counters.id(.cacheLookups, labels + ",result=\"hit\"", created: created)
            tools.cells[cell].misses = counters.id(.cacheLookups, labels + ",result=\"miss\"", created: created)
        }
        return span.cacheHit == true ? tools.cells[cell].hits : tools.cells[cell].misses
    }

    /// Exit codes of subprocesses.
    mutating func observeExit(
        _ span: borrowing ObservedSpan, _ decision: inout Decision, _ instance: Int32, _ overflow: inout OverflowSet
    ) {
        guard decision.classification.stage == .subprocess else { return }
        let cell = toolCell(span, &decision, instance)
        overflow.formUnion(tools.cells[cell].overflow)
        if tools.cells[cell].exits.zero < 0 {
            let created = span.receivedTimeUnixNano
            tools.cells[cell].exits.zero = exitCounter(cell, "zero", created)
            tools.cells[cell].exits.nonzero = exitCounter(cell, "nonzero", created)
            tools.cells[cell].exits.signal = exitCounter(cell, "signal", created)
            tools.cells[cell].exits.watchdog = exitCounter(cell, "watchdog", created)
        }
        let exits = tools.cells[cell].exits
        switch span.exitCode {
        case _ where span.watchdog, 124?, nil: counters.add(exits.watchdog)
        case 0?: counters.add(exits.zero)
        case let code? where code < 0 || code >= 129: counters.add(exits.signal)
        default: counters.add(exits.nonzero)
        }
    }

    private mutating func exitCounter(_ cell: Int, _ name: String, _ created: Int64) -> CounterTable.ID {
        counters.id(.subprocessExits, tools.names[cell].labels + ",class=\"\(name)\"", created: created)
    }

    /// What is counted of a model call's first token, into `counts`.
    mutating func resolveFirstToken(
        _ span: borrowing ObservedSpan, _ decision: inout Decision, _ instance: Int32, _ counts: inout CallCounts,
        _ overflow: inout OverflowSet
    ) {
        let budget = policy.fuseNanoseconds(stage: .llm, model: span.model)
        guard span.timeToFirstTokenNanoseconds != nil || budget != nil else { return }
        let cell = modelCell(span, &decision, instance)
        let created = span.receivedTimeUnixNano
        overflow.formUnion(models.cells[cell].overflow.intersection(.model))
        if let wait = span.timeToFirstTokenNanoseconds {
            if models.cells[cell].timeToFirstToken < 0 {
                models.cells[cell].timeToFirstToken = counters.id(.timeToFirstToken, models.names[cell].labels, created: created)
            }
            counts.timeToFirstToken = models.cells[cell].timeToFirstToken
            counts.firstTokenNanoseconds = max(0, wait)
        }
        guard let budget else { return }
        if models.cells[cell].prefillBreaches < 0 {
            models.cells[cell].prefillBreaches = counters.id(.prefillBreaches, models.names[cell].labels, created: created)
        }
        let isBreach =
            span.timeToFirstTokenNanoseconds.map { $0 > budget }
            ?? (span.isTimed && span.statusCode == 2 && span.durationNanoseconds >= budget)
        if isBreach { counts.prefillBreaches = models.cells[cell].prefillBreaches }
    }

    /// A span's tokens by type, the series of each, and their dollars at the price that held when the call ended, or began while it has no end; tokens of a
    /// model without a price are counted apart.
    mutating func resolvedTokens(
        _ span: borrowing ObservedSpan, _ decision: inout Decision, _ instance: Int32, _ overflow: inout OverflowSet
    ) -> CallCounts.Tokens {
        let cell = modelCell(span, &decision, instance)
        let created = span.receivedTimeUnixNano
        overflow.formUnion(models.cells[cell].overflow)
        var tokens = CallCounts.Tokens(
            counts: TokenCounts(
                total: span.tokens, input: span.inputTokens, output: span.outputTokens, cacheRead: span.cacheReadTokens,
                cacheWrite: span.cacheWriteTokens),
            hasNoWorkflow: (span.workflow ?? "").isEmpty, service: presence.instances[Int(instance)].service,
            received: span.receivedTimeUnixNano)
        let hasTypes = span.inputTokens != nil || span.outputTokens != nil || tokens.counts.cacheRead > 0
        if !hasTypes || tokens.counts.unspecified > 0 {
            if models.cells[cell].unspecified < 0 {
                models.cells[cell].unspecified = tokenCounter(cell, "unspecified", created)
            }
            tokens.unspecified = models.cells[cell].unspecified
        }
        if hasTypes {
            if models.cells[cell].input < 0 {
                models.cells[cell].input = tokenCounter(cell, "input", created)
                models.cells[cell].cacheRead = tokenCounter(cell, "cache_read", created)
                models.cells[cell].cacheWrite = tokenCounter(cell, "cache_write", created)
                models.cells[cell].output = tokenCounter(cell, "output", created)
            }
            tokens.input = models.cells[cell].input
            tokens.cacheRead = models.cells[cell].cacheRead
            tokens.cacheWrite = models.cells[cell].cacheWrite
            tokens.output = models.cells[cell].output
        }
        guard let price = prices.price(of: span.model, atUnixNano: span.latestKnownUnixNano) else {
            if models.cells[cell].unpriced < 0 {
                models.cells[cell].unpriced = counters.id(.unpricedTokens, models.names[cell].modelLabel, created: created)
            }
            tokens.unpriced = models.cells[cell].unpriced
            return tokens
        }
        if models.cells[cell].cost < 0 {
            models.cells[cell].cost = counters.id(.apiCost, models.names[cell].tokenLabels, created: created)
        }
        tokens.cost = models.cells[cell].cost
        tokens.nanoDollars = tokens.counts.nanoDollars(at: price)
        return tokens
    }

    private mutating func tokenCounter(_ cell: Int, _ type: String, _ created: Int64) -> CounterTable.ID {
        counters.id(.tokens, models.names[cell].tokenLabels + ",type=\"\(type)\"", created: created)
    }
}
