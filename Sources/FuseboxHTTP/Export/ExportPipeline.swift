package import Ingest
package import OTLP
import PrometheusText
package import TelemetryModel

/// The signals of OTLP, by their words in paths.
package enum Signal: String, Sendable, CaseIterable {
    case traces, metrics, logs, profiles

    /// What a sender of profiles is told, by HTTP and by gRPC.
    package static let profilesRefusal = "profiles are not stored here: send spans, metrics and log records, and switch the exporter of profiles off"

    /// The request message of the signal; of profiles no field is read.
    var request: MessageName {
        switch self {
        case .traces: .traceRequest
        case .metrics: .metricsRequest
        case .logs: .logsRequest
        case .profiles: .unknown
        }
    }
}

/// What an export request came to, for `partial_success`.
package struct ExportOutcome: Sendable {
    package var rejected = 0
    /// Why, or a warning; empty when there is nothing to say.
    package var message = ""

    package init() {}
}

/// What a request's body says, decoded.
package enum ExportContent: Sendable {
    case spans(SpanBatch)
    case logs(LogBatch, calls: SpanBatch?)
    /// Nothing that is stored.
    case done(ExportOutcome)

    /// Bytes that it holds in memory.
    var byteCost: Int {
        switch self {
        case .spans(let batch): batch.byteCost
        case .logs(let batch, let calls): batch.byteCost + (calls?.byteCost ?? 0)
        case .done: 0
        }
    }
}

/// The way of a request's body from its plain bytes to the store. Every transport ends here.
package struct ExportPipeline: Sendable {
    let writer: any BatchIntake
    package let metrics: HTTPMetrics
    package let admission: Admission
    package let access: AccessPolicy
    /// Of a body, before and after inflating.
    package let bodyBytesMax: Int
    /// `nil` when clients' metrics are counted only.
    let clientMetrics: ClientMetrics?
    /// Why nothing is taken in at all; `nil` on a node.
    package var closedBecause: String?
    private let redactor: Redactor?
    let decoder = TraceDecoder()
    static let logsDecoder = LogsDecoder()

    package init(
        writer: any BatchIntake, metrics: HTTPMetrics, admission: Admission, access: AccessPolicy = AccessPolicy(),
        redaction: RedactionRules = RedactionRules(), clientMetrics: ClientMetrics? = nil, bodyBytesMax: Int
    ) {
        self.clientMetrics = clientMetrics
        redactor = redaction.isEmpty ? nil : Redactor(redaction)
        self.writer = writer
        self.metrics = metrics
        self.admission = admission
        self.access = access
        self.bodyBytesMax = bodyBytesMax
    }

    /// Reads an inflated body: work in proportion to its bytes.
    func read(_ body: [UInt8], _ encoding: OTLPMessage.Encoding, _ signal: Signal) throws -> ExportContent {
        let plain = body
        let body = try protobuf(body, encoding, signal)
        switch signal {
        case .traces:
            let batch = try decoder.decode(body)
            return batch.spans.isEmpty && batch.rejections.total == 0 ? .done(ExportOutcome()) : .spans(batch)
        case .logs:
            let batch = try Self.logsDecoder.decode(body)
            if batch.records.isEmpty && batch.rejections.total == 0 { return .done(ExportOutcome()) }
            return .logs(batch, calls: IngestWriter.calls(in: batch))
        case .metrics where clientMetrics != nil: return .done(try show(body))
        case .metrics:
            metrics.droppedRecords.increment(signal.rawValue, by: Int64(try RecordCounter.records(in: body)))
            return .done(ExportOutcome())
        case .profiles:
            // No field of theirs is known to the transcoder, so those in JSON are counted as they came.
            let count = encoding == .json ? RecordCounter.profiles(inJSON: plain) : try RecordCounter.records(in: body)
            metrics.droppedRecords.increment(signal.rawValue, by: Int64(count))
            var outcome = ExportOutcome()
            if count > 0 { (outcome.rejected, outcome.message) = (count, Signal.profilesRefusal) }
            return .done(outcome)
        }
    }

    /// Stores what was read. `finish` is called once, from any thread: with success when what was not rejected is durable.
    func store(_ content: ExportContent, finish: @escaping @Sendable (Result<ExportOutcome, any Error>) -> Void) {
        switch content {
        case .spans(let batch):
            writer.store(batch) { result in finish(result.map(Self.outcome).mapError { $0 }) }
        case .logs(let batch, let calls):
            let rejections = batch.rejections
            writer.store(batch, calls: calls) { result in
                finish(result.map { Self.outcome(rejections) }.mapError { $0 })
            }
        case .done(let outcome): finish(.success(outcome))
        }
    }

    /// Takes the points of a metrics request for `/metrics`: all that can be shown, or none of a request that cannot be read.
    private func show(_ body: [UInt8]) throws -> ExportOutcome {
        guard let clientMetrics else { return ExportOutcome() }
        _ = try MetricsDecoder.decode(body) { _ in }
        let request = clientMetrics.request()
        let skipped = try MetricsDecoder.decode(body) { request.take($0) }
        var outcome = ExportOutcome()
        (outcome.rejected, outcome.message) = request.finish(unsupported: skipped.unsupported, tooMany: skipped.tooMany)
        return outcome
    }

    /// The body in protobuf, without what is not to be stored.
    func protobuf(_ body: [UInt8], _ encoding: OTLPMessage.Encoding, _ signal: Signal) throws -> [UInt8] {
        let request =
            switch encoding {
            case .protobuf: body
            case .json: try JSONTranscoder.protobuf(body, as: signal.request, limit: bodyBytesMax)
            }
        guard let redactor else { return request }
        return try redactor.redacted(request, as: signal.request)
    }

    private static func outcome(_ result: IngestResult) -> ExportOutcome {
        var outcome = ExportOutcome()
        outcome.rejected = result.rejections.total + result.conflicts
        if outcome.rejected > 0 { outcome.message = explanation(result) }
        return outcome
    }

    private static func explanation(_ result: IngestResult) -> String {
        let rejections = result.rejections
        var reasons: [String] = []
        if rejections.invalidIDs > 0 {
            reasons.append("\(rejections.invalidIDs) with a trace or span id that is missing, all zero or of the wrong length")
        }
        if rejections.timesOutOfRange > 0 { reasons.append("\(rejections.timesOutOfRange) with a time after the year 2262") }
        if rejections.tooOld > 0 { reasons.append("\(rejections.tooOld) older than the retention") }
        if result.conflicts > 0 {
            reasons.append(
                "\(result.conflicts) whose ids are stored already with other contents or in another order, of which the first were kept")
        }
        return reasons.isEmpty ? "" : "spans refused: " + reasons.joined(separator: ", ")
    }
}

extension ExportOutcome {
    /// The answer to the request.
    package func message(_ signal: Signal, as encoding: OTLPMessage.Encoding) -> [UInt8] {
        let rejected = Int64(rejected)
        return switch signal {
        case .traces: OTLPMessage.exportTraceServiceResponse(rejectedSpans: rejected, errorMessage: message, as: encoding)
        case .profiles: OTLPMessage.exportProfilesServiceResponse(rejectedProfiles: rejected, errorMessage: message, as: encoding)
        case .metrics: OTLPMessage.exportMetricsServiceResponse(rejectedDataPoints: rejected, errorMessage: message, as: encoding)
        case .logs: OTLPMessage.exportLogsServiceResponse(rejectedLogRecords: rejected, errorMessage: message, as: encoding)
        }
    }
}
