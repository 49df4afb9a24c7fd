package import TelemetryModel

/// Finds what an order to forget is about. The store does not search: what is forgotten is what a user would find, by the tables of the target
/// above it, which gives the finder.
///
/// Called on the maintenance thread, in a turn of readers. An implementation reads on a connection of its own, and keeps none of it when it
/// returns: the log cannot start over while a reader is open.
package protocol ForgetFinder {
    /// The traces that are meant, `nil` when the order goes by time alone, and the ids of the evals that go with them: both of one state of the
    /// file.
    func find(_ selection: ForgetSelection) throws -> (traces: Set<TraceID>?, evals: [Int64])

    /// Log records that themselves name what is meant: by log segment their numbers.
    func namedLogs(_ selection: ForgetSelection) throws -> [Int64: Set<Int>]
}
