import ArgumentParser
import Foundation
import FuseboxConfiguration
import Ingest
import OTLP
import SpanStore
import TelemetryModel

/// `fusebox import`: spans and log records from files, as if an exporter had sent them now.
struct Import: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Import spans and log records from OTLP JSON lines, or the spans of another data file, such as a backup.",
        discussion: """
            Spans that are stored already are counted as duplicates, so an import that broke off can be started again; log records \
            have no identity and are stored again. Metrics, and lines that are not OTLP, are counted and not taken. Without --endpoint \
            the data folder is written to, and no server may run on it.

            Examples:
              fusebox import week.jsonl
              zstd -dc week.jsonl.zst | fusebox import --endpoint http://127.0.0.1:4318 -
            """)

    @OptionGroup var common: CommonOptions

    @Option(help: "Base address of a running collector to send to, instead of writing to the data folder.")
    var endpoint: String?

    @Argument(help: "Files; - is standard input, which must be OTLP JSON lines.")
    var files: [String]

    mutating func run() async throws {
        let configuration = try common.configuration()
        var sink =
            try endpoint.map { ImportSink.collector(TraceClient(address: try CollectorAddress($0))) } ?? .folder(configuration)
        var progress = ProgressLine("importing")
        var counts = ImportCounts()
        var nothingTaken: [String] = []
        do {
            for file in files {
                let before = counts
                try await ImportSource.forEach(file) { (item, done, total) throws in
                    try await sink.take(item, &counts)
                    let share = total > 0 ? ", \(Int(Double(done) / Double(total) * 100)) % of \(file)" : ""
                    progress.show("\(counts.sent) spans\(share)")
                }
                if counts.untaken != before.untaken, counts.sent == before.sent, counts.logRecords == before.logRecords {
                    nothingTaken.append(file)
                }
            }
        } catch {
            progress.end()
            await sink.close()
            let reason = (error as? CommandFailure)?.message ?? "\(error)"
            let code = (error as? CommandFailure)?.code ?? .failed
            throw CommandFailure(code, "\(Terminal.escaped(reason)); until then: \(counts.text)")
        }
        progress.end()
        await sink.close()
        Terminal.write(counts.text + "\n")
        if let reason = counts.rejectionReason { Terminal.error(Terminal.escaped(reason)) }
        guard nothingTaken.isEmpty else {
            throw CommandFailure(.failed, "nothing was taken in of \(nothingTaken.joined(separator: ", "))")
        }
    }
}

/// What became of what an import read.
struct ImportCounts {
    /// Spans that were answered, whatever the answer.
    var sent = 0
    var rejected = 0
    /// Why, as the collector said it first.
    var rejectionReason: String?
    /// `nil` when a collector takes the spans, which does not tell.
    var duplicates: Int?
    /// Those of the duplicates that are not byte for byte what is stored.
    var conflicts = 0
    var logRecords = 0
    var logRecordsRejected = 0
    /// What was not taken, by what it is.
    var untaken: [String: Int] = [:]

    var text: String {
        var parts = ["\(sent - rejected - (duplicates ?? 0)) spans taken in"]
        if logRecords > 0 { parts.append("\(logRecords - logRecordsRejected) log records") }
        if let duplicates {
            let differing = conflicts > 0 ? " (\(conflicts) of them not byte for byte the same; the first ones stay)" : ""
            parts.append("\(duplicates) were there before\(differing)")
        }
        if rejected + logRecordsRejected > 0 { parts.append("\(rejected + logRecordsRejected) rejected") }
        for (what, count) in untaken.sorted(by: { $0.key < $1.key }) { parts.append("not taken: \(count) \(what)") }
        return parts.joined(separator: ", ")
    }
}

/// Where imported spans go.
enum ImportSink {
    case collector(TraceClient)
    case writer(IngestWriter)

    /// The data folder, which no server may be using.
    static func folder(_ configuration: Configuration) throws -> ImportSink {
        do {
            return .writer(
                try IngestWriter(
                    folder: StoreFolder(path: configuration.dataFolder), policy: configuration.policy, metrics: IngestMetrics(),
                    clock: { Clock.unixNano() }))
        } catch {
            guard case .locked = error else { throw error.failure }
            throw CommandFailure(.failed, error.message + "; or send to it with --endpoint")
        }
    }

    mutating func take(_ item: ImportItem, _ counts: inout ImportCounts) async throws {
        switch item {
        case .spans(let batch): try await take(batch, &counts)
        case .logs(let logs, let request): try await take(logs, request, &counts)
        case .untaken(let what, let count): counts.untaken[what, default: 0] += count
        }
    }

    private mutating func take(_ batch: SpanBatch, _ counts: inout ImportCounts) async throws {
        switch self {
        case .writer(let writer):
            do {
                let result = try await writer.store(batch)
                counts.duplicates = (counts.duplicates ?? 0) + result.duplicates
                counts.conflicts += result.conflicts
                counts.rejected += result.rejections.total
                counts.sent += result.accepted + result.duplicates + result.rejections.total
            } catch {
                throw CommandFailure(.failed, error.message)
            }
        case .collector(let client):
            if !batch.spans.isEmpty {
                counts.rejected += try await send(client, TraceRequestMessage.encode(batch), "/v1/traces", &counts)
            }
            counts.rejected += batch.rejections.total
            counts.sent += batch.spans.count + batch.rejections.total
        }
    }

    private mutating func take(_ logs: LogBatch, _ request: [UInt8], _ counts: inout ImportCounts) async throws {
        switch self {
        case .writer(let writer):
            do {
                try await writer.store(logs, calls: IngestWriter.calls(in: logs))
                counts.logRecordsRejected += logs.rejections.total
            } catch {
                throw CommandFailure(.failed, error.message)
            }
        case .collector(let client):
            counts.logRecordsRejected += try await send(client, request, "/v1/logs", &counts)
        }
        counts.logRecords += logs.records.count + logs.rejections.total
    }

    /// Sends a request and waits for the answer: what is counted afterwards has arrived.
    private mutating func send(
        _ client: TraceClient, _ request: [UInt8], _ path: String, _ counts: inout ImportCounts
    ) async throws -> Int {
        var client = client
        defer { self = .collector(client) }
        do {
            let answer = try await client.send(request, to: path)
            if !answer.reason.isEmpty, counts.rejectionReason == nil { counts.rejectionReason = answer.reason }
            return Int(clamping: answer.rejected)
        } catch {
            throw CommandFailure(.failed, error.message(client.address))
        }
    }

    func close() async {
        switch self {
        case .writer(let writer): writer.stop()
        case .collector(let client): await client.close()
        }
    }
}
