import OTLP
import SpanStore
import TelemetryModel

/// A stretch of ordinals ready to be sent: its request, and what is told of it afterwards.
struct Cargo {
    /// Where the stretch begins, and what is behind it.
    var ordinals: Range<Int64>
    /// How many of it are gone.
    var missing: Int64
    /// How many are in the request.
    var count: Int
    /// The request before it is compressed. Of the same ordinals it is the same bytes, whatever was merged.
    var body: [UInt8]
    /// Of the first that is in the request.
    var first: (ordinal: Int64, trace: TraceID?, span: SpanID?)?
    var oldestReceivedUnixNano: Int64?
    /// A hash of the body, as it is kept.
    var bodyHash: Int64 { Int64(bitPattern: ByteHash.hash(body.span.bytes, WireRange(offset: 0, count: body.count))) }

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
            let isOwn = batch.spans.map { span in batch.attributes[span.attributes.indices].allSatisfy { $0.key != UInt32(mark) } }
            batch.spans = zip(batch.spans, isOwn).filter(\.1).map(\.0)
            places = zip(places, isOwn).filter(\.1).map(\.0)
        }
        count = batch.spans.count
        first = batch.spans.first.flatMap { span in places.first.map { ($0, span.traceID, span.spanID) } }
        body = TraceRequestMessage.encode(batch)
    }

    /// Log records.
    init(_ run: OrdinalRun<LogBatch>) {
        ordinals = run.ordinals
        missing = run.missing
        oldestReceivedUnixNano = run.receivedTimesUnixNano.min()
        count = run.batch.records.count
        first = run.batch.records.first.flatMap { record in
            run.places.first.map {
                ($0, record.traceID.isValid ? record.traceID : nil, record.spanID.isValid ? record.spanID : nil)
            }
        }
        body = LogsRequestMessage.encode(run.batch)
    }

    /// What marks spans that were made of log records: `LogCalls.markKey`, which a test holds this to.
    static let toldByLogKey = "fusebox.told_by_log"
}
