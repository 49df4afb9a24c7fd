/// What a whole trace must be: one rule for a list, the histogram above it and what is to be judged, of a trace as it is outlined and as it
/// is read whole.
package struct TraceLimits: Equatable, Sendable {
    /// Nanoseconds.
    package var durationMinimum: Int64?
    package var durationMaximum: Int64?
    /// Only traces whose root failed, or did not.
    package var rootStatus: SpanCriteria.Status?
    /// Only traces that still run, which only a trace that was read whole can tell.
    package var isRunning = false

    package init() {}

    /// Whether something is asked that one pass over columns can say.
    var askOutlines: Bool { durationMinimum != nil || durationMaximum != nil || rootStatus != nil }

    /// Whether nothing is asked.
    var isEmpty: Bool { self == TraceLimits() }

    /// Whether they hold, but for `isRunning`.
    func hold(durationNanoseconds: Int64, rootStatusCode: Int64?) -> Bool {
        if let durationMinimum, durationNanoseconds < durationMinimum { return false }
        if let durationMaximum, durationNanoseconds > durationMaximum { return false }
        return rootStatus?.holds(ofRoot: rootStatusCode) ?? true
    }
}
