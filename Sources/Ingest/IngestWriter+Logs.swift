import PrometheusText
package import TelemetryModel

extension IngestWriter {
    /// Stores the log records of a request, in the transactions that spans go in. When it returns, they are durable.
    ///
    /// Log records have no identity: what is sent again is stored again.
    package func store(_ logs: LogBatch) async throws(IngestError) {
        logMetrics.received.increment(by: Int64(logs.records.count + logs.rejections.total))
        guard !logs.records.isEmpty else { return logMetrics.count(accepted: 0, logs.rejections) }
        do {
            _ = try await enqueue(SpanBatch(bytes: []), logs: logs, bytes: logs.byteCost)
            logMetrics.count(accepted: logs.records.count, logs.rejections)
        } catch {
            logMetrics.dropped.increment(error.dropReason, by: Int64(logs.records.count))
            throw error
        }
    }
}
