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
        overflow.formUnion(models[cell].overflow.intersection(.model))
        if let wait = span.timeToFirstTokenNanoseconds {
            if models[cell].timeToFirstToken < 0 {
                models[cell].timeToFirstToken = counters.id(.timeToFirstToken, models[cell].labels, created: created)
            }
            counters.observe(models[cell].timeToFirstToken, max(0, wait), .timeToFirstToken)
        }
        guard let budget else { return }
        if models[cell].prefillBreaches < 0 {
            models[cell].prefillBreaches = counters.id(.prefillBreaches, models[cell].labels, created: created)
        }
        let isBreach =
            span.timeToFirstTokenNanoseconds.map { $0 > budget }
            ?? (span.isTimed && span.statusCode == 2 && span.durationNanoseconds >= budget)
        if isBreach { counters.add(models[cell].prefillBreaches) }
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
        switch span.operation {
        case "invoke_agent", "invoke_workflow", "create_agent", "chain", "task": return
        case "embeddings": break
        default: guard isModel || !isTyped else { return }
        }
        let cell = modelCell(span, instance)
        let created = span.receivedTimeUnixNano
        overflow.formUnion(models[cell].overflow)
        guard isTyped else {
            if models[cell].unspecifiedTokens < 0 {
                models[cell].unspecifiedTokens = tokenCounter(cell, "unspecified", created)
            }
            counters.add(models[cell].unspecifiedTokens, span.tokens ?? 0)
            return
        }
        if models[cell].tokens.isEmpty {
            models[cell].tokens = ["input", "cache_read", "cache_write", "output"].map { tokenCounter(cell, $0, created) }
        }
        let read = max(0, span.cacheReadTokens ?? 0)
        let written = max(0, span.cacheWriteTokens ?? 0)
        let input = max(0, span.inputTokens ?? 0).subtractingSaturated(read).subtractingSaturated(written)
        for (index, amount) in [input, read, written, span.outputTokens ?? 0].enumerated() {
            counters.add(models[cell].tokens[index], amount)
        }
    }

    private mutating func tokenCounter(_ cell: Int, _ type: String, _ created: Int64) -> CounterTable.ID {
        counters.id(.tokens, models[cell].tokenLabels + ",type=\"\(type)\"", created: created)
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
        overflow.formUnion(tools[cell].overflow)
        if let hit = span.cacheHit {
            if tools[cell].hits < 0 {
                tools[cell].hits = counters.id(.cacheLookups, tools[cell].labels + ",result=\"hit\"", created: created)
                tools[cell].misses = counters.id(.cacheLookups, tools[cell].labels + ",result=\"miss\"", created: created)
            }
            counters.add(hit ? tools[cell].hits : tools[cell].misses)
        }
        guard isExit else { return }
        if tools[cell].exits.isEmpty {
            let labels = tools[cell].labels
            tools[cell].exits = ["zero", "nonzero", "signal", "watchdog"].map { name in
                counters.id(.subprocessExits, labels + ",class=\"\(name)\"", created: created)
            }
        }
        let position =
            switch span.exitCode {
            case _ where span.watchdog, 124?, nil: 3
            case 0?: 0
            case let code? where code < 0 || code >= 129: 2
            default: 1
            }
        counters.add(tools[cell].exits[position])
    }
}
