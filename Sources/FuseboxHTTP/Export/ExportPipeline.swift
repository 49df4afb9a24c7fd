package import Ingest
import NIOPosix
package import OTLP
import PrometheusText
import TelemetryModel

/// The signals of OTLP, by their words in paths.
package enum Signal: String, Sendable, CaseIterable {
    case traces, metrics, logs, profiles

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

/// The way of a request's body from its plain bytes to the store. Every transport ends here.
package struct ExportPipeline: Sendable {
    let writer: IngestWriter
    package let metrics: HTTPMetrics
    package let admission: Admission
    package let access: AccessPolicy
    /// Of a body, before and after inflating.
    package let bodyBytesMax: Int
    /// `nil` when clients' metrics are counted only.
    let clientMetrics: ClientMetrics?
    private let redactor: Redactor?
    private let decoder = TraceDecoder()

    package init(
        writer: IngestWriter, metrics: HTTPMetrics, admission: Admission, access: AccessPolicy = AccessPolicy(),
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

    /// A body without its compression, at most `bodyBytesMax` bytes.
    package func inflate(_ bytes: [UInt8], _ encoding: ContentEncoding, permit: AdmissionPermit) async throws -> [UInt8] {
        if encoding == .identity { return bytes }
        // Inflating is bounded work, but a few kilobytes may become the whole limit: not for the threads that serve others.
        let inflated = try await NIOThreadPool.singleton.runIfActive { [bodyBytesMax] in
            try Inflation.inflate(bytes, encoding, limit: bodyBytesMax)
        }
        try permit.hold(bytes.count + inflated.count)
        return inflated
    }

    /// Takes an inflated body in. When it returns, what was not rejected is durable.
    package func export(
        _ body: [UInt8], _ encoding: OTLPMessage.Encoding, _ signal: Signal, permit: AdmissionPermit
    ) async throws -> ExportOutcome {
        switch signal {
        case .traces:
            let batch = try await offLoop(body.count) { [self] in try decoder.decode(protobuf(body, encoding, signal)) }
            try permit.hold(batch.byteCost)
            if batch.spans.isEmpty && batch.rejections.total == 0 { return ExportOutcome() }
            let result = try await writer.store(batch)
            var outcome = ExportOutcome()
            outcome.rejected = result.rejections.total
            outcome.message = Self.explanation(result.rejections)
            return outcome
        case .metrics where clientMetrics != nil: return try await show(body, encoding)
        case .logs: return try await storeLogs(body, encoding, permit: permit)
        case .metrics, .profiles:
            let records = try await offLoop(body.count) { [self] in
                try RecordCounter.records(in: protobuf(body, encoding, signal))
            }
            metrics.droppedRecords.increment(signal.rawValue, by: Int64(records))
            return ExportOutcome()
        }
    }

    /// Takes the points of a metrics request for `/metrics`.
    private func show(_ body: [UInt8], _ encoding: OTLPMessage.Encoding) async throws -> ExportOutcome {
        guard let clientMetrics else { return ExportOutcome() }
        let rejected = try await offLoop(body.count) { [self] in
            let refused = Counted()
            let unsupported = try MetricsDecoder.decode(protobuf(body, encoding, .metrics)) { point in
                if !clientMetrics.take(point) { refused.count += 1 }
            }
            clientMetrics.drop(unsupported: unsupported)
            return refused.count + unsupported
        }
        var outcome = ExportOutcome()
        outcome.rejected = rejected
        if rejected > 0 {
            outcome.message =
                "points that are not shown: summaries, past \(ClientMetrics.seriesMax) series, of a name that is taken"
        }
        return outcome
    }

    private final class Counted {
        var count = 0
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

    /// Bodies up to this many bytes are decoded where they came in, in well under a millisecond.
    private static let bytesDecodedInPlaceMax = 1 << 20

    /// Runs work on a body of that many bytes: a large one on a thread that may block, so that other requests go on.
    func offLoop<Value: Sendable>(_ bytes: Int, _ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        guard bytes > Self.bytesDecodedInPlaceMax else { return try work() }
        return try await NIOThreadPool.singleton.runIfActive(work)
    }

    private static func explanation(_ rejections: SpanRejections) -> String {
        var reasons: [String] = []
        if rejections.invalidIDs > 0 {
            reasons.append("\(rejections.invalidIDs) with a trace or span id that is missing, all zero or of the wrong length")
        }
        if rejections.timesOutOfRange > 0 { reasons.append("\(rejections.timesOutOfRange) with a time after the year 2262") }
        if rejections.tooOld > 0 { reasons.append("\(rejections.tooOld) older than the retention") }
        return reasons.isEmpty ? "" : "spans refused: " + reasons.joined(separator: ", ")
    }
}

extension ExportOutcome {
    /// The answer to the request.
    package func message(_ signal: Signal, as encoding: OTLPMessage.Encoding) -> [UInt8] {
        let rejected = Int64(rejected)
        return switch signal {
        case .traces, .profiles:
            OTLPMessage.exportTraceServiceResponse(rejectedSpans: rejected, errorMessage: message, as: encoding)
        case .metrics: OTLPMessage.exportMetricsServiceResponse(rejectedDataPoints: rejected, errorMessage: message, as: encoding)
        case .logs: OTLPMessage.exportLogsServiceResponse(rejectedLogRecords: rejected, errorMessage: message, as: encoding)
        }
    }
}
