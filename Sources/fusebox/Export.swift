import ArgumentParser
import Foundation
import FuseboxConfiguration
import OTLP
import Parquet
import SegmentFormat
import SpanStore
import StoreSQL
import TelemetryModel

/// `fusebox export`: the spans in a form that other programs take.
struct Export: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write the spans as OTLP JSON lines, as plain tables into a new SQLite file, or as Parquet files.",
        discussion: """
            otlp-json: one export request a line, as OTLP files have it; `fusebox import` and OpenTelemetry collectors read it. Nothing of a \
            span is lost. sqlite: the tables spans, logs, evals, breaker_transitions, breaker_openings and costs, with the columns \
            of docs/sql.md. parquet: spans and log records with those columns, in a folder of files by ordinals; the same command again adds \
            what came since.

            Examples:
              fusebox export --format sqlite spans.db
              fusebox export --format parquet spans/
              fusebox export --since 7d | zstd > week.jsonl.zst
            """)

    enum Format: String, CaseIterable, ExpressibleByArgument {
        case otlpJSON = "otlp-json"
        case sqlite
        case parquet
    }

    /// A line is a request that any collector takes.
    private static let spansPerLineMax = 1000

    @OptionGroup var common: CommonOptions

    @Option(help: "otlp-json, sqlite or parquet.")
    var format: Format = .otlpJSON

    @Option(
        help: "Only spans that started at or after this: 2026-11-21, 2026-11-21T10:00:00Z, nanoseconds, or an age such as 7d.",
        transform: TimeArgument.init)
    var since: TimeArgument?

    @Option(help: "Only spans that started at or before this.", transform: TimeArgument.init)
    var until: TimeArgument?

    @Argument(help: "The file to write, of parquet the folder; without it, or for -, otlp-json goes to standard output.")
    var file: String?

    mutating func run() async throws {
        let reader: SQLReader
        let target = file == "-" ? nil : file
        do {
            reader = try SQLReader(folder: StoreFolder(path: try common.configuration().dataFolder))
        } catch let error as StoreError {
            throw error.failure
        }
        let now = Clock.unixNano()
        let from = since?.unixNano(nowUnixNano: now) ?? .min
        let to = until?.unixNano(nowUnixNano: now) ?? .max
        guard from <= to else { throw CommandFailure(.usage, "--since is later than --until") }
        var progress = ProgressLine("exporting")
        defer { progress.end() }
        do {
            switch format {
            case .sqlite:
                guard let target else { throw CommandFailure(.usage, "--format sqlite needs the name of a new file") }
                let spans = try PlainExport.run(reader: reader, to: target, startUnixNano: from...to) {
                    progress.show($0, of: $1, "spans")
                }
                progress.end()
                Terminal.write("wrote \(spans) spans to \(target)\n")
            case .parquet: try writeParquet(reader, to: target, &progress)
            case .otlpJSON:
                let spans = try writeLines(of: reader.history, from...to, to: target, &progress)
                progress.end()
                if let target { Terminal.write("wrote \(spans) spans to \(target)\n") }
            }
        } catch let error as StoreError {
            throw error.failure
        }
    }

    /// Adds files of what is not in a folder yet.
    private func writeParquet(_ reader: SQLReader, to target: String?, _ progress: inout ProgressLine) throws {
        guard let target else { throw CommandFailure(.usage, "--format parquet needs the name of a folder") }
        guard since == nil, until == nil else {
            throw CommandFailure(
                .usage, "--format parquet writes whole stretches of ordinals; leave --since and --until to who reads them")
        }
        do {
            let written = try ParquetExport(reader, to: target).run { progress.show($0, of: $1, "rows") }
            progress.end()
            Terminal.write(
                "wrote \(written.spans) spans and \(written.logRecords) log records to \(written.files) files in \(target)\n")
        } catch let error as ParquetError {
            throw CommandFailure(.failed, error.message)
        }
    }

    /// Writes the lines to a new file, which is there when it is whole, or to standard output.
    private func writeLines(
        of history: SpanHistory, _ times: ClosedRange<Int64>, to target: String?, _ progress: inout ProgressLine
    ) throws -> Int {
        guard let target else { return try writeLines(of: history, times, to: LineOutput(path: nil), &progress) }
        return try NewFile.write(target) { partial in
            let output = try LineOutput(path: partial)
            let spans = try writeLines(of: history, times, to: output, &progress)
            try output.close()
            return spans
        }
    }

    /// One line a segment; gives how many spans are in them.
    private func writeLines(
        of history: SpanHistory, _ times: ClosedRange<Int64>, to output: LineOutput, _ progress: inout ProgressLine
    ) throws -> Int {
        let ids = try history.segmentsNewestFirst().map(\.id).reversed()
        var spans = 0
        for (index, id) in ids.enumerated() {
            // A segment that was merged or dropped meanwhile is not there any more; its spans are in a later one, or gone.
            guard var batch = try history.batchIfStored(ofSegment: id)?.batch else { continue }
            batch.spans.removeAll { !times.contains($0.startTimeUnixNano) }
            guard !batch.spans.isEmpty else { continue }
            spans += batch.spans.count
            for part in batch.parts(ofSpans: Self.spansPerLineMax) { try output.write(TraceRequestJSON.encode(part)) }
            progress.show(Int64(index + 1), of: Int64(ids.count), "segments")
        }
        return spans
    }
}

extension SpanBatch {
    /// The batch in batches of at most `count` spans, over the same bytes.
    func parts(ofSpans count: Int) -> some Sequence<SpanBatch> {
        stride(from: 0, to: spans.count, by: count).lazy.map { start in
            var part = self
            part.spans = Array(spans[start..<min(start + count, spans.count)])
            return part
        }
    }
}
