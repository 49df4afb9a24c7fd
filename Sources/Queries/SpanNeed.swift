package import SpanStore
package import TelemetryModel

/// Which spans, or log records, a question reads. A data folder has all of them; an engine is asked for those that are needed.
///
/// What is needed are always whole traces: which spans tell of one call, and whose child each is, is seen in nothing less.
package enum SpanNeed: Hashable, Sendable {
    /// More than spans: counters, breakers, evals, or what was received last. Only a node has it.
    case node
    /// No span at all.
    case nothing
    /// A trace, by its 32 hexadecimal digits.
    case trace(String)
    /// What has an id that is, or begins with, these hexadecimal digits.
    case identity(String)
    /// The traces of a conversation.
    case session(String)
    /// The traces of which a span ran at some time from the first up to, and without, the last.
    case window(from: Int64, to: Int64)

    /// The traces that a list shows first.
    case latest(LatestTraces)

    /// Log records, and no spans.
    case logs(LogNeed)

    package static func window(_ window: TimeWindow) -> SpanNeed { .window(from: window.from, to: window.to) }

    /// Whether what is brought for this is enough for another need: more than a question reads harms nobody, as in a data folder.
    package func covers(_ other: SpanNeed) -> Bool {
        if case (.window(let from, let to), .window(let otherFrom, let otherTo)) = (self, other) {
            return from <= otherFrom && to >= otherTo
        }
        return self == other
    }
}

/// The traces whose spans are what is wanted, newest first by the first such span, as many as a list shows.
package struct LatestTraces: Hashable, Sendable {
    /// A column of `spans` and the text that it has.
    package struct Equality: Hashable, Sendable {
        package var column: String
        @ByBytes package var text: String
    }

    /// Start times of spans, nanoseconds since 1970; the upper bound is outside.
    package var from: Int64
    package var to: Int64
    package var equalities: [Equality]
    /// Whether spans failed, or did not; `nil` for all.
    package var hasFailed: Bool?
    /// The trace that stood last before, by its first such span.
    package var afterUnixNano: Int64?
    package var afterTraceID: String?
    package var count: Int
}

extension TraceSearch {
    /// Which spans it reads: where all that it asks is equality, those of the traces that it shows; else those of its window.
    package var need: SpanNeed {
        guard let equalities = criteria.equalities, limits.isEmpty, extentMinimum == nil, acceptance == nil
        else { return .window(from: from, to: to) }
        return .latest(
            LatestTraces(
                from: from, to: to, equalities: equalities, hasFailed: criteria.status.map { $0 == .error },
                afterUnixNano: after?.matchUnixNano, afterTraceID: after?.traceID, count: limit + 1))
    }
}

extension SpanCriteria {
    /// The criteria but the status as equalities; `nil` when they are more. How a call ended is none: what a row says of that, the trace may
    /// say otherwise (docs/metrics.md 2.12).
    fileprivate var equalities: [LatestTraces.Equality]? {
        guard stage == nil, outcome == nil, attributes.isEmpty, text == nil, extra.isEmpty,
            tool.map({ !Self.isStage($0) }) ?? true
        else { return nil }
        let columns = [
            ("service_name", service), ("workflow_name", workflow), ("name", name), ("model", model), ("session_id", session),
            ("user_id", user), ("eval_id", evalID), ("breaker_state", breakerState), ("tool_name", tool),
        ]
        return columns.compactMap { column, text in text.map { LatestTraces.Equality(column: column, text: $0) } }
    }
}

/// Where the spans of questions come from that are in no data folder of this machine.
///
/// Contract, to which `Tests/EndToEnd/test_clickhouse_engine.py` holds both sides: over what `folder` gives, every question of `Queries` and
/// `Reports` that says its need has the answer that a node gives which stored the same spans.
/// - Each call gives a store of its own or one that nobody changes any more: it may be shared.
/// - In it a trace's spans are in the order in which they arrived; traces follow each other in no order.
/// - It blocks, and is called on threads that may. It ends in about `seconds`, with an answer or an error.
/// - It gives all that is needed or an error, never a part. How many spans that may be is its own to say.
package protocol SpanSupply: Sendable {
    /// A store that has what is needed. It is there for as long as what is given with it is held.
    func folder(of need: SpanNeed, seconds: Int) throws(QueryError) -> (folder: StoreFolder, held: any AnyObject & Sendable)
}
