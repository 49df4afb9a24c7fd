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
/// Families of one name and kind become one, under the help of the first; of a name that comes with two kinds only the first kind
/// is written, since a scraper would refuse the whole text. A sample whose value is not of its family's kind is left out.
package enum ExpositionEncoder {
    /// The exposition of `families`; ends in a newline, or is empty when there is nothing to say in 0.0.4.
    package static func encode(_ families: [MetricFamily], as format: ExpositionFormat) -> [UInt8] {
        var writer = ExpositionWriter(format: format)
        for family in merged(families) { writer.write(family) }
        if format == .openMetrics100 { writer.append("# EOF\n") }
        return writer.bytes
    }

    /// Families by name, one a name, each with its samples by labels.
    private static func merged(_ families: [MetricFamily]) -> [MetricFamily] {
        var result: [MetricFamily] = []
        var positions: [String: Int] = [:]
        for family in families {
            guard let position = positions[family.name] else {
                positions[family.name] = result.count
                result.append(family)
                continue
            }
            if result[position].kind == family.kind { result[position].samples += family.samples }
        }
        for index in result.indices {
            result[index].samples.sort { $0.labels.utf8.lexicographicallyPrecedes($1.labels.utf8) }
        }
        return result.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
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
