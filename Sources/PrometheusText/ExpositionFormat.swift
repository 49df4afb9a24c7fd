/// The text formats that `/metrics` speaks.
package enum ExpositionFormat: Sendable, CaseIterable {
    /// Prometheus text format 0.0.4, which every scraper reads.
    case text004
    /// OpenMetrics 1.0.0, which adds units, infos and exemplars.
    case openMetrics100

    /// The `Content-Type` of an exposition in this format.
    ///
    /// `echoEscaping` is for scrapers that asked for an escaping scheme; our names need none, so every scheme gives the same text.
    package func contentType(echoEscaping: Bool) -> String {
        let type =
            switch self {
            case .text004: "text/plain; version=0.0.4; charset=utf-8"
            case .openMetrics100: "application/openmetrics-text; version=1.0.0; charset=utf-8"
            }
        return echoEscaping ? type + "; escaping=underscores" : type
    }

    /// The format that an `Accept` header prefers, and whether any of its ranges named an escaping scheme.
    ///
    /// The highest quality wins, the first of equals. A missing or unreadable header, or one that names neither format, gets
    /// 0.0.4: a scrape is never refused.
    package static func negotiate(accept: String?) -> (format: ExpositionFormat, echoEscaping: Bool) {
        guard let accept else { return (.text004, false) }
        var best: (format: ExpositionFormat, quality: Int)?
        var echoEscaping = false
        for range in AcceptRange.parse(accept) {
            if range.parameters["escaping"] != nil { echoEscaping = true }
            guard let format = ExpositionFormat(range), let quality = range.quality, quality > best?.quality ?? 0 else {
                continue
            }
            best = (format, quality)
        }
        return (best?.format ?? .text004, echoEscaping)
    }

    /// The format that a media range admits, `nil` when it admits neither.
    private init?(_ range: AcceptRange) {
        switch (range.type, range.parameters["version"]) {
        case ("application/openmetrics-text", nil), ("application/openmetrics-text", "1.0.0"): self = .openMetrics100
        case ("text/plain", nil), ("text/plain", "0.0.4"), ("text/*", nil), ("*/*", nil): self = .text004
        default: return nil
        }
    }
}
