/// What clients' metrics may take on `/metrics` and in memory. A scrape holds a list of the series and a part of the text.
package struct ClientMetricsLimits: Equatable, Sendable {
    /// Series held at most; a histogram is one.
    package var seriesMax = 10_000
    /// Lines with values: a histogram has one a bucket, a sum and a count.
    package var linesMax = 100_000
    /// Bytes of text, in whichever format is longer.
    package var bytesMax = 16 << 20
    /// Bytes of text of one series.
    package var seriesBytesMax = 1 << 20
    /// Labels of one series, those of its resource and scope with them.
    package var labelsMax = 64
    /// Bytes of a family's or label's name, and of a label's value.
    package var textBytesMax = 1024
    /// A series that nobody wrote for so long goes. Clients repeat gauges and cumulative values at every export.
    package var silenceMax = Duration.seconds(300)
    /// Series that deltas are added up to may be silent for so many times longer: a client sends none while nothing happens.
    package var deltaPatience = 12
    /// A point dated so much later than its receipt, in nanoseconds, has no time that could be trusted.
    package var aheadNanosecondsMax: UInt64 = 60_000_000_000
    /// Delta points of one series that are remembered, to know one that is sent again.
    package var deltasRememberedMax = 64

    package init() {}

    package init(silenceMax: Duration) {
        self.silenceMax = silenceMax
    }
}

/// When points came in: by the wall clock, which may jump and is compared with the points' times only, and by one that does not.
package struct MetricsReceipt: Sendable {
    package var unixNano: Int64
    package var instant: ContinuousClock.Instant

    package init(unixNano: Int64, instant: ContinuousClock.Instant) {
        self.unixNano = unixNano
        self.instant = instant
    }
}

/// Why a point is not shown. Raw values are the reasons of `fusebox_client_points_dropped_total`.
package enum PointRefusal: String, CaseIterable, Sendable {
    case name, conflict, full, tooLarge = "too_large", tooMany = "too_many", late, duplicate, invalid, unsupported

    /// Behind a count of points.
    func explanation(_ limits: ClientMetricsLimits) -> String {
        switch self {
        case .name: "of metrics without a name or with one of Fusebox's own"
        case .conflict: "that would look like another metric or series that is shown"
        case .full:
            "past \(limits.seriesMax) series, \(limits.linesMax) lines or \(limits.bytesMax >> 20) MiB of text"
        case .tooLarge:
            "with more than \(limits.labelsMax) labels, a text over \(limits.textBytesMax) bytes, too many buckets, or over "
                + "\(limits.seriesBytesMax >> 10) KiB of text"
        case .tooMany: "past what one request may have"
        case .late: "older than what is shown"
        case .duplicate: "that were added up before"
        case .invalid: "without a value, or with one that a counter cannot have"
        case .unsupported: "of summaries"
        }
    }
}
