import Derivations
import Ingest
import OTLP
import SegmentFormat
import SemanticColumns
import SpanStore
import TelemetryModel

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Takes the request in a file in a given number of times, each time with other ids and a tenth of a second later, for
/// scripts/instructions.sh to count what each stage takes.
///
///     instructions FILE ROUNDS
///
/// Prints how many spans each stage handled while it was counted. Nothing in it depends on time or chance.
@main
struct Instructions {
    /// Rounds before the counting begins: caches are filled then, and observations of breakers are old enough to settle.
    private static let warmUpRounds = 14

    static func main() throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 3, let rounds = Int(arguments[2]), rounds > 0, let body = read(arguments[1]) else {
            tell("usage: instructions FILE ROUNDS\n", on: 2)
            exit(2)
        }
        let folder = "/tmp/fusebox-instructions-\(getpid())"
        let store = try SpanStore(folder: StoreFolder(path: folder), gate: CommitGate())
        var way = SpanWay(store, try SpanPresence(store))
        let requests = try RequestWay(body)
        for round in 0..<warmUpRounds {
            try requests.take(isCounted: false)
            try way.take(body, round, isCounted: false)
        }
        for round in 0..<rounds {
            try requests.take(isCounted: true)
            try way.take(body, warmUpRounds + round, isCounted: true)
        }
        let merged = try way.merge()
        for stage in Stage.allCases where stage != .merge { tell("\(stage.rawValue) \(way.countedSpans)\n", on: 1) }
        tell("\(Stage.merge.rawValue) \(merged)\n", on: 1)
        for name in ["fusebox.db", "fusebox.db-wal", "fusebox.db-shm", "fusebox.lock", "fusebox.mark"] { unlink("\(folder)/\(name)") }
        rmdir(folder)
    }

    private static func read(_ path: String) -> [UInt8]? {
        guard let file = fopen(path, "rb") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            if count == 0 { return bytes }
            bytes += chunk[..<count]
        }
    }

    private static func tell(_ text: String, on descriptor: Int32) {
        var text = text
        text.withUTF8 { bytes in _ = write(descriptor, bytes.baseAddress, bytes.count) }
    }
}

/// The way of a request's spans into the store, on one thread. A value, as `SpanGatherer` is: what a class holds would be copied for each
/// span.
private struct SpanWay: ~Copyable {
    private let decoder = TraceDecoder()
    private let store: SpanStore
    private let presence: SpanPresence
    private var reader = ColumnReader(table: .standard)
    private var observer = SpanObserver()
    private var observed = ObservedSpan(traceID: TraceID(high: 0, low: 0), spanID: SpanID(0))
    private var derivations = SpanDerivations(policy: SpanWay.policy)
    private var encoder = SegmentEncoder(
        derivedColumns: Column.storedNames,
        annotations: AnnotationValues(stages: [], outcomes: [], timeoutReasons: [], timeoutPhases: []))
    private(set) var countedSpans = 0

    private static let roundNanoseconds: Int64 = 100_000_000
    /// Observations settle after a second, so that they do so after ten rounds.
    private static var policy: FusePolicy {
        var policy = FusePolicy()
        policy.breakerSettleNanoseconds = 1_000_000_000
        return policy
    }

    init(_ store: SpanStore, _ presence: SpanPresence) {
        self.store = store
        self.presence = presence
    }

    /// One request, which is one commit: a tenth of a second after the one before.
    mutating func take(_ body: [UInt8], _ round: Int, isCounted: Bool) throws {
        var decoded: SpanBatch?
        try counted(.decode, isCounted) { decoded = try decoder.decode(body) }
        guard var batch = decoded.take() else { return }
        let later = Int64(round) * SpanWay.roundNanoseconds
        for index in batch.spans.indices {
            batch.spans[index].traceID.high ^= UInt64(round) << 32
            batch.spans[index].startTimeUnixNano += later
            batch.spans[index].endTimeUnixNano += later
        }
        let now = (batch.spans.map(\.endTimeUnixNano).max() ?? 0) + 1
        var new = 0
        counted(.presence, isCounted) { for span in batch.spans where presence.isCertainlyNew(span) { new += 1 } }
        counted(.settle, isCounted) { derivations.advance(to: Moment(steady: now)) }
        var group = SpanGroup()
        group.reserve(spanCount: batch.spans.count)
        counted(.columns, isCounted) {
            reader.begin(&batch)
            for span in batch.spans { reader.read(span, of: &batch) }
        }
        // The same again, for what comes after it: a span is derived from while its columns are there.
        reader.begin(&batch)
        observer.begin(batch)
        for (index, span) in batch.spans.enumerated() {
            reader.read(span, of: &batch)
            counted(.derive, isCounted) { derive(span, &batch, now) }
            reader.row.forEachStored { column, value in group.appendDerived(value, column: column) }
            var annotations = SpanAnnotations()
            annotations.receivedTimeUnixNano = now
            group.append(span, at: index, annotations: annotations)
        }
        group.add(batch)
        var rows = DerivationRows()
        counted(.settle, isCounted) { rows = DerivationRows(derivations.takeChanges()) }
        var segment: EncodedSegment?
        try counted(.encode, isCounted) { segment = try encoder.encode(group) }
        try counted(.commit, isCounted) { try store.commit(segment, rows, nowUnixNano: now) }
        presence.settle()
        if isCounted { countedSpans += new }
    }

    private mutating func derive(_ span: SpanRecord, _ batch: inout SpanBatch, _ now: Int64) {
        observer.observe(span, reader.row, of: batch, receivedTimeUnixNano: now, into: &observed)
        _ = derivations.observe(observed)
    }

    /// Merges all that was committed; gives the spans that went through merges.
    mutating func merge() throws -> Int64 {
        let merger = try SegmentMerger(try store.maintenance())
        try counted(.merge, true) { while try merger.runOnce() {} }
        return merger.progress.spans
    }
}
