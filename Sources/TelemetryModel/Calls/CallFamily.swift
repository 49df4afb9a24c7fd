/// Calls of one trace that may tell of each other, and which of them count: docs/metrics.md 2.12. A function of the calls alone,
/// in whatever order they are given.
///
/// Calls that tell of the same call are a class. A class lies within another when one of its members is a child of a member
/// there. Of each facet (call, tokens, cache look-up) the innermost class counts that has it, and in it the member closest to the
/// wire that has it. So none counts twice, and none gets lost.
package struct CallFamily {
    package enum Limits {
        /// Siblings that a call is compared with, the nearest by start.
        package static let siblingsMax = 64
        /// Classes that are looked at below one, and calls whose children are.
        package static let innerMax = 256
        /// Parents above a call that are looked at.
        package static let outerMax = 32
        /// Clients' spans of one tool that a server's span is compared with.
        package static let clientsMax = 256
    }

    /// What counts of a span.
    package struct Verdict: Equatable, Sendable {
        package var facets: CallFacets
        /// How the call ended, as the child said that tells it; 0 when none does.
        package var failure: UInt32

        package init(facets: CallFacets, failure: UInt32 = 0) {
            self.facets = facets
            self.failure = failure
        }
    }

    private let calls: [ToldCall]
    /// What was counted of each before; empty when nothing was.
    private let counted: [CallFacets]
    /// The first call of each span's id.
    private var positions: [UInt64: Int] = [:]
    private var children: [UInt64: [Int]] = [:]
    /// For each call its class; a class is named by one of its members.
    private var classes: [Int]
    /// Of classes with more than one member.
    private var members: [Int: [Int]] = [:]
    /// Of those, for each of `facets` the member closest to the wire that has it.
    private var closest: [Int: [Int?]] = [:]
    private var clients: [UInt64: [Int]] = [:]

    /// - Parameter counted: what was counted of each call already, and stays counted.
    package init(_ calls: [ToldCall], counted: [CallFacets] = []) {
        self.calls = calls
        self.counted = counted
        classes = Array(calls.indices)
        for (index, call) in calls.enumerated() {
            // Both sides of a call may share an id: the first one stands for it.
            if positions[call.span] != nil { continue }
            positions[call.span] = index
            children[call.parent, default: []].append(index)
            if call.side != .none && call.carries.contains(.call) { clients[call.tool, default: []].append(index) }
        }
        joinResponses()
        for siblings in children.values where siblings.count > 1 { joinSiblings(siblings) }
        for index in calls.indices {
            let leader = shortened(index)
            if leader != index { members[leader, default: [leader]].append(index) }
        }
        for (leader, members) in members { closest[leader] = Self.facets.map { facet in closestWith(facet, members) } }
    }

    private static let facets: [CallFacets] = [.call, .tokens, .cache]

    private func closestWith(_ facet: CallFacets, _ members: [Int]) -> Int? {
        members.filter { calls[$0].carries.isSuperset(of: facet) }.max { ToldCall.isCloser(calls[$1], than: calls[$0]) }
    }

    // MARK: Classes

    private func leader(_ index: Int) -> Int {
        var index = index
        while classes[index] != index { index = classes[index] }
        return index
    }

    private mutating func join(_ one: Int, _ other: Int) {
        let (one, other) = (shortened(one), shortened(other))
        if one != other { classes[max(one, other)] = min(one, other) }
    }

    /// The class of a call; the way to it is halved, so that long chains of joins stay cheap.
    private mutating func shortened(_ index: Int) -> Int {
        var index = index
        while classes[index] != index {
            classes[index] = classes[classes[index]]
            index = classes[index]
        }
        return index
    }

    private mutating func joinResponses() {
        var first: [UInt64: Int] = [:]
        for (index, call) in calls.enumerated() where call.response != 0 && call.isOfModel {
            if let known = first[call.response] { join(known, index) } else { first[call.response] = index }
        }
    }

    /// Joins siblings that tell of one call, the nearest in time first, and one of each scope: of two equal calls at the same
    /// time that two instrumentations tell of, two are left.
    private mutating func joinSiblings(_ siblings: [Int]) {
        let ordered = siblings.filter { calls[$0].isOfModel }.sorted { left, right in
            (calls[left].start, calls[left].span) < (calls[right].start, calls[right].span)
        }
        guard ordered.count > 1, ordered.contains(where: { calls[$0].scope != calls[ordered[0]].scope }) else { return }
        var pairs: [(distance: UInt64, one: Int, other: Int)] = []
        for (place, one) in ordered.enumerated() {
            for other in ordered[(place + 1)...].prefix(Limits.siblingsMax) {
                if calls[other].start > calls[one].end { break }
                if ToldCall.areTwins(calls[one], calls[other]) {
                    pairs.append((ToldCall.distance(calls[one], calls[other]), one, other))
                }
            }
        }
        pairs.sort { left, right in
            let (first, second) = (calls[left.one], calls[right.one])
            return (left.distance, first.start, first.span, calls[left.other].span)
                < (right.distance, second.start, second.span, calls[right.other].span)
        }
        var scopes: [Int: Set<UInt64>] = [:]
        for pair in pairs {
            let (one, other) = (leader(pair.one), leader(pair.other))
            if one == other { continue }
            let own = scopes[one] ?? [calls[pair.one].scope]
            let others = scopes[other] ?? [calls[pair.other].scope]
            guard own.isDisjoint(with: others) else { continue }
            join(one, other)
            scopes[leader(one)] = own.union(others)
        }
    }

    private func classMembers(_ index: Int) -> [Int] { members[leader(index)] ?? [leader(index)] }

    // MARK: Verdicts

    /// What counts of a call.
    ///
    /// - Parameter witnesses: who tells of calls of its sort in its trace and its session.
    package func verdict(_ index: Int, witnesses: CallWitnesses = []) -> Verdict {
        let call = calls[index]
        var verdict = Verdict(facets: call.carries)
        switch call.source {
        case .log where witnesses.contains(.span), .betterLog where witnesses.contains(.countedSpan),
            .span where !witnesses.isDisjoint(with: [.betterLog, .countedLog]):
            return Verdict(facets: [])
        case .log, .betterLog: return verdict
        case .span: break
        }
        if call.sort == .tool {
            if call.side != .none && hasOtherEnd(index) { verdict.facets.remove(.call) }
            if call.isToldByChild { verdict.failure = failureOfChild(index) }
        }
        verdict.facets.subtract(taken(index))
        return verdict
    }

    /// What other members of the class, and classes within and around it, count instead.
    private func taken(_ index: Int) -> CallFacets {
        let mayLose = calls[index].mayLose
        var taken: CallFacets = []
        for (facet, closest) in zip(Self.facets, closest[leader(index)] ?? []) where closest != nil && closest != index {
            taken.formUnion(facet)
        }
        if !counted.isEmpty {
            for member in classMembers(index) where member != index { taken.formUnion(counted[member]) }
        }
        taken.formUnion(inner(index, within: mayLose))
        if !counted.isEmpty { taken.formUnion(countedAround(index)) }
        return taken.intersection(mayLose)
    }

    /// What calls within the class have.
    private func inner(_ index: Int, within wanted: CallFacets) -> CallFacets {
        var found: CallFacets = []
        var queue = classMembers(index)
        var seen: Set<Int> = [leader(index)]
        var next = 0
        while next < min(queue.count, Limits.innerMax), seen.count <= Limits.innerMax, !found.isSuperset(of: wanted) {
            for child in children[calls[queue[next]].span] ?? [] {
                guard let told = calls[child].told(to: calls[index]), calls[child].source == .span, seen.insert(leader(child)).inserted
                else { continue }
                found.formUnion(told)
                // A tool is a class of its own, and what lies in it is the tool's.
                for member in calls[child].sort == .tool ? [] : classMembers(child) {
                    found.formUnion(calls[member].carries)
                    queue.append(member)
                }
                if seen.count > Limits.innerMax { break }
            }
            next += 1
        }
        return found
    }

    /// What calls around the class counted before this one was known.
    private func countedAround(_ index: Int) -> CallFacets {
        var found: CallFacets = []
        var place = index
        for _ in 0..<Limits.outerMax {
            guard calls[place].parent != 0, let parent = positions[calls[place].parent], calls[parent].sort != .tool
            else { break }
            for member in classMembers(parent) where leader(member) != leader(index) { found.formUnion(counted[member]) }
            place = parent
        }
        return found
    }

    /// Whether the other end of an MCP call tells of it: the client's span around it counts, or the server's did before.
    private func hasOtherEnd(_ index: Int) -> Bool {
        let call = calls[index]
        var place = index
        for _ in 0..<Limits.outerMax {
            guard calls[place].parent != 0, let parent = positions[calls[place].parent], parent != index else { break }
            let isAttempt = calls[parent].side == .client && calls[parent].carries.contains(.call)
            if isAttempt && calls[parent].tool == call.tool { return true }
            if calls[parent].side == .none { break }
            place = parent
        }
        for other in (clients[call.tool] ?? []).prefix(Limits.clientsMax) where other != index {
            if call.side == .server && calls[other].mayBeClient(of: call) { return true }
            let wasCounted = !counted.isEmpty && counted[other].contains(.call)
            if wasCounted && call.mayBeClient(of: calls[other]) && calls[other].side == .server { return true }
        }
        return false
    }

    private func failureOfChild(_ index: Int) -> UInt32 {
        let telling = (children[calls[index].span] ?? []).filter { calls[$0].tellsParent && calls[$0].failure != 0 }
        let last = telling.max { left, right in (calls[left].end, calls[left].span) < (calls[right].end, calls[right].span) }
        return last.map { calls[$0].failure } ?? 0
    }
}
