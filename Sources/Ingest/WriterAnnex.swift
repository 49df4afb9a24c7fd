import Derivations
import Evals
import SemanticColumns
import SpanStore
import TelemetryModel

/// What the writer gathers beside spans and counters until the next commit: evals that came as telemetry, calls by eval id, and rows
/// that somebody handed over.
struct WriterAnnex {
    /// Eval ids that wait for a commit; one commit has at most as many spans.
    private var calls: [EvalCallRow.Key: EvalCallRow] = [:]
    private var rows = AnnexRows()
    private var extractor = SpanEvalExtractor()
    private(set) var priceBook: PriceBook

    init(prices: PriceTable) {
        priceBook = PriceBook(prices.models)
    }

    mutating func begin(_ batch: SpanBatch) {
        extractor.begin(batch)
    }

    /// Takes in a span that the store took as new.
    @inline(__always)
    mutating func observe(
        _ span: SpanRecord, _ columns: borrowing ColumnRow, of batch: SpanBatch, _ observed: borrowing ObservedSpan,
        _ classification: borrowing Classification
    ) {
        extractor.extract(span, of: batch, sessionID: columns[.session_id], into: &rows.evals)
        if columns[.eval_id].kind == .text, classification.isAttempt || classification.isRun {
            count(batch.string(columns[.eval_id].slice), observed, classification)
        }
    }

    private mutating func count(_ evalID: String, _ observed: borrowing ObservedSpan, _ classification: borrowing Classification)
    {
        let isError = classification.isAttempt ? classification.outcome.rawValue : observed.statusCode == 2 ? "error" : "ok"
        let key = EvalCallRow.Key(
            evalID: LabelSanitiser.clean(evalID), serviceName: LabelSanitiser.clean(observed.service),
            workflowName: LabelSanitiser.clean(observed.workflow ?? ""), outcome: isError)
        calls[key, default: EvalCallRow(key: key, increment: 0, lastSeenUnixNano: 0)].increment += 1
        calls[key]?.lastSeenUnixNano = observed.receivedTimeUnixNano
    }

    mutating func add(_ more: AnnexRows) {
        rows.evals += more.evals
        rows.stalls += more.stalls
        rows.forwardOrders += more.forwardOrders
        rows.forgetOrders += more.forgetOrders
        if let prices = more.prices { rows.prices = prices }
        if let watermark = more.stallWatermarkUnixNano { rows.stallWatermarkUnixNano = watermark }
        if let heartbeat = more.heartbeat { rows.heartbeat = heartbeat }
    }

    /// Everything that waits, for the transaction that is about to be committed.
    mutating func takeRows() -> AnnexRows {
        var taken = rows
        if !calls.isEmpty { taken.evalCalls = Array(calls.values) }
        removeAll()
        return taken
    }

    mutating func removeAll() {
        rows = AnnexRows()
        calls.removeAll()
    }

    mutating func replace(_ prices: PriceTable) {
        priceBook = PriceBook(prices.models)
    }
}
