/// Writes metric families as the text that a scrape answers with.
///
/// The same families give the same bytes whatever order they come in: families are sorted by name, samples by labels. No sample
/// carries a timestamp, so a series that is gone goes stale at once. The two formats differ in
///
/// | | 0.0.4 | OpenMetrics 1.0.0 |
/// |---|---|---|
/// | counter `x_total` | `# TYPE x_total counter` | `# TYPE x counter` |
/// | info `x_info` | `# TYPE x_info gauge` | `# TYPE x info` |
/// | unit | not said | `# UNIT`, when the name ends in it |
/// | help | backslash and newline escaped | and quotes |
/// | exemplars | none | on counters and buckets |
/// | end | | `# EOF` |
///
/// | a histogram's count and sum | the sum if it is known | both, if the sum is known and can only rise |
///
/// Families of one name and kind become one, under the help of the first. Of families that claim the same name
/// (`MetricFamily.claimedNames`) only the first is written, since a scraper would refuse the whole text. A sample whose value is not
/// of its family's kind is left out.
package enum ExpositionEncoder {
    /// The exposition of `families`; ends in a newline, or is empty when there is nothing to say in 0.0.4.
    package static func encode(_ families: [MetricFamily], as format: ExpositionFormat) -> [UInt8] {
        ExpositionChunks(families, as: format).reduce(into: []) { $0 += $1 }
    }

    /// Families by name, one a name, each with its samples by labels.
    fileprivate static func merged(_ families: [MetricFamily]) -> [MetricFamily] {
        var result: [MetricFamily] = []
        var positions: [String: Int] = [:]
        for family in families {
            let names = MetricFamily.claimedNames(family.name, family.kind)
            guard let position = names.lazy.compactMap({ positions[$0] }).first else {
                for name in names { positions[name] = result.count }
                result.append(family)
                continue
            }
            if result[position].name == family.name && result[position].kind == family.kind {
                result[position].samples += family.samples
            }
        }
        for index in result.indices {
            result[index].samples.sort { $0.labels.utf8.lexicographicallyPrecedes($1.labels.utf8) }
        }
        return result.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    }
}

/// An exposition in pieces, so that an answer never lies in memory as a whole: each is made when it is asked for.
package struct ExpositionChunks: Sequence, IteratorProtocol, Sendable {
    /// A piece is as long as this, and one sample more.
    private static let bytesMin = 1 << 16

    private let families: [MetricFamily]
    private let format: ExpositionFormat
    private var writer: ExpositionWriter
    private var family = 0
    private var sample = 0
    private var names: FamilyNames?
    private var isDone = false

    package init(_ families: [MetricFamily], as format: ExpositionFormat) {
        self.families = ExpositionEncoder.merged(families)
        self.format = format
        writer = ExpositionWriter(format: format)
    }

    /// The next piece, never an empty one; `nil` at the end.
    package mutating func next() -> [UInt8]? {
        while !isDone, writer.bytes.count < Self.bytesMin { step() }
        return writer.bytes.isEmpty ? nil : writer.takeBytes(capacity: isDone ? 0 : Self.bytesMin)
    }

    /// Writes a family's head, a sample, or the end.
    private mutating func step() {
        guard family < families.count else {
            if format == .openMetrics100 { writer.append("# EOF\n") }
            isDone = true
            return
        }
        guard let names else {
            writer.writeHead(families[family])
            self.names = FamilyNames(families[family], format: format)
            return
        }
        guard sample < families[family].samples.count else {
            (family, sample, self.names) = (family + 1, 0, nil)
            return
        }
        writer.write(families[family].samples[sample], of: families[family], names)
        sample += 1
    }
}

extension MetricFamily {
    /// How many lines with values an exposition of this family has: a histogram has one a bucket, a sum and a count.
    package var seriesCount: Int {
        samples.reduce(0) { count, sample in
            guard case .histogram(let histogram) = sample.value else { return count + 1 }
            return count + histogram.counts.count + 2
        }
    }
}
