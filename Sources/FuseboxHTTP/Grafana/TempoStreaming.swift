/// Tempo's streaming search (`tempopb.StreamingQuerier`, over gRPC): refused in the words that Grafana shows to who switched it on (docs/adr/0101).
package enum TempoStreaming {
    /// What the methods' paths begin with.
    private static let service = "/tempopb."
    private static let refusal =
        "answers are not streamed here: switch streaming off in the settings of Grafana's Tempo data source (search, and metrics), and they come "
        + "over HTTP"

    /// Why there is no such method; `nil` for the paths of others.
    package static func refusal(path: String) -> String? { path.hasPrefix(service) ? refusal : nil }
}
