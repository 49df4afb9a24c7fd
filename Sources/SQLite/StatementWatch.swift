import CSQLite

/// Ends a connection's statements that run past a deadline: they fail with `SQLITE_INTERRUPT`.
///
/// Used by the connection's owner alone, on its thread; it must live as long as statements run.
package final class StatementWatch {
    /// Steps of SQLite's machine between two looks at the clock: some tens of microseconds.
    private static let stepsBetweenLooks: Int32 = 1000

    private let connection: Connection
    private var deadline: ContinuousClock.Instant?
    /// Whether the running statement, or the last, was ended.
    package private(set) var hasEnded = false

    package init(_ connection: Connection) {
        self.connection = connection
        sqlite3_progress_handler(
            connection.handle, Self.stepsBetweenLooks,
            { watch in
                guard let watch else { return 0 }
                return Unmanaged<StatementWatch>.fromOpaque(watch).takeUnretainedValue().look() ? 1 : 0
            }, Unmanaged.passUnretained(self).toOpaque())
        connection.watch = self
    }

    deinit {
        connection.watch = nil
        sqlite3_progress_handler(connection.handle, 0, nil, nil)
    }

    /// Lets statements run until `deadline`; `nil` lets them run on.
    package func limit(until deadline: ContinuousClock.Instant?) {
        self.deadline = deadline
        hasEnded = false
    }

    /// Whether the deadline has passed: for work between statements.
    package func look() -> Bool {
        guard let deadline, ContinuousClock.now >= deadline else { return false }
        hasEnded = true
        return true
    }
}
