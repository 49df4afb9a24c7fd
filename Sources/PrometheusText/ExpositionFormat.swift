/// The text formats that `/metrics` speaks.
package enum ExpositionFormat: Sendable, CaseIterable {
    /// Prometheus text format, which every scraper reads. Version 1.0.0 differs from 0.0.4 in names that need quotes, of which there are
    /// none here.
    case text004
    /// OpenMetrics 1.0.0, which adds units, infos and exemplars.
    case openMetrics100

    /// What a scraper is answered with.
    package struct Agreed: Equatable, Sendable {
        package var format: ExpositionFormat
        /// Of the format, as the scraper asked for it.
        var version: String
        /// How names are told apart that are none in the older formats, if the scraper said it.
        var escaping: String?

        /// The `Content-Type` of the exposition.
        package var contentType: String {
            let type =
                switch format {
                case .text004: "text/plain"
                case .openMetrics100: "application/openmetrics-text"
                }
            return "\(type); version=\(version); charset=utf-8" + (escaping.map { "; escaping=\($0)" } ?? "")
        }
    }

    /// The format that an `Accept` header prefers.
    ///
    /// The highest quality wins, the first of equals. A missing or unreadable header, or one that names none of the formats, gets
    /// 0.0.4: a scrape is never refused.
    package static func negotiate(accept: String?) -> Agreed {
        var best: (agreed: Agreed, quality: Int)?
        for range in accept.map(AcceptRange.parse) ?? [] {
            guard let agreed = agreed(on: range), let quality = range.quality, quality > best?.quality ?? 0 else { continue }
            best = (agreed, quality)
        }
        return best?.agreed ?? Agreed(format: .text004, version: "0.0.4")
    }

    /// Schemes by which our names stay as they are. The others double their underscores; who asks for those is told that they were not.
    private static let keptNames: Set = ["allow-utf-8", "underscores"]

    /// What a media range admits, `nil` when it admits none.
    private static func agreed(on range: AcceptRange) -> Agreed? {
        let escaping = range.parameters["escaping"].map { keptNames.contains($0) ? $0 : "underscores" }
        switch (range.type, range.parameters["version"]) {
        case ("application/openmetrics-text", nil), ("application/openmetrics-text", "1.0.0"):
            return Agreed(format: .openMetrics100, version: "1.0.0", escaping: escaping)
        case ("text/plain", "1.0.0"): return Agreed(format: .text004, version: "1.0.0", escaping: escaping)
        case ("text/plain", nil), ("text/plain", "0.0.4"), ("text/*", nil), ("*/*", nil):
            return Agreed(format: .text004, version: "0.0.4", escaping: escaping)
        default: return nil
        }
    }
}
