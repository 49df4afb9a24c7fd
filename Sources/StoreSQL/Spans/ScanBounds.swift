import SegmentFormat
import TelemetryModel

/// What the terms of a plan say of whole segments, and of their rows.
struct ScanBounds {
    private(set) var filters: [SegmentRows.Filter] = []
    /// The only traces that are wanted; `nil` for all.
    private(set) var traces: Set<TraceID>?
    private var start = Int64.min...Int64.max
    private var end = Int64.min...Int64.max
    private var latestKnown = Int64.min...Int64.max
    /// No span fulfils the terms.
    private var areImpossible = false

    init(_ plan: SpansPlan, _ arguments: [SpansScan.Argument]) {
        for (term, argument) in zip(plan.terms, arguments) {
            filters.append(.init(column: term.column, comparison: term.comparison, argument: argument))
            if !narrow(term, argument) { areImpossible = true }
        }
    }

    /// `false` when no span can fulfil the term.
    private mutating func narrow(_ term: SpansPlan.Term, _ argument: SpansScan.Argument) -> Bool {
        guard term.column < SpansColumn.all.count else { return true }
        switch SpansColumn.all[term.column].source {
        case .traceID:
            guard case .texts(let texts)? = ColumnCondition.texts(term.comparison, argument) else { return true }
            let wanted = Set(texts.compactMap(SpansScan.trace))
            traces = traces.map { $0.intersection(wanted) } ?? wanted
            return traces?.isEmpty == false
        case .startTime: return Self.narrow(&start, term, argument)
        case .endTime: return Self.narrow(&end, term, argument)
        case .latestKnownTime: return Self.narrow(&latestKnown, term, argument)
        default: return true
        }
    }

    private static func narrow(_ range: inout ClosedRange<Int64>, _ term: SpansPlan.Term, _ argument: SpansScan.Argument) -> Bool {
        switch ColumnCondition.integers(term.comparison, argument) {
        case .nothing: return false
        case .integers(let wanted):
            guard range.overlaps(wanted) else { return false }
            range = range.clamped(to: wanted)
        default: break
        }
        return true
    }

    /// The times of spans that may match; `nil` for all.
    var time: ClosedRange<Int64>? {
        let all = Int64.min...Int64.max
        let end = self.end.overlaps(latestKnown) ? self.end.clamped(to: latestKnown) : self.end
        if start == all { return end == all ? nil : end }
        // A span that began before a time may end long after it.
        return end == all || !start.overlaps(end) ? start : start.clamped(to: end)
    }

    /// Whether a segment may hold spans that fulfil the terms.
    func mayHold(_ entry: SegmentCatalog.Entry) -> Bool {
        guard !areImpossible, entry.startMaximum >= start.lowerBound, entry.startMinimum <= start.upperBound,
            entry.endMaximum >= end.lowerBound, entry.endMinimum <= end.upperBound, entry.latestKnown.overlaps(latestKnown)
        else { return false }
        guard let traces else { return true }
        return traces.contains { entry.filter.mayContain(hash: TraceFilter.hash($0)) }
    }
}
