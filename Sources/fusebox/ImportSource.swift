import Foundation
import OTLP
import SpanStore
import TelemetryModel

/// Reads the files that `fusebox import` takes, batch by batch.
enum ImportSource {
    /// A line longer than this is no request that a collector would take.
    private static let lineBytesMax = 64 << 20
    private static let spansPerBatchMax = 2000
    private static let chunkBytes = 1 << 20
    /// What an SQLite file starts with.
    private static let databaseHead = Data("SQLite format 3\0".utf8)

    typealias Consumer = (_ batch: SpanBatch, _ done: Int64, _ total: Int64) async throws -> Void

    /// Gives each batch of a file to `consume`, with how much of it is done in some unit; the total is 0 when it is not known.
    static func forEach(_ path: String, _ consume: Consumer) async throws {
        if path == "-" { return try await forEachLine(of: .standardInput, total: 0, name: "standard input", consume) }
        guard let handle = FileHandle(forReadingAtPath: path) else {
            throw CommandFailure(.usage, "cannot read the file \(path)")
        }
        defer { try? handle.close() }  // It was only read.
        let head = try handle.read(upToCount: databaseHead.count) ?? Data()
        if head == databaseHead { return try await forEachSegment(of: path, consume) }
        try handle.seek(toOffset: 0)
        try await forEachLine(of: handle, total: FileSize.bytes(path), name: path, consume)
    }

    // MARK: Data files

    private static func forEachSegment(of path: String, _ consume: Consumer) async throws {
        do {
            let history = try SpanHistory.reading(path: path)
            let ids = try history.segmentsNewestFirst().map(\.id).reversed()
            for (index, id) in ids.enumerated() {
                guard let batch = try history.batchIfStored(ofSegment: id)?.batch else { continue }
                for part in batch.parts(ofSpans: spansPerBatchMax) { try await consume(part, Int64(index + 1), Int64(ids.count)) }
            }
        } catch let error as StoreError {
            throw CommandFailure(error.failure.code, "\(path): \(error.message)")
        }
    }

    // MARK: Lines

    private static func forEachLine(
        of handle: FileHandle, total: Int64, name: String, _ consume: Consumer
    ) async throws {
        var line: [UInt8] = []
        var number = 0
        var done: Int64 = 0
        while let chunk = try handle.read(upToCount: chunkBytes), !chunk.isEmpty {
            done += Int64(chunk.count)
            let pieces = chunk.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            for (index, piece) in pieces.enumerated() {
                line += piece
                guard line.count <= lineBytesMax else {
                    throw CommandFailure(.failed, "line \(number + 1) of \(name) has more than \(lineBytesMax >> 20) MiB")
                }
                if index == pieces.count - 1 { break }
                number += 1
                if let batch = try batch(line, number, name) { try await consume(batch, done, total) }
                line.removeAll(keepingCapacity: true)
            }
        }
        if let batch = try batch(line, number + 1, name) { try await consume(batch, done, total) }
    }

    /// The spans of a line; `nil` when it is empty.
    private static func batch(_ line: [UInt8], _ number: Int, _ name: String) throws -> SpanBatch? {
        guard line.contains(where: { $0 > UInt8(ascii: " ") }) else { return nil }
        do {
            return try TraceDecoder().decode(JSONTranscoder.protobuf(line, as: .traceRequest, limit: lineBytesMax))
        } catch let error as JSONDecodingError {
            throw CommandFailure(.failed, "line \(number) of \(name) is no export request in OTLP JSON: \(error.message)")
        } catch let error as OTLPDecodingError {
            throw CommandFailure(.failed, "line \(number) of \(name): \(error.message)")
        }
    }
}
