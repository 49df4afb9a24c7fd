import TelemetryModel

/// Tokens, first tokens, caches and exit codes: metrics.md 3.1.
extension SpanDerivations {
    mutating func observeModel(
        _ span: borrowing ObservedSpan, _ classification: borrowing Classification, _ instance: Int32,
        _ overflow: inout OverflowSet
    ) {
        let budget = policy.fuseNanoseconds(stage: .llm, model: span.model)
        guard span.timeToFirstTokenNanoseconds != nil || budget != nil else { return }
        let cell = modelCell(span, instance)
        let created = span.receivedTimeUnixNano
        overflow.formUnion(models.cells[cell].overflow.intersection(.model))
        if let wait = span.timeToFirstTokenNanoseconds {
            if models.cells[cell].timeToFirstToken < 0 {
                models.cells[cell].timeToFirstToken = counters.id(.timeToFirstToken, models.names[cell].labels, created: created)
            }
            counters.observe(models.cells[cell].timeToFirstToken, max(0, wait), .timeToFirstToken)
        }
        guard let budget else { return }
        if models.cells[cell].prefillBreaches < 0 {
            models.cells[cell].prefillBreaches = counters.id(.prefillBreaches, models.names[cell].labels, created: created)
        }
        let isBreach =
            span.timeToFirstTokenNanoseconds.map { $0 > budget }
            ?? (span.isTimed && span.statusCode == 2 && span.durationNanoseconds >= budget)
        if isBreach { counters.add(models.cells[cell].prefillBreaches) }
    }

    /// Tokens of model and embedding spans by type, or a bare total of any span that does not repeat its children's.
    @inline(__always)
    mutating func observeTokens(
        _ span: borrowing ObservedSpan, _ classification: borrowing Classification, _ instance: Int32,
        _ overflow: inout OverflowSet
    ) {
        let isTyped = span.inputTokens != nil || span.outputTokens != nil
        guard isTyped || span.tokens != nil else { return }
        countTokens(span, isModel: classification.stage == .llm, isTyped: isTyped, instance, &overflow)
    }

    private mutating func countTokens(
        _ span: borrowing ObservedSpan, isModel: Bool, isTyped: Bool, _ instance: Int32, _ overflow: inout OverflowSet
    ) {
        if let operation = span.operation {
            if Classification.repeatsChildren(operation) || operation == "chain" || operation == "task" { return }
            guard isModel || !isTyped || operation == "embeddings" else { return }
        } else {
            guard isModel || !isTyped else { return }
        }
        let cell = modelCell(span, instance)
        let created = span.receivedTimeUnixNano
        overflow.formUnion(models.cells[cell].overflow)
        guard isTyped else {
            if models.cells[cell].unspecified < 0 {
                models.cells[cell].unspecified = tokenCounter(cell, "unspecified", created)
            }
            counters.add(models.cells[cell].unspecified, span.tokens ?? 0)
            var counts = TokenCounts()
            counts.unspecified = max(0, span.tokens ?? 0)
            countCost(span, counts, cell)
            return
        }
        if models.cells[cell].input < 0 {
            models.cells[cell].input = tokenCounter(cell, "input", created)
            models.cells[cell].cacheRead = tokenCounter(cell, "cache_read", created)
            models.cells[cell].cacheWrite = tokenCounter(cell, "cache_write", created)
            models.cells[cell].output = tokenCounter(cell, "output", created)
        }
        let read = max(0, span.cacheReadTokens ?? 0)
        let written = max(0, span.cacheWriteTokens ?? 0)
        let input = max(0, span.inputTokens ?? 0).subtractingSaturated(read).subtractingSaturated(written)
        counters.add(models.cells[cell].input, input)
        counters.add(models.cells[cell].cacheRead, read)
        counters.add(models.cells[cell].cacheWrite, written)
        counters.add(models.cells[cell].output, span.outputTokens ?? 0)
        var counts = TokenCounts()
        counts.input = max(0, input)
        counts.cacheRead = read
        counts.cacheWrite = written
        counts.output = max(0, span.outputTokens ?? 0)
        countCost(span, counts, cell)
    }

    /// Dollars at the price that held when the call ended; tokens of a model without a price are counted apart.
    private mutating func countCost(_ span: borrowing ObservedSpan, _ counts: TokenCounts, _ cell: Int) {
        let created = span.receivedTimeUnixNano
        guard let price = prices.price(of: span.model, atUnixNano: span.endTimeUnixNano) else {
            if models.cells[cell].unpriced < 0 {
                models.cells[cell].unpriced = counters.id(.unpricedTokens, models.names[cell].modelLabel, created: created)
            }
            counters.add(models.cells[cell].unpriced, counts.total)
            return
        }
        if models.cells[cell].cost < 0 {
            models.cells[cell].cost = counters.id(.apiCost, models.names[cell].tokenLabels, created: created)
        }
        let nanoDollars = counts.dollars(at: price) * 1e9
        counters.add(models.cells[cell].cost, Int64(exactly: nanoDollars.rounded()) ?? 0)
    }

    private mutating func tokenCounter(_ cell: Int, _ type: String, _ created: Int64) -> CounterTable.ID {
        counters.id(.tokens, models.names[cell].tokenLabels + ",type=\"\(type)\"", created: created)
    }

    private mutating func exitCounter(_ cell: Int, _ name: String, _ created: Int64) -> CounterTable.ID {
        counters.id(.subprocessExits, tools.names[cell].labels + ",class=\"\(name)\"", created: created)
    }

    /// Cache lookups of any span, exit codes of subprocesses; without a tool's name the label is `unknown`.
    mutating func observeTool(
        _ span: borrowing ObservedSpan, _ classification: borrowing Classification, _ instance: Int32,
        _ overflow: inout OverflowSet
    ) {
        let isExit = classification.stage == .subprocess && (span.exitCode != nil || span.watchdog)
        guard span.cacheHit != nil || isExit else { return }
        let cell = toolCell(span, classification.toolLabel, instance)
        let created = span.receivedTimeUnixNano
        overflow.formUnion(tools.cells[cell].overflow)
        if let hit = span.cacheHit {
            if tools.cells[cell].hits < 0 {
                tools.cells[cell].hits = counters.id(
                    .cacheLookups, tools.names[cell].labels + ",result=\"hit\"", created: created)
                tools.cells[cell].misses = counters.id(
                    .cacheLookups, tools.names[cell].labels + ",result=\"miss\"", created: created)
            }
            counters.add(hit ? tools.cells[cell].hits : tools.cells[cell].misses)
        }
        guard isExit else { return }
        if tools.cells[cell].exits.zero < 0 {
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
}
