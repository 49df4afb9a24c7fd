import PrometheusText
import SemanticColumns
package import TelemetryModel

extension IngestWriter {
    /// The calls that log records tell of, as spans; `nil` when there are none.
    package static func calls(in logs: LogBatch) -> SpanBatch? { LogCalls.spans(of: logs) }

    /// Stores the log records of a request, in the transactions that spans go in. When it returns, they are durable.
    ///
    /// - Parameter calls: what `calls(in:)` found among them; goes into the same transaction.
    package func store(_ logs: LogBatch, calls: SpanBatch?) async throws(IngestError) {
        let result: Result<Void, IngestError> = await withCheckedContinuation { continuation in
            store(logs, calls: calls) { continuation.resume(returning: $0) }
        }
        try result.get()
    }

    package func store(
        _ logs: LogBatch, calls: SpanBatch?, finish: @escaping @Sendable (Result<Void, IngestError>) -> Void
    ) {
        let count = logs.records.count
        let rejections = logs.rejections
        logMetrics.received.increment(by: Int64(count + rejections.total))
        guard count > 0 else {
            logMetrics.count(accepted: 0, rejections)
            return finish(.success(()))
        }
        let bytes = logs.byteCost + (calls?.byteCost ?? 0)
        enqueue(calls ?? SpanBatch(bytes: []), logs: logs, bytes: bytes) { [logMetrics] result in
            switch result {
            case .success: logMetrics.count(accepted: count, rejections)
            case .failure(let error): logMetrics.dropped.increment(error.dropReason, by: Int64(count))
            }
            finish(result.map { _ in })
        }
    }
}
