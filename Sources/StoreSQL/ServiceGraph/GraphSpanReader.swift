package import SQLite
package import SpanStore
package import TelemetryModel

/// Reads of a segment what the service graph looks at: docs/metrics.md 2.15.
package struct GraphSpanReader {
    private let segment: PassedSegment
    private let traceIDs: [TraceID]
    private let traces, spans, parents, kind, status, duration: PassedIntegers
    private let outcome, provider: PassedTexts
    private let service: PassedTexts
    private let serviceNumbers: [Int32]
    private let providerNumbers: [Int32]
    private let failed: Set<Int>
    private let rejected: Int
    private var calls: [Int32: ToldCall] = [:]
    /// Keys of attributes that some span of the segment may have.
    private let peerKeys, databaseNames, databaseSystems, destinations, messagingSystems: [String]

    package init(_ passed: PassedSegment, _ names: inout GraphNames) throws(SQLiteError) {
        // As each span itself tells it, whoever else tells of its call.
        let segment = PassedSegment(SegmentRows(passed.segment.reader, attributes: []), rows: nil)
        self.segment = segment
        (traceIDs, traces) = try segment.traces()
        (spans, parents) = try segment.identities()
        kind = try segment.integers("kind")
        status = try segment.integers("status_code")
        duration = try segment.integers("duration_ns")
        let outcome = try segment.texts("own_outcome")
        self.outcome = outcome
        provider = try segment.texts("provider")
        service = try segment.texts("service_name")
        serviceNumbers = service.texts.map { names.number($0) }
        providerNumbers = provider.texts.map { names.number($0) }
        failed = Set(outcome.texts.indices.filter { outcome.texts[$0] == "error" || outcome.texts[$0] == "timeout" })
        rejected = outcome.texts.firstIndex(of: "rejected") ?? .max
        let doubtful = try DoubtfulRows(segment, withSessions: false)
        for (row, call) in zip(doubtful.rows, doubtful.calls) where call.sort == .model { calls[row] = call }
        func there(_ keys: String...) -> [String] { keys.filter(segment.mayHave(attribute:)) }
        peerKeys = there("peer.service")
        databaseNames = there("db.namespace", "db.name")
        databaseSystems = there("db.system.name", "db.system")
        destinations = there("messaging.destination.name", "messaging.destination")
        messagingSystems = there("messaging.system")
    }

    /// A row as a span of the graph, with its trace and, where it is a model call, what tells whether it counts.
    package func span(
        _ row: Int, ordinal: Int64, _ names: inout GraphNames
    ) throws(SQLiteError) -> (trace: TraceID, span: GraphSpan, call: ToldCall?)? {
        let trace = Int(traces[row] ?? -1)
        guard traceIDs.indices.contains(trace) else { return nil }
        let serviceNumber = service.number(row)
        var span = GraphSpan(
            ordinal: ordinal, span: UInt64(bitPattern: spans[row] ?? 0), parent: UInt64(bitPattern: parents[row] ?? 0),
            service: serviceNumber < 0 ? names.number("") : serviceNumbers[serviceNumber], kind: UInt8(clamping: kind[row] ?? 0))
        span.durationNanoseconds = max(0, duration[row] ?? 0)
        let ending = outcome.number(row)
        span.isFailed = status[row] == 2 || failed.contains(ending)
        let call = calls[Int32(truncatingIfNeeded: row)]
        // What a breaker rejected was never sent.
        if ending != rejected || ending < 0 { try name(&span, row, isModel: call != nil, &names) }
        return (traceIDs[trace], span, call)
    }

    /// Finds what names the other side.
    private func name(_ span: inout GraphSpan, _ row: Int, isModel: Bool, _ names: inout GraphNames) throws(SQLiteError) {
        if isModel, provider.number(row) >= 0 {
            (span.peer, span.peerName) = (.model, providerNumbers[provider.number(row)])
            return
        }
        let isClient = span.kind == GraphSpan.Kind.client
        guard isClient || span.kind == GraphSpan.Kind.producer else { return }
        let peer = try first(peerKeys, row)
        if let system = try first(isClient ? databaseSystems : messagingSystems, row) {
            span.peer = isClient ? .database : .messaging
            let named = try first(isClient ? databaseNames : destinations, row)
            span.peerName = names.number(peer ?? named ?? system)
        } else if let peer {
            span.peer = .other
            span.peerName = names.number(peer)
        }
    }

    private func first(_ keys: [String], _ row: Int) throws(SQLiteError) -> String? {
        for key in keys {
            if let text = try segment.attribute(key, row), !text.isEmpty { return text }
        }
        return nil
    }
}

extension OrdinalWalk {
    /// Gives a range's spans to the service graph in the order of arrival, and the ordinal up to which all were given.
    package func graphSpans(
        _ range: Range<Int64>, countMax: Int, _ names: inout GraphNames, _ take: (GraphSpan, TraceID, ToldCall?) -> Void
    ) throws(StoreError) -> Int64 {
        try segments(range, countMax: countMax) { reader, rows throws in
            let segment = try GraphSpanReader(PassedSegment(SegmentRows(reader, attributes: []), rows: nil), &names)
            for place in rows {
                if let (trace, span, call) = try segment.span(place.row, ordinal: place.ordinal, &names) {
                    take(span, trace, call)
                }
            }
        }
    }
}
