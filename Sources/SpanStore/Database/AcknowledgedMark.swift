import SQLite
import SegmentFormat
import TelemetryModel

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A few bytes in a file of their own, beside the database, that say how far commits had come.
///
/// SQLite cuts a damaged log off at the first bad frame and says nothing, so a file alone cannot tell that commits are gone. The mark
/// is written after each commit without an fsync: what it says was durable before, and when it is older than the file, nothing is
/// claimed. `fusebox.mark`, 48 bytes, of older versions 24:
///
///     magic      8 bytes, "FUSEMARK"
///     received   8 bytes, little-endian: the latest time at which a committed span or log record was received, in nanoseconds since 1970
///     check      8 bytes, little-endian: `received` mixed, so that a damaged mark is none
///     spans      8 bytes, little-endian: the ordinal of the next span
///     logs       8 bytes, little-endian: the ordinal of the next log record
///     check      8 bytes, little-endian: both mixed
package struct AcknowledgedMark: Sendable {
    /// Commits that were acknowledged and are not in the file.
    package struct Loss: Sendable, Equatable {
        /// The latest time at which a span or log record was received that is still there; 0 when there is none.
        package var storedUntilUnixNano: Int64
        package var acknowledgedUntilUnixNano: Int64

        package var message: String {
            "spans or log records that were acknowledged until \(TimeText.iso8601(unixNano: acknowledgedUntilUnixNano)) are missing after "
                + "\(TimeText.iso8601(unixNano: storedUntilUnixNano)): the write-ahead log was damaged, cut or removed, or an older "
                + "copy of the file was put in its place"
        }
    }

    /// Key in `meta` of the latest received time among what retention dropped: their absence is no loss.
    static let droppedKey = "dropped_received_max_unix_nano"
    private static let magic = Array("FUSEMARK".utf8)
    private static let key: UInt64 = 0xA076_1D64_78BD_642F

    private let path: String

    init(_ folder: StoreFolder) {
        path = folder.markPath
    }

    /// Says that spans received until then are committed, and which ordinals come next. Nothing depends on it but a warning, so a mark that cannot be written is
    /// left as it was.
    func advance(to receivedUnixNano: Int64, next: StoredOrdinals.Next) {
        var bytes = Self.magic
        bytes.appendLittleEndian(UInt64(bitPattern: receivedUnixNano))
        bytes.appendLittleEndian(ByteHash.mix(UInt64(bitPattern: receivedUnixNano), Self.key))
        bytes.appendLittleEndian(UInt64(bitPattern: next.spans))
        bytes.appendLittleEndian(UInt64(bitPattern: next.logs))
        bytes.appendLittleEndian(Self.check(next))
        let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return }
        _ = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
        close(descriptor)
    }

    private static func check(_ next: StoredOrdinals.Next) -> UInt64 {
        ByteHash.mix(UInt64(bitPattern: next.spans), ByteHash.mix(UInt64(bitPattern: next.logs), key))
    }

    private var content: [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 48)
        let count = bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
        return Array(bytes.prefix(max(0, count)))
    }

    /// The ordinals that come next; 0 without a sound mark that tells them.
    var next: StoredOrdinals.Next {
        let bytes = content
        guard bytes.count == 48, bytes.starts(with: Self.magic), var cursor = try? ByteCursor(bytes, range: 24..<48),
            let spans = try? cursor.littleEndian(), let logs = try? cursor.littleEndian(), let check = try? cursor.littleEndian()
        else { return StoredOrdinals.Next() }
        let next = StoredOrdinals.Next(spans: Int64(bitPattern: spans), logs: Int64(bitPattern: logs))
        return check == Self.check(next) && next.spans >= 0 && next.logs >= 0 ? next : StoredOrdinals.Next()
    }

    /// What the mark says now; `nil` without a sound mark.
    var receivedUnixNano: Int64? {
        let bytes = content
        guard bytes.count >= 24, bytes.starts(with: Self.magic), var cursor = try? ByteCursor(bytes, range: 8..<24),
            let value = try? cursor.littleEndian(), let check = try? cursor.littleEndian(),
            check == ByteHash.mix(value, Self.key)
        else { return nil }
        return Int64(bitPattern: value)
    }

    /// What a mark says of commits that the database does not have.
    ///
    /// - Parameter acknowledged: the mark as it was before the connection's view of the database began.
    static func loss(_ acknowledged: Int64?, _ connection: Connection) throws(SQLiteError) -> Loss? {
        guard let acknowledged else { return nil }
        var stored = try connection.integer("SELECT max(received_max) FROM segment") ?? 0
        if try LogTables.exist(connection) {
            stored = max(stored, try connection.integer("SELECT max(received_max) FROM log_segment") ?? 0)
        }
        let dropped =
            try connection.integer("SELECT CAST(value AS INTEGER) FROM meta WHERE key = '\(droppedKey)'") ?? 0
        guard acknowledged > max(stored, dropped) else { return nil }
        return Loss(storedUntilUnixNano: stored, acknowledgedUntilUnixNano: acknowledged)
    }
}
