/// How many of a signal go into the next request: all that a batch may have, less after a target said that it was too much, and halves while
/// the one is looked for that it does not take.
package struct BatchWindow: Equatable, Sendable {
    /// Requests that were taken until a window that a target found too large grows again.
    private static let deliveriesToGrow = 16

    package let most: Int
    private var limit: Int
    /// So many are left of those among which one is not taken; 0 when none is looked for.
    private var suspects = 0
    private var deliveries = 0
    /// It was made small by an answer that was about size.
    private var isNarrow = false

    package init(most: Int) {
        self.most = max(1, most)
        limit = self.most
    }

    /// How many may go. While one is looked for, half of those that are left: one of them it is.
    package var countMax: Int { suspects == 0 ? limit : max(1, min(limit, suspects / 2)) }

    /// The target does not take all of so many, which are more than one.
    package mutating func halve(_ count: Int, isAboutSize: Bool) {
        guard isAboutSize else {
            suspects = count
            return
        }
        limit = max(1, min(limit, count) / 2)
        isNarrow = true
        deliveries = 0
        suspects = 0
    }

    /// So many were taken.
    package mutating func delivered(_ count: Int) {
        suspects = max(0, suspects - count)
        deliveries += 1
        guard !isNarrow || deliveries >= Self.deliveriesToGrow else { return }
        limit = limit > most / 2 ? most : limit * 2
        deliveries = 0
        if limit == most { isNarrow = false }
    }

    /// The one was found: those behind it are tried one by one at first, since they often come in rows.
    package mutating func setAside() {
        suspects = 0
        limit = 1
        isNarrow = false
    }
}
