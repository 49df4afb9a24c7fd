import SegmentFormat
import SpanStore
package import TelemetryModel

extension StoreFixture {
    /// Commits a batch of log records as a segment of its own.
    package func ingest(_ batch: LogBatch, received: Int64? = nil) throws {
        now += 1_000_000
        var group = LogGroup()
        group.append(batch, receivedTimeUnixNano: received ?? now)
        try store?.commit(nil, DerivationRows(), logs: try LogSegmentEncoder().encode(group), nowUnixNano: now)
    }

    package func mergeLogs() throws {
        guard let store else { return }
        let merger = LogMerger(try store.maintenance())
        while try merger.runOnce() {}
    }
}
