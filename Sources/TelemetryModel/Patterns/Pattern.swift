/// A pattern that finds what it matches in one pass over a text, in time that is linear in it whatever the pattern: all states that
/// the text could be in are followed at once, so nobody can send a text that makes it slow.
package struct Pattern: Sendable {
    private static let statesMax = 8192

    private enum State: Sendable {
        case bytes(ByteSet, next: Int)
        case assertion(PatternAssertion, next: Int)
        case fork(Int, Int)
        case match
    }

    private var states: [State] = []
    private var start = 0
    /// The bytes that a match may begin with.
    private var first = ByteSet()

    /// Reads a pattern that is held against whole texts: it may match the empty one, and `.` is a character rather than a byte.
    package init(ofWholeText text: String) throws(PatternError) {
        states.append(.match)
        start = try add(try PatternParser.parse(text, isOfWholeText: true), next: 0)
    }

    /// Reads a pattern that is looked for inside of texts.
    package init(_ text: String) throws(PatternError) {
        let tree = try PatternParser.parse(text)
        states.append(.match)
        start = try add(tree, next: 0)
        var reached = StateSet(count: states.count)
        // Whatever must hold is taken as given here: more bytes than needed only cost time.
        for state in closure(from: start, begin: 0, at: nil, into: &reached) {
            switch states[state] {
            case .bytes(let set, _): first.formUnion(set)
            case .match: throw PatternError(message: "the pattern matches the empty text")
            case .assertion, .fork: break
            }
        }
    }

    // MARK: States

    private mutating func add(_ state: State) throws(PatternError) -> Int {
        guard states.count < Self.statesMax else { throw PatternError(message: "the pattern is too large") }
        states.append(state)
        return states.count - 1
    }

    /// Adds the states of a tree that go on to `next`, and gives the first.
    private mutating func add(_ node: PatternNode, next: Int) throws(PatternError) -> Int {
        switch node {
        case .bytes(let set): return try add(.bytes(set, next: next))
        case .assertion(let assertion): return try add(.assertion(assertion, next: next))
        case .sequence(let items):
            var following = next
            for item in items.reversed() { following = try add(item, next: following) }
            return following
        case .alternatives(let branches):
            var entry = try add(branches[branches.count - 1], next: next)
            for branch in branches.dropLast().reversed() { entry = try add(.fork(add(branch, next: next), entry)) }
            return entry
        case .repeated(let item, let minimum, let maximum):
            var following = next
            if let maximum {
                for _ in minimum..<maximum { following = try add(.fork(add(item, next: following), next)) }
            } else {
                let loop = try add(.fork(next, next))
                states[loop] = .fork(try add(item, next: loop), next)
                following = loop
            }
            for _ in 0..<minimum { following = try add(item, next: following) }
            return following
        }
    }

    /// The states that stand at the same place, each with where its match began.
    private struct StateSet {
        private(set) var members: [Int] = []
        private(set) var begins: [Int]

        init(count: Int) {
            begins = [Int](repeating: .max, count: count)
        }

        /// Adds a state; `false` when it is in with a begin that is no later.
        @inline(__always)
        mutating func insert(_ state: Int, begin: Int) -> Bool {
            guard begins[state] > begin else { return false }
            if begins[state] == .max { members.append(state) }
            begins[state] = begin
            return true
        }

        mutating func removeAll() {
            for state in members { begins[state] = .max }
            members.removeAll(keepingCapacity: true)
        }
    }

    /// A place in a text, by the bytes before and behind it; `nil` at the text's ends.
    private struct Place {
        var before: UInt8?
        var after: UInt8?

        func holds(_ assertion: PatternAssertion) -> Bool {
            switch assertion {
            case .wordBoundary: isBoundary
            case .noWordBoundary: !isBoundary
            case .textStart: before == nil
            case .textEnd: after == nil
            case .lineStart: before == nil || before == 0x0A
            case .lineEnd: after == nil || after == 0x0A
            }
        }

        private var isBoundary: Bool {
            (before.map(ByteSet.word.contains) ?? false) != (after.map(ByteSet.word.contains) ?? false)
        }
    }

    /// Adds what can be reached from a state without a byte; gives what is new.
    ///
    /// - Parameter place: where it stands in the text; `nil` where every assertion is taken as given.
    @discardableResult
    private func closure(from state: Int, begin: Int, at place: Place?, into set: inout StateSet) -> [Int] {
        var pending = [state]
        var added: [Int] = []
        while let state = pending.popLast() {
            guard set.insert(state, begin: begin) else { continue }
            added.append(state)
            switch states[state] {
            case .fork(let left, let right): pending += [right, left]
            case .assertion(let assertion, let next): if place?.holds(assertion) ?? true { pending.append(next) }
            case .bytes, .match: break
            }
        }
        return added
    }

    /// Whether the pattern matches the text from its beginning to its end.
    package func matchesWhole(_ text: some Collection<UInt8>) -> Bool {
        var current = StateSet(count: states.count)
        var following = StateSet(count: states.count)
        var index = text.startIndex
        closure(from: start, begin: 0, at: Place(before: nil, after: text.first), into: &current)
        while index < text.endIndex {
            let byte = text[index]
            index = text.index(after: index)
            let place = Place(before: byte, after: index < text.endIndex ? text[index] : nil)
            for state in current.members {
                if case .bytes(let set, let next) = states[state], set.contains(byte) {
                    closure(from: next, begin: 0, at: place, into: &following)
                }
            }
            current.removeAll()
            swap(&current, &following)
            guard !current.members.isEmpty else { return false }
        }
        return current.begins[0] == 0
    }

    // MARK: Searching

    /// Every stretch that some match covers, in order and apart from each other.
    package func matches(in text: ArraySlice<UInt8>) -> [Range<Int>] {
        text.withUnsafeBufferPointer { bytes in
            matches(in: bytes).map { $0.lowerBound + text.startIndex..<$0.upperBound + text.startIndex }
        }
    }

    private func matches(in bytes: UnsafeBufferPointer<UInt8>) -> [Range<Int>] {
        // Most texts have no byte to begin with.
        guard var index = bytes.firstIndex(where: first.contains) else { return [] }
        var found: [Range<Int>] = []
        var current = StateSet(count: states.count)
        var following = StateSet(count: states.count)
        while true {
            if index < bytes.count, first.contains(bytes[index]) {
                closure(from: start, begin: index, at: Self.place(bytes, index), into: &current)
            } else if current.members.isEmpty {
                guard let candidate = bytes[index...].firstIndex(where: first.contains) else { return found }
                index = candidate
                continue
            }
            if current.begins[0] < index { Self.cover(current.begins[0]..<index, &found) }
            guard index < bytes.count else { return found }
            let byte = bytes[index]
            index += 1
            let place = Self.place(bytes, index)
            for state in current.members {
                if case .bytes(let set, let next) = states[state], set.contains(byte) {
                    closure(from: next, begin: current.begins[state], at: place, into: &following)
                }
            }
            current.removeAll()
            swap(&current, &following)
        }
    }

    /// Adds a stretch that ends no earlier than those before.
    private static func cover(_ range: Range<Int>, _ found: inout [Range<Int>]) {
        var range = range
        while let last = found.last, last.upperBound >= range.lowerBound {
            range = min(last.lowerBound, range.lowerBound)..<range.upperBound
            found.removeLast()
        }
        found.append(range)
    }

    @inline(__always)
    private static func place(_ bytes: UnsafeBufferPointer<UInt8>, _ index: Int) -> Place {
        Place(before: index > 0 ? bytes[index - 1] : nil, after: index < bytes.count ? bytes[index] : nil)
    }
}
