import TelemetryModel

/// The conditions of one span set, and what each comparison in them means.
indirect enum TraceQLFilter: Equatable, Sendable {
    case always, never
    /// SQL over the columns of a span, 1 or 0.
    case sql(SQLCondition)
    /// The same where something cheaper says which spans may meet it: a condition that a scan takes column by column.
    case attribute(SQLCondition, candidates: SQLCondition)
    /// A comparison that needs the whole trace.
    case computed(TraceQLField.Computed, TraceQLComparison)
    /// Of expressions that need the whole trace.
    case equation(TraceQLEquation)
    /// What the parent meets; none where it is not there.
    case parent(TraceQLFilter)
    case all([TraceQLFilter])
    case any([TraceQLFilter])
    case not(TraceQLFilter)

    /// Conditions that need the whole trace stand in it.
    var needsTrace: Bool {
        switch self {
        case .always, .never, .sql, .attribute: false
        case .computed, .equation, .parent: true
        case .all(let parts), .any(let parts): parts.contains(where: \.needsTrace)
        case .not(let part): part.needsTrace
        }
    }

    /// The filter as SQL, where it needs no trace; `nil` for every span.
    var condition: SQLCondition? {
        switch self {
        case .always: return nil
        case .never: return SQLCondition("0")
        case .sql(let condition), .attribute(let condition, _): return condition
        case .computed, .equation, .parent: return nil
        case .all(let parts): return SQLCondition.all(parts.compactMap(\.condition))
        case .any(let parts):
            let conditions = parts.map(\.condition)
            return conditions.contains(nil) ? nil : SQLCondition.any(conditions.compactMap { $0 })
        case .not(let part):
            guard let condition = part.condition else { return SQLCondition("0") }
            return SQLCondition("NOT coalesce(\(condition.sql), 0)", condition.values)
        }
    }

    /// SQL that every span meets which meets the filter, and perhaps others; `nil` for every span.
    var superset: SQLCondition? {
        switch self {
        case .all(let parts): return SQLCondition.all(parts.compactMap(\.superset))
        case .any(let parts):
            let conditions = parts.map(\.superset)
            return conditions.contains(nil) ? nil : SQLCondition.any(conditions.compactMap { $0 })
        case .computed, .equation, .parent: return nil
        case .attribute(_, let candidates): return candidates
        case .not(let part): return part.needsTrace ? nil : condition
        case .always, .never, .sql: return condition
        }
    }

    /// How long a trace with a span that meets the filter lasts at least, in nanoseconds; `nil` when it does not say.
    var durationMinimum: Int64? {
        switch self {
        case .computed(.traceDuration, let comparison):
            guard [">", ">=", "="].contains(comparison.symbol), case .number(let number) = comparison.operand, let value = number.double,
                value >= 1, value < 0x1p62
            else { return nil }
            return Int64(value)
        case .all(let parts): return parts.compactMap(\.durationMinimum).max()
        case .always, .never, .sql, .attribute, .computed, .equation, .parent, .any, .not: return nil
        }
    }

    /// SQL that another span of a trace meets, where the filter asks for a root by name or for a parent; such a trace need not be looked for by all its spans.
    var rootCondition: SQLCondition? {
        switch self {
        case .computed(.rootName, let comparison): return comparison.sql("name").map(Self.ofRoot)
        case .computed(.rootServiceName, let comparison): return comparison.sql("service_name").map(Self.ofRoot)
        case .parent(let part): return part.superset
        case .all(let parts): return parts.lazy.compactMap(\.rootCondition).first
        case .always, .never, .sql, .attribute, .computed, .equation, .any, .not: return nil
        }
    }

    private static func ofRoot(_ condition: SQLCondition) -> SQLCondition {
        SQLCondition("(parent_span_id IS NULL AND \(condition.sql))", condition.values)
    }
}

/// An operator and what stands at its right.
struct TraceQLComparison: Equatable, Sendable {
    enum Operand: Equatable, Sendable {
        case text(String)
        case number(QueryValue)
        case flag(Bool)
        /// A regular expression over whole texts.
        case pattern(String)
    }

    /// `=`, `!=`, `<`, `<=`, `>` or `>=`; `=` and `!=` for patterns.
    var symbol: String
    var operand: Operand

    /// Over a column of one type. NULL where there is no value, so that a scan of spans can take it as it stands.
    func sql(_ value: String, _ values: [QueryValue] = []) -> SQLCondition? {
        let word = symbol == "!=" ? "<>" : symbol
        switch operand {
        case .text(let text): return SQLCondition("\(value) \(word) ?", values + [.text(text)])
        case .number(let number): return SQLCondition("\(value) \(word) ?", values + [number])
        case .flag(let flag): return SQLCondition("\(value) \(word) ?", values + [.integer(flag ? 1 : 0)])
        case .pattern(let pattern):
            let matches = "traceql_matches(\(value), ?)"
            return SQLCondition(symbol == "=" ? "coalesce(\(matches), 0)" : "coalesce(NOT \(matches), 0)", values + [.text(pattern)])
        }
    }

    /// What `traceql_compare` takes behind the object and the key.
    var arguments: [QueryValue] {
        switch operand {
        case .text(let text): [.text(symbol), .text(text)]
        case .number(let number): [.text(symbol), number]
        case .flag(let flag): [.text(symbol + "?"), .integer(flag ? 1 : 0)]
        case .pattern(let pattern): [.text(symbol + "~"), .text(pattern)]
        }
    }

    /// Whether a value of a whole trace meets it.
    func isMet(by value: QueryValue, _ patterns: [String: Pattern]) -> Bool {
        switch (operand, value) {
        case (.text(let wanted), .text(let text)): return TraceQLFunctions.compare(symbol, text, wanted)
        case (.number(let wanted), .integer), (.number(let wanted), .double):
            return TraceQLFunctions.compare(symbol, value, wanted)
        case (.pattern(let pattern), .text(let text)):
            return (patterns[pattern]?.matchesWhole(text.utf8) ?? false) == (symbol == "=")
        default: return false
        }
    }
}
