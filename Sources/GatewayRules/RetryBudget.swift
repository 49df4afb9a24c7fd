/// Keeps repetitions a small part of the requests: each request earns a tenth of one, and few can be saved up, so that failing
/// backends do not get more to do than healthy ones.
struct RetryBudget: Equatable, Sendable {
    private static let earned = 0.1
    private static let savedMax = 10.0

    /// A gateway that just began may repeat some.
    private var saved = 3.0

    init() {}

    mutating func earn() { saved = min(saved + Self.earned, Self.savedMax) }

    /// Takes one repetition; `false` when there is none left.
    mutating func spend() -> Bool {
        guard saved >= 1 else { return false }
        saved -= 1
        return true
    }
}
