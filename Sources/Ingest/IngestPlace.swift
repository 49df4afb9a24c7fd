package import TelemetryModel

/// Room in the ingest queue, kept for spans that do not exist yet. Ends with its last reference.
package final class IngestPlace: Sendable {
    private let queue: IngestQueue
    private let spans: Int
    private let bytes: Int

    init(queue: IngestQueue, spans: Int, bytes: Int) {
        self.queue = queue
        self.spans = spans
        self.bytes = bytes
    }

    deinit {
        queue.release(spans: spans, bytes: bytes)
    }
}

extension IngestWriter {
    /// Keeps room for spans, or says why none would be taken now.
    package func reserve(spans: Int, bytes: Int) throws(IngestError) -> IngestPlace {
        if let refusal = storageRefusal { throw refusal }
        if let refusal = queue.reserve(spans: spans, bytes: bytes) { throw refusal }
        return IngestPlace(queue: queue, spans: spans, bytes: bytes)
    }

    /// Stores spans for which room was kept. When it returns, they are durable.
    package func store(_ batch: SpanBatch, in places: [IngestPlace]) async throws(IngestError) -> IngestResult {
        let result = try await store(batch, hasPlace: true)
        withExtendedLifetime(places) {}
        return result
    }
}
