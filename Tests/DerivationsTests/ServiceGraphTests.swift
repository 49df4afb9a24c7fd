import PrometheusText
import TelemetryTesting
import Testing

@testable import Derivations
@testable import TelemetryModel

/// Requests between services, docs/metrics.md 2.15, against what the section says of spans that all are there.
@Suite struct ServiceGraphTests {
    struct Told: Equatable {
        var trace: TraceID
        var span: GraphSpan
        var call: ToldCall?

        static func == (left: Told, right: Told) -> Bool { left.trace == right.trace && left.span == right.span }
    }

    /// Random traces: spans whose parent is not there, both sides under one id, peers inside of each other.
    static func spans(_ random: inout SplitMix64, sharesIDs: Bool) -> [Told] {
        var all: [Told] = []
        for trace in 0..<UInt64.random(in: 1...6, using: &random) {
            var own: [GraphSpan] = []
            for number in 1...UInt64.random(in: 1...12, using: &random) {
                let kind = UInt8.random(in: 1...5, using: &random)
                let parent = own.randomElement(using: &random).map(\.span) ?? 0
                var span = GraphSpan(
                    ordinal: 0, span: trace << 32 | number,
                    parent: Bool.random(using: &random) ? parent : number % 4 == 0 ? 99 : parent,
                    service: Int32.random(in: 0...2, using: &random), kind: kind)
                if sharesIDs, kind == 2, let client = own.filter({ $0.kind == 3 }).randomElement(using: &random),
                    !own.contains(where: { $0.span == client.span && $0.kind == 2 })
                {
                    (span.span, span.parent) = (client.span, client.parent)
                }
                span.durationNanoseconds = Int64(number)
                span.isFailed = number % 5 == 0
                if kind != 2, Bool.random(using: &random) {
                    span.peer = [.database, .messaging, .model, .other, .none].randomElement(using: &random) ?? .none
                    span.peerName = 3 + Int32(span.peer.rawValue)
                }
                own.append(span)
            }
            for span in own {
                var call: ToldCall?
                if span.peer == .model {
                    call = ToldCall(span: span.span, parent: span.parent)
                    call?.sort = .model
                    call?.carries = .call
                    call?.scope = 1
                }
                all.append(Told(trace: TraceID(high: 1, low: trace), span: span, call: call))
            }
        }
        all.shuffle(using: &random)
        for index in all.indices { all[index].span.ordinal = Int64(index) }
        return all
    }

    /// What the section says, said of each span by itself.
    static func requests(_ all: [Told], _ names: GraphNames) -> [String] {
        var found: [String] = []
        for (trace, told) in Dictionary(grouping: all, by: \.trace) {
            let spans = told.map(\.span)
            func parent(_ span: GraphSpan) -> GraphSpan? {
                guard span.parent != 0 else { return nil }
                return spans.first { $0.span == span.parent && $0.kind == 2 } ?? spans.first { $0.span == span.parent }
            }
            func caller(_ span: GraphSpan) -> GraphSpan? {
                (span.kind == 2 ? spans.first { $0.span == span.span && $0.kind != 2 } : nil) ?? parent(span)
            }
            func isCalled(_ span: GraphSpan, by other: GraphSpan) -> Bool {
                span.service != other.service || [3, 4].contains(other.kind) && [2, 5].contains(span.kind)
            }
            /// The span and those of its service inside of it.
            func inside(_ span: GraphSpan) -> [GraphSpan] {
                [span] + spans.filter { parent($0) == span && $0.service == span.service && $0 != span }.flatMap(inside)
            }
            func above(_ span: GraphSpan) -> [GraphSpan] {
                guard let parent = parent(span), parent.service == span.service else { return [] }
                return [parent] + above(parent)
            }
            func note(_ client: String, _ server: String, _ connection: String, _ calling: GraphSpan?, _ called: GraphSpan?) {
                let seen = calling?.durationNanoseconds ?? called?.durationNanoseconds ?? 0
                let isFailed = calling?.isFailed == true || called?.isFailed == true
                found.append(
                    "\(trace.low) \(client) \(server) \(connection) \(isFailed) \(seen) \(called?.durationNanoseconds ?? seen)")
            }
            for span in spans {
                let service = names.name(span.service)
                if let caller = caller(span), isCalled(span, by: caller) {
                    let isMessage = caller.kind == 4 || span.kind == 5
                    note(
                        names.name(caller.service), service,
                        isMessage ? "messaging_system" : caller.peer == .database ? "database" : "",
                        caller, span)
                } else if caller(span) == nil, span.parent == 0, span.kind == 2 {
                    note("user", service, "virtual_node", nil, span)
                }
                let within = inside(span)
                let goesOn = within.contains { inner in spans.contains { caller($0) == inner && isCalled($0, by: inner) } }
                guard span.peer != .none, !goesOn else { continue }
                switch span.peer {
                case .model where spans.contains(where: { $0.parent == span.span && $0.peer == .model }): continue
                case .database, .messaging: if within.dropFirst().contains(where: { $0.peer == span.peer }) { continue }
                case .other: if above(span).contains(where: { $0.peer != .none && $0.peer != .other }) { continue }
                default: break
                }
                let connection =
                    span.peer == .database ? "database" : span.peer == .messaging ? "messaging_system" : "virtual_node"
                note(service, names.name(span.peerName), connection, span, nil)
            }
        }
        return found.sorted()
    }

    static func text(_ request: GraphRequest) -> String {
        "\(request.traceID.low) \(request.client) \(request.server) \(request.connection.rawValue) \(request.isFailed) "
            + "\(request.clientNanoseconds) \(request.serverNanoseconds)"
    }

    static var names: GraphNames {
        var names = GraphNames()
        for name in ["a", "b", "c", "none", "database", "messaging", "model", "other"] { _ = names.number(name) }
        return names
    }

    static func book(_ cursor: ServiceGraphCursor = ServiceGraphCursor()) -> ServiceGraphBook {
        var book = ServiceGraphBook(cursor)
        book.names = names
        return book
    }

    /// Lets a book read up to an ordinal.
    static func read(_ all: [Told], until end: Int64, _ book: inout ServiceGraphBook) {
        while book.next < end {
            let until = min(end, book.readLimit)
            for told in all[Int(book.next)..<Int(until)] { book.take(told.span, of: told.trace, told.call) }
            book.advance(to: until)
        }
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func requestsAreThoseOfTheSpansInWhateverOrderTheyCame(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let all = Self.spans(&random, sharesIDs: true)
        var book = Self.book()
        while book.next < all.count {
            Self.read(all, until: min(Int64(all.count), book.next + Int64.random(in: 1...9, using: &random)), &book)
            // Read once more after a restart: nothing has settled.
            if Bool.random(using: &random) {
                book = Self.book(book.cursor)
                Self.read(all, until: book.cursor.read, &book)
            }
        }
        let found = book.settle(before: .max).map(Self.text).sorted()
        #expect(found == Self.requests(all, Self.names))
        #expect(book.settle(before: .max).isEmpty)
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func aRestartCountsNoRequestTwiceAndLosesNone(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let all = Self.spans(&random, sharesIDs: true)
        var steady = Self.book()
        var restarted = Self.book()
        while steady.cursor.settled < all.count {
            let end = min(Int64(all.count), steady.next + Int64.random(in: 0...7, using: &random))
            let settled = min(end, steady.cursor.settled + Int64.random(in: 0...7, using: &random))
            Self.read(all, until: end, &steady)
            restarted = Self.book(restarted.cursor)
            Self.read(all, until: end, &restarted)
            #expect(
                steady.settle(before: settled).map(Self.text).sorted()
                    == restarted.settle(before: settled).map(Self.text).sorted())
            #expect(steady.cursor == restarted.cursor)
        }
    }

    @Test(arguments: 0..<100 as Range<UInt64>)
    func aServiceThatAnswersLateIsStillFound(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let all = Self.spans(&random, sharesIDs: false)
        var book = Self.book()
        var found: [String] = []
        for end in 1...Int64(all.count) {
            Self.read(all, until: end, &book)
            found += book.settle(before: Int64.random(in: 0...end, using: &random)).map(Self.text)
        }
        found += book.settle(before: .max).map(Self.text)
        // All that services tell of, whenever they do; a peer that was counted before its service told of the request stays counted.
        let wanted = Self.requests(all, Self.names)
        var rest = found
        for request in wanted {
            let place = rest.firstIndex(of: request)
            #expect(place != nil, "\(request)")
            if let place { rest.remove(at: place) }
        }
        #expect(rest.allSatisfy { $0.contains("virtual_node") || $0.contains("database") || $0.contains("messaging") })
    }

    @Test func spansTooFarApartAreNotPutTogether() {
        for (distance, isFound) in [(GraphTrace.Limits.distanceMax, true), (GraphTrace.Limits.distanceMax + 1, false)] {
            var book = Self.book()
            book.take(GraphSpan(ordinal: 0, span: 1, parent: 0, service: 0, kind: 3), of: TraceID(high: 1, low: 1), nil)
            book.advance(to: 1)
            book.take(GraphSpan(ordinal: distance, span: 2, parent: 1, service: 1, kind: 2), of: TraceID(high: 1, low: 1), nil)
            book.advance(to: distance + 1)
            #expect(book.settle(before: .max).contains { $0.client == "a" && $0.server == "b" } == isFound)
        }
    }

    @Test func whatWaitsForRelativesIsBounded() {
        var book = Self.book()
        let last = 2 * GraphTrace.Limits.distanceMax
        book.take(GraphSpan(ordinal: last, span: 1, parent: 0, service: 0, kind: 2), of: TraceID(high: 1, low: 1), nil)
        book.advance(to: last + 1)
        _ = book.settle(before: 0)
        #expect(book.waitingCount == GraphTrace.Limits.distanceMax)
    }

    @Test func edgesPastTheirCapShareOneThatSaysSo() throws {
        var derivations = SpanDerivations(policy: FusePolicy())
        let max = SpanDerivations.Limits.serviceGraphEdgesMax
        let requests = (0..<max + 7).map { number in
            GraphRequest(
                client: "a", server: "s\(number)", connection: .direct, isFailed: number % 2 == 0, clientNanoseconds: 30_000_000,
                serverNanoseconds: 20_000_000, traceID: TraceID(high: 1, low: 1), spanID: SpanID(1))
        }
        derivations.count(ServiceGraphUpdate(requests: requests, cursor: ServiceGraphCursor(read: 9, settled: 5)))
        derivations.count(ServiceGraphUpdate(requests: [requests[0]], cursor: ServiceGraphCursor(read: 10, settled: 6)))
        let families = derivations.view.collect(at: 0)
        let edges = try #require(families.first { $0.name == "traces_service_graph_request_total" })
        #expect(edges.samples.count == max + 1)
        let overflow = edges.samples.first { $0.labels == #"client="__overflow__",server="__overflow__",connection_type="""# }
        #expect(overflow?.value == .integer(7))
        #expect(edges.samples.first { $0.labels.contains(#""s0""#) }?.value == .integer(2))
        #expect(derivations.total("fusebox_label_overflow_total") == 7)
        let seconds = try #require(families.first { $0.name == "traces_service_graph_request_server_seconds" })
        for sample in seconds.samples.prefix(3) {
            if case .histogram(let histogram) = sample.value { #expect(histogram.counts[1] >= 1) }
        }
        // A restart knows them all, and how far it came.
        let changes = derivations.takeChanges()
        var again = SpanDerivations(
            policy: FusePolicy(),
            snapshot: DerivationSnapshot(counters: changes.counters, labels: changes.labels, states: changes.states))
        #expect(again.serviceGraphCursor == ServiceGraphCursor(read: 10, settled: 6))
        again.count(ServiceGraphUpdate(requests: [requests[max]], cursor: ServiceGraphCursor(read: 11, settled: 7)))
        #expect(again.view.collect(at: 0).first { $0.name == edges.name }?.samples.count == max + 1)
    }
}
