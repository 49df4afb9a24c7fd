import CSQLite
import SQLite
import SegmentFormat
import TelemetryModel

/// Checks a whole data file: SQLite's structures, every checksum, every count.
///
/// It reads one state of the file, beside a running server or without one, and changes nothing.
package struct StoreVerification {
    private let connection: Connection
    /// Until when spans were acknowledged, by the mark beside the file.
    private let acknowledged: Int64?
    private var report = VerificationReport()

    /// Checks the data file of a folder, and that no acknowledged commit is missing from it.
    ///
    /// - Parameter progress: told now and then how many of how many segments are done.
    /// - Throws: when the file cannot be opened at all; damage is in the report.
    package static func run(
        folder: StoreFolder, progress: (_ done: Int64, _ total: Int64) -> Void = { _, _ in }
    ) throws(StoreError) -> VerificationReport {
        try folder.checkDatabaseExists()
        return try run(path: folder.databasePath, mark: AcknowledgedMark(folder), progress: progress)
    }

    /// Checks a data file by itself, such as a backup.
    package static func run(
        path: String, progress: (_ done: Int64, _ total: Int64) -> Void = { _, _ in }
    ) throws(StoreError) -> VerificationReport {
        try run(path: path, mark: nil, progress: progress)
    }

    private static func run(
        path: String, mark: AcknowledgedMark?, progress: (Int64, Int64) -> Void
    ) throws(StoreError) -> VerificationReport {
        var verification: StoreVerification
        // Before the view of the file begins: the server goes on.
        let acknowledged = mark?.receivedUnixNano
        do {
            let connection = try Connection.reading(path)
            // Nothing can be said of tables that are not known.
            try StoreSettings.checkVersion(connection)
            try RowChecksum.register(on: connection)
            try connection.execute("PRAGMA cache_size = -4096")
            verification = StoreVerification(connection, acknowledged)
        } catch {
            guard let error = error as? SQLiteError, error.code == SQLITE_CORRUPT || error.code == SQLITE_NOTADB else {
                throw SpanStore.storeError(error)
            }
            var report = VerificationReport()
            report.add("SQLite cannot read the file: \(error.message)")
            return report
        }
        verification.checkAll(progress)
        return verification.report
    }

    private init(_ connection: Connection, _ acknowledged: Int64?) {
        self.connection = connection
        self.acknowledged = acknowledged
    }

    // MARK: Parts

    private mutating func checkAll(_ progress: (Int64, Int64) -> Void) {
        part("the file cannot be read") { verification throws in
            // One state of the file for all that follows.
            try verification.connection.execute("BEGIN")
        }
        guard report.isSound else { return }
        part("SQLite's structures cannot be checked") { try $0.checkStructures() }
        part("the tables cannot be read") { try $0.checkSchema() }
        part("the segments cannot be read") { try $0.checkSegments(progress) }
        part("the log segments cannot be read") { try LogVerification.run($0.connection, &$0.report) }
        for table in RowChecksum.tables where hasTable(table.name) {
            part("the table \(table.name) cannot be read") { try $0.checkRows(of: table.name, table.columns) }
        }
        part("the mark of acknowledged commits cannot be compared") { verification throws in
            guard let loss = try AcknowledgedMark.loss(verification.acknowledged, verification.connection) else { return }
            verification.report.add(loss.message)
        }
    }

    /// Runs a part; an error of it is a finding, and the other parts are still checked.
    private mutating func part(_ what: String, _ body: (inout StoreVerification) throws -> Void) {
        do {
            try body(&self)
        } catch {
            report.add("\(what): \(SpanStore.storeError(error).message)")
        }
    }

    private mutating func checkStructures() throws {
        let statement = try connection.prepare("PRAGMA integrity_check(100)")
        while try statement.step() {
            if let line = statement.text(0), line != "ok" { report.add("SQLite: \(line)") }
        }
    }

    /// The tables must be as this program makes them: a bit in their declaration would change what rows mean.
    private mutating func checkSchema() throws {
        let fresh = try Connection(path: ":memory:", access: .memory)
        try RowChecksum.register(on: fresh)
        try fresh.execute(String(decoding: PackageResources.schema_sql, as: UTF8.self))
        let query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"
        let expected = try fresh.prepare(query)
        var found: [String: String] = [:]
        let statement = try connection.prepare(query)
        while try statement.step() { found[statement.text(0) ?? ""] = statement.text(1) ?? "" }
        // A file that no program of this version has written to has no tables for what came with it yet.
        let version = try connection.integer("PRAGMA user_version") ?? 0
        while try expected.step() {
            let name = expected.text(0) ?? ""
            if version < StoreSettings.logsVersion, found[name] == nil, name.hasPrefix("log_") { continue }
            if version < OpeningRows.version, found[name] == nil, name.hasPrefix("breaker_opening") { continue }
            if version < StoredOrdinals.version, found[name] == nil, name.hasPrefix("forward_") { continue }
            if version < StoredOrdinals.gapsVersion, found[name] == nil, name.hasPrefix("forget") { continue }
            var declarations = [Self.declaration(expected.text(1))]
            for (since, column) in [
                (StoredOrdinals.gapsVersion, StoredOrdinals.countDeclaration),
                (StoredOrdinals.version, StoredOrdinals.declaration),
            ] {
                let end = "," + Self.declaration(column) + ")STRICT"
                if version < since, let last = declarations.last, last.hasSuffix(end) {
                    declarations.append(last.dropLast(end.count) + ")STRICT")
                }
            }
            if !declarations.contains(Self.declaration(found[name])) {
                report.add("the declaration of the table \(name) is not as it was made")
            }
        }
        let lines = "SELECT group_concat(line || text, char(10)) FROM README"
        if try connection.text(lines) != fresh.text(lines) { report.add("the table README is not as it was made") }
    }

    /// A declaration without its spaces: a column that was added to an older table stands on the line of the one before.
    private static func declaration(_ sql: String?) -> String { (sql ?? "").filter { !$0.isWhitespace } }

    /// One that should be there and is not is told by `checkSchema`.
    private func hasTable(_ name: String) -> Bool {
        (try? connection.integer("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '\(name)'")) == 1
    }

    private mutating func checkRows(of table: String, _ columns: String) throws {
        let statement = try connection.prepare("SELECT count(*) FROM \(table) WHERE checksum IS NOT row_checksum(\(columns))")
        guard try statement.step(), statement.integer(0) > 0 else { return }
        report.add("\(statement.integer(0)) rows of the table \(table) are damaged: their checksums are wrong")
    }

    // MARK: Segments

    private mutating func checkSegments(_ progress: (Int64, Int64) -> Void) throws {
        let total = try connection.integer("SELECT count(*) FROM segment") ?? 0
        let streams = try connection.prepare("SELECT id, data FROM segment_stream WHERE id BETWEEN ?1 AND ?2 ORDER BY id")
        let rows = try connection.prepare("SELECT \(SegmentCheck.columns) FROM segment ORDER BY id")
        var sets = Set<Int64>()
        while try rows.step() {
            var check = SegmentCheck(rows)
            sets.insert(check.streamSet)
            let first = check.streamSet.multipliedReportingOverflow(by: Int64(SegmentFormat.streamsMax)).partialValue
            try streams.bind(1, first)
            try streams.bind(2, first &+ Int64(SegmentFormat.streamsMax - 1))
            while try streams.step() { check.streams[streams.integer(0)] = streams.blob(1) }
            streams.reset()
            if let problem = check.problem() { report.add(problem, segment: check.id, startUnixNano: check.startUnixNano) }
            report.segments += 1
            report.spans += check.spanCount
            report.checkedBytes += check.storedBytes
            progress(report.segments, max(total, report.segments))
        }
        try checkLeftovers(sets)
        try checkOrdinals("segment")
        if try LogTables.exist(connection) { try checkOrdinals("log_segment") }
        if report.segments != total {
            report.add("the table segment has \(report.segments) rows, not the \(total) that it counts")
        }
    }

    /// Ordinals grow in the order of arrival, and none is given twice.
    private mutating func checkOrdinals(_ table: String) throws {
        guard try connection.integer("PRAGMA user_version") ?? 0 >= StoredOrdinals.version else { return }
        let count = try StoredOrdinals.count(of: table, connection)
        let rows = try connection.prepare("SELECT id, first_ordinal, \(count) FROM \(table) ORDER BY id")
        var next: Int64 = 0
        while try rows.step() {
            if rows.integer(1) < next { report.add("the \(table) \(rows.integer(0)) has ordinals of the one before") }
            next = rows.integer(1).addingReportingOverflow(rows.integer(2)).partialValue
        }
    }

    /// Streams belong to a segment, or to none and are on the list of those that are being deleted.
    private mutating func checkLeftovers(_ sets: Set<Int64>) throws {
        var known = sets
        let leftovers = try connection.prepare("SELECT stream_set FROM segment_leftover")
        while try leftovers.step() { known.insert(leftovers.integer(0)) }
        let found = try connection.prepare("SELECT DISTINCT id / \(SegmentFormat.streamsMax) FROM segment_stream ORDER BY 1")
        while try found.step() {
            let set = found.integer(0)
            if !known.contains(set) { report.add("the streams of set \(set) belong to no segment") }
        }
    }
}
