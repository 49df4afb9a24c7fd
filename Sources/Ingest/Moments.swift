import Derivations

/// Reads both of the server's clocks.
struct Moments: Sendable {
    private let wall: @Sendable () -> Int64
    private let start = ContinuousClock.now

    /// - Parameter wall: nanoseconds since 1970.
    init(_ wall: @escaping @Sendable () -> Int64) {
        self.wall = wall
    }

    var now: Moment {
        let passed = (ContinuousClock.now - start).components
        return Moment(unixNano: wall(), elapsed: passed.seconds * 1_000_000_000 + passed.attoseconds / 1_000_000_000)
    }
}
