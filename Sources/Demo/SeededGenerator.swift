/// Chance that can be repeated: SplitMix64. The same seed gives the same numbers on every machine.
struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }

    /// A number of the range, each as likely.
    mutating func number(_ range: ClosedRange<Int64>) -> Int64 {
        Int64.random(in: range, using: &self)
    }

    /// A duration in nanoseconds from a range of milliseconds: mostly near the lower end, now and then near the upper.
    mutating func latency(_ milliseconds: ClosedRange<Int64>) -> Int64 {
        let share = Double.random(in: 0..<1, using: &self)
        let width = Double(milliseconds.upperBound - milliseconds.lowerBound) * 1e6
        return milliseconds.lowerBound * 1_000_000 + Int64(width * share * share * share)
    }

    /// True in so many of a thousand cases.
    mutating func happens(_ perMille: Int64) -> Bool {
        number(0...999) < perMille
    }

    /// An id, never zero.
    mutating func id() -> UInt64 {
        max(1, next())
    }
}
