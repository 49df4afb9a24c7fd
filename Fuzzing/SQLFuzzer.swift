// The libFuzzer target of questions: the first line is a parameter as `name=value`, the rest is SQL, over a small store. It must end at
// its limits, write nothing, and give the same rows whether conditions on attributes are handed down to `spans` or not.

import CSQLite
import Foundation
import OTLP
import SQLite
import SegmentFormat
import SemanticColumns
import SpanStore
import StoreSQL
import TelemetryModel

private let rowsMax = 50
/// Steps of SQLite's machine that one statement may take, and what any of its values may hold.
private let stepsMax: Int32 = 20_000
private let valueBytesMax: Int32 = 1 << 20
private let folder = StoreFolder(path: NSTemporaryDirectory() + "fusebox-fuzz-\(ProcessInfo.processInfo.processIdentifier)")
/// The file, and its log when there is one.
private let stored: [UInt8] = {
    do { try fill() } catch { fatalError("the store: \(error)") }
    return content()
}()
/// Declared attributes stay with a connection, and of those there is a bound: a new one now and then.
private let inputsPerReader = 200
nonisolated(unsafe) private var reader: SQLReader?
nonisolated(unsafe) private var inputs = 0

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
    let lines = input.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
    guard lines.count == 2 else { return 0 }
    if inputs % inputsPerReader == 0 {
        reader = nil
        let stored = stored
        require(content() == stored, "a question changed the file")
        do { reader = try opened() } catch { fatalError("opening: \(error)") }
    }
    inputs += 1
    var values: [String: String] = [:]
    if let (name, value) = SQLParameters.assignment(String(lines[0])) { values[name] = value }
    if let reader { ask(lines[1], SQLParameters(values), reader) }
    return 0
}

private func require(_ condition: Bool, _ message: StaticString) {
    if !condition { fatalError("\(message)") }
}

private func ask(_ text: Substring, _ parameters: SQLParameters, _ reader: SQLReader) {
    var rest = text
    // A text of nothing but semicolons has as many statements.
    for _ in 0..<8 {
        guard let next = try? reader.prepareNext(rest) else { break }
        if let statement = next.statement {
            // Of journal_mode SQLite says that it may write, even when it is only asked.
            let isPragma = rest.lowercased().contains("pragma")
            require(isPragma || sqlite3_stmt_readonly(statement.handle) != 0, "a statement that writes")
            let asked = rows(statement, parameters)
            let plain = (try? reader.connection.prepareNext(rest))??.statement.flatMap { rows($0, parameters) }
            if let asked, let plain, isDetermined(rest) { require(asked == plain, "handed down it gives other rows") }
        }
        rest = next.rest
    }
    require(sqlite3_total_changes64(reader.connection.handle) == 0, "something was written")
    // A transaction that a text began ends with it, as `fusebox sql` does when it ends.
    if reader.connection.isInTransaction { _ = try? reader.connection.execute("ROLLBACK") }
}

/// Whether SQL says which rows there are: without an order any may come first, and time and chance differ.
private func isDetermined(_ text: Substring) -> Bool {
    let text = text.lowercased()
    return !["limit", "random", "now", "current", "rowid", "group_concat", "pragma", "changes", "julianday", "date", "time("]
        .contains { text.contains($0) }
}

/// The rows in the order of their text; `nil` when there are too many, or the statement did not end.
private func rows(_ statement: Statement, _ parameters: SQLParameters) -> [[String]]? {
    var rows: [[String]] = []
    do {
        try parameters.bind(to: statement)
        while try statement.step() {
            guard rows.count < rowsMax else { return nil }
            rows.append((0..<statement.columnCount).map { statement.text($0) ?? "∅" })
        }
    } catch {
        return nil
    }
    return rows.sorted { $0.lexicographicallyPrecedes($1) }
}

private func opened() throws -> SQLReader {
    let reader = try SQLReader(folder: folder)
    sqlite3_limit(reader.connection.handle, SQLITE_LIMIT_LENGTH, valueBytesMax)
    // Ends every statement that runs into it.
    sqlite3_progress_handler(reader.connection.handle, stepsMax, { _ in 1 }, nil)
    return reader
}

private func content() -> [UInt8] {
    var content: [UInt8] = []
    for suffix in ["", "-wal"] {
        guard let file = fopen(folder.databasePath + suffix, "r") else { continue }
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = fread(&chunk, 1, chunk.count, file), count > 0 { content += chunk[..<count] }
        fclose(file)
    }
    return content
}

private func fill() throws {
    let store = try SpanStore(folder: folder, gate: CommitGate())
    var encoder = SegmentEncoder(
        derivedColumns: Column.storedNames,
        annotations: AnnotationValues(stages: ["other"], outcomes: [], timeoutReasons: [], timeoutPhases: []))
    var columns = ColumnReader(table: .standard)
    for segment in 0..<2 {
        var builder = SpanBatchBuilder()
        builder.beginResource(["service.name": .string("fuzz")])
        builder.beginScope(name: "scope")
        for index in 0..<8 {
            let number = UInt64(segment * 8 + index + 1)
            var span = SpanDescription(
                traceID: TraceID(high: number / 4, low: 7), spanID: SpanID(number), name: "span \(index % 3)")
            span.startTimeUnixNano = Int64(number) * 1_000
            span.endTimeUnixNano = Int64(number) * 1_000 + 500
            span.attributes = [
                "tool_name": .string("tool \(index % 2)"), "k": .int(Int64(index)), "d": .double(0.5), "b": .bool(index > 3),
            ]
            if index == 5 { span.attributes = ["k": .string("five"), "model": .string("m"), "tokens": .int(7)] }
            builder.append(span)
        }
        var batch = builder.batch
        columns.begin(&batch)
        var group = SpanGroup()
        var annotations = SpanAnnotations()
        annotations.receivedTimeUnixNano = 1_000_000
        annotations.stage = 1
        for (index, span) in batch.spans.enumerated() {
            columns.read(span, of: &batch)
            group.append(span, at: index, annotations: annotations)
            columns.row.forEachStored { column, value in group.appendDerived(value, column: column) }
        }
        group.add(batch)
        try store.commit(try encoder.encode(group), DerivationRows(), nowUnixNano: 1_000_000)
    }
    store.emptyLog()
}
