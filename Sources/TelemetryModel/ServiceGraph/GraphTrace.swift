/// The spans of one trace, and which requests between services they tell of: docs/metrics.md 2.15.
///
/// A function of the spans, their order of arrival, and of how far settling had come when: nothing here reads a clock.
package struct GraphTrace: Sendable {
    package enum Limits {
        /// Two spans that are further apart in the order of arrival are not put together.
        package static let distanceMax: Int64 = 131_072
        /// Spans of the same service above one that are looked at.
        static let outerMax = 32
    }

    private let traceID: TraceID
    /// In the order of arrival.
    private var spans: [GraphSpan] = []
    /// Model calls, with their places.
    private var told: [(place: Int32, call: ToldCall)] = []

    package init(_ traceID: TraceID) {
        self.traceID = traceID
    }

    package var isEmpty: Bool { spans.isEmpty }
    package var count: Int { spans.count }
    package var firstOrdinal: Int64 { spans.first?.ordinal ?? .max }
    package var lastOrdinal: Int64 { spans.last?.ordinal ?? .min }

    /// Takes in a span that came after all others.
    ///
    /// - Parameter call: what docs/metrics.md 2.12 reads of a model call.
    package mutating func append(_ span: GraphSpan, _ call: ToldCall?) {
        if let call, call.sort == .model { told.append((Int32(truncatingIfNeeded: spans.count), call)) }
        spans.append(span)
    }

    /// Lets go of spans that came before an ordinal.
    package mutating func forget(before ordinal: Int64) {
        let gone = spans.firstIndex { $0.ordinal >= ordinal } ?? spans.count
        guard gone > 0 else { return }
        spans.removeFirst(gone)
        told = told.compactMap { $0.place >= gone ? ($0.place - Int32(truncatingIfNeeded: gone), $0.call) : nil }
    }

    /// Decides about all spans that came before `settled`: who called them, and whom they called that sends no spans.
    ///
    /// - Parameter count: takes each request once; `nil` when all was counted before, and only what it left is wanted.
    package mutating func settle(before settled: Int64, _ names: GraphNames, _ count: ((GraphRequest) -> Void)?) {
        guard spans.contains(where: { $0.ordinal < settled && !($0.isAnswered && $0.hasAsked) }) else { return }
        let places = Places(spans)
        for index in spans.indices where spans[index].ordinal < settled && !spans[index].isAnswered {
            if answer(index, places, names, count) { spans[index].answer() }
        }
        let asking = spans.indices.filter { spans[$0].ordinal < settled && !spans[$0].hasAsked }
        if let count, asking.contains(where: { spans[$0].peer != .none }) { ask(asking, places, names, count) }
        for index in asking { spans[index].ask() }
    }

    // MARK: Who called a span

    /// Places of spans by their ids; both sides of a call may share one.
    private struct Places {
        private var servers: [UInt64: Int] = [:]
        private var others: [UInt64: Int] = [:]

        init(_ spans: [GraphSpan]) {
            for (index, span) in spans.enumerated() {
                if span.kind == GraphSpan.Kind.server { servers[span.span] = index } else { others[span.span] = index }
            }
        }

        /// Where the span lies that another one stands below or, with the same id, is the other side of.
        func caller(_ span: GraphSpan) -> Int? {
            if span.kind == GraphSpan.Kind.server, let client = others[span.span] { return client }
            return span.parent == 0 ? nil : parent(span)
        }

        func parent(_ span: GraphSpan) -> Int? { servers[span.parent] ?? others[span.parent] }
    }

    private func caller(_ index: Int, _ places: Places) -> Int? {
        guard let caller = places.caller(spans[index]), caller != index,
            abs(spans[caller].ordinal - spans[index].ordinal) <= Limits.distanceMax
        else { return nil }
        return caller
    }

    /// Whether it is known now who called a span.
    private func answer(_ index: Int, _ places: Places, _ names: GraphNames, _ count: ((GraphRequest) -> Void)?) -> Bool {
        let span = spans[index]
        guard let caller = caller(index, places) else {
            guard span.parent == 0 else { return false }
            if span.kind == GraphSpan.Kind.server {
                count?(request(nil, span, .virtual, client: GraphRequest.user, server: names.name(span.service)))
            }
            return true
        }
        let calling = spans[caller]
        if calling.calls(span) {
            let isMessage = calling.kind == GraphSpan.Kind.producer || span.kind == GraphSpan.Kind.consumer
            let connection: GraphRequest.Connection = isMessage ? .messaging : calling.peer == .database ? .database : .direct
            count?(request(calling, span, connection, client: names.name(calling.service), server: names.name(span.service)))
        }
        return true
    }

    private func request(
        _ calling: GraphSpan?, _ called: GraphSpan?, _ connection: GraphRequest.Connection, client: String, server: String
    ) -> GraphRequest {
        // A side that sends no spans took as long as the other one saw.
        let seen = calling?.durationNanoseconds ?? called?.durationNanoseconds ?? 0
        return GraphRequest(
            client: client, server: server, connection: connection,
            isFailed: calling?.isFailed == true || called?.isFailed == true,
            clientNanoseconds: seen, serverNanoseconds: called?.durationNanoseconds ?? seen, traceID: traceID,
            spanID: SpanID(called?.span ?? calling?.span ?? 0))
    }

    // MARK: Whom a span called

    /// Counts calls of peers that send no spans.
    private func ask(_ asking: [Int], _ places: Places, _ names: GraphNames, _ count: (GraphRequest) -> Void) {
        let inner = innerCalls(places)
        let models = countingModelCalls()
        for index in asking where spans[index].peer != .none {
            let span = spans[index]
            switch span.peer {
            case .none: continue
            case .model: if inner.services.contains(index) || !models.contains(index) { continue }
            case .database, .messaging: if inner.services.contains(index) || inner.peers.contains(index) { continue }
            case .other: if inner.services.contains(index) || isInsideOfCall(index, places) { continue }
            }
            let connection: GraphRequest.Connection =
                switch span.peer {
                case .database: .database
                case .messaging: .messaging
                default: .virtual
                }
            count(request(span, nil, connection, client: names.name(span.service), server: names.name(span.peerName)))
        }
    }

    /// Spans that a call of a service, or of a database or queue, goes out of: itself, or a span of the same service inside of it.
    private func innerCalls(_ places: Places) -> (services: Set<Int>, peers: Set<Int>) {
        var services: Set<Int> = []
        var peers: Set<Int> = []
        for index in spans.indices {
            if let caller = caller(index, places), spans[caller].calls(spans[index]) {
                mark(caller, places, in: &services) { _ in true }
            }
            let peer = spans[index].peer
            if peer == .database || peer == .messaging, let parent = parent(index, places) {
                mark(parent, places, in: &peers) { $0.peer == peer }
            }
        }
        return (services, peers)
    }

    /// Marks a span and those of its service above it.
    private func mark(_ first: Int, _ places: Places, in marked: inout Set<Int>, where isMeant: (GraphSpan) -> Bool) {
        var index = first
        for _ in 0..<Limits.outerMax {
            if isMeant(spans[index]) { marked.insert(index) }
            guard let parent = parent(index, places) else { return }
            index = parent
        }
    }

    /// The parent of a span, when it is of the same service.
    private func parent(_ index: Int, _ places: Places) -> Int? {
        let span = spans[index]
        guard span.parent != 0, let parent = places.parent(span), parent != index, spans[parent].service == span.service else {
            return nil
        }
        return parent
    }

    /// Whether it lies inside of a call of a model, database or queue: that one names the peer better.
    private func isInsideOfCall(_ first: Int, _ places: Places) -> Bool {
        var index = first
        for _ in 0..<Limits.outerMax {
            guard let parent = parent(index, places) else { return false }
            if spans[parent].peer != .none && spans[parent].peer != .other { return true }
            index = parent
        }
        return false
    }

    /// Of the spans that tell of a model call those that count.
    private func countingModelCalls() -> Set<Int> {
        guard !told.isEmpty else { return [] }
        let family = CallFamily(told.map(\.call))
        var sources: CallWitnesses = []
        for (_, call) in told {
            switch call.source {
            case .span: sources.insert(.span)
            case .betterLog: sources.insert(.betterLog)
            case .log: break
            }
        }
        var counting: Set<Int> = []
        for (number, entry) in told.enumerated() {
            let witnesses =
                entry.call.source == .log
                ? sources.intersection(.span) : entry.call.source == .span ? sources.intersection(.betterLog) : []
            if family.verdict(number, witnesses: witnesses).facets.contains(.call) { counting.insert(Int(entry.place)) }
        }
        return counting
    }
}
