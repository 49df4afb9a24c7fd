import CSQLite
import SQLite
import SegmentFormat

/// Overwrites with zeros what SQLite leaves in a data file of rows that are gone: free pages whole, and the unused places of pages in use
/// (`PageContent`). Deleting alone leaves them until something else is written there, in copies that older merges made as well.
///
/// It works at the file itself, below SQLite, and only while that is safe: nobody commits (the gate is held), and all of the log is copied, so that
/// the file is the whole state. Bytes that SQLite does not read change, and nothing else; whatever of it a loss of power leaves undone is harmless. It goes a
/// stretch at a time, with a commit behind each, by which connections forget pages that they hold as they were. At the end the log is cut to
/// nothing.
final class FileErasure {
    /// Commits wait for one stretch about this long, and for readers at most so long before it.
    private static let stretchDuration = Duration.milliseconds(25)
    private static let readerPatience = Duration.milliseconds(250)
    private static let pause = Duration.milliseconds(50)
    /// Tries in a row that meet a reader of an old state.
    private static let triesMax = 40
    private static let pagesPerLook: UInt32 = 64

    let connection: Connection
    private let gate: CommitGate
    private let wait: ReaderWait
    private(set) var overwrittenBytes: Int64 = 0

    init(_ folder: StoreFolder, gate: CommitGate) throws(StoreError) {
        self.gate = gate
        do throws(SQLiteError) {
            connection = try Connection(path: folder.databasePath, access: .readWrite)
            try StoreSettings.prepareMaintenance(connection)
            _ = try connection.integer("SELECT count(*) FROM sqlite_master")
        } catch {
            throw .database(error)
        }
        wait = ReaderWait(connection)
    }

    /// Goes through the whole file.
    ///
    /// - Parameter note: writes something small, inside a transaction of `connection`.
    /// - Throws: when a reader holds on to an old state for seconds; it can be tried again.
    func run(isStopping: @escaping () -> Bool, note: () throws(SQLiteError) -> Void) throws {
        var next: UInt32? = 1
        while let first = next {
            next = try attempt(isStopping) { () throws -> UInt32?? in try stretch(from: first, note) }
            ReaderWait.sleep(Self.stretchDuration)
        }
        _ = try attempt(isStopping) { () throws -> Bool? in try copyLog(SQLITE_CHECKPOINT_TRUNCATE, isStopping) ? true : nil }
        try MainFile(connection).synchronize()
    }

    /// Runs `body`, which gives `nil` when a reader was in the way, until it gives something.
    private func attempt<Value>(_ isStopping: @escaping () -> Bool, _ body: () throws -> Value?) throws -> Value {
        for _ in 0..<Self.triesMax {
            if isStopping() { throw SegmentRewriter.GivenUp() }
            let value = try gate.whileCheckpointsWait { () throws -> Value? in try body() }
            if let value { return value }
            ReaderWait.sleep(Self.pause)
        }
        throw StoreError.setting(
            "a reader holds on to an older state of the data file; what was deleted is overwritten when it has ended")
    }

    /// Has all of the log copied into the file; `false` when a reader needs it as it is.
    private func copyLog(_ mode: Int32, _ isStopping: @escaping () -> Bool) throws(SQLiteError) -> Bool {
        try wait.within(Self.readerPatience, isStopping) { () throws(SQLiteError) in
            var log: Int32 = 0
            var copied: Int32 = 0
            let result = sqlite3_wal_checkpoint_v2(connection.handle, nil, mode, &log, &copied)
            if result & 0xFF == SQLITE_BUSY { return false }
            guard result == SQLITE_OK else { throw connection.error(result, "checkpoint") }
            return log == copied
        }
    }

    /// Overwrites from a page on for a while; gives where to go on, `.some(nil)` at the end, and `nil` when a reader is in the way.
    private func stretch(from first: UInt32, _ note: () throws(SQLiteError) -> Void) throws -> UInt32?? {
        guard try copyLog(SQLITE_CHECKPOINT_FULL, { false }) else { return nil }
        let deadline = ContinuousClock.now + Self.stretchDuration
        var map = try PageMap(MainFile(connection), pageCount: UInt32(clamping: try connection.integer("PRAGMA page_count") ?? 0))
        var page = first
        while page <= map.pageCount {
            try map.erase(page)
            page += 1
            if page.isMultiple(of: Self.pagesPerLook), ContinuousClock.now >= deadline { break }
        }
        overwrittenBytes += map.overwrittenBytes
        if map.overwrittenBytes > 0 {
            // Or what this connection holds of before would be written again.
            sqlite3_db_release_memory(connection.handle)
            try connection.transaction(note)
        }
        return page <= map.pageCount ? .some(page) : .some(nil)
    }
}

/// The database file as SQLite has it open: a descriptor of our own would take SQLite's locks along when it is closed.
struct MainFile {
    private let file: UnsafeMutablePointer<sqlite3_file>
    private let connection: Connection

    init(_ connection: Connection) throws(SQLiteError) {
        var found: UnsafeMutablePointer<sqlite3_file>?
        let result = sqlite3_file_control(connection.handle, "main", SQLITE_FCNTL_FILE_POINTER, &found)
        guard result == SQLITE_OK, let found, found.pointee.pMethods != nil else {
            throw connection.error(result, "find the file")
        }
        file = found
        self.connection = connection
    }

    func read(_ offset: Int64, count: Int) throws(SQLiteError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let result = bytes.withUnsafeMutableBytes {
            file.pointee.pMethods.pointee.xRead(file, $0.baseAddress, Int32(clamping: count), offset)
        }
        guard result == SQLITE_OK else { throw connection.error(result, "read the file") }
        return bytes
    }

    func write(_ bytes: [UInt8], _ offset: Int64) throws(SQLiteError) {
        let result = bytes.withUnsafeBytes {
            file.pointee.pMethods.pointee.xWrite(file, $0.baseAddress, Int32(clamping: bytes.count), offset)
        }
        guard result == SQLITE_OK else { throw connection.error(result, "write the file") }
    }

    func synchronize() throws(SQLiteError) {
        let result = file.pointee.pMethods.pointee.xSync(file, SQLITE_SYNC_NORMAL)
        guard result == SQLITE_OK else { throw connection.error(result, "fsync the file") }
    }
}

/// What each page of a file is used for, by the map that SQLite keeps for incremental vacuum.
struct PageMap {
    /// Kinds of pages in the map.
    private static let root: UInt8 = 1
    private static let free: UInt8 = 2
    private static let tree: UInt8 = 5
    private static let pendingByte: Int64 = 0x4000_0000

    let pageCount: UInt32
    private(set) var overwrittenBytes: Int64 = 0
    private let file: MainFile
    private let pageSize: Int
    private let usable: Int
    /// Free pages that list others, which SQLite reads; by number, the bytes of each that it does.
    private var trunks: [UInt32: Int] = [:]
    private var map: (number: UInt32, bytes: [UInt8]) = (0, [])

    init(_ file: MainFile, pageCount: UInt32) throws {
        self.file = file
        self.pageCount = pageCount
        let header = try file.read(0, count: 100)
        let size = Int(header[16]) << 8 | Int(header[17])
        pageSize = size == 1 ? 65_536 : size
        usable = pageSize - Int(header[20])
        guard pageSize >= 512, usable >= 480 else { throw SegmentError.damaged("the page size of the data file is none") }
        guard Self.number(header, 52) != 0 else {
            throw StoreError.setting(
                "the data file has no map of its pages: it was not made by fusebox; export it, and import that")
        }
        var trunk = Self.number(header, 32)
        while trunk != 0 {
            guard trunk <= pageCount, trunks[trunk] == nil else {
                throw SegmentError.damaged("the list of free pages leads nowhere")
            }
            let bytes = try read(trunk)
            let listed = min(Int(Self.number(bytes, 4)), usable / 4 - 2)
            trunks[trunk] = 8 + 4 * listed
            trunk = Self.number(bytes, 0)
        }
    }

    private static func number(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
        bytes[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }

    private func offset(_ page: UInt32) -> Int64 { Int64(page - 1) * Int64(pageSize) }

    private func read(_ page: UInt32) throws(SQLiteError) -> [UInt8] { try file.read(offset(page), count: pageSize) }

    /// The page of the map that tells about a page.
    private func mapPage(of page: UInt32) -> UInt32 {
        let pagesPerMap = UInt32(usable / 5 + 1)
        let number = (page - 2) / pagesPerMap * pagesPerMap + 2
        return Int64(number) == Self.pendingByte / Int64(pageSize) + 1 ? number + 1 : number
    }

    /// What a page is used for; `nil` of one that holds no rows.
    private mutating func kind(_ page: UInt32) throws(SQLiteError) -> UInt8? {
        if page == 1 { return Self.root }
        if Int64(page) == Self.pendingByte / Int64(pageSize) + 1 { return nil }
        let number = mapPage(of: page)
        guard page > number else { return nil }
        if map.number != number { map = (number, try read(number)) }
        let entry = 5 * Int(page - number - 1)
        return entry + 5 <= usable ? map.bytes[entry] : nil
    }

    /// Overwrites what a page no longer holds.
    mutating func erase(_ page: UInt32) throws {
        switch try kind(page) {
        case Self.free:
            try overwrite(page, [trunks[page].map { $0..<usable } ?? 0..<pageSize], try read(page))
        case Self.root, Self.tree:
            let bytes = try read(page)
            let content: PageContent
            do {
                content = try PageContent(bytes, headerOffset: page == 1 ? 100 : 0, usableCount: usable)
            } catch {
                throw SegmentError.damaged("page \(page) of the data file does not add up")
            }
            try overwrite(page, content.unused, bytes)
            for overflow in content.overflows { try eraseEnd(of: overflow) }
        default: break
        }
    }

    /// Overwrites what stands behind a row in its last overflow page.
    private mutating func eraseEnd(of overflow: PageContent.Overflow) throws {
        let full = usable - 4
        var page = overflow.firstPage
        var left = overflow.byteCount
        while left > full {
            guard page > 1, page <= pageCount else { throw SegmentError.damaged("a row of the data file goes on nowhere") }
            page = Self.number(try file.read(offset(page), count: 4), 0)
            left -= full
        }
        guard page > 1, page <= pageCount else { throw SegmentError.damaged("a row of the data file goes on nowhere") }
        if left < full { try overwrite(page, [4 + left..<usable], try read(page)) }
    }

    private mutating func overwrite(_ page: UInt32, _ ranges: [Range<Int>], _ bytes: [UInt8]) throws(SQLiteError) {
        for range in ranges where bytes[range].contains(where: { $0 != 0 }) {
            try file.write([UInt8](repeating: 0, count: range.count), offset(page) + Int64(range.lowerBound))
            overwrittenBytes += Int64(range.count)
        }
    }
}
