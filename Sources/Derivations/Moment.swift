/// One moment by both of the server's clocks.
package struct Moment: Equatable, Sendable {
    /// The wall clock, nanoseconds since 1970. It may jump either way.
    package var unixNano: Int64
    /// Nanoseconds on a clock that only runs forward at its even pace, since a point that is the same for all moments of a
    /// process.
    package var elapsed: Int64

    package init(unixNano: Int64, elapsed: Int64) {
        self.unixNano = unixNano
        self.elapsed = elapsed
    }

    /// A moment of a wall clock that never jumps.
    package init(steady unixNano: Int64) {
        self.init(unixNano: unixNano, elapsed: unixNano)
    }
}
