package import Ingest
package import NIOCore
import NIOPosix
package import OTLP
import TelemetryModel

/// How export requests come.
package enum ExportTransport: Sendable {
    case http, grpc
}

/// An export request under way: from its head, which asks for leave to send the body, to its outcome. Every transport takes its requests
/// in through one. It lives on the event loop that reads the body.
package final class ExportCall {
    /// Bodies up to this many bytes, inflated, are read where they came in, in well under a millisecond.
    private static let bytesInPlaceMax = 1 << 20
    /// What inflates to no more is inflated where it came in.
    private static let inflatedInPlaceMax = 512 << 10
    private static let reservedBytesMax = 1 << 20

    package typealias Finish = (Result<ExportOutcome, any Error>) -> Void

    private let pipeline: ExportPipeline
    private let signal: Signal
    private let encoding: OTLPMessage.Encoding
    private let transport: ExportTransport
    private let eventLoop: any EventLoop
    private var permit: AdmissionPermit
    private var body: [UInt8] = []
    private var finish: Finish?

    /// Asks for leave to send a body.
    ///
    /// - Parameter announced: bytes of the body as announced; 0 when nobody said.
    package init(
        _ pipeline: ExportPipeline, _ signal: Signal, _ encoding: OTLPMessage.Encoding, over transport: ExportTransport,
        of client: AdmissionClient, announced: Int, on eventLoop: any EventLoop
    ) throws(AdmissionRefusal) {
        permit = try AdmissionPermit(client, announced: announced)
        self.pipeline = pipeline
        self.signal = signal
        self.encoding = encoding
        self.transport = transport
        self.eventLoop = eventLoop
        // What is announced is not there yet: a large body gets its memory as it comes.
        body.reserveCapacity(min(announced, Self.reservedBytesMax))
    }

    /// Bytes of the body that came so far.
    package var bodyCount: Int { body.count }

    /// Takes a piece of the body.
    package func take(_ buffer: ByteBuffer) throws {
        let count = body.count + buffer.readableBytes
        guard count <= pipeline.bodyBytesMax else {
            throw StatusTable.tooLarge("the body has more than \(pipeline.bodyBytesMax) bytes")
        }
        try permit.hold(count)
        buffer.withUnsafeReadableBytes { body.append(contentsOf: $0) }
    }

    /// The body is whole. `finish` is called once, on the event loop: with success when all that was not rejected is durable.
    package func end(_ coding: ContentEncoding, _ finish: @escaping Finish) {
        self.finish = finish
        do {
            try permit.start()
            pipeline.metrics.count(bytes: body.count, transport, coding)
            var bytes: [UInt8] = []
            swap(&bytes, &body)
            guard coding != .identity else { return read(bytes) }
            if bytes.count <= Self.inflatedInPlaceMax, let inflated = try inflatedInPlace(bytes, coding) {
                try permit.hold(bytes.count + inflated.count)
                return read(inflated)
            }
            inflateElsewhere(bytes, coding)
        } catch {
            conclude(.failure(error))
        }
    }

    /// The body inflated; `nil` when it becomes too much for the event loop. A few kilobytes may become the whole limit.
    private func inflatedInPlace(_ bytes: [UInt8], _ coding: ContentEncoding) throws(InflationError) -> [UInt8]? {
        let limit = min(Self.inflatedInPlaceMax, pipeline.bodyBytesMax)
        do throws(InflationError) {
            return try Inflation.inflate(bytes, coding, limit: limit)
        } catch .tooLarge where limit < pipeline.bodyBytesMax {
            return nil
        }
    }

    private func inflateElsewhere(_ bytes: [UInt8], _ coding: ContentEncoding) {
        let limit = pipeline.bodyBytesMax
        elsewhere({ try Inflation.inflate(bytes, coding, limit: limit) }) { call, inflated in
            try call.permit.hold(bytes.count + inflated.count)
            call.read(inflated)
        }
    }

    /// Makes batches of the inflated body, and hands them on.
    private func read(_ bytes: [UInt8]) {
        guard bytes.count <= Self.bytesInPlaceMax else {
            let (pipeline, encoding, signal) = (pipeline, encoding, signal)
            return elsewhere({ try pipeline.read(bytes, encoding, signal) }) { try $0.store($1) }
        }
        do {
            try store(pipeline.read(bytes, encoding, signal))
        } catch {
            conclude(.failure(error))
        }
    }

    private func store(_ content: ExportContent) throws {
        try permit.hold(content.byteCost)
        let (eventLoop, bound) = (eventLoop, NIOLoopBound(self, eventLoop: eventLoop))
        pipeline.store(content) { result in
            if eventLoop.inEventLoop { return bound.value.conclude(result) }
            eventLoop.execute { bound.value.conclude(result) }
        }
    }

    /// Runs work on a thread that may block, so that other requests go on, and goes on with its result on the event loop.
    private func elsewhere<Value: Sendable>(
        _ work: @escaping @Sendable () throws -> Value, _ next: @escaping (ExportCall, Value) throws -> Void
    ) {
        let (eventLoop, bound) = (eventLoop, NIOLoopBound((self, next), eventLoop: eventLoop))
        NIOThreadPool.singleton.runIfActive(eventLoop: eventLoop, work).whenComplete { result in
            let (call, next) = bound.value
            do {
                try next(call, result.get())
            } catch {
                call.conclude(.failure(error))
            }
        }
    }

    private func conclude(_ result: Result<ExportOutcome, any Error>) {
        guard let finish else { return }
        self.finish = nil
        finish(result)
    }
}

@available(*, unavailable)
extension ExportCall: Sendable {}
