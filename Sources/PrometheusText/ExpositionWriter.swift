/// The bytes of an exposition while they are written. Knows the lines of both formats; order is its caller's.
struct ExpositionWriter {
    private(set) var bytes: [UInt8] = []
    private let format: ExpositionFormat
    /// The bounds of the last histogram and their text: samples of a family share them.
    private var bounds: [Double] = []
    private var boundTexts: [String] = []

    init(format: ExpositionFormat) {
        self.format = format
    }

    mutating func append(_ text: String) {
        bytes.append(contentsOf: text.utf8)
    }

    /// Hands over what was written, and begins anew.
    mutating func takeBytes(capacity: Int) -> [UInt8] {
        let taken = bytes
        bytes = []
        bytes.reserveCapacity(capacity)
        return taken
    }

    /// The family's metadata.
    mutating func writeHead(_ family: MetricFamily) {
        let names = FamilyNames(family, format: format)
        append("# TYPE \(names.described) \(typeName(family.kind))\n")
        if format == .openMetrics100, family.kind != .info, let unit = family.unit, names.base.hasSuffix("_\(unit.rawValue)") {
            append("# UNIT \(names.described) \(unit.rawValue)\n")
        }
        if !family.help.isEmpty { append("# HELP \(names.described) \(escapedHelp(family.help))\n") }
    }

    /// One sample of the family.
    mutating func write(_ sample: MetricFamily.Sample, of family: MetricFamily, _ names: FamilyNames) {
        switch (family.kind, sample.value) {
        case (.histogram, .histogram(let histogram)): write(histogram, of: sample, named: names.base)
        case (.histogram, _), (_, .histogram): break
        case (.counter, let value): write(names.sample, sample.labels, text(value), exemplar: sample.exemplar)
        case (.gauge, let value): write(names.sample, sample.labels, text(value))
        case (.info, _): write(names.sample, sample.labels, "1")
        }
    }

    private mutating func write(_ histogram: MetricFamily.Histogram, of sample: MetricFamily.Sample, named base: String) {
        if histogram.bounds != bounds || boundTexts.isEmpty {
            bounds = histogram.bounds
            boundTexts = (histogram.bounds + [.infinity]).map(NumberText.bound)
        }
        let exemplarBucket = sample.exemplar.flatMap { histogram.bucket(of: $0.value) }
        let prefix = sample.labels.isEmpty ? "le=\"" : sample.labels + ",le=\""
        let name = base + "_bucket"
        var total: Int64 = 0
        for (bucket, count) in histogram.counts.enumerated() where bucket < boundTexts.count {
            let (sum, overflow) = total.addingReportingOverflow(count)
            total = overflow ? .max : sum
            write(
                name, prefix + boundTexts[bucket] + "\"", String(total),
                exemplar: bucket == exemplarBucket ? sample.exemplar : nil)
        }
        // OpenMetrics has sum and count together or not at all, and no sum that falls.
        let hasRisingSum = histogram.sum.map { $0 >= 0 } ?? false && !(histogram.bounds.first.map { $0 < 0 } ?? false)
        if format == .openMetrics100 && !hasRisingSum { return }
        if let sum = histogram.sum { write(base + "_sum", sample.labels, NumberText.value(sum)) }
        write(base + "_count", sample.labels, String(total))
    }

    private mutating func write(
        _ name: String, _ labels: String, _ value: String, exemplar: MetricFamily.Exemplar? = nil
    ) {
        append(name)
        if !labels.isEmpty {
            append("{")
            append(labels)
            append("}")
        }
        append(" ")
        append(value)
        if format == .openMetrics100, let exemplar { append(exemplarText(exemplar)) }
        append("\n")
    }

    /// Empty when the labels are longer than OpenMetrics lets them be or the value is not a number.
    private func exemplarText(_ exemplar: MetricFamily.Exemplar) -> String {
        let names = "trace_id".unicodeScalars.count + "span_id".unicodeScalars.count
        let codePoints = names + exemplar.traceID.unicodeScalars.count + exemplar.spanID.unicodeScalars.count
        guard codePoints <= MetricFamily.Exemplar.codePointsMax, !exemplar.value.isNaN else { return "" }
        let labels = LabelText.render([("trace_id", exemplar.traceID), ("span_id", exemplar.spanID)])
        return " # {\(labels)} \(NumberText.value(exemplar.value)) \(NumberText.seconds(unixNano: exemplar.timeUnixNano))"
    }

    private func text(_ value: MetricFamily.Value) -> String {
        switch value {
        case .integer(let integer): String(integer)
        case .double(let double): NumberText.value(double)
        case .histogram: "NaN"
        }
    }

    private func typeName(_ kind: MetricFamily.Kind) -> String {
        kind == .info && format == .text004 ? MetricFamily.Kind.gauge.rawValue : kind.rawValue
    }

    private func escapedHelp(_ help: String) -> String {
        var escaped = String.UnicodeScalarView()
        for scalar in help.unicodeScalars {
            switch scalar {
            case "\\": escaped.append(contentsOf: "\\\\".unicodeScalars)
            case "\n": escaped.append(contentsOf: "\\n".unicodeScalars)
            case "\"" where format == .openMetrics100: escaped.append(contentsOf: "\\\"".unicodeScalars)
            default: escaped.append(scalar)
            }
        }
        return String(escaped)
    }
}

/// What a family is called in one format.
struct FamilyNames {
    /// The name without the suffix that its kind demands; it ends in the unit.
    var base: String
    /// The name in `# TYPE` and its like.
    var described: String
    /// The name before a sample's labels; histograms add their own suffixes to `base`.
    var sample: String

    init(_ family: MetricFamily, format: ExpositionFormat) {
        base = MetricFamily.baseName(family.name, family.kind)
        sample = base + family.kind.suffix
        described = format == .openMetrics100 ? base : sample
    }
}

extension MetricFamily.Exemplar {
    /// Code points that OpenMetrics 1.0 allows to the names and values of an exemplar's labels together.
    static let codePointsMax = 128
}

extension MetricFamily.Histogram {
    /// The bucket that holds `value`, `nil` for no number. Bounds are inclusive.
    func bucket(of value: Double) -> Int? {
        guard !value.isNaN else { return nil }
        return bounds.firstIndex { value <= $0 } ?? bounds.count
    }
}
