import TelemetryModel

/// Grafana Tempo's query language: span sets, how they relate, aggregates of them, and metrics over them.
///
///     { resource.service.name = "travel" && duration > 1s } | select(span.model)
///     { nestedSetParent < 0 } >> { status = error } | count() > 2
///     { status = error } | rate() by (resource.service.name)
///
/// What is beyond it is refused with a message, never answered wrongly. As in Tempo, `&&` and `||` bind alike, from the left.
package struct TraceQL: Sendable {
    enum Measure: Equatable, Sendable {
        case rate
        case count
        case minimum, maximum, average, sum
        /// Quantiles in 0...1.
        case quantile([Double])
        /// Counts by powers of two.
        case histogram
        /// What spans of a selection have that the others have not, by attributes, so many values of each.
        case compare(selection: TraceQLFilter, values: Int)
    }

    struct Metric: Sendable {
        var measure: Measure
        /// What is measured; `nil` for counts.
        var field: TraceQLField?
        var by: [TraceQLField] = []
        /// What is done with its series, one after another.
        var stages: [SeriesStage] = []
    }

    enum SeriesStage: Sendable {
        /// Only so many series, those with the largest or smallest sum.
        case best(count: Int, isLargest: Bool)
        /// Only the samples that compare so with a number, which is seconds for durations.
        case filter(symbol: String, number: Double)
    }

    /// What is asked of traces.
    let pipeline: TraceQLPipeline
    private(set) var selected: [TraceQLField] = []
    private(set) var metric: Metric?
    /// How many exemplars the query itself asks for; `nil` when it does not say.
    private(set) var exemplarsMax: Int?

    /// The first attribute that the query asks for as a number or a boolean. Where attributes are texts it would find nothing there, and
    /// that must not read as an answer.
    package private(set) var typedAttribute: String?

    package init(_ query: String) throws(QueryError) {
        var parser = TraceQLParser(try TraceQLToken.all(query))
        pipeline = try parser.query()
        selected = parser.selected
        metric = parser.metric
        exemplarsMax = parser.exemplarsMax
        typedAttribute = parser.typedAttribute
    }

    /// The filter of a query that is one span set, about which single spans say everything; `nil` for others.
    var simpleFilter: TraceQLFilter? {
        guard pipeline.stages.isEmpty, case .filter(let filter) = pipeline.source, !filter.needsTrace,
            !selected.contains(where: \.isComputed)
        else { return nil }
        return filter
    }

    /// What is shorter, in nanoseconds, is not meant; `nil` when the query does not say so.
    package var durationMinimum: Int64? {
        guard case .filter(let filter) = pipeline.source else { return nil }
        return filter.durationMinimum
    }

    /// Whether each span tells for itself whether it is meant.
    package var isSimple: Bool { simpleFilter != nil }

    /// Whether `candidates` are those that are meant, and not only those that may be.
    var isExact: Bool { simpleFilter.map { $0.condition == $0.superset } ?? false }

    /// SQL that some span of each trace meets that a search means, as cheap as it can be told; `nil` for every span.
    package var candidates: SQLCondition? { pipeline.source.superset }

    /// SQL that spans meet by which a trace is a candidate; for a simple query those that are meant. `nil` for every span.
    package var condition: SQLCondition? { simpleFilter.map(\.condition) ?? pipeline.source.superset }
}

extension TraceQLField {
    var isComputed: Bool {
        if case .computed = source { return true }
        return isOfParent
    }
}

/// Span sets, and how they are put together.
indirect enum TraceQLSpanset: Sendable {
    enum Relation: String, Sendable {
        case child = ">"
        case parent = "<"
        case descendant = ">>"
        case ancestor = "<<"
        case sibling = "~"
    }

    enum Mode: Sendable {
        /// Spans at the right that stand so to one at the left.
        case plain
        /// Those that do not.
        case negated
        /// Both sides of those that do.
        case union
    }

    case filter(TraceQLFilter)
    case and(TraceQLSpanset, TraceQLSpanset)
    case or(TraceQLSpanset, TraceQLSpanset)
    case related(Relation, Mode, TraceQLSpanset, TraceQLSpanset)
    case pipeline(TraceQLPipeline)

    /// SQL that some span of each trace meets which has an answer; `nil` when every trace may.
    var superset: SQLCondition? {
        switch self {
        case .filter(let filter): return filter.superset ?? filter.rootCondition
        case .and(let left, let right): return left.superset ?? right.superset
        case .or(let left, let right):
            guard let left = left.superset, let right = right.superset else { return nil }
            return SQLCondition.any([left, right])
        case .related(_, .negated, _, let right): return right.superset
        case .related(_, _, let left, let right): return right.superset ?? left.superset
        case .pipeline(let pipeline): return pipeline.source.superset
        }
    }
}

struct TraceQLPipeline: Sendable {
    enum Stage: Sendable {
        /// By a field or what is calculated of some, with its text in the query.
        case by(TraceQLExpression, name: String)
        case coalesce
        /// Of each group the spans that this finds among them.
        case spans(TraceQLSpanset)
        case scalar(TraceQLScalarFilter)
    }

    var source: TraceQLSpanset
    var stages: [Stage] = []
}
