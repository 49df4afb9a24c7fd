import TelemetryModel

/// Calls that more than one span may tell of: those that wait for their relatives, and those that were decided a short time ago,
/// so that a relative that comes late does not count a second time. docs/metrics.md 2.12.
///
/// Calls are numbered in order of arrival. Two see each other when they were received within `Limits.callMemoryNanoseconds` and
/// fewer than `Limits.callMemoryMax` came between them. What counts is a function of the calls within these bounds and their
/// order of arrival, so a replay of those gives it back.
struct CallBook: Sendable {
    private typealias Limits = SpanDerivations.Limits

    /// What a search looks at comes first, so that it lies in one cache line or two.
    struct Entry: Sendable {
        var trace: TraceID
        /// When its receipt has its turn, in steady time (`SettleClock`).
        var due: Int64
        var call: ToldCall
        /// By `Link`, how many entries before it the one before it in its chain came; 0 for none that any call can see.
        var previous: (UInt32, UInt32, UInt32, UInt32, UInt32, UInt32) = (0, 0, 0, 0, 0, 0)
        var session: UInt64
        /// What was counted of it.
        var counted: CallFacets = []
    }

    /// What entries are found by, within a trace but for the last.
    enum Link: Int, Sendable {
        case span, parent, response
        /// Those of few entries, or of none.
        case tool, trace, session

        static let common = 3
        static let rare = 3
    }

    /// Those that are still known.
    private var entries = FirstInFirstOut<Entry>()
    /// What is counted of those that wait.
    private var counts = FirstInFirstOut<CallCounts>()
    /// The oldest call that waits.
    private(set) var nextDue = 0
    private var chains = CallChains(links: Link.common)
    private var rareChains = CallChains(links: Link.rare)
    /// Entries that were made of log records.
    private var logCount = 0
    /// Entries are in the chains of their trace and session, which are only followed beside log records: from the first one on.
    private var linksAround = false

    init() {}

    var waitingCount: Int { entries.nextNumber - nextDue }

    /// When the oldest call that waits has its turn, in steady time; `nil` when none waits.
    var firstDue: Int64? { waitingCount > 0 ? entries[known: nextDue].due : nil }

    mutating func add(_ call: ToldCall, trace: TraceID, session: UInt64, due: Int64, _ counted: CallCounts) {
        if call.source != .span {
            logCount += 1
            if !linksAround {
                linksAround = true
                linkAnew()
            }
        }
        if chains.needsRoom(for: entries.count + 1) { linkAnew() }
        var entry = Entry(trace: trace, due: due, call: call, session: session)
        link(&entry, entries.nextNumber)
        entries.append(entry)
        counts.append(counted)
    }

    /// A trace as a number; 0 stands for none.
    @inline(__always)
    private static func number(of trace: TraceID?) -> UInt64 {
        trace.map { ByteHash.hash($0.high, $0.low, HashSeed.process) } ?? 0
    }

    /// The hash of a key within a trace; the same key of two links has two hashes.
    @inline(__always)
    private static func hash(_ link: Link, _ key: UInt64, _ trace: UInt64) -> UInt64 {
        let salted = key ^ UInt64(link.rawValue) &* 0x9E37_79B9_7F4A_7C15
        return ByteHash.hash(trace ^ salted, 0, HashSeed.process)
    }

    /// Puts an entry into its chains.
    private mutating func link(_ entry: inout Entry, _ number: Int) {
        let call = entry.call
        let ids = Self.number(of: entry.trace)
        entry.previous = (0, 0, 0, 0, 0, 0)
        entry.previous.0 = link(.span, call.span, ids, number)
        entry.previous.1 = link(.parent, call.parent, ids, number)
        if call.response != 0 { entry.previous.2 = link(.response, call.response, ids, number) }
        if call.side != .none { entry.previous.3 = link(.tool, call.tool, ids, number) }
        guard linksAround else { return }
        entry.previous.4 = link(.trace, 0, ids, number)
        if entry.session != 0 { entry.previous.5 = link(.session, entry.session, 0, number) }
    }

    @inline(__always)
    private mutating func link(_ link: Link, _ key: UInt64, _ trace: UInt64, _ number: Int) -> UInt32 {
        let hash = Self.hash(link, key, trace)
        return link.rawValue < Link.common
            ? chains.add(number, to: link.rawValue, hash, oldest: entries.firstNumber)
            : rareChains.add(number, to: link.rawValue - Link.common, hash, oldest: entries.firstNumber)
    }

    /// Makes chains for twice as many entries, and links all that are known.
    private mutating func linkAnew() {
        chains.makeRoom(for: entries.count + 1)
        rareChains.makeRoom(for: entries.count + 1)
        for number in entries.firstNumber..<entries.nextNumber {
            var entry = entries[known: number]
            link(&entry, number)
            _ = entries.update(number) { $0.previous = entry.previous }
        }
    }

    /// The latest entry of the chain of a key within a trace, by the trace's number; -1, or one that is gone, for none.
    @inline(__always)
    private func latest(_ link: Link, _ key: UInt64, _ trace: UInt64) -> Int {
        let hash = Self.hash(link, key, trace)
        return link.rawValue < Link.common
            ? chains.latest(link.rawValue, hash, next: entries.nextNumber)
            : rareChains.latest(link.rawValue - Link.common, hash, next: entries.nextNumber)
    }

    /// The entry before this one in its chain, or -1.
    private func previous(_ number: Int, _ link: Link) -> Int {
        let previous = entries[known: number].previous
        let distance =
            switch link {
            case .span: previous.0
            case .parent: previous.1
            case .response: previous.2
            case .tool: previous.3
            case .trace: previous.4
            case .session: previous.5
            }
        return distance == 0 ? -1 : number - Int(distance)
    }

    /// Calls `body` with the entries of a chain that the call `number` sees, the latest first, until it says false.
    @inline(__always)
    private func each(_ link: Link, _ key: UInt64, _ trace: TraceID?, seenBy number: Int, _ body: (Int, Entry) -> Bool) {
        let own = entries[known: number].due
        var next = latest(link, key, Self.number(of: trace))
        var steps = 0
        while next >= entries.firstNumber, next > number - Limits.callMemoryMax, steps < Limits.callStepsMax {
            let entry = entries[known: next]
            guard own.subtractingSaturated(entry.due) <= Limits.callMemoryNanoseconds else { return }
            if !body(next, entry) { return }
            next = previous(next, link)
            steps += 1
        }
    }

    // MARK: Deciding

    /// A call that is decided, and what was kept to be counted of it.
    struct Settled {
        var verdict: CallFamily.Verdict
        var trace: TraceID
        var span: UInt64
        /// Nanoseconds since 1970.
        var start: Int64
        var end: Int64
        /// When its receipt had its turn, in steady time.
        var due: Int64
        var counts: CallCounts
    }

    /// Decides the oldest call that waits, by the relatives that are known by now; `nil` when none waits.
    mutating func settleNext() -> Settled? {
        let number = nextDue
        guard waitingCount > 0, let counts = counts.popFirst() else { return nil }
        let verdict = verdict(number)
        if !verdict.facets.isEmpty { _ = entries.update(number) { $0.counted = verdict.facets } }
        nextDue += 1
        let settled = Settled(
            verdict: verdict, trace: entries[known: number].trace, span: entries[known: number].call.span,
            start: entries[known: number].call.start, end: entries[known: number].call.end, due: entries[known: number].due, counts: counts)
        forget(before: number)
        return settled
    }

    private func verdict(_ number: Int) -> CallFamily.Verdict {
        let call = entries[known: number].call
        let witnesses = witnesses(number, call)
        if witnesses.isEmpty, let facets = plainFacets(number) { return CallFamily.Verdict(facets: facets) }
        let found = relatives(number)
        if found.count == 1 && witnesses.isEmpty { return CallFamily.Verdict(facets: call.carries) }
        let family = CallFamily(
            found.map { entries[known: $0].call }, counted: found.map { entries[known: $0].counted })
        return family.verdict(0, witnesses: witnesses)
    }

    /// What `CallFamily` would say of a call, where it is plain without it: most calls have no relatives but the root around them. `nil`
    /// where it is not.
    private func plainFacets(_ number: Int) -> CallFacets? {
        let call = entries[known: number].call
        let trace = entries[known: number].trace
        let seeker = Seeker(number: number, trace: trace, traceNumber: Self.number(of: trace))
        guard call.side == .none, !call.isToldByChild, !call.tellsParent, !hasTwin(number, seenBy: seeker) else { return nil }
        if call.sort == .model {
            if isRepeatedWithin(seeker, call) { return [] }
            return hasChildren(seeker, call.span) || !isPlainAround(seeker) ? nil : call.carries
        }
        guard call.sort == .none, call.carries == .cache, call.parent == 0 else { return nil }
        return lookUpOfRoot(seeker, call.span)
    }

    /// Who looks for relatives: a call, and its trace with the number of that.
    private struct Seeker {
        var number: Int
        var trace: TraceID
        var traceNumber: UInt64
    }

    /// The latest entry of a chain that a call sees and that matches; `nil` when there is none. As `each`, without a copy of an entry.
    @inline(__always)
    private func latest(_ link: Link, _ key: UInt64, seenBy seeker: Seeker, where matches: (Int) -> Bool) -> Int? {
        let (number, trace) = (seeker.number, seeker.trace)
        let own = entries[known: number].due
        var next = latest(link, key, seeker.traceNumber)
        var steps = 0
        while next >= entries.firstNumber, next > number - Limits.callMemoryMax, steps < Limits.callStepsMax {
            guard own.subtractingSaturated(entries[known: next].due) <= Limits.callMemoryNanoseconds else { return nil }
            if entries[known: next].trace == trace, matches(next) { return next }
            next = previous(next, link)
            steps += 1
        }
        return nil
    }

    /// Whether another span may tell of the same model call; of the seeker's own, or of one around it.
    private func hasTwin(_ number: Int, seenBy seeker: Seeker) -> Bool {
        let call = entries[known: number].call
        if call.response != 0,
            latest(.response, call.response, seenBy: seeker, where: { $0 != number && isTwin($0, call) }) != nil
        {
            return true
        }
        return latest(.parent, call.parent, seenBy: seeker, where: { $0 != number && isTwin($0, call) }) != nil
    }

    @inline(__always)
    private func isTwin(_ number: Int, _ call: ToldCall) -> Bool {
        // Most of what stands beside a call is of its own instrumentation and has another response.
        let scope = entries[known: number].call.scope
        if scope == call.scope && (call.response == 0 || entries[known: number].call.response != call.response) { return false }
        return ToldCall.areTwins(call, entries[known: number].call)
    }

    private func hasChildren(_ seeker: Seeker, _ span: UInt64) -> Bool {
        latest(.parent, span, seenBy: seeker, where: { entries[known: $0].call.parent == span }) != nil
    }

    /// A model call in this one has all that this one has.
    private func isRepeatedWithin(_ seeker: Seeker, _ own: ToldCall) -> Bool {
        func repeats(_ other: Int) -> Bool {
            let call = entries[known: other].call
            return call.parent == own.span && call.sort == .model && call.source == .span && call.carries.isSuperset(of: own.carries)
        }
        return latest(.parent, own.span, seenBy: seeker, where: { repeats($0) }) != nil
    }

    /// Calls around this one that are looked at before `CallFamily` is asked.
    private static let plainDepth = 4

    /// Nothing was counted of the calls that are known around this one, and no other span tells of them.
    private func isPlainAround(_ seeker: Seeker) -> Bool {
        var place = seeker.number
        for _ in 0..<Self.plainDepth {
            let parent = entries[known: place].call.parent
            guard parent != 0,
                let around = latest(.span, parent, seenBy: seeker, where: { entries[known: $0].call.span == parent })
            else { return true }
            if entries[known: around].call.sort == .tool { return true }
            guard entries[known: around].counted.isEmpty, !hasTwin(around, seenBy: seeker) else { return false }
            place = around
        }
        return false
    }

    /// What counts of a root that has a cache look-up alone: nothing when a call in it has one. `nil` when what lies deeper decides.
    private func lookUpOfRoot(_ seeker: Seeker, _ span: UInt64) -> CallFacets? {
        func isCall(_ other: Int) -> Bool {
            let call = entries[known: other].call
            return call.parent == span && call.sort != .tool && call.source == .span
        }
        let withLookUp = latest(
            .parent, span, seenBy: seeker, where: { isCall($0) && entries[known: $0].call.carries.contains(.cache) })
        if withLookUp != nil { return [] }
        return latest(.parent, span, seenBy: seeker, where: { isCall($0) }) == nil ? .cache : nil
    }

    /// Who else tells of calls of this sort in the trace and the session.
    private func witnesses(_ number: Int, _ call: ToldCall) -> CallWitnesses {
        if logCount == 0 { return [] }
        let own = entries[known: number]
        var witnesses: CallWitnesses = []
        func look(_ other: Int, _ entry: Entry) -> Bool {
            guard other != number, entry.call.isSameSort(as: call) else { return true }
            witnesses.formUnion(entry.call.witness(wasCounted: !entry.counted.isEmpty))
            return true
        }
        each(.trace, 0, own.trace, seenBy: number) { other, entry in entry.trace == own.trace ? look(other, entry) : true }
        if own.session != 0 {
            each(.session, own.session, nil, seenBy: number) { other, entry in
                entry.session == own.session ? look(other, entry) : true
            }
        }
        return witnesses
    }

    /// Which relatives of a relative are looked for.
    private struct Directions: OptionSet {
        let rawValue: UInt8
        static let inner = Directions(rawValue: 1)
        static let outer = Directions(rawValue: 2)
    }

    /// The numbers of the call itself and of those that decide with it, in the order in which they were met.
    private func relatives(_ number: Int) -> [Int] {
        var found = [number]
        var directions: [Directions] = [[.inner, .outer]]
        func add(_ other: Int, _ direction: Directions) {
            if found.count < Limits.callRelativesMax, !found.contains(other) {
                found.append(other)
                directions.append(direction)
            }
        }
        var place = 0
        while place < found.count {
            let (entry, direction) = (entries[known: found[place]], directions[place])
            let (call, trace) = (entry.call, entry.trace)
            if direction.contains(.outer) {
                if call.response != 0 {
                    each(.response, call.response, trace, seenBy: number) { other, entry in
                        if entry.trace == trace && ToldCall.areTwins(call, entry.call) { add(other, direction) }
                        return true
                    }
                }
                each(.parent, call.parent, trace, seenBy: number) { other, entry in
                    if entry.trace == trace && ToldCall.areTwins(call, entry.call) { add(other, direction) }
                    return true
                }
                if call.parent != 0 {
                    each(.span, call.parent, trace, seenBy: number) { other, entry in
                        guard entry.trace == trace, entry.call.span == call.parent else { return true }
                        add(other, .outer)
                        return false
                    }
                }
            }
            if direction.contains(.inner) {
                each(.parent, call.span, trace, seenBy: number) { other, entry in
                    if entry.trace == trace && entry.call.parent == call.span { add(other, .inner) }
                    return true
                }
            }
            if place == 0 && call.side != .none {
                each(.tool, call.tool, trace, seenBy: number) { other, entry in
                    if entry.trace == trace && entry.call.tool == call.tool { add(other, []) }
                    return true
                }
            }
            place += 1
        }
        return found
    }

    /// Forgets calls that none that waits, or comes, sees.
    private mutating func forget(before number: Int) {
        let due = entries[known: number].due
        while entries.firstNumber < number {
            let first = entries.firstNumber
            let isFar = due.subtractingSaturated(entries[known: first].due) > Limits.callMemoryNanoseconds
            guard isFar || first <= number - Limits.callMemoryMax else { return }
            if entries[known: first].call.source != .span { logCount -= 1 }
            entries.dropFirst()
        }
    }
}

extension ToldCall {
    fileprivate func isSameSort(as other: ToldCall) -> Bool { (sort == .tool) == (other.sort == .tool) && !carries.isEmpty }

    fileprivate func witness(wasCounted: Bool) -> CallWitnesses {
        switch source {
        case .span: wasCounted ? [.span, .countedSpan] : .span
        case .log: wasCounted ? .countedLog : []
        case .betterLog: wasCounted ? [.betterLog, .countedLog] : .betterLog
        }
    }
}
