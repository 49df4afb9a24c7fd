import ClickHouse
import Derivations
import Ingest
import OTLP
import SegmentFormat
import SemanticColumns
package import SpanStore
import TelemetryModel

/// A store of the spans that one question is about, in a folder of its own that goes with it: what asks a data folder asks it the same way.
///
/// It has what the question needs of spans and log records, and prices. Evals, breakers, stalls and counters it has none.
package final class WorkingStore: Sendable {
    package let folder: StoreFolder

    private init(folder: StoreFolder) {
        self.folder = folder
    }

    deinit {
        TemporaryFolder.remove(folder.path)
    }

    /// Makes a store; `fill` puts rows in, page by page.
    static func make(
        policy: FusePolicy, prices: PriceTable, _ fill: (WorkingStoreWriter) throws -> Void
    ) throws -> WorkingStore {
        let made = WorkingStore(folder: StoreFolder(path: try TemporaryFolder.make()))
        let writer = try WorkingStoreWriter(made.folder, policy)
        try fill(writer)
        try writer.finish(prices)
        return made
    }
}

/// Puts an engine's rows into a store. Used by one thread.
final class WorkingStoreWriter {
    private let store: SpanStore
    private var encoder = SegmentEncoder(derivedColumns: Column.storedNames, annotations: .derived)
    private var reader = ColumnReader(table: .standard)
    private var observer = SpanObserver()
    /// Says how rows ended that no Fusebox has looked at. What it counts is nobody's.
    private var derivations: SpanDerivations
    private var group = SpanGroup()
    private let decoder = TraceDecoder()
    private let logDecoder = LogsDecoder()
    private let logEncoder = LogSegmentEncoder()

    /// The stored columns that a node's row says, by their places among `ClickHouseColumns.derived`.
    private static let places: [Int?] = Column.storedNames.map { name in ClickHouseColumns.derived.firstIndex { $0.name == name }
    }

    private static let stage = place("stage")
    private static let outcome = place("outcome")
    private static let reason = place("timeout_reason")
    private static let phase = place("timeout_phase")

    private static func place(_ name: String) -> Int? { ClickHouseColumns.derived.firstIndex { $0.name == name } }

    init(_ folder: StoreFolder, _ policy: FusePolicy) throws(StoreError) {
        store = try SpanStore(folder: folder, gate: CommitGate())
        derivations = SpanDerivations(policy: policy)
    }

    /// Takes rows in, in the order in which they are given.
    func append(_ rows: [EngineRow], _ bytes: [UInt8]) throws {
        let request = EngineRequest(bytes)
        var start = 0
        while start < rows.count {
            let end = min(rows.count, start + SegmentFormat.spansPerCommitMax)
            var batch = try decoder.decode(request.encoded(rows[start..<end]))
            // A row that no span can be was left out: then no row is known by its place.
            let own = batch.spans.count == end - start ? rows[start..<end] : []
            take(&batch, own, bytes)
            try commit()
            start = end
        }
    }

    /// Takes log records in, in the order in which they are given, which is that in which they were received.
    func append(_ rows: [EngineLogRow], _ bytes: [UInt8]) throws {
        let request = EngineRequest(bytes)
        var logs = LogGroup()
        var start = 0
        while start < rows.count {
            let received = rows[start].received
            let end = rows[start...].firstIndex { $0.received != received } ?? rows.count
            logs.append(try logDecoder.decode(request.encoded(rows[start..<end])), receivedTimeUnixNano: received)
            start = end
        }
        guard let segment = try logEncoder.encode(logs) else { return }
        try store.commit(nil, DerivationRows(), logs: segment, nowUnixNano: derivations.clock)
    }

    private func take(_ batch: inout SpanBatch, _ rows: ArraySlice<EngineRow>, _ bytes: [UInt8]) {
        reader.begin(&batch)
        observer.begin(batch)
        var observed = ObservedSpan(traceID: TraceID(high: 0, low: 0), spanID: SpanID(0))
        for index in batch.spans.indices {
            let span = batch.spans[index]
            let row = rows.isEmpty ? nil : rows[rows.startIndex + index]
            reader.read(span, of: &batch)
            var annotations = SpanAnnotations()
            annotations.receivedTimeUnixNano = row?.received ?? span.endTimeUnixNano
            if let row, !row.node.isEmpty {
                Self.annotate(&annotations, row, bytes)
            } else {
                observer.observe(
                    span, reader.row, of: batch, receivedTimeUnixNano: annotations.receivedTimeUnixNano, into: &observed)
                annotations.take(derivations.observe(observed), tellsParent: observed.tellsParent)
            }
            appendColumns(row, bytes, &batch)
            group.append(span, at: index, annotations: annotations)
        }
        group.add(batch)
    }

    /// What the node found in the span, where its row has a column for it: the attributes there are texts, which say less.
    private func appendColumns(_ row: EngineRow?, _ bytes: [UInt8], _ batch: inout SpanBatch) {
        for column in Column.storedNames.indices {
            let read = reader.row[column]
            guard let row, !row.node.isEmpty, let place = Self.places[column] else {
                if read.kind != .none { group.appendDerived(read, column: column) }
                continue
            }
            switch row.derived[place] {
            case .none: break
            case .integer(let integer): group.appendDerived(.integer(integer), column: column)
            case .text(let range):
                let isSame = read.kind == .text && batch.bytes(read.slice) == bytes[range]
                let value = isSame ? read : .text(batch.append(String(decoding: bytes[range], as: UTF8.self)))
                group.appendDerived(value, column: column)
            }
        }
    }

    private static func annotate(_ annotations: inout SpanAnnotations, _ row: EngineRow, _ bytes: [UInt8]) {
        func code(_ place: Int?, _ words: [String]) -> UInt8 {
            guard let place, case .text(let range) = row.derived[place] else { return 0 }
            return UInt8((words.firstIndex { $0.utf8.elementsEqual(bytes[range]) } ?? -1) + 1)
        }
        annotations.stage = code(stage, AnnotationValues.derived.stages)
        annotations.outcome = code(outcome, AnnotationValues.derived.outcomes)
        annotations.timeoutReason = code(reason, AnnotationValues.derived.timeoutReasons)
        annotations.timeoutPhase = code(phase, AnnotationValues.derived.timeoutPhases)
    }

    private func commit() throws {
        let segment = try encoder.encode(group)
        let latest = derivations.clock
        group = SpanGroup()
        if segment != nil { try store.commit(segment, DerivationRows(), nowUnixNano: latest) }
    }

    /// What tokens cost, behind the last row.
    fileprivate func finish(_ prices: PriceTable) throws {
        var annex = AnnexRows()
        annex.prices = prices
        try store.commit(nil, DerivationRows(), annex: annex, nowUnixNano: 0)
    }
}
