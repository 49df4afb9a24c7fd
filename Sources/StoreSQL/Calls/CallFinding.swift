import TelemetryModel

/// The steps of finding out which calls count: traces of one segment are decided at once, those of several when all of them were read.
struct CallFinding {
    /// Where a call lies that is decided later.
    private struct Place {
        var segment: Int64
        var row: Int32
    }

    private struct Scattered {
        var calls: [ToldCall] = []
        var places: [Place] = []
        var endings: [[SegmentCalls.Ending]] = []
    }

    /// Who tells of calls of one sort, in a trace or a session.
    private struct Witnessed: Hashable {
        var trace: TraceID?
        var session: UInt64 = 0
        var isTool: Bool
    }

    private(set) var found: StoredCalls.Found = [:]
    private(set) var hasLogs = false
    private var rowCounts: [Int64: Int] = [:]
    private var traces = ScatteredTraces()
    private var scattered: [TraceID: Scattered] = [:]
    private var witnesses: [Witnessed: CallWitnesses] = [:]
    private var ofLog: [(place: Place, keys: [Witnessed])] = []

    mutating func add(_ calls: CallsOfSegment, _ segment: Int64) {
        guard !calls.traces.isEmpty else { return }
        rowCounts[segment] = calls.rowCount
        found[segment] = calls.calls
        traces.add(calls.traces, of: segment)
    }

    private mutating func set(_ place: Place, _ change: SegmentCalls.Change) {
        found[place.segment, default: SegmentCalls()].set(place.row, change, rowCount: rowCounts[place.segment] ?? 0)
    }

    // MARK: Traces of several segments

    /// By segment the hashes of its traces with such rows that lie in others too.
    mutating func scatteredTraces() -> [Int64: Set<UInt32>] { traces.find() }

    mutating func addScattered(_ parts: [CallsOfSegment.Part], _ segment: Int64) {
        for part in parts {
            scattered[part.trace, default: Scattered()].calls += part.calls
            scattered[part.trace, default: Scattered()].places += part.rows.map { Place(segment: segment, row: $0) }
            scattered[part.trace, default: Scattered()].endings += part.calls.map { $0.failure == 0 ? [] : part.endings }
        }
    }

    mutating func endScattered() {
        for all in scattered.values {
            // Endings are numbered within their segment: here they get numbers of the trace.
            var endings: [SegmentCalls.Ending] = []
            var calls = all.calls
            for index in calls.indices where calls[index].failure != 0 {
                endings.append(all.endings[index][Int(calls[index].failure) - 1])
                calls[index].failure = UInt32(truncatingIfNeeded: endings.count)
            }
            let family = CallFamily(calls)
            for index in calls.indices {
                set(all.places[index], SegmentCalls.Change(calls[index], family.verdict(index), endings))
            }
        }
        scattered = [:]
    }

    // MARK: Log records

    private static func keys(_ rows: DoubtfulRows, _ place: Int) -> [Witnessed] {
        let isTool = rows.calls[place].sort == .tool
        let trace = Witnessed(trace: rows.traceIDs[rows.traces[place]], isTool: isTool)
        let session = rows.sessions[place]
        return session == 0 ? [trace] : [trace, Witnessed(session: session, isTool: isTool)]
    }

    mutating func noteLogs(_ rows: DoubtfulRows, _ segment: Int64) {
        hasLogs = true
        for (place, call) in rows.calls.enumerated() where call.source != .span {
            let keys = Self.keys(rows, place)
            for key in keys { witnesses[key, default: []].formUnion(call.source == .betterLog ? .betterLog : []) }
            if call.source == .log { ofLog.append((Place(segment: segment, row: rows.rows[place]), keys)) }
        }
    }

    /// Learns which calls of log records' traces and sessions spans tell of too, and drops those that log records know better.
    mutating func addWitnesses(_ rows: DoubtfulRows, _ segment: Int64) {
        for (place, call) in rows.calls.enumerated() where call.source == .span && !call.carries.isEmpty {
            for key in Self.keys(rows, place) {
                guard let known = witnesses[key] else { continue }
                witnesses[key] = known.union(.span)
                guard known.contains(.betterLog), rowCounts[segment] != nil else { continue }
                set(Place(segment: segment, row: rows.rows[place]), SegmentCalls.Change(call, CallFamily.Verdict(facets: []), []))
            }
        }
    }

    mutating func endWitnesses() {
        for (place, keys) in ofLog where keys.contains(where: { witnesses[$0]?.contains(.span) == true }) {
            set(place, SegmentCalls.Change(countsTokens: false, ending: SegmentCalls.Ending.none))
        }
    }
}
