import Derivations
import Foundation
import Ingest
import Queries
import SpanStore
import TelemetryModel

/// A store of its own for a test.
enum StoredBatches {
    /// Stores the batches, a segment each, and calls `check` with a reader that may take its time.
    static func read(_ batches: [SpanBatch], _ check: (QueryReader) throws -> Void) async throws {
        let folder = StoreFolder(path: NSTemporaryDirectory() + "fusebox-tests-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(atPath: folder.path) }
        let writer = try IngestWriter(
            folder: folder, policy: FusePolicy(), metrics: IngestMetrics(), clock: { 1_767_225_600_000_000_000 })
        defer { writer.stop() }
        for batch in batches { _ = try await writer.store(batch) }
        let reader = try QueryReader(folder: folder)
        reader.begin(limit: .seconds(86_400))
        try check(reader)
    }
}
