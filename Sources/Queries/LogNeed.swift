package import TelemetryModel

/// Which log records a question reads: of a window, or the newest of it.
package struct LogNeed: Hashable, Sendable {
    /// Times of records, nanoseconds since 1970; the upper bound is outside.
    package var from = Int64.min
    package var to = Int64.max
    @ByBytes package var service: String?
    @ByBytes package var eventName: String?
    package var traceID: TraceID?
    package var spanID: SpanID?
    /// `SeverityNumber` of OTLP, at least.
    package var severityMinimum: Int?
    /// How many suffice, the newest, with all of the time of the last of them; `nil` where the question looks at all.
    package var newest: Int?

    package init(from: Int64 = .min, to: Int64 = .max) {
        (self.from, self.to) = (from, to)
    }
}

extension LogSearch {
    /// Which records it reads: where nothing is looked for in their texts, those that it shows; else those of its window.
    package var need: SpanNeed {
        var need = LogNeed(from: from, to: to)
        (need.service, need.eventName, need.traceID, need.spanID) = (service, eventName, traceID, spanID)
        need.severityMinimum = severityMinimum
        if let after { need.to = min(need.to, after.timeUnixNano.addingSaturated(1)) }
        // A record without a severity meets no condition on it, be it 0.
        if text == nil, severityMinimum.map({ $0 > 0 }) ?? true {
            need.newest = Int(clamping: Int64(limit + 1).addingSaturated(Int64(after?.count ?? 0)))
        }
        return .logs(need)
    }
}

extension LogQL {
    /// Which records it reads in a window, whose end is in it: a count looks back by its range from each time.
    package func need(_ window: TimeWindow) -> SpanNeed {
        var need = LogNeed(from: window.from.subtractingSaturated(metric?.range ?? 0), to: window.to.addingSaturated(1))
        need.service = service
        return .logs(need)
    }
}
