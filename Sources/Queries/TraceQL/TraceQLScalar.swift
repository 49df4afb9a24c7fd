import TelemetryModel

/// A number that a query works out of a group of spans: aggregates, numbers, and what is calculated of them.
indirect enum TraceQLScalar: Sendable {
    enum Aggregate: String, Sendable {
        case count, avg, min, max, sum
    }

    /// As the query wrote it, or worked out of what it wrote.
    case constant(TraceQLExpression)
    /// Of what each span has; `nil` for `count`.
    case aggregate(Aggregate, of: TraceQLExpression?)
    case calculated(TraceQLExpression.Operation, TraceQLScalar, TraceQLScalar)

    /// The fields in it.
    var fields: [TraceQLField] {
        switch self {
        case .constant: []
        case .aggregate(_, let measured): measured?.fields ?? []
        case .calculated(_, let left, let right): left.fields + right.fields
        }
    }

    var hasAggregate: Bool {
        switch self {
        case .constant: false
        case .aggregate: true
        case .calculated(_, let left, let right): left.hasAggregate || right.hasAggregate
        }
    }

    /// What is worked out of two others; of two numbers the number.
    static func calculating(
        _ operation: TraceQLExpression.Operation, _ left: TraceQLScalar, _ right: TraceQLScalar
    ) throws(QueryError) -> TraceQLScalar {
        guard case .constant(let one) = left, case .constant(let other) = right else {
            return .calculated(operation, left, right)
        }
        return .constant(try .calculating(operation, one, other))
    }

    static func negating(_ scalar: TraceQLScalar) throws(QueryError) -> TraceQLScalar {
        guard case .constant(let value) = scalar else { return .calculated(.subtract, .constant(.literal(.integer(0))), scalar) }
        return .constant(try .negating(value))
    }

    /// The number for a group of spans; NULL where no span has one.
    ///
    /// - Parameter values: of an expression, those of the group's spans in their order.
    func value(count: Int, _ values: (TraceQLExpression) -> [QueryValue]) -> QueryValue {
        switch self {
        case .constant(let value): value.value { _ in .null }
        case .aggregate(_, nil): .integer(Int64(count))
        case .aggregate(let aggregate, let measured?): Self.aggregated(aggregate, values(measured))
        case .calculated(let operation, let left, let right):
            TraceQLExpression.calculate(operation, left.value(count: count, values), right.value(count: count, values))
        }
    }

    /// Of integers an integer where there is one, of others a double. What is not a number does not count.
    private static func aggregated(_ aggregate: Aggregate, _ values: [QueryValue]) -> QueryValue {
        let doubles = values.compactMap(\.double)
        guard !doubles.isEmpty else { return .null }
        let integers = values.compactMap(\.integer)
        if integers.count == doubles.count, let exact = exactly(aggregate, integers) { return .integer(exact) }
        let sum = doubles.reduce(0, +)
        let value: Double? =
            switch aggregate {
            case .count: Double(doubles.count)
            case .avg: sum / Double(doubles.count)
            case .min: doubles.min()
            case .max: doubles.max()
            case .sum: sum
            }
        return value.flatMap { $0.isFinite ? .double($0) : nil } ?? .null
    }

    /// `nil` where doubles say it better.
    private static func exactly(_ aggregate: Aggregate, _ integers: [Int64]) -> Int64? {
        switch aggregate {
        case .count: return Int64(integers.count)
        case .avg: return nil
        case .min: return integers.min()
        case .max: return integers.max()
        case .sum:
            var sum: Int64 = 0
            for integer in integers {
                let (next, overflow) = sum.addingReportingOverflow(integer)
                if overflow { return nil }
                sum = next
            }
            return sum
        }
    }
}

/// Two numbers of a group, and how they must stand to each other for the group to stay.
struct TraceQLScalarFilter: Sendable {
    let left: TraceQLScalar
    let symbol: String
    let right: TraceQLScalar

    var fields: [TraceQLField] { left.fields + right.fields }

    func isMet(count: Int, _ values: (TraceQLExpression) -> [QueryValue]) -> Bool {
        TraceQLExpression.relates(symbol, left.value(count: count, values), right.value(count: count, values))
    }
}
