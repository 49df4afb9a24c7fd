import TelemetryModel

/// Reads a TraceQL query. Recursion and counts are bounded.
struct TraceQLParser {
    /// Conditions in one query, and how deep it nests.
    private static let conditionsMax = 64
    private static let depthMax = 32
    /// Values in them.
    private static let valuesMax = 256
    private static let stagesMax = 16

    private(set) var selected: [TraceQLField] = []
    private(set) var metric: TraceQL.Metric?
    private(set) var exemplarsMax: Int?
    /// The first attribute that is asked for as a number or a boolean.
    private(set) var typedAttribute: String?
    private var tokens: [TraceQLToken]
    private var position = 0
    private var conditions = 0
    private var values = 0

    init(_ tokens: [TraceQLToken]) {
        self.tokens = tokens
    }

    mutating func query() throws(QueryError) -> TraceQLPipeline {
        if tokens.isEmpty { return TraceQLPipeline(source: .filter(.always)) }
        let pipeline = try pipeline(depth: 0, isOutermost: true)
        if case .name("with") = next { try hints() }
        guard position == tokens.count else { throw .invalid("the query goes on with '\(rest)' where it should end") }
        return pipeline
    }

    // MARK: Tokens

    private var next: TraceQLToken? { position < tokens.count ? tokens[position] : nil }

    private var rest: String { next?.shown ?? "the end" }

    private mutating func take(_ symbol: String) -> Bool {
        guard next == .symbol(symbol) else { return false }
        position += 1
        return true
    }

    private mutating func take(anyOf symbols: [String]) -> String? {
        guard case .symbol(let symbol) = next, symbols.contains(symbol) else { return nil }
        position += 1
        return symbol
    }

    private mutating func expect(_ symbol: String) throws(QueryError) {
        guard take(symbol) else { throw .invalid("the query must have \(symbol) where it has \(rest)") }
    }

    private mutating func name() throws(QueryError) -> String {
        guard case .name(let name) = next else { throw .invalid("the query must have a name where it has \(rest)") }
        position += 1
        return name
    }

    private mutating func whole(_ what: String) throws(QueryError) -> Int {
        guard case .integer(let value) = next, (1...1000).contains(value) else { throw .invalid("\(what) takes a number from 1 to 1000") }
        position += 1
        return Int(value)
    }

    /// `with(sample=true, most_recent=true)`: answers are exact and the most recent come first anyhow.
    private mutating func hints() throws(QueryError) {
        position += 1
        try expect("(")
        repeat {
            let hint = try name()
            guard ["sample", "most_recent", "exemplars", "span_sample", "trace_sample", "adaptive_sampling"].contains(hint) else {
                throw .invalid("'\(hint)' is not a known hint; sample, most_recent and exemplars are")
            }
            try expect("=")
            guard next != nil, next != .symbol(")") else { throw .invalid("the hint \(hint) has no value") }
            if hint == "exemplars" {
                switch next {
                case .name("false"): exemplarsMax = 0
                case .integer(let count): exemplarsMax = Int(clamping: max(0, count))
                default: break
                }
            }
            position += 1
        } while take(",")
        try expect(")")
    }

    // MARK: Span sets

    private mutating func pipeline(depth: Int, isOutermost: Bool) throws(QueryError) -> TraceQLPipeline {
        guard depth <= Self.depthMax else { throw .invalid("the query nests deeper than \(Self.depthMax)") }
        var pipeline = TraceQLPipeline(source: .filter(.always))
        if isSpanset {
            pipeline.source = try spanset(depth: depth)
        } else if isScalar || next == .name("by") || next == .name("select") {
            // A query may begin with a stage: it is one of all spans.
            try append(to: &pipeline, depth: depth, isOutermost: isOutermost)
        } else {
            try expect("{")
        }
        while true {
            if let metric = self.metric, isOutermost, let symbol = take(anyOf: Self.comparisons) {
                try filter(metric, symbol)
            } else if take("|") {
                if let metric = self.metric, isOutermost {
                    try second(behind: metric)
                } else {
                    try append(to: &pipeline, depth: depth, isOutermost: isOutermost)
                }
            } else {
                return pipeline
            }
        }
    }

    private mutating func append(to pipeline: inout TraceQLPipeline, depth: Int, isOutermost: Bool) throws(QueryError) {
        guard pipeline.stages.count < Self.stagesMax else { throw .invalid("the query has more than \(Self.stagesMax) stages") }
        if let stage = try stage(depth: depth, isOutermost: isOutermost) { pipeline.stages.append(stage) }
    }

    /// The first word behind opening parentheses.
    private var firstInside: TraceQLToken? { tokens[position...].first { $0 != .symbol("(") } }

    /// Whether span sets begin here.
    private var isSpanset: Bool { firstInside == .symbol("{") }

    /// Whether a comparison of aggregates begins here.
    private var isScalar: Bool {
        switch firstInside {
        case .integer, .double, .duration, .symbol("-"): true
        case .name(let name): TraceQLScalar.Aggregate(rawValue: name) != nil
        default: false
        }
    }

    private static let comparisons: [String] = ["=", "!=", ">", ">=", "<", "<="]

    private mutating func spanset(depth: Int) throws(QueryError) -> TraceQLSpanset {
        var left = try related(depth: depth)
        while let symbol = take(anyOf: ["&&", "||"]) {
            let right = try related(depth: depth)
            left = symbol == "&&" ? .and(left, right) : .or(left, right)
        }
        return left
    }

    private static let relations: [String] = ["!>>", "!<<", "&>>", "&<<", ">>", "<<", "!>", "!<", "!~", "&>", "&<", "&~", ">", "<", "~"]

    private mutating func related(depth: Int) throws(QueryError) -> TraceQLSpanset {
        var left = try primary(depth: depth)
        while let symbol = take(anyOf: Self.relations) {
            conditions += 1
            guard conditions <= Self.conditionsMax else { throw .invalid("the query has more than \(Self.conditionsMax) conditions") }
            let mode: TraceQLSpanset.Mode = symbol.hasPrefix("!") ? .negated : symbol.hasPrefix("&") ? .union : .plain
            let word = mode == .plain ? symbol : String(symbol.dropFirst())
            guard let relation = TraceQLSpanset.Relation(rawValue: word) else { throw .invalid("'\(symbol)' is not a relation between span sets") }
            left = .related(relation, mode, left, try primary(depth: depth))
        }
        return left
    }

    private mutating func primary(depth: Int) throws(QueryError) -> TraceQLSpanset {
        if take("(") {
            let inner = try pipeline(depth: depth + 1, isOutermost: false)
            try expect(")")
            return inner.stages.isEmpty ? inner.source : .pipeline(inner)
        }
        try expect("{")
        if take("}") { return .filter(.always) }
        let filter = try filter(depth: depth)
        try expect("}")
        return .filter(filter)
    }

    // MARK: Conditions

    /// What stands in a span set: a condition, or a value on the way to one.
    private enum Node {
        case filter(TraceQLFilter)
        case value(TraceQLExpression)
    }

    /// Operators by how strongly they bind; `!` and a minus before a value bind as Tempo's grammar says.
    private static let levels: [String: Int] = [
        "&&": 0, "||": 0, "=": 1, "!=": 1, "<": 1, "<=": 1, ">": 1, ">=": 1, "=~": 1, "!~": 1, "+": 2, "-": 2, "*": 3, "/": 3, "%": 3, "^": 4,
    ]

    private mutating func filter(depth: Int) throws(QueryError) -> TraceQLFilter {
        try condition(try node(depth: depth, above: -1))
    }

    private mutating func condition(_ node: Node) throws(QueryError) -> TraceQLFilter {
        switch node {
        case .filter(let filter): return filter
        case .value(.literal(.name("true"))): return .always
        case .value(.literal(.name("false"))): return .never
        case .value(.field(let field)):
            note([field])
            return try TraceQLMeaning.filter(field, "=", .name("true"))
        case .value(.literal(let token)): throw .invalid("'\(token.shown)' by itself is not a condition; compare it")
        case .value(.calculated): throw .invalid("what is calculated must be compared, such as span.a + 1 > 2")
        }
    }

    /// Takes note of attributes that are asked for as numbers or booleans.
    private mutating func note(_ fields: [TraceQLField]) {
        typedAttribute = typedAttribute ?? fields.first { $0.kind == .attribute }?.name
    }

    private func value(_ node: Node, of symbol: String) throws(QueryError) -> TraceQLExpression {
        guard case .value(let value) = node else { throw .invalid("a condition has no value that \(symbol) could take") }
        return value
    }

    private mutating func count(depth: Int) throws(QueryError) {
        values += 1
        guard values <= Self.valuesMax else { throw .invalid("the query has more than \(Self.valuesMax) values") }
        guard depth <= Self.depthMax else { throw .invalid("the query nests deeper than \(Self.depthMax)") }
    }

    /// Reads on as long as operators bind more strongly than a level.
    private mutating func node(depth: Int, above level: Int) throws(QueryError) -> Node {
        try count(depth: depth)
        var left = try operand(depth: depth)
        while case .symbol(let symbol) = next, let own = Self.levels[symbol], own > level {
            position += 1
            if own < 2 { conditions += 1 }
            guard conditions <= Self.conditionsMax else { throw .invalid("the query has more than \(Self.conditionsMax) conditions") }
            // Powers are worked out from the right, all else from the left.
            let right = try node(depth: depth + (symbol == "^" ? 1 : 0), above: symbol == "^" ? own - 1 : own)
            switch own {
            case 0:
                let both = [try condition(left), try condition(right)]
                left = .filter(symbol == "&&" ? .all(both) : .any(both))
            case 1:
                let (one, other) = (try value(left, of: symbol), try value(right, of: symbol))
                if one.isTyped || other.isTyped { note(one.fields + other.fields) }
                left = .filter(try TraceQLMeaning.filter(one, symbol, other))
            default:
                guard let operation = TraceQLExpression.Operation(rawValue: symbol) else { throw .invalid("'\(symbol)' is not known") }
                let (one, other) = (try value(left, of: symbol), try value(right, of: symbol))
                note(one.fields + other.fields)
                left = .value(try .calculating(operation, one, other))
            }
        }
        return left
    }

    private mutating func operand(depth: Int) throws(QueryError) -> Node {
        if take("!") {
            guard next == .symbol("(") || next == .name("true") || next == .name("false") else {
                throw .invalid("! must be followed by a condition in parentheses")
            }
            try count(depth: depth + 1)
            return .filter(.not(try condition(try operand(depth: depth + 1))))
        }
        if take("-") {
            let negated = try value(try node(depth: depth + 1, above: 2), of: "-")
            note(negated.fields)
            return .value(try .negating(negated))
        }
        if take("(") {
            let inner = try node(depth: depth + 1, above: -1)
            try expect(")")
            return inner
        }
        guard let token = next else { throw .invalid("the query ends where a value is expected") }
        switch token {
        case .symbol(let symbol): throw .invalid("the query must have a name or a value where it has \(symbol)")
        case .name("minInt"), .name("maxInt"):
            position += 1
            return .value(.literal(.integer(token == .name("minInt") ? .min : .max)))
        case .name(let word) where !Self.words.contains(word):
            position += 1
            return .value(.field(try TraceQLField(word)))
        default:
            position += 1
            return .value(.literal(token))
        }
    }

    /// Words that are values.
    private static let words = Set(["true", "false", "nil"]).union(TraceQLField.statuses.keys).union(TraceQLField.kinds.keys)

    // MARK: Stages

    private mutating func stage(depth: Int, isOutermost: Bool) throws(QueryError) -> TraceQLPipeline.Stage? {
        if isSpanset { return .spans(try spanset(depth: depth)) }
        if isScalar { return try scalarFilter(depth: depth) }
        let stage = try name()
        try expect("(")
        switch stage {
        case "by":
            let first = position
            let value = try value(try node(depth: depth + 1, above: 1), of: "by()")
            let name = tokens[first..<position].map(\.shown).joined(separator: " ")
            guard !value.fields.isEmpty else { throw .invalid("by() takes a field, or what is calculated of some") }
            guard next != .symbol(",") else { throw .invalid("by() of span sets takes one field") }
            try expect(")")
            return .by(value, name: name)
        case "coalesce":
            try expect(")")
            return .coalesce
        case "select":
            selected += try fields()
            return nil
        default:
            guard isOutermost else { throw .invalid("'\(stage)' cannot stand inside of parentheses") }
            try measure(stage)
            return nil
        }
    }

    // MARK: Aggregates

    private mutating func scalarFilter(depth: Int) throws(QueryError) -> TraceQLPipeline.Stage {
        let left = try scalar(depth: depth, above: 1)
        guard let symbol = take(anyOf: Self.comparisons) else {
            throw .invalid("an aggregate must be compared, such as count() > 2, where the query has \(rest)")
        }
        let right = try scalar(depth: depth, above: 1)
        guard left.hasAggregate || right.hasAggregate else {
            throw .invalid("a comparison of numbers alone selects no spans; use an aggregate such as count()")
        }
        return .scalar(TraceQLScalarFilter(left: left, symbol: symbol, right: right))
    }

    /// Reads on as long as operators bind more strongly than a level, as `node` does.
    private mutating func scalar(depth: Int, above level: Int) throws(QueryError) -> TraceQLScalar {
        try count(depth: depth)
        var left = try scalarOperand(depth: depth)
        while case .symbol(let symbol) = next, let own = Self.levels[symbol], own > level, own > 1,
            let operation = TraceQLExpression.Operation(rawValue: symbol)
        {
            position += 1
            let right = try scalar(depth: depth + (symbol == "^" ? 1 : 0), above: symbol == "^" ? own - 1 : own)
            left = try .calculating(operation, left, right)
        }
        return left
    }

    private mutating func scalarOperand(depth: Int) throws(QueryError) -> TraceQLScalar {
        if take("-") { return try .negating(try scalar(depth: depth + 1, above: 2)) }
        if take("(") {
            let inner = try scalar(depth: depth + 1, above: 1)
            try expect(")")
            return inner
        }
        switch next {
        case .integer, .double, .duration:
            defer { position += 1 }
            return .constant(.literal(tokens[position]))
        case .name(let name):
            guard let aggregate = TraceQLScalar.Aggregate(rawValue: name) else {
                throw .invalid("'\(name)' is not an aggregate; count, avg, min, max and sum are")
            }
            position += 1
            try expect("(")
            var measured: TraceQLExpression?
            if aggregate != .count {
                let value = try value(try node(depth: depth + 1, above: 1), of: "\(name)()")
                guard !value.fields.isEmpty else { throw .invalid("\(name)() takes a field, or what is calculated of some") }
                try value.checkNumber(for: "\(name)()")
                note(value.fields)
                measured = value
            }
            try expect(")")
            return .aggregate(aggregate, of: measured)
        default: throw .invalid("the query must have an aggregate or a number where it has \(rest)")
        }
    }

    // MARK: Metrics

    private mutating func measure(_ stage: String) throws(QueryError) {
        switch stage {
        case "rate": metric = .init(measure: .rate)
        case "count_over_time": metric = .init(measure: .count)
        case "min_over_time": metric = .init(measure: .minimum, field: try TraceQLField(try name()))
        case "max_over_time": metric = .init(measure: .maximum, field: try TraceQLField(try name()))
        case "avg_over_time": metric = .init(measure: .average, field: try TraceQLField(try name()))
        case "sum_over_time": metric = .init(measure: .sum, field: try TraceQLField(try name()))
        case "histogram_over_time": metric = .init(measure: .histogram, field: try TraceQLField(try name()))
        case "quantile_over_time": metric = try quantiles()
        case "compare": metric = try comparison()
        default:
            throw .invalid(
                "'\(stage)' is not known; select, by, coalesce, count, avg, min, max, sum, rate, count_over_time and the like, compare are")
        }
        try expect(")")
        if let field = metric?.field { note([field]) }
        guard case .name("by") = next else { return }
        position += 1
        try expect("(")
        let by = try fields()
        metric?.by = by
    }

    private mutating func quantiles() throws(QueryError) -> TraceQL.Metric {
        let field = try TraceQLField(try name())
        var quantiles: [Double] = []
        while take(",") {
            let value: Double
            switch next {
            case .double(let number): value = number
            case .integer(let number): value = Double(number)
            default: value = -1
            }
            guard (0...1).contains(value), quantiles.count < 8 else {
                throw .invalid("quantile_over_time takes a field and quantiles from 0 to 1")
            }
            position += 1
            quantiles.append(value)
        }
        guard !quantiles.isEmpty else { throw .invalid("quantile_over_time takes a field and quantiles from 0 to 1") }
        return .init(measure: .quantile(quantiles), field: field)
    }

    /// `compare({selection}, values, start, end)`; the times are those of the request.
    private mutating func comparison() throws(QueryError) -> TraceQL.Metric {
        guard case .filter(let selection) = try primary(depth: 0), !selection.needsTrace else {
            throw .invalid("compare takes a span set about single spans")
        }
        var values = 10
        if take(",") {
            values = min(try whole("compare"), 100)
            var times = 0
            while take(","), times < 2, next != nil {
                position += 1
                times += 1
            }
        }
        return .init(measure: .compare(selection: selection, values: values))
    }

    /// `topk(n)` and `bottomk(n)` behind a metric.
    private mutating func second(behind metric: TraceQL.Metric) throws(QueryError) {
        let stage = try name()
        guard stage == "topk" || stage == "bottomk" else {
            throw .invalid("'\(stage)' cannot stand behind a metric; topk(n) and bottomk(n) can, and comparisons with a number")
        }
        try expect("(")
        let count = try whole(stage)
        try expect(")")
        try add(.best(count: count, isLargest: stage == "topk"), behind: metric)
    }

    /// `> 5` behind a metric.
    private mutating func filter(_ metric: TraceQL.Metric, _ symbol: String) throws(QueryError) {
        let isNegative = take("-")
        let number: Double
        switch next {
        case .duration(let nanoseconds): number = nanoseconds / 1e9
        case .integer(let value): number = Double(value)
        case .double(let value): number = value
        default: throw .invalid("a metric can only be compared with a number, where the query has \(rest)")
        }
        position += 1
        try add(.filter(symbol: symbol, number: isNegative ? -number : number), behind: metric)
    }

    private mutating func add(_ stage: TraceQL.SeriesStage, behind metric: TraceQL.Metric) throws(QueryError) {
        if case .compare = metric.measure { throw .invalid("nothing can stand behind compare()") }
        guard metric.stages.count < Self.stagesMax else { throw .invalid("the query has more than \(Self.stagesMax) stages") }
        self.metric?.stages.append(stage)
    }

    /// Fields up to a closing parenthesis.
    private mutating func fields() throws(QueryError) -> [TraceQLField] {
        var fields: [TraceQLField] = []
        repeat {
            guard fields.count < 32 else { throw .invalid("at most 32 fields") }
            fields.append(try TraceQLField(try name()))
        } while take(",")
        try expect(")")
        return fields
    }
}
