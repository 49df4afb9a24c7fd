import CSQLite
import SQLite

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// How long a connection's calls wait for the locks of others: SQLite's own way looks every tenth of a second, which is long for
/// commits that wait as well. Used by the connection's owner alone.
final class ReaderWait {
    private static let lookMicroseconds: UInt32 = 500

    private let connection: Connection
    private var deadline = ContinuousClock.now
    private var isStopping: () -> Bool = { true }

    init(_ connection: Connection) {
        self.connection = connection
        sqlite3_busy_handler(
            connection.handle,
            { wait, _ in
                guard let wait else { return 0 }
                return Unmanaged<ReaderWait>.fromOpaque(wait).takeUnretainedValue().look() ? 1 : 0
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    deinit {
        sqlite3_busy_handler(connection.handle, nil, nil)
    }

    /// Runs `body`, whose calls wait for locks up to `patience` together.
    func within<Value, Failure: Error>(
        _ patience: Duration, _ isStopping: @escaping () -> Bool, _ body: () throws(Failure) -> Value
    ) throws(Failure) -> Value {
        deadline = ContinuousClock.now + patience
        self.isStopping = isStopping
        defer { self.isStopping = { true } }
        return try body()
    }

    /// Sleeps for a moment; `false` when the time is up.
    private func look() -> Bool {
        guard ContinuousClock.now < deadline, !isStopping() else { return false }
        usleep(Self.lookMicroseconds)
        return true
    }

    static func sleep(_ duration: Duration) {
        usleep(UInt32(clamping: Int(duration / .microseconds(1))))
    }
}
