import FuseboxHTTP
import GatewayRules
import Ingest
import NIOCore
import Synchronization
import TelemetryModel

/// Keeps the records of ended calls until their spans are stored. A place is taken before a call is made, so that a store that takes
/// nothing more refuses calls instead of losing their spans.
final class SpanOutbox: Sendable {
    /// Calls under way, and ended ones whose spans are not stored yet.
    private static let callsMax = 4_096
    /// Calls whose spans are stored in one go.
    private static let batchCallsMax = 200
    /// When storing failed, it is tried again after this.
    private static let pause = Duration.seconds(1)

    private struct State {
        var placesTaken = 0
        var records: [(record: CallRecord, place: IngestPlace)] = []
        var isClosed = false
    }

    private let pipeline: ExportPipeline
    private let spans: CallSpans
    private let state = Mutex(State())
    private let arrivals: AsyncStream<Void>
    private let arrived: AsyncStream<Void>.Continuation

    init(pipeline: ExportPipeline, settings: GatewaySettings) {
        self.pipeline = pipeline
        spans = CallSpans(settings: settings)
        (arrivals, arrived) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Room for the spans of a call.
    func reserve() throws(GatewayRefusal) -> IngestPlace {
        let hasRoom = state.withLock { state in
            guard state.placesTaken < Self.callsMax else { return false }
            state.placesTaken += 1
            return true
        }
        guard hasRoom else { throw .storeFull("too many calls wait for theirs to be stored") }
        do throws(IngestError) {
            return try pipeline.reserve(spans: CallSpans.countMax, bytes: CallSpans.bytesMax)
        } catch {
            state.withLock { $0.placesTaken -= 1 }
            throw .storeFull(error.message)
        }
    }

    /// Takes the record of a call that is over.
    func put(_ record: CallRecord, _ place: IngestPlace) {
        state.withLock { $0.records.append((record, place)) }
        arrived.yield()
    }

    /// Nothing more comes: `run` ends when all is stored.
    func close() {
        state.withLock { $0.isClosed = true }
        arrived.yield()
    }

    /// Stores what comes until `close`, or until its task is cancelled.
    func run() async {
        var iterator = arrivals.makeAsyncIterator()
        while !Task.isCancelled {
            let taken = state.withLock { Array($0.records.prefix(Self.batchCallsMax)) }
            guard !taken.isEmpty else {
                if state.withLock({ $0.isClosed }) { return }
                _ = await iterator.next()
                continue
            }
            do {
                try await pipeline.export(own: spans.batch(taken.map(\.record)), in: taken.map(\.place))
                state.withLock { state in
                    state.records.removeFirst(taken.count)
                    state.placesTaken -= taken.count
                }
            } catch {
                // They stay first in line. Whoever asks for a place meanwhile is told what is wrong by the store.
                try? await Task.sleep(for: Self.pause)
            }
        }
    }
}
