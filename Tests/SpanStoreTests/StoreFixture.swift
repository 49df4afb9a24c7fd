import Foundation
import SQLite
import SegmentFormat
import SemanticColumns
import SpanStore
import TelemetryModel

/// A store in a folder of its own, which goes when the value goes.
final class StoreFixture {
    let folder: StoreFolder
    private(set) var gate = CommitGate()
    private(set) var store: SpanStore?
    private(set) var presence: SpanPresence?
    private var reader = ColumnReader(table: .standard)
    private var group = SpanGroup()
    private var encoder = SegmentEncoder(
        derivedColumns: Column.storedNames,
        annotations: AnnotationValues(stages: ["other"], outcomes: [], timeoutReasons: [], timeoutPhases: []))
    /// When spans are received.
    var now: Int64 = 1_767_225_600_000_000_000

    init() throws {
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

    func reopen() throws {
        close()
        try open()
    }

    /// Opens the store again after SQL has put into the file what a crash leaves there.
    func crash(leaving sql: String) throws {
        close()
        try Connection(path: folder.databasePath, access: .readWrite).execute(sql)
        try open()
    }

    /// Adds the batch's spans to the open segment; gives what the store knew of each.
    @discardableResult
    func add(_ batch: SpanBatch) throws -> [SpanPresence.Answer] {
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

    func commit(_ rows: DerivationRows = DerivationRows()) throws {
        now += 1_000_000
        try store?.commit(try encoder.encode(group), rows, nowUnixNano: now)
        presence?.settle()
        group = SpanGroup()
    }

    func ingest(_ batch: SpanBatch) throws {
        try add(batch)
        try commit()
    }

    func merger() throws -> SegmentMerger {
        guard let store else { throw CancellationError() }
        return try SegmentMerger(store.maintenance())
    }

    /// Merges until there is nothing to merge.
    func merge() throws {
        let merger = try merger()
        while try merger.runOnce() {}
    }

    /// Rows of a query as texts; NULL is `∅`.
    ///
    /// - Parameter rewriting: prepare it as `fusebox sql` does, attributes handed down.
    func sql(_ query: String, rewriting: Bool = false) throws -> [[String]] {
        try Self.rows(query, SQLReader(folder: folder), rewriting: rewriting)
    }

    static func rows(_ query: String, _ reader: SQLReader, rewriting: Bool = false) throws -> [[String]] {
        let prepared = rewriting ? try reader.prepareNext(query[...])?.statement : try reader.connection.prepare(query)
        guard let statement = prepared else { return [] }
        var rows: [[String]] = []
        while try statement.step() { rows.append((0..<statement.columnCount).map { statement.text($0) ?? "∅" }) }
        return rows
    }
}

/// A deterministic source of numbers (SplitMix64).
struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}

/// Batches for the tests.
enum Batches {
    static func of(_ spans: [SpanDescription], service: String = "svc") -> SpanBatch {
        var builder = SpanBatchBuilder()
        builder.beginResource(["service.name": .string(service)])
        builder.beginScope(name: "tests")
        for span in spans { builder.append(span) }
        return builder.batch
    }

    static func span(_ trace: UInt64, _ span: UInt64, _ attributes: AttributeList = [:], start: Int64 = 1_000) -> SpanDescription {
        var description = SpanDescription(
            traceID: TraceID(high: trace, low: 7), spanID: SpanID(span), name: "span \(span % 3)")
        description.startTimeUnixNano = start
        description.endTimeUnixNano = start + 500
        description.attributes = attributes
        return description
    }
}
