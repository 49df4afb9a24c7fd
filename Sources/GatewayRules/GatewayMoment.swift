/// When something happened, and the luck of it: clock and chance as one value.
package struct GatewayMoment: Equatable, Sendable {
    /// On a clock that never goes back, from any origin.
    package var nanoseconds: Int64
    /// From 0 up to, and without, 1.
    package var chance: Double

    package init(nanoseconds: Int64, chance: Double) {
        self.nanoseconds = nanoseconds
        self.chance = chance
    }
}
