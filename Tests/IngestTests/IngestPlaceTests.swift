import TelemetryModel
import Testing

@testable import Ingest

struct IngestPlaceTests {
    private func request(_ spans: Int, hasPlace: Bool = false) -> IngestQueue.Request {
        var builder = SpanBatchBuilder()
        for index in 0..<spans {
            builder.append(SpanDescription(traceID: TraceID(high: 1, low: 1), spanID: SpanID(UInt64(index + 1)), name: "s"))
        }
        var request = IngestQueue.Request(batch: builder.batch, bytes: spans, enqueued: .now, finish: { _ in })
        request.hasPlace = hasPlace
        return request
    }

    private func queue(spansMax: Int) -> IngestQueue {
        var limits = IngestLimits()
        limits.queueSpansMax = spansMax
        return IngestQueue(limits: limits)
    }

    @Test func whatIsKeptForOneIsNotGivenToOthersAndWhoHasAPlaceIsNotRefused() throws {
        let queue = queue(spansMax: 10)
        #expect(queue.add(request(2))?.dropReason == nil)
        #expect(queue.reserve(spans: 5, bytes: 5)?.dropReason == nil)
        #expect(queue.add(request(4))?.dropReason == "queue_full")
        #expect(queue.add(request(3))?.dropReason == nil)
        #expect(queue.reserve(spans: 1, bytes: 1)?.dropReason == "queue_full")
        #expect(queue.add(request(5, hasPlace: true))?.dropReason == nil)
        #expect(queue.depth.spans == 10)
    }

    @Test func aPlaceEndsWithItsLastReference() {
        let queue = queue(spansMax: 10)
        for _ in 0..<100 {
            #expect(queue.reserve(spans: 10, bytes: 1)?.dropReason == nil)
            let place = IngestPlace(queue: queue, spans: 10, bytes: 1)
            #expect(queue.reserve(spans: 1, bytes: 1)?.dropReason == "queue_full")
            withExtendedLifetime(place) {}
        }
    }

    @Test func aQueueThatStopsKeepsNoPlaces() {
        let queue = queue(spansMax: 10)
        queue.close()
        #expect(queue.reserve(spans: 1, bytes: 1)?.dropReason == "shutdown")
    }
}
