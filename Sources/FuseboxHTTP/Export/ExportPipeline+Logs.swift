import Ingest
import OTLP
import TelemetryModel

extension ExportPipeline {
    private static let logsDecoder = LogsDecoder()

    /// Stores the log records of a request.
    func storeLogs(
        _ body: [UInt8], _ encoding: OTLPMessage.Encoding, permit: AdmissionPermit
    ) async throws -> ExportOutcome {
        let batch = try await offLoop(body.count) { [self] in try Self.logsDecoder.decode(protobuf(body, encoding, .logs)) }
        try permit.hold(batch.byteCost)
        if batch.records.isEmpty && batch.rejections.total == 0 { return ExportOutcome() }
        try await writer.store(batch)
        var outcome = ExportOutcome()
        outcome.rejected = batch.rejections.total
        outcome.message = Self.explanation(batch.rejections)
        return outcome
    }

    private static func explanation(_ rejections: LogRejections) -> String {
        var reasons: [String] = []
        if rejections.timesOutOfRange > 0 { reasons.append("\(rejections.timesOutOfRange) with a time after the year 2262") }
        if rejections.tooDeep > 0 {
            reasons.append("\(rejections.tooDeep) with a value nested deeper than \(logsDecoder.limits.valueDepthMax) levels")
        }
        if rejections.tooLarge > 0 {
            reasons.append(
                "\(rejections.tooLarge) with a body of more than \(logsDecoder.limits.valueBytesMax) bytes that is no text")
        }
        if rejections.tooMany > 0 {
            reasons.append("\(rejections.tooMany) past the \(logsDecoder.limits.recordsMax) that one request may have")
        }
        return reasons.isEmpty ? "" : "log records refused: " + reasons.joined(separator: ", ")
    }
}
