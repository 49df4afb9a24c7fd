package import TelemetryModel

/// What decoded requests are handed to: the writer, or what stands for it where nothing is stored.
///
/// `finish` is called once for each, from any thread: with success when all that was not refused is durable.
package protocol BatchIntake: Sendable {
    /// Takes the spans of a request.
    func store(_ batch: SpanBatch, finish: @escaping @Sendable (Result<IngestResult, IngestError>) -> Void)

    /// Takes the log records of a request. They have no identity: what is sent again is stored again.
    ///
    /// - Parameter calls: the spans of the calls that they tell of, which have one; they go into the same transaction.
    func store(_ logs: LogBatch, calls: SpanBatch?, finish: @escaping @Sendable (Result<Void, IngestError>) -> Void)

    /// Keeps room for spans, or says why none would be taken now.
    func reserve(spans: Int, bytes: Int) throws(IngestError) -> IngestPlace

    /// Stores spans for which room was kept. When it returns, they are durable.
    func store(_ batch: SpanBatch, in places: [IngestPlace]) async throws(IngestError) -> IngestResult
}
