import Derivations
import Ingest
import OTLP
import SemanticColumns
import SpanStore
import TelemetryModel

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Does one thing a given number of times, for scripts/instructions.sh to count what it takes.
///
///     instructions decode FILE COUNT     decodes the request in the file
///     instructions derive FILE COUNT     decodes it once, and takes its spans in each time, with other ids: columns, counters, breakers
///     instructions encode FILE COUNT     decodes it once, reads its columns and encodes a segment of it each time
///
/// Prints how many spans it handled. Nothing in it depends on time or chance, so two runs differ by what was asked alone.
@main
struct Instructions {
    static func main() throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 4, let count = Int(arguments[3]), let body = read(arguments[2]) else {
            write("usage: instructions decode|derive|encode FILE COUNT\n", to: 2)
            exit(2)
        }
        let spans =
            switch arguments[1] {
            case "decode": try decode(body, count)
            case "derive": try derive(body, count)
            default: try encode(body, count)
            }
        write("\(spans)\n", to: 1)
    }

    private static func decode(_ body: [UInt8], _ count: Int) throws -> Int {
        let decoder = TraceDecoder()
        var spans = 0
        for _ in 0..<count { spans += try decoder.decode(body).spans.count }
        return spans
    }

    private static func derive(_ body: [UInt8], _ count: Int) throws -> Int {
        let decoded = try TraceDecoder().decode(body)
        let folder = "/tmp/fusebox-instructions-\(getpid())"
        let store = try SpanStore(folder: StoreFolder(path: folder), gate: CommitGate())
        var gatherer = SpanGatherer(
            presence: try SpanPresence(store), derivations: SpanDerivations(policy: FusePolicy()), table: .standard,
            prices: PriceTable())
        var now = (decoded.spans.map(\.endTimeUnixNano).max() ?? 0) + 1
        var spans = 0
        for round in 0..<count {
            var batch = decoded
            for index in batch.spans.indices { batch.spans[index].traceID.high ^= UInt64(round) << 32 }
            now += 1_000_000
            gatherer.advance(to: now)
            var result = IngestResult(rejections: SpanRejections())
            var committing: SpanGroup?
            gatherer.begin(&batch)
            _ = try gatherer.append(&batch, from: 0, &result, committing: &committing)
            _ = gatherer.take()
            spans += result.accepted
        }
        for name in ["fusebox.db", "fusebox.db-wal", "fusebox.db-shm", "fusebox.lock", "fusebox.mark"] { unlink("\(folder)/\(name)") }
        rmdir(folder)
        return spans
    }

    private static func encode(_ body: [UInt8], _ count: Int) throws -> Int {
        let decoded = try TraceDecoder().decode(body)
        var reader = ColumnReader(table: .standard)
        let none = AnnotationValues(stages: [], outcomes: [], timeoutReasons: [], timeoutPhases: [])
        var encoder = SegmentEncoder(derivedColumns: Column.storedNames, annotations: none)
        var spans = 0
        for _ in 0..<count {
            var batch = decoded
            var group = SpanGroup()
            reader.begin(&batch)
            for (index, span) in batch.spans.enumerated() {
                reader.read(span, of: &batch)
                reader.row.forEachStored { column, value in group.appendDerived(value, column: column) }
                group.append(span, at: index, annotations: SpanAnnotations())
            }
            group.add(batch)
            spans += try encoder.encode(group)?.spanCount ?? 0
        }
        return spans
    }

    private static func read(_ path: String) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return nil }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        let count = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
        return count == bytes.count ? bytes : nil
    }

    private static func write(_ text: String, to descriptor: Int32) {
        var text = text
        text.withUTF8 { bytes in _ = Glibc.write(descriptor, bytes.baseAddress, bytes.count) }
    }
}
