/// How long the oldest of a signal waits for a request to become full: longer after a target said that it gets too many small ones.
struct BatchAge: Equatable, Sendable {
    private static let factorMax: Int64 = 16
    /// Requests that were taken until it becomes half as long again.
    private static let deliveriesToShrink = 64

    private(set) var factor: Int64 = 1
    private var deliveries = 0

    /// The target got too many.
    mutating func widen() {
        factor = min(factor * 2, Self.factorMax)
        deliveries = 0
    }

    mutating func delivered() {
        guard factor > 1 else { return }
        deliveries += 1
        guard deliveries >= Self.deliveriesToShrink else { return }
        factor /= 2
        deliveries = 0
    }
}
