import CSQLite
package import SQLite
package import SegmentFormat

/// Why the store did not do what was asked.
package enum StoreError: Error, Sendable {
    case database(SQLiteError)
    case segment(SegmentError)
    /// Another process owns the data folder.
    case locked(folder: String, owner: String)
    /// The folder or its files cannot be used.
    case folder(String)
    /// SQLite does not hold a setting that durability rests on.
    case setting(String)
    /// The file was written by a newer version.
    case schemaVersion(found: Int64, known: Int64)
    /// The data file is not the one that was opened, or has more than one name.
    case dataFile(DataFileProblem)

    /// Whether the same call may succeed later without repair.
    package var isRetryable: Bool {
        switch self {
        case .database(let error): error.isRetryable
        case .segment, .locked, .folder, .setting, .schemaVersion, .dataFile: false
        }
    }

    /// The disk has no room.
    package var isDiskFull: Bool {
        guard case .database(let error) = self else { return false }
        return error.code == SQLITE_FULL
    }

    /// After it, nobody knows what is on the disk: a read, a write or an fsync failed, or what was read back is damaged. A full disk
    /// and a held lock are not among these.
    package var isDiskSuspect: Bool {
        switch self {
        case .database(let error):
            error.code == SQLITE_CORRUPT || error.code == SQLITE_NOTADB
                || error.code == SQLITE_IOERR && error.extendedCode != SQLITE_IOERR | (12 << 8)  // SQLITE_IOERR_NOMEM
        case .segment: true
        case .locked, .folder, .setting, .schemaVersion, .dataFile: false
        }
    }

    /// What was read is not what was written.
    package var isDamage: Bool {
        switch self {
        case .database(let error): error.code == SQLITE_CORRUPT || error.code == SQLITE_NOTADB
        case .segment: true
        case .locked, .folder, .setting, .schemaVersion, .dataFile: false
        }
    }

    /// Another connection held the file for too long.
    package var isContention: Bool {
        guard case .database(let error) = self else { return false }
        return error.code == SQLITE_BUSY || error.code == SQLITE_LOCKED
    }

    /// What happened and what to do next.
    package var message: String {
        switch self {
        case .database(let error): "\(error)"
        case .segment(let error): error.message
        case .locked(let folder, let owner):
            "\(folder) is in use by another fusebox (\(owner)); stop it, or give this one another folder with --data-dir"
        case .folder(let what): what
        case .setting(let what): what
        case .dataFile(let problem): problem.message
        case .schemaVersion(let found, let known):
            "the data file has schema version \(found), this program knows \(known); use the version that wrote it"
        }
    }
}
