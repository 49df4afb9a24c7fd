import OTLP
import TelemetryModel

extension ExportPipeline {
    static func outcome(_ rejections: LogRejections) -> ExportOutcome {
        var outcome = ExportOutcome()
        outcome.rejected = rejections.total
        outcome.message = explanation(rejections)
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
                "\(rejections.tooLarge) with a body of more than \(logsDecoder.limits.valueBytesMax) bytes that is not text")
        }
        if rejections.tooMany > 0 {
            reasons.append("\(rejections.tooMany) past the \(logsDecoder.limits.recordsMax) that one request may have")
        }
        return reasons.isEmpty ? "" : "log records refused: " + reasons.joined(separator: ", ")
    }
}
