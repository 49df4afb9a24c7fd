/// SQL's arithmetic over vectors.
enum VectorArithmetic {
    /// - Throws: `NotByColumn` for texts, and where integers run over, which SQLite goes on with as doubles.
    static func result(_ operation: SQLOperator, _ left: Vector, _ right: Vector, _ count: Int) throws -> Vector {
        if let left = left.integers(count), let right = right.integers(count) { return try integers(operation, left, right, count) }
        return Vector(.scalars(try (0..<count).map { try scalar(operation, left.scalar($0), right.scalar($0)) }))
    }

    private static func integers(
        _ operation: SQLOperator, _ left: (values: [Int64], isNull: [Bool]?), _ right: (values: [Int64], isNull: [Bool]?), _ count: Int
    ) throws -> Vector {
        var values = [Int64](repeating: 0, count: count)
        var isNull = [Bool](repeating: false, count: count)
        var hasNull = false
        for row in 0..<count {
            if left.isNull?[row] == true || right.isNull?[row] == true {
                isNull[row] = true
                hasNull = true
            } else if let value = try integer(operation, left.values[row], right.values[row]) {
                values[row] = value
            } else {
                isNull[row] = true
                hasNull = true
            }
        }
        return Vector(.integers(values), isNull: hasNull ? isNull : nil)
    }

    /// `nil` for NULL, which a division by zero gives.
    @inline(__always)
    private static func integer(_ operation: SQLOperator, _ left: Int64, _ right: Int64) throws -> Int64? {
        let (value, runsOver): (Int64, Bool)
        switch operation {
        case .plus: (value, runsOver) = left.addingReportingOverflow(right)
        case .minus: (value, runsOver) = left.subtractingReportingOverflow(right)
        case .times: (value, runsOver) = left.multipliedReportingOverflow(by: right)
        case .divided:
            if right == 0 { return nil }
            (value, runsOver) = left.dividedReportingOverflow(by: right)
        default:
            if right == 0 { return nil }
            if right == -1 { return 0 }
            return left % right
        }
        guard !runsOver else { throw NotByColumn() }
        return value
    }

    private static func scalar(_ operation: SQLOperator, _ left: SQLScalar, _ right: SQLScalar) throws -> SQLScalar {
        if left.isNull || right.isNull { return .null }
        if case .integer(let left) = left, case .integer(let right) = right {
            return try integer(operation, left, right).map { .integer($0) } ?? .null
        }
        // SQLite takes the remainder of integers, whatever stands there.
        guard operation != .remainder, let left = double(left), let right = double(right) else { throw NotByColumn() }
        let value: Double
        switch operation {
        case .plus: value = left + right
        case .minus: value = left - right
        case .times: value = left * right
        default:
            if right == 0 { return .null }
            value = left / right
        }
        return value.isNaN ? .null : .double(value)
    }

    private static func double(_ scalar: SQLScalar) -> Double? {
        switch scalar {
        case .integer(let integer): Double(integer)
        case .double(let double): double
        case .null, .text: nil
        }
    }
}
