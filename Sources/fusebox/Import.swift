import ArgumentParser
import Foundation
import FuseboxConfiguration
import Ingest
import OTLP
import SpanStore
import TelemetryModel

/// `fusebox import`: spans from files, as if an exporter had sent them now.
struct Import: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Take in OTLP JSON lines, or the spans of another data file, such as a backup.",
        discussion: """
            Spans that are stored already are counted as duplicates, so an import that broke off can be started again. Without --endpoint the
            data folder is written to, and no server may run on it.

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
        do {
            for file in files {
                try await ImportSource.forEach(file) { (batch, done, total) throws in
                    try await sink.take(batch, &counts)
                    let share = total > 0 ? ", \(Int(Double(done) / Double(total) * 100)) % of \(file)" : ""
                    progress.show("\(counts.sent) spans\(share)")
                }
            }
        } catch {
            progress.end()
            await sink.close()
            let reason = (error as? CommandFailure)?.message ?? "\(error)"
            let code = (error as? CommandFailure)?.code ?? .failed
            throw CommandFailure(code, "\(Terminal.escaped(reason)); \(counts.text) before that")
        }
        progress.end()
        await sink.close()
        Terminal.write(counts.text + "\n")
    }
}

/// What became of the spans of an import.
struct ImportCounts {
    var sent = 0
    var rejected = 0
    /// `nil` when a collector takes the spans, which does not tell.
    var duplicates: Int?

    var text: String {
        let stored = sent - rejected - (duplicates ?? 0)
        let known = duplicates.map { ", \($0) were there before" } ?? ""
        return "\(stored) spans taken in\(known)" + (rejected > 0 ? ", \(rejected) rejected" : "")
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

    mutating func take(_ batch: SpanBatch, _ counts: inout ImportCounts) async throws {
        switch self {
        case .writer(let writer):
            do {
                let result = try await writer.store(batch)
                counts.duplicates = (counts.duplicates ?? 0) + result.duplicates
                counts.rejected += result.rejections.total
                counts.sent += result.accepted + result.duplicates + result.rejections.total
            } catch {
                throw CommandFailure(.failed, error.message)
            }
        case .collector(var client):
            counts.sent += batch.spans.count
            do {
                counts.rejected += Int(try await client.send(TraceRequestMessage.encode(batch)))
            } catch {
                throw CommandFailure(.failed, error.message(client.address))
            }
            self = .collector(client)
        }
    }

    func close() async {
        switch self {
        case .writer(let writer): writer.stop()
        case .collector(let client): await client.close()
        }
    }
}
