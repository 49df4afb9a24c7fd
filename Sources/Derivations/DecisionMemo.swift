import TelemetryModel

/// What a span's texts and traits decide, whatever its ids, times and amounts are.
struct Decision: Sendable {
    let classification: Classification
    /// Other spans may tell of what this one tells.
    let isInDoubt: Bool
    /// A run, a model call or an embedding: the loop contract is about it.
    let isOfLoop: Bool
    /// Positions in the caches of resolved counters; negative before they are needed.
    var cells = Cells()

    struct Cells: Equatable, Sendable {
        var attempt: Int32 = -1
        var run: Int32 = -1
        var tool: Int32 = -1
        var model: Int32 = -1
    }

    init(_ span: borrowing ObservedSpan, _ policy: borrowing FusePolicy) {
        classification = Classification.classify(span, policy)
        isInDoubt = SpanDerivations.isInDoubt(span, classification)
        isOfLoop = classification.isRun || classification.stage == .llm || span.operation == Operations.embeddings
    }
}

/// Remembers decisions by the numbers of the texts and the traits that they follow from: agents send spans of a few hundred kinds all day.
/// A cache: what it holds is what would be worked out again, and it may be off.
///
/// What follows from more than its key is not remembered: spans that failed, whose ending depends on messages, events and durations; timeouts,
/// whose phase depends on when the first token came; and spans with a text that has no number. Fuses and budgets are compared with each
/// span's own times.
struct DecisionMemo: Sendable {
    /// Places in a row that are looked at for a key.
    private static let probesMax = 4
    private static let roomMin = 64

    struct Key: Equatable, Sendable {
        fileprivate var origin: UInt64
        fileprivate var first: UInt64
        fileprivate var second: UInt64
        fileprivate var third: UInt64
        fileprivate var fourth: UInt64

        /// `nil` for a span of which nothing may be remembered.
        @inline(__always)
        init?(_ span: borrowing ObservedSpan, instance: Int32) {
            let numbers = span.numbers
            guard numbers.numbering != 0, span.statusCode != 2, span.exceptionFails != true, span.events.isEmpty, !span.watchdog,
                (span.exitCode ?? 0) == 0, span.httpStatus != 408, span.httpStatus != 504, span.grpcStatus != 4
            else { return nil }
            origin = UInt64(UInt32(bitPattern: instance)) | UInt64(Self.traits(of: span)) << 32
            first = UInt64(numbers.workflow) | UInt64(numbers.tool) << 32
            second = UInt64(numbers.model) | UInt64(numbers.operation) << 32
            third = UInt64(numbers.stageAttribute) | UInt64(numbers.breakerID) << 32
            fourth = UInt64(numbers.errorType) | UInt64(numbers.rpcStatus) << 32
        }

        /// What `Classification` and `isInDoubt` read of a span beside its texts, where it did not fail.
        @inline(__always)
        private static func traits(of span: borrowing ObservedSpan) -> UInt32 {
            var bits: UInt32 = 0
            if span.kind == 3 { bits |= 1 }
            if span.parentSpanID.isValid { bits |= 2 }
            bits |= code(span.workflowRoot) << 2 | code(span.timeoutFlag) << 4 | code(span.breakerRejected) << 6
            if span.hasProcessCommand { bits |= 1 << 8 }
            if span.hasHTTPRequestMethod { bits |= 1 << 9 }
            if span.hasURL { bits |= 1 << 10 }
            if span.hasDatabaseSystem { bits |= 1 << 11 }
            if span.retrievalBatch != nil { bits |= 1 << 12 }
            if span.cacheHit != nil { bits |= 1 << 13 }
            if span.exitCode != nil { bits |= 1 << 14 }
            if span.hasTokens { bits |= 1 << 15 }
            if span.tellsParent { bits |= 1 << 16 }
            if span.isSpecial { bits |= 1 << 17 }
            return bits
        }

        @inline(__always)
        private static func code(_ flag: Bool?) -> UInt32 { flag.map { $0 ? 2 : 1 } ?? 0 }

        /// The numbers are the server's own; the seed is for what clients may choose of them by their order.
        @inline(__always)
        fileprivate var hash: UInt64 {
            let seed = HashSeed.process
            let texts = ByteHash.hash(first ^ third &* 0x9E37_79B9_7F4A_7C15, second ^ fourth &* 0xD6E8_FEB8_6659_FD93, seed)
            return ByteHash.hash(origin, texts, seed)
        }
    }

    /// Decisions at most; a new one takes another's place then. 0: nothing is remembered.
    private let capacity: Int
    /// A power of two of places, at most `capacity`, or none.
    private var keys: [Key?] = []
    private var decisions: [Decision?] = []
    private var count = 0
    private(set) var numbering: UInt64 = 0
    private var generation = 0

    /// - Parameter capacity: a power of two, or 0.
    init(capacity: Int = SpanDerivations.Limits.decisionsMax) {
        precondition(capacity & (capacity - 1) == 0)
        self.capacity = capacity
    }

    /// Forgets everything when numbers or positions mean something else than before.
    @inline(__always)
    mutating func begin(numbering: UInt64, generation: Int) {
        if self.numbering == numbering && self.generation == generation { return }
        self.numbering = numbering
        self.generation = generation
        removeAll()
    }

    /// Where a key's decision is, until the next insertion.
    @inline(__always)
    func place(of key: Key) -> Int? {
        guard !keys.isEmpty else { return nil }
        let mask = keys.count &- 1
        var place = Int(truncatingIfNeeded: key.hash &>> 32) & mask
        for _ in 0..<Self.probesMax {
            if keys[place] == key { return place }
            place = (place &+ 1) & mask
        }
        return nil
    }

    subscript(place: Int) -> Decision? {
        @inline(__always) get { decisions[place] }
    }

    /// Keeps a decision, or what was resolved for it since.
    mutating func insert(_ decision: Decision, for key: Key) {
        guard capacity > 0 else { return }
        if keys.isEmpty || count * 2 > keys.count && keys.count < capacity { grow() }
        let mask = keys.count - 1
        let home = Int(truncatingIfNeeded: key.hash >> 32) & mask
        var place = home
        for step in 0..<Self.probesMax {
            let next = (home + step) & mask
            guard keys[next] == nil || keys[next] == key else { continue }
            place = next
            break
        }
        if keys[place] == nil { count += 1 }
        keys[place] = key
        decisions[place] = decision
    }

    /// Twice the places; what was there is worked out again.
    private mutating func grow() {
        let room = min(capacity, max(Self.roomMin, keys.count * 2))
        keys = Array(repeating: nil, count: room)
        decisions = Array(repeating: nil, count: room)
        count = 0
    }

    private mutating func removeAll() {
        keys.removeAll()
        decisions.removeAll()
        count = 0
    }
}
