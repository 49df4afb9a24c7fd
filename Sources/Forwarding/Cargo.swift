import OTLP
import SpanStore
import TelemetryModel

/// A stretch of ordinals ready to be sent: its requests, and what is told of it afterwards.
struct Cargo {
    /// What goes in one request.
    struct Part {
        /// Before it is compressed. Of the same ordinals it is the same bytes, whatever was merged.
        var body: [UInt8]
        /// What tells it from the other parts.
        var label = ""
        /// Names of the columns that the body has, where it has any.
        var columns: [String] = []
    }

    /// Where the stretch begins, and what is behind it.
    var ordinals: Range<Int64>
    /// How many of it are gone.
    var missing: Int64
    /// How many are in the requests.
    var count: Int
    /// They are sent one after another; all of them are there, or the cargo goes again. Of a cargo of one there is one.
    var parts: [Part]
    /// Of the first that is in a request.
    var first: (ordinal: Int64, trace: TraceID?, span: SpanID?)?
    var oldestReceivedUnixNano: Int64?

    init(
        ordinals: Range<Int64>, missing: Int64, count: Int, parts: [Part],
        first: (ordinal: Int64, trace: TraceID?, span: SpanID?)?,
        oldestReceivedUnixNano: Int64?
    ) {
        self.ordinals = ordinals
        self.missing = missing
        self.count = count
        self.parts = parts
        self.first = first
        self.oldestReceivedUnixNano = oldestReceivedUnixNano
    }

    /// A hash of the bodies, as it is kept.
    var bodyHash: Int64 {
        let hashes = parts.map { ByteHash.hash($0.body.span.bytes, WireRange(offset: 0, count: $0.body.count)) }
        return Int64(bitPattern: hashes.dropFirst().reduce(hashes.first ?? 0) { ByteHash.mix($0 ^ $1, $1 | 1) })
    }

    /// Bytes of the bodies.
    var byteCount: Int { parts.reduce(0) { $0 + $1.body.count } }

    /// Spans.
    ///
    /// - Parameter leavesOutToldByLog: whether spans that were made of log records stay here: who gets the records makes them itself.
    init(_ run: OrdinalRun<SpanBatch>, leavesOutToldByLog: Bool) {
        ordinals = run.ordinals
        missing = run.missing
        oldestReceivedUnixNano = run.receivedTimesUnixNano.min()
        var batch = run.batch
        var places = run.places
        if leavesOutToldByLog, let mark = batch.keys.firstIndex(where: { batch.equals($0, Self.toldByLogKey) }) {
            let isOwn = batch.spans.map { span in batch.attributes[span.attributes.indices].allSatisfy { $0.key != UInt32(mark) }
            }
            batch.spans = zip(batch.spans, isOwn).filter(\.1).map(\.0)
            places = zip(places, isOwn).filter(\.1).map(\.0)
        }
        count = batch.spans.count
        first = batch.spans.first.flatMap { span in places.first.map { ($0, span.traceID, span.spanID) } }
        parts = [Part(body: TraceRequestMessage.encode(batch))]
    }

    /// Log records.
    init(_ run: OrdinalRun<LogBatch>) {
        ordinals = run.ordinals
        missing = run.missing
        oldestReceivedUnixNano = run.receivedTimesUnixNano.min()
        count = run.batch.records.count
        first = Self.first(run)
        parts = [Part(body: LogsRequestMessage.encode(run.batch))]
    }

    static func first(_ run: OrdinalRun<LogBatch>) -> (ordinal: Int64, trace: TraceID?, span: SpanID?)? {
        run.batch.records.first.flatMap { record in
            run.places.first.map {
                ($0, record.traceID.isValid ? record.traceID : nil, record.spanID.isValid ? record.spanID : nil)
            }
        }
    }

    /// What marks spans that were made of log records: `LogCalls.markKey`, which a test holds this to.
    static let toldByLogKey = "fusebox.told_by_log"
}
