/// A metric family as a value: what one `# TYPE` line and its samples say, in either exposition format.
package struct MetricFamily: Equatable, Sendable {
    package enum Kind: String, Sendable {
        case counter, gauge, histogram, info
    }

    /// The unit that the family's name ends in, before `_total`.
    package enum Unit: String, Sendable {
        case seconds, bytes, ratio, dollars
    }

    /// The name as it is scraped; counters end in `_total`, infos in `_info`.
    package var name: String
    package var help: String
    package var kind: Kind
    package var unit: Unit?
    package var samples: [Sample]

    package init(name: String, help: String, kind: Kind, unit: Unit? = nil, samples: [Sample] = []) {
        self.name = name
        self.help = help
        self.kind = kind
        self.unit = unit
        self.samples = samples
    }

    /// One point of the family. A histogram is one sample with all its buckets.
    package struct Sample: Equatable, Sendable {
        /// Label pairs as they stand between the braces, already escaped and in the family's order: `tool="t",stage="llm"`.
        package var labels: String
        package var value: Value
        /// The span that last moved a counter; shown in OpenMetrics only.
        package var exemplar: Exemplar?

        package init(labels: String = "", value: Value, exemplar: Exemplar? = nil) {
            self.labels = labels
            self.value = value
            self.exemplar = exemplar
        }
    }

    package enum Value: Equatable, Sendable {
        case integer(Int64)
        case double(Double)
        case histogram(Histogram)
    }

    /// Counts of a histogram.
    package struct Histogram: Equatable, Sendable {
        /// Upper bounds, ascending, without infinity.
        package var bounds: [Double]
        /// One count a bound and a last one for what lies above them all; not cumulative.
        package var counts: [Int64]
        /// `nil` when it is not known.
        package var sum: Double?

        package init(bounds: [Double], counts: [Int64], sum: Double?) {
            precondition(counts.count == bounds.count + 1)
            self.bounds = bounds
            self.counts = counts
            self.sum = sum
        }
    }

    /// A sample span of a counter or a bucket: at most 128 code points of labels, as OpenMetrics says.
    package struct Exemplar: Equatable, Sendable {
        package var traceID: String
        package var spanID: String
        package var value: Double
        /// Nanoseconds since 1970.
        package var timeUnixNano: Int64

        package init(traceID: String, spanID: String, value: Double, timeUnixNano: Int64) {
            self.traceID = traceID
            self.spanID = spanID
            self.value = value
            self.timeUnixNano = timeUnixNano
        }
    }
}

extension MetricFamily {
    /// The family without its samples.
    package var declaration: MetricFamily {
        MetricFamily(name: name, help: help, kind: kind, unit: unit)
    }

    /// The family with samples.
    package func with(_ samples: [Sample]) -> MetricFamily {
        var family = self
        family.samples = samples
        return family
    }

    /// The name without the suffix that the kind demands; it ends in the unit.
    static func baseName(_ name: String, _ kind: Kind) -> String {
        name.hasSuffix(kind.suffix) ? String(name.dropLast(kind.suffix.count)) : name
    }

    /// Every name that a family of this name and kind takes for itself in one of the formats: its own, its samples', and those that
    /// OpenMetrics keeps for them. Two families that share one cannot stand in one exposition.
    package static func claimedNames(_ name: String, _ kind: Kind) -> [String] {
        let base = baseName(name, kind)
        return [base] + kind.suffixes.map { base + $0 }
    }
}

extension MetricFamily.Kind {
    /// What the family's name ends in.
    var suffix: String {
        switch self {
        case .counter: "_total"
        case .info: "_info"
        case .gauge, .histogram: ""
        }
    }

    /// What OpenMetrics lets samples add to the family's name.
    fileprivate var suffixes: [String] {
        switch self {
        case .counter: ["_total", "_created"]
        case .gauge: []
        case .histogram: ["_bucket", "_count", "_sum", "_created"]
        case .info: ["_info"]
        }
    }
}

/// Label pairs as exposition text.
package enum LabelText {
    /// `name="value",…` with backslash, quote and newline escaped.
    package static func render(_ labels: [(name: String, value: String)]) -> String {
        labels.map { label in "\(label.name)=\"\(escape(label.value))\"" }.joined(separator: ",")
    }

    package static func escape(_ value: String) -> String {
        guard value.utf8.contains(where: { $0 == UInt8(ascii: "\\") || $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\n") })
        else { return value }
        var escaped = ""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\"": escaped += "\\\""
            case "\n": escaped += "\\n"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}
