import TelemetryModel

/// The workflows of traces, as labels, by what roots and calls said so far: metrics.md 2.12. Tokens of calls that name none go by
/// them.
///
/// The last `Limits.callMemoryMax` traces that named one, for `Limits.callMemoryNanoseconds` after the span that did.
struct TraceWorkflows: Sendable {
    private typealias Limits = SpanDerivations.Limits

    private struct Known: Sendable {
        var label: String
        var rank: NamingRank
        var received: Int64
    }

    /// What is kept of one trace: later ones matter only when earlier ones are forgotten.
    private static let namesMax = 16

    /// By trace, the best first and each before worse ones that came later: what is best of any last part of them stands there.
    private var known: [TraceID: [Known]] = [:]
    private var arrivals = FirstInFirstOut<TraceID>()
    /// What was learned last.
    private var last: (trace: TraceID, received: Int64, best: NamingRank)?

    init() {}

    /// Learns the workflow that a span names.
    mutating func note(_ span: borrowing ObservedSpan, _ workflow: String) {
        let rank = NamingRank(
            isChild: span.parentSpanID.isValid, start: span.startTimeUnixNano, end: span.endTimeUnixNano, span: span.spanID.value)
        // Spans of a trace mostly come together. A worse one of the same receipt is forgotten with the better one, and never asked for.
        if let last, last.trace == span.traceID, last.received == span.receivedTimeUnixNano, last.best.precedes(rank) { return }
        last = (span.traceID, span.receivedTimeUnixNano, rank)
        let new = Known(label: LabelSanitiser.clean(workflow), rank: rank, received: span.receivedTimeUnixNano)
        guard Self.add(new, to: &known[span.traceID, default: []]) else { return }
        arrivals.append(span.traceID)
        if known.count > Limits.callMemoryMax, let oldest = arrivals.popFirst() {
            known[oldest] = nil
            if last?.trace == oldest { last = nil }
        }
    }

    /// True for the first one of a trace.
    private static func add(_ new: Known, to names: inout [Known]) -> Bool {
        if names.isEmpty {
            names.append(new)
            return true
        }
        names.removeAll { old in
            new.rank.precedes(old.rank) || new.received.subtractingSaturated(old.received) > Limits.callMemoryNanoseconds
        }
        if names.count < namesMax { names.append(new) }
        return false
    }

    /// The label of a trace's workflow, for a call of this receipt; `nil` when no span named one.
    func label(of trace: TraceID, received: Int64) -> String? {
        known[trace]?.first { received.subtractingSaturated($0.received) <= Limits.callMemoryNanoseconds }?.label
    }
}
