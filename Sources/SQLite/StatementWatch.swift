import CSQLite
import Synchronization

/// Ends a connection's statements that run past a deadline, or that somebody asked to end: they fail with `SQLITE_INTERRUPT`.
///
/// Used by the connection's owner alone, on its thread; it must live as long as statements run. Only `leave` is for other threads.
package final class StatementWatch {
    /// Steps of SQLite's machine between two looks at the clock: some tens of microseconds.
    private static let stepsBetweenLooks: Int32 = 1000

    /// Set by whoever needs the statements under way to end.
    package final class Leave: Sendable {
        private let isAsked = Atomic(false)

        package init() {}

        /// Asks for the end of what runs under the limit that is set now.
        package func ask() { isAsked.store(true, ordering: .relaxed) }

        package var wasAsked: Bool { isAsked.load(ordering: .relaxed) }
    }

    private let connection: Connection
    /// Of the limit that is set now.
    package private(set) var leave = Leave()
    private var deadline: ContinuousClock.Instant?
    private var giveWay: () -> Void = {}
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
    ///
    /// - Parameter giveWay: called at each look; whoever has to let others go first sleeps in it.
    package func limit(until deadline: ContinuousClock.Instant?, givingWay giveWay: @escaping () -> Void = {}) {
        self.deadline = deadline
        self.giveWay = giveWay
        hasEnded = false
        leave = Leave()
    }

    /// Whether the deadline has passed, or an end was asked for: for work between statements.
    package func look() -> Bool {
        giveWay()
        guard let deadline, leave.wasAsked || ContinuousClock.now >= deadline else { return false }
        hasEnded = true
        return true
    }
}
