import Foundation
import OTLP
import SegmentFormat
import SpanStore
import TelemetryModel

/// What stands in a file that is imported.
enum ImportItem {
    case spans(SpanBatch)
    /// Log records, and the request in protobuf that they came of.
    case logs(LogBatch, request: [UInt8])
    /// Something that is not taken: what, such as "lines of metrics", and how many.
    case untaken(String, Int)
}

/// Reads the files that `fusebox import` takes, batch by batch.
enum ImportSource {
    /// A line longer than this is no request that a collector would take.
    private static let lineBytesMax = 64 << 20
    private static let spansPerBatchMax = 2000
    private static let chunkBytes = 1 << 20
    /// What an SQLite file starts with.
    private static let databaseHead = Data("SQLite format 3\0".utf8)

    typealias Consumer = (_ item: ImportItem, _ done: Int64, _ total: Int64) async throws -> Void

    /// Gives what stands in a file to `consume`, with how much of the file is done in some unit; the total is 0 when it is not
    /// known.
    static func forEach(_ path: String, _ consume: Consumer) async throws {
        let name = path == "-" ? "standard input" : path
        let handle = try InputFile.open(path)
        defer { if path != "-" { try? handle.close() } }  // It was only read.
        // A pipe cannot be read twice, and may give less at once than is wanted.
        var head = Data()
        do {
            while head.count < databaseHead.count {
                guard let more = try handle.read(upToCount: databaseHead.count - head.count), !more.isEmpty else { break }
                head += more
            }
        } catch {
            throw CommandFailure(.usage, "cannot read the file \(path)")
        }
        guard head == databaseHead else {
            return try await forEachLine(head, handle, total: path == "-" ? 0 : FileSize.bytes(path), name: name, consume)
        }
        guard path != "-", FileSize.bytes(path) > 0 else {
            throw CommandFailure(.usage, "\(name) is a data file, which cannot be read through a pipe; give the file's own name")
        }
        try await forEachSegment(of: path, consume)
    }

    // MARK: Data files

    private static func forEachSegment(of path: String, _ consume: Consumer) async throws {
        do {
            let history = try SpanHistory.reading(path: path)
            let ids = try history.segmentsNewestFirst().map(\.id).reversed()
            for (index, id) in ids.enumerated() {
                guard let batch = try history.batchIfStored(ofSegment: id)?.batch else { continue }
                for part in batch.parts(ofSpans: spansPerBatchMax) {
                    try await consume(.spans(part), Int64(index + 1), Int64(ids.count))
                }
            }
            let records = try history.logRecords()
            if records > 0 { try await consume(.untaken("log records of a data file", records), 1, 1) }
        } catch let error as StoreError {
            throw CommandFailure(error.failure.code, "\(path): \(error.message)")
        }
    }

    // MARK: Lines

    private static func forEachLine(
        _ head: Data, _ handle: FileHandle, total: Int64, name: String, _ consume: Consumer
    ) async throws {
        var line: [UInt8] = []
        var number = 0
        var done: Int64 = 0
        var chunk = head
        while !chunk.isEmpty {
            done += Int64(chunk.count)
            let pieces = chunk.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            for (index, piece) in pieces.enumerated() {
                line += piece
                guard line.count <= lineBytesMax else {
                    throw CommandFailure(.failed, "line \(number + 1) of \(name) has more than \(lineBytesMax >> 20) MiB")
                }
                if index == pieces.count - 1 { break }
                number += 1
                for item in try items(line, number, name) { try await consume(item, done, total) }
                line.removeAll(keepingCapacity: true)
            }
            do {
                chunk = try handle.read(upToCount: chunkBytes) ?? Data()
            } catch {
                throw CommandFailure(.failed, "\(name) could not be read past line \(number)")
            }
        }
        for item in try items(line, number + 1, name) { try await consume(item, done, total) }
    }

    /// What stands in a line; nothing when it is empty.
    private static func items(_ line: [UInt8], _ number: Int, _ name: String) throws -> [ImportItem] {
        guard line.contains(where: { $0 > UInt8(ascii: " ") }) else { return [] }
        do {
            var items: [ImportItem] = []
            let spans = try TraceDecoder().decode(JSONTranscoder.protobuf(line, as: .traceRequest, limit: lineBytesMax))
            if !spans.spans.isEmpty || spans.rejections.total > 0 { items.append(.spans(spans)) }
            if names(line, "resourceLogs", "resource_logs") {
                let request = try JSONTranscoder.protobuf(line, as: .logsRequest, limit: lineBytesMax)
                let logs = try LogsDecoder().decode(request)
                if !logs.records.isEmpty || logs.rejections.total > 0 { items.append(.logs(logs, request: request)) }
            }
            if items.isEmpty, let what = untaken(line) { items.append(.untaken(what, 1)) }
            return items
        } catch let error as JSONDecodingError {
            throw CommandFailure(.failed, "line \(number) of \(name) is not an export request in OTLP JSON: \(error.message)")
        } catch let error as OTLPDecodingError {
            throw CommandFailure(.failed, "line \(number) of \(name): \(error.message)")
        }
    }

    /// What a line is that has neither spans nor log records; `nil` for a request without any.
    private static func untaken(_ line: [UInt8]) -> String? {
        if names(line, "resourceMetrics", "resource_metrics") { return "lines of metrics" }
        if names(line, "resourceProfiles", "resource_profiles") { return "lines of profiles" }
        if names(line, "resourceSpans", "resource_spans") || names(line, "resourceLogs", "resource_logs") { return nil }
        // An empty object is an empty request.
        return line.filter { $0 > UInt8(ascii: " ") } == Array("{}".utf8) ? nil : "lines that are not OTLP requests"
    }

    /// Whether a line has a member of one of two names, at whatever depth.
    private static func names(_ line: [UInt8], _ camel: String, _ snake: String) -> Bool {
        let data = Data(line)
        return data.range(of: Data("\"\(camel)\"".utf8)) != nil || data.range(of: Data("\"\(snake)\"".utf8)) != nil
    }
}
