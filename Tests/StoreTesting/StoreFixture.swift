import Foundation
import SQLite
import SegmentFormat
import SemanticColumns
package import SpanStore
package import StoreSQL
package import TelemetryModel

/// A store in a folder of its own, which goes when the value goes.
package final class StoreFixture {
    package let folder: StoreFolder
    package private(set) var gate = CommitGate()
    package private(set) var store: SpanStore?
    package private(set) var presence: SpanPresence?
    private var reader = ColumnReader(table: .standard)
    private var group = SpanGroup()
    private var encoder = SegmentEncoder(
        derivedColumns: Column.storedNames,
        annotations: AnnotationValues(stages: ["other"], outcomes: [], timeoutReasons: [], timeoutPhases: []))
    /// When spans are received.
    package var now: Int64 = 1_767_225_600_000_000_000

    package init() throws {
        folder = StoreFolder(path: NSTemporaryDirectory() + "fusebox-tests-\(UUID().uuidString)")
        try open()
    }

    private func open() throws {
        gate = CommitGate()
        let opened = try SpanStore(folder: folder, gate: gate)
        presence = try SpanPresence(opened)
        store = opened
    }

    deinit {
        close()
        try? FileManager.default.removeItem(atPath: folder.path)
    }

    private func close() {
        presence = nil
        store = nil
    }

    package func reopen() throws {
        close()
        try open()
    }

    /// Opens the store again after SQL has put into the file what a crash leaves there.
    package func crash(leaving sql: String) throws {
        close()
        try Connection(path: folder.databasePath, access: .readWrite).execute(sql)
        try open()
    }

    /// Adds the batch's spans to the open segment; gives what the store knew of each.
    @discardableResult
    package func add(_ batch: SpanBatch) throws -> [SpanPresence.Answer] {
        guard let presence else { return [] }
        var batch = batch
        reader.begin(&batch)
        var annotations = SpanAnnotations()
        annotations.receivedTimeUnixNano = now
        annotations.stage = 1
        var answers: [SpanPresence.Answer] = []
        for (index, span) in batch.spans.enumerated() {
            let answer =
                presence.isCertainlyNew(span)
                ? .new : try presence.answer(span, pendingHash: group.contentHash(span.identity))
            answers.append(answer)
            guard answer == .new else { continue }
            reader.read(span, of: &batch)
            reader.row.forEachStored { column, value in group.appendDerived(value, column: column) }
            group.append(span, at: index, annotations: annotations)
        }
        group.add(batch)
        return answers
    }

    package func commit(_ rows: DerivationRows = DerivationRows()) throws {
        now += 1_000_000
        try store?.commit(try encoder.encode(group), rows, nowUnixNano: now)
        presence?.settle()
        group = SpanGroup()
    }

    package func ingest(_ batch: SpanBatch) throws {
        try add(batch)
        try commit()
    }

    package func merger() throws -> SegmentMerger {
        guard let store else { throw CancellationError() }
        return try SegmentMerger(store.maintenance())
    }

    /// Merges until there is nothing to merge.
    package func merge() throws {
        let merger = try merger()
        while try merger.runOnce() {}
    }

    /// Rows of a query as texts; NULL is `∅`.
    ///
    /// - Parameter rewriting: prepare it as `fusebox sql` does, attributes handed down.
    package func sql(_ query: String, rewriting: Bool = false) throws -> [[String]] {
        try Self.rows(query, SQLReader(folder: folder), rewriting: rewriting)
    }

    package static func rows(_ query: String, _ reader: SQLReader, rewriting: Bool = false) throws -> [[String]] {
        let prepared = rewriting ? try reader.prepareNext(query[...])?.statement : try reader.connection.prepare(query)
        guard let statement = prepared else { return [] }
        var rows: [[String]] = []
        while try statement.step() { rows.append((0..<statement.columnCount).map { statement.text($0) ?? "∅" }) }
        return rows
    }
}
