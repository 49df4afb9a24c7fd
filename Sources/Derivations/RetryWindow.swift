import TelemetryModel

/// Finds silent retries: metrics.md 2.2. Attempts come in any order; whichever of a failed attempt and its repetition comes
/// later finds the other one, and a repetition is counted once.
///
/// Attempts see each other within the bounds of `Limits`: so many attempts, so much time, so many steps. Which are counted is a
/// function of the attempts within twice these bounds, so a replay of those restores the window.
struct RetryWindow: Sendable {
    /// One attempt as the window sees it.
    struct Attempt: Sendable {
        /// Hash of trace, parent, step and tool.
        var group: UInt64
        var start: Int64
        /// `Int64.max` unless it failed.
        var failureEnd: Int64
        /// The due of its receipt.
        var received: Int64
        /// What to count on when it turns out to be a silent retry; negative when that is settled.
        var counter: CounterTable.ID
        /// An earlier attempt of its group failed.
        var followsFailure = false
        /// The number of the attempt before it in its chain, or -1.
        var previous: Int64 = -1
    }

    private static let capacity = Int64(SpanDerivations.Limits.retryAttemptsMax)
    private static let chainBits: UInt64 = 18
    private static let seed = HashSeed.process

    /// The last attempts; number n lies at n modulo the capacity.
    private var ring: [Attempt] = []
    /// The number of the last attempt of each chain, or -1.
    private var heads: [Int64] = []
    private var nextNumber: Int64 = 0

    init() {}

    /// Hash of a step or tool; it lives as long as the process.
    static func hash(_ text: String) -> UInt64 {
        let bytes = text.utf8.span.bytes
        return ByteHash.hash(bytes, WireRange(offset: 0, count: bytes.byteCount), seed)
    }

    private static let emptyHash = hash("")

    static func group(trace: TraceID, parent: SpanID, step: String?, tool: UInt64) -> UInt64 {
        let seed = seed
        let ids = ByteHash.hash(trace.high, trace.low, seed)
        let rest = ByteHash.hash(tool ^ (step.map(hash) ?? emptyHash) &* 0x9E37_79B9_7F4A_7C15, parent.value, seed)
        return ByteHash.hash(ids, rest, seed)
    }

    /// Takes an attempt in, and counts each attempt that turns out to be a silent retry, unless all that was done before.
    @inline(__always)
    mutating func add(_ attempt: Attempt, _ counters: inout CounterTable, isRestoration: Bool) {
        if heads.isEmpty { heads = Array(repeating: -1, count: 1 << Int(Self.chainBits)) }
        var attempt = attempt
        let chain = Int(truncatingIfNeeded: attempt.group >> (64 - Self.chainBits))
        attempt.previous = heads[chain]
        if attempt.previous >= 0 { meet(&attempt, &counters, isRestoration) }
        heads[chain] = nextNumber
        if ring.count < Int(Self.capacity) {
            ring.append(attempt)
        } else {
            ring[Int(nextNumber & (Self.capacity - 1))] = attempt
        }
        nextNumber += 1
    }

    private mutating func meet(_ attempt: inout Attempt, _ counters: inout CounterTable, _ isRestoration: Bool) {
        let hasFailed = attempt.failureEnd != .max
        var isFirstOfGroup = true
        var link = attempt.previous
        var steps = 0
        while link >= 0, nextNumber - link < Self.capacity, steps < SpanDerivations.Limits.retryStepsMax {
            let position = Int(link & (Self.capacity - 1))
            let received = ring[position].received
            guard attempt.received.subtractingSaturated(received) <= SpanDerivations.Limits.retryWindowNanoseconds else { return }
            if ring[position].group == attempt.group {
                if isFirstOfGroup {
                    isFirstOfGroup = false
                    attempt.followsFailure = ring[position].followsFailure || ring[position].failureEnd != .max
                    if !attempt.followsFailure && !hasFailed { return }
                }
                let failureEnd = ring[position].failureEnd
                if attempt.counter >= 0, failureEnd != .max, failureEnd <= attempt.start {
                    if !isRestoration { counters.add(attempt.counter) }
                    attempt.counter = -1
                }
                if hasFailed, ring[position].counter >= 0, attempt.failureEnd <= ring[position].start {
                    if !isRestoration { counters.add(ring[position].counter) }
                    ring[position].counter = -1
                }
            }
            link = ring[position].previous
            steps += 1
        }
    }
}
