package import TelemetryModel

/// How far the service graph has come with what is stored, as ordinals of spans: all that came before are read, all that came before settled.
package struct ServiceGraphCursor: Equatable, Sendable {
    package var read: Int64
    package var settled: Int64

    package init(read: Int64 = 0, settled: Int64 = 0) {
        (self.read, self.settled) = (max(0, read), min(max(0, settled), max(0, read)))
    }
}

/// Requests that were found, and how far that has come: counted in one transaction.
package struct ServiceGraphUpdate: Sendable {
    package var requests: [GraphRequest]
    package var cursor: ServiceGraphCursor

    package init(requests: [GraphRequest], cursor: ServiceGraphCursor) {
        (self.requests, self.cursor) = (requests, cursor)
    }
}

/// Finds requests between services among the stored spans, read in the order of arrival: docs/metrics.md 2.15.
///
/// Use: `init` with the cursor that is stored, `take` each span from `next` on, and `settle` from time to time; what that gives is to be
/// counted together with the new cursor. A book that begins at a cursor goes on as the one that came there: it takes the last spans before
/// it once more, and counts none of them twice.
///
/// Memory: the spans of twice `GraphTrace.Limits.distanceMax`, about 100 bytes each.
package struct ServiceGraphBook: Sendable {
    private static let forgottenAtOnce = 16_384
    /// Spans that wait for their relatives; past it the oldest settle before their time.
    private static let waitingMax = GraphTrace.Limits.distanceMax

    package var names = GraphNames()
    /// The ordinal of the span that is to be taken next.
    package private(set) var next: Int64
    package private(set) var cursor: ServiceGraphCursor
    /// What was counted before this book began is being taken once more.
    private var isRestoring: Bool
    private var traces: [TraceID: GraphTrace] = [:]
    /// The traces of spans, in the order of arrival.
    private var arrivals: [(ordinal: Int64, trace: TraceID)] = []
    /// The place in `arrivals` of the first span that has not settled.
    private var unsettled = 0
    /// Traces with spans that were taken since the last settling, in this order.
    private var touched: [TraceID] = []
    private var isTouched: Set<TraceID> = []

    package init(_ cursor: ServiceGraphCursor) {
        self.cursor = cursor
        isRestoring = cursor.read > 0
        next = max(0, cursor.settled - GraphTrace.Limits.distanceMax)
    }

    /// Where a reading must end at the latest.
    package var readLimit: Int64 { isRestoring ? cursor.read : .max }
    /// Spans that are read and have not settled.
    package var waitingCount: Int64 { cursor.read - cursor.settled }

    package mutating func take(_ span: GraphSpan, of trace: TraceID, _ call: ToldCall?) {
        traces[trace, default: GraphTrace(trace)].append(span, call)
        arrivals.append((span.ordinal, trace))
        touch(trace)
    }

    private mutating func touch(_ trace: TraceID) {
        if isTouched.insert(trace).inserted { touched.append(trace) }
    }

    /// All spans before an ordinal were taken, as far as they are stored.
    package mutating func advance(to ordinal: Int64) {
        next = max(next, ordinal)
        if isRestoring {
            guard next >= cursor.read else { return }
            for trace in touched { traces[trace]?.settle(before: cursor.settled, names, nil) }
            finish()
            isRestoring = false
        }
        cursor.read = max(cursor.read, next)
    }

    /// Lets the spans before an ordinal settle; gives the requests that are known by that and by what was taken.
    package mutating func settle(before ordinal: Int64) -> [GraphRequest] {
        guard !isRestoring else { return [] }
        let wanted = max(min(ordinal, cursor.read), cursor.read - Self.waitingMax)
        let until = max(cursor.settled, wanted)
        for (_, trace) in arrivals[unsettled...].prefix(while: { $0.ordinal < until }) { touch(trace) }
        cursor.settled = until
        var requests: [GraphRequest] = []
        for trace in touched { traces[trace]?.settle(before: until, names) { requests.append($0) } }
        finish()
        forget()
        return requests
    }

    private mutating func finish() {
        touched.removeAll()
        isTouched.removeAll()
        while unsettled < arrivals.count && arrivals[unsettled].ordinal < cursor.settled { unsettled += 1 }
    }

    /// Lets go of what is too far away to be put together with anything that comes.
    private mutating func forget() {
        let floor = cursor.settled - GraphTrace.Limits.distanceMax
        let gone = arrivals[..<unsettled].prefix { $0.ordinal < floor }
        // Not for every few spans: what follows moves all others.
        guard gone.count >= Self.forgottenAtOnce else { return }
        for trace in Set(gone.map(\.trace)) {
            traces[trace]?.forget(before: floor)
            if traces[trace]?.isEmpty == true { traces[trace] = nil }
        }
        unsettled -= gone.count
        arrivals.removeFirst(gone.count)
    }
}
