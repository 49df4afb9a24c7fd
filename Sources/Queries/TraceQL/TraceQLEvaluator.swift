import SQLite
import TelemetryModel

/// Answers a query about whole traces: SQL says which spans meet which conditions, and the rest is put together in memory.
struct TraceQLEvaluator {
    struct Group: Equatable {
        var spans: [Int]
        /// Of `by`, in the order of the stages.
        var by: [QueryValue] = []
    }

    /// Spans of one trace, and of all traces of one batch, that are held in memory.
    private static let spansMax = 200_000

    private let pipeline: TraceQLPipeline
    private let conditions: [SQLCondition]
    /// Fields whose values are wanted, each once.
    let fields: [TraceQLField]
    private let patterns: [String: Pattern]

    /// - Parameter wanted: fields beside those that the stages need.
    init(_ pipeline: TraceQLPipeline, wanted: [TraceQLField]) {
        self.pipeline = pipeline
        var conditions: [SQLCondition] = []
        var fields: [TraceQLField] = []
        var patterns: [String: Pattern] = [:]
        func add(_ field: TraceQLField) { if !fields.contains(field.own) { fields.append(field.own) } }
        func visit(_ filter: TraceQLFilter) {
            switch filter {
            case .sql(let condition), .attribute(let condition, _): if !conditions.contains(condition) { conditions.append(condition) }
            case .computed(_, let comparison):
                if case .pattern(let text) = comparison.operand { patterns[text] = try? Pattern(ofWholeText: text) }
            case .all(let parts), .any(let parts): parts.forEach(visit)
            case .not(let part), .parent(let part): visit(part)
            case .equation(let equation): for field in equation.fields { add(field.asOperand) }
            case .always, .never: break
            }
        }
        func visit(_ set: TraceQLSpanset) {
            switch set {
            case .filter(let filter): visit(filter)
            case .and(let left, let right), .or(let left, let right), .related(_, _, let left, let right):
                visit(left)
                visit(right)
            case .pipeline(let inner): visit(inner)
            }
        }
        func visit(_ pipeline: TraceQLPipeline) {
            visit(pipeline.source)
            for stage in pipeline.stages {
                switch stage {
                case .by(.field(let field), _): add(field)
                case .by(let expression, _): for field in expression.fields { add(field.asOperand) }
                case .scalar(let filter): for field in filter.fields { add(field.asOperand) }
                case .spans(let set): visit(set)
                case .coalesce: break
                }
            }
        }
        visit(pipeline)
        wanted.forEach(add)
        (self.conditions, self.fields, self.patterns) = (conditions, fields, patterns)
    }

    // MARK: Reading

    /// The traces of these ids with what the query asks of them.
    func traces(_ ids: [String], _ reader: QueryReader) throws -> [String: TraceQLTrace] {
        guard !ids.isEmpty else { return [:] }
        let marks = Array(repeating: "?", count: ids.count).joined(separator: ",")
        let tests = conditions.map { ", \($0.sql)" }.joined()
        let columns = fields.map { ", \($0.sql)" }.joined()
        var spans: [String: [TraceQLTrace.Span]] = [:]
        var count = 0
        try reader.each(
            """
            SELECT trace_id, span_id, parent_span_id, service_name, kind, start_time_unix_nano, end_time_unix_nano, duration_ns, name\(tests)\(columns)
            FROM spans WHERE trace_id IN (\(marks)) ORDER BY start_time_unix_nano, span_id, kind
            """, conditions.flatMap(\.values) + fields.flatMap(\.values) + ids.map(QueryValue.text)
        ) { row in
            count += 1
            guard count <= Self.spansMax else {
                throw QueryError.tooLarge("the query needs more than \(Self.spansMax) spans at a time; narrow it by time or by a service")
            }
            let cells = QueryReader.row(row)
            let start = cells[5].integer ?? 0
            let first = 9 + conditions.count
            spans[cells[0].text ?? "", default: []].append(
                TraceQLTrace.Span(
                    node: TraceTree.Node(
                        spanID: cells[1].text ?? "", parentSpanID: cells[2].text, service: cells[3].text ?? "", kind: cells[4].integer),
                    start: start, end: max(cells[6].integer ?? start, start), name: cells[8].text ?? "", duration: cells[7].integer ?? 0,
                    isRoot: cells[2] == .null, meets: cells[9..<first].map { ($0.integer ?? 0) != 0 }, values: Array(cells[first...])))
            return true
        }
        return spans.mapValues(TraceQLTrace.init)
    }

    /// A field's value of a span.
    func value(_ field: TraceQLField, of index: Int, _ trace: TraceQLTrace) -> QueryValue {
        if field.isOfParent { return trace.parent(of: index).map { value(field.own, of: $0, trace) } ?? .null }
        if case .computed(let computed) = field.source { return trace.value(computed, of: index) }
        return fields.firstIndex(of: field).map { trace.spans[index].values[$0] } ?? .null
    }

    // MARK: Evaluation

    /// The groups of spans that a trace has for the query; none when it is not meant.
    func groups(_ trace: TraceQLTrace) -> [Group] { groups(pipeline, trace) }

    /// - Parameter among: the only spans that are looked at, rising; `nil` for all.
    private func groups(_ pipeline: TraceQLPipeline, _ trace: TraceQLTrace, among own: [Int]? = nil) -> [Group] {
        var groups = [Group(spans: spans(pipeline.source, trace, among: own))].filter { !$0.spans.isEmpty }
        for stage in pipeline.stages {
            switch stage {
            case .coalesce:
                let all = Set(groups.flatMap(\.spans)).sorted()
                groups = all.isEmpty ? [] : [Group(spans: all)]
            case .spans(let set):
                groups = groups.map { Group(spans: spans(set, trace, among: $0.spans), by: $0.by) }.filter { !$0.spans.isEmpty }
            case .by(let expression, _): groups = groups.flatMap { grouped($0, by: expression, trace) }
            case .scalar(let filter):
                groups = groups.filter { group in
                    filter.isMet(count: group.spans.count) { measured in group.spans.map { value(measured, of: $0, trace) } }
                }
            }
        }
        return groups
    }

    /// What an expression is for a span.
    private func value(_ expression: TraceQLExpression, of index: Int, _ trace: TraceQLTrace) -> QueryValue {
        expression.value { value($0.asOperand, of: index, trace) }
    }

    private func grouped(_ group: Group, by expression: TraceQLExpression, _ trace: TraceQLTrace) -> [Group] {
        var found: [Group] = []
        var places: [String: Int] = [:]
        for index in group.spans {
            let value: QueryValue
            if case .field(let field) = expression {
                value = field.shown(self.value(field, of: index, trace))
            } else {
                value = self.value(expression, of: index, trace)
            }
            // Values of two types are two groups; the description of a value has its type.
            let key = "\(value)"
            if let place = places[key] {
                found[place].spans.append(index)
            } else {
                places[key] = found.count
                found.append(Group(spans: [index], by: group.by + [value]))
            }
        }
        return found
    }

    /// Positions of the spans, rising.
    ///
    /// - Parameter among: the only spans that are looked at, rising; `nil` for all.
    private func spans(_ set: TraceQLSpanset, _ trace: TraceQLTrace, among own: [Int]? = nil) -> [Int] {
        switch set {
        case .filter(let filter):
            let matching = matching(filter, trace)
            return (own ?? Array(trace.spans.indices)).filter { matching[$0] }
        case .and(let left, let right):
            let (first, second) = (spans(left, trace, among: own), spans(right, trace, among: own))
            return first.isEmpty || second.isEmpty ? [] : Set(first).union(second).sorted()
        case .or(let left, let right): return Set(spans(left, trace, among: own)).union(spans(right, trace, among: own)).sorted()
        case .related(let relation, let mode, let left, let right):
            return trace.related(relation, mode, spans(left, trace, among: own), spans(right, trace, among: own))
        case .pipeline(let inner): return Set(groups(inner, trace, among: own).flatMap(\.spans)).sorted()
        }
    }

    private func matching(_ filter: TraceQLFilter, _ trace: TraceQLTrace) -> [Bool] {
        switch filter {
        case .always: return trace.spans.map { _ in true }
        case .never: return trace.spans.map { _ in false }
        case .sql(let condition), .attribute(let condition, _):
            guard let place = conditions.firstIndex(of: condition) else { return trace.spans.map { _ in false } }
            return trace.spans.map { $0.meets[place] }
        case .computed(let field, let comparison):
            return trace.spans.indices.map { comparison.isMet(by: trace.value(field, of: $0), patterns) }
        case .equation(let equation):
            return trace.spans.indices.map { index in equation.isMet { value($0.asOperand, of: index, trace) } }
        case .parent(let part):
            let matching = matching(part, trace)
            return trace.spans.indices.map { trace.parent(of: $0).map { matching[$0] } ?? false }
        case .all(let parts):
            let each = parts.map { matching($0, trace) }
            return trace.spans.indices.map { index in each.allSatisfy { $0[index] } }
        case .any(let parts):
            let each = parts.map { matching($0, trace) }
            return trace.spans.indices.map { index in each.contains { $0[index] } }
        case .not(let part): return matching(part, trace).map { !$0 }
        }
    }
}
