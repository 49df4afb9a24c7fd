import TelemetryModel

/// Reads why a call failed.
enum TurnErrorReader {
    static func error(of span: SpanContent) -> TurnError? {
        let exception = span.events.last { $0.name == "exception" }?.attributes
        let hasFailed = span.statusCode == 2 || !["ok", "success", nil].contains(span.outcome)
        guard hasFailed else { return nil }
        let attributes = span.attributes
        let type =
            span.errorType ?? attributes.firstText("error.type") ?? exception?.firstText("exception.type")
            ?? attributes.first("http.response.status_code", "http.status_code")?.line ?? span.outcome
        let message =
            span.statusMessage.flatMap { $0.isEmpty ? nil : $0 } ?? attributes.firstText("error.message", "exception.message")
            ?? exception?.firstText("exception.message")
        return TurnError(type: type, message: message)
    }
}
