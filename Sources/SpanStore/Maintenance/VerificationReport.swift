/// One thing that is wrong with a data file.
package struct StoreFinding: Sendable, Equatable {
    /// The segment that is damaged; `nil` when it is not in a segment.
    package var segmentID: Int64?
    /// When the segment's spans started, as far as that can be told: the earliest and the latest, nanoseconds since 1970.
    package var startUnixNano: ClosedRange<Int64>?
    package var message: String
}

/// What a check of a whole data file found.
package struct VerificationReport: Sendable {
    /// Findings that are kept; more are only counted.
    static let findingsMax = 1000

    package var segments: Int64 = 0
    package var spans: Int64 = 0
    package var logSegments: Int64 = 0
    package var logRecords: Int64 = 0
    /// Bytes whose checksums were computed.
    package var checkedBytes: Int64 = 0
    package private(set) var findings: [StoreFinding] = []
    package private(set) var findingCount = 0

    package var isSound: Bool { findingCount == 0 }

    mutating func add(_ message: String, segment: Int64? = nil, startUnixNano: ClosedRange<Int64>? = nil) {
        findingCount += 1
        guard findings.count < Self.findingsMax else { return }
        findings.append(StoreFinding(segmentID: segment, startUnixNano: startUnixNano, message: message))
    }
}
