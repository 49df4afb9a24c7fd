/// What a whole trace must be: one rule for a list and for the histogram above it, of a trace as it is outlined and as it is read whole.
struct TraceLimits {
    /// Nanoseconds.
    var durationMinimum: Int64?
    var durationMaximum: Int64?
    var rootStatus: SpanCriteria.Status?

    /// Whether nothing is asked.
    var isEmpty: Bool { durationMinimum == nil && durationMaximum == nil && rootStatus == nil }

    func hold(durationNanoseconds: Int64, rootStatusCode: Int64?) -> Bool {
        if let durationMinimum, durationNanoseconds < durationMinimum { return false }
        if let durationMaximum, durationNanoseconds > durationMaximum { return false }
        return rootStatus?.holds(ofRoot: rootStatusCode) ?? true
    }
}
