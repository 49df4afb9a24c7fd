package import Ingest
import OTLP
package import TelemetryModel

extension ExportPipeline {
    /// Room in the ingest queue for spans that this server will make itself.
    package func reserve(spans: Int, bytes: Int) throws(IngestError) -> IngestPlace {
        try writer.reserve(spans: spans, bytes: bytes)
    }

    /// Takes in spans that this server made, by everybody's way: redacted, and read from their wire form. When it returns, they are
    /// durable.
    ///
    /// - Parameter places: what was reserved for them; they are not refused for want of room.
    package func export(own batch: SpanBatch, in places: [IngestPlace]) async throws {
        let decoded = try decoder.decode(protobuf(TraceRequestMessage.encode(batch), .protobuf, .traces))
        _ = try await writer.store(decoded, in: places)
    }

    /// Takes in log records that this server made, by everybody's way. When it returns, they are durable.
    ///
    /// - Parameter request: an export request of logs as JSON.
    package func export(ownLogs request: [UInt8]) async throws {
        let content = try read(request, .json, .logs)
        try await withCheckedThrowingContinuation { stored in
            store(content) { result in stored.resume(with: result.map { _ in }) }
        }
    }
}
