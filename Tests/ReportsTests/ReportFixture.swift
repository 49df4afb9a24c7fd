import Derivations
import Foundation
import Ingest
import SQLite
import SpanStore
import StoreSQL
import Synchronization
import TelemetryModel

@testable import Reports

/// A data file in a folder of its own, filled through the writer, with a clock that stands at `now`.
final class ReportFixture: Sendable {
    /// 2026-01-01T00:00:00Z.
    static let epoch: Int64 = 1_767_225_600_000_000_000

    let folder = StoreFolder(path: NSTemporaryDirectory() + "fusebox-tests-\(UUID().uuidString)")
    let now: Int64

    init(now: Int64 = ReportFixture.epoch) {
        self.now = now
    }

    deinit {
        try? FileManager.default.removeItem(atPath: folder.path)
    }

    /// Stores spans and closes the file.
    func store(_ batches: [SpanBatch]) async throws {
        let now = now
        let writer = try opened { try IngestWriter(folder: self.folder, policy: FusePolicy(), metrics: IngestMetrics(), clock: { now }) }
        for batch in batches { _ = try await writer.store(batch) }
        writer.stop()
    }

    /// Tries until the writer before has let go of its lock.
    private func opened(_ open: () throws -> IngestWriter) throws -> IngestWriter {
        while true {
            do {
                return try open()
            } catch StoreError.locked {
                sched_yield()
            }
        }
    }

    func write(_ rows: AnnexRows) throws {
        while true {
            do {
                return try folder.write(rows, nowUnixNano: now)
            } catch StoreError.locked {
                // The writer that was stopped has not let go of its lock yet.
                sched_yield()
            }
        }
    }

    /// The server ran through these minutes.
    func watch(from: Int64, until: Int64) throws {
        for minute in from / 60_000_000_000..<(until + 59_999_999_999) / 60_000_000_000 {
            try write(AnnexRows(heartbeat: HeartbeatRow(minute: minute)))
        }
    }

    func reader() throws -> ReportReader {
        ReportReader(try SQLReader(folder: folder))
    }

    /// Rows of a query; numbers as doubles where they are.
    func rows(_ sql: String) throws -> [[String]] {
        try reader().rows(sql) { row in (0..<row.columnCount).map { row.text($0) ?? "" } }
    }

    /// The first number of a query's first row.
    func number(_ sql: String, column: Int32 = 0) throws -> Double {
        try reader().row(sql) { $0.double(column) } ?? .nan
    }
}

/// Spans for the tests. Times are seconds after the epoch.
enum Spans {
    static func batch(_ spans: [SpanDescription], service: String = "svc", resource: AttributeList = [:]) -> SpanBatch {
        var builder = SpanBatchBuilder()
        var attributes = resource
        attributes.append("service.name", .string(service))
        builder.beginResource(attributes)
        builder.beginScope(name: "tests")
        for span in spans { builder.append(span) }
        return builder.batch
    }

    static func span(
        _ trace: UInt64, _ id: UInt64, _ name: String, _ start: Double, _ end: Double, parent: UInt64 = 0,
        _ attributes: AttributeList = [:]
    ) -> SpanDescription {
        var span = SpanDescription(traceID: TraceID(high: trace, low: 1), spanID: SpanID(id), name: name)
        span.parentSpanID = SpanID(parent)
        span.startTimeUnixNano = ReportFixture.epoch + Int64(start * 1e9)
        span.endTimeUnixNano = ReportFixture.epoch + Int64(end * 1e9)
        span.attributes = attributes
        return span
    }

    /// A run of a workflow.
    static func run(_ number: Int, start: Double, seconds: Double, _ attributes: AttributeList = [:]) -> SpanDescription {
        var all: AttributeList = ["workflow_name": "w"]
        all.append(contentsOf: attributes)
        return span(UInt64(number + 1), 1, "run", start, start + seconds, all)
    }
}
