/// One of SQL's comparisons over vectors.
struct VectorComparison {
    private let operation: SQLOperator
    private let left: SQLAffinity
    private let right: SQLAffinity

    /// - Parameters:
    ///   - left, right: affinities of what is compared.
    init(_ operation: SQLOperator, _ left: SQLAffinity, _ right: SQLAffinity) {
        (self.operation, self.left, self.right) = (operation, left, right)
    }

    /// Whether values in that order fulfil it.
    private func holds(_ order: Int) -> Bool {
        switch operation {
        case .equal, .isSame: order == 0
        case .unequal, .isNotSame: order != 0
        case .less: order < 0
        case .lessOrEqual: order <= 0
        case .greater: order > 0
        default: order >= 0
        }
    }

    /// The order of two values that are not NULL.
    ///
    /// - Throws: `NotByColumn` where SQLite would convert one of them first.
    func order(_ one: SQLScalar, _ other: SQLScalar) throws -> Int {
        if left != .none || right != .none {
            switch (one, other) {
            case (.text, .text): if left == .integer || right == .integer { throw NotByColumn() }
            case (.text, _), (_, .text): throw NotByColumn()
            default: if left == .text || right == .text { throw NotByColumn() }
            }
        }
        return SQLScalar.order(one, other)
    }

    private func truth(_ one: SQLScalar, _ other: SQLScalar) throws -> SegmentVectors.Truth {
        if one.isNull || other.isNull {
            switch operation {
            case .isSame: return one.isNull && other.isNull ? .yes : .no
            case .isNotSame: return one.isNull && other.isNull ? .no : .yes
            default: return .unknown
            }
        }
        return holds(try order(one, other)) ? .yes : .no
    }

    func result(_ one: Vector, _ other: Vector, _ count: Int) throws -> Vector {
        switch (one.values, other.values) {
        case (.texts(let numbers, let entries), .constant(let scalar)):
            let truths = try entries.map { try truth(.text($0), scalar) }
            let ofNull = try truth(.null, scalar)
            return SegmentVectors.flags(numbers.map { $0 < 0 ? ofNull : truths[Int($0)] })
        case (.integers(let integers), .constant(.integer(let constant))) where right != .text && left != .text:
            return compared(integers, one.isNull, constant)
        default:
            return SegmentVectors.flags(try (0..<count).map { try truth(one.scalar($0), other.scalar($0)) })
        }
    }

    private func compared(_ integers: [Int64], _ isNull: [Bool]?, _ constant: Int64) -> Vector {
        let flags: [Int64] =
            switch operation {
            case .equal, .isSame: integers.map { $0 == constant ? 1 : 0 }
            case .unequal, .isNotSame: integers.map { $0 != constant ? 1 : 0 }
            case .less: integers.map { $0 < constant ? 1 : 0 }
            case .lessOrEqual: integers.map { $0 <= constant ? 1 : 0 }
            case .greater: integers.map { $0 > constant ? 1 : 0 }
            default: integers.map { $0 >= constant ? 1 : 0 }
            }
        guard let isNull else { return Vector(.integers(flags)) }
        switch operation {
        case .isSame: return Vector(.integers(zip(flags, isNull).map { $1 ? 0 : $0 }))
        case .isNotSame: return Vector(.integers(zip(flags, isNull).map { $1 ? 1 : $0 }))
        default: return Vector(.integers(flags), isNull: isNull)
        }
    }

    // MARK: LIKE

    /// - Throws: `NotByColumn` for a value that is no text.
    static func like(_ value: Vector, _ pattern: LikePattern, _ count: Int) throws -> Vector {
        let matches = { (text: [UInt8]) -> SegmentVectors.Truth in pattern.matches(text[...]) ? .yes : .no }
        switch value.values {
        case .texts(let numbers, let entries):
            let truths = entries.map(matches)
            return SegmentVectors.flags(numbers.map { $0 < 0 ? .unknown : truths[Int($0)] })
        default:
            return SegmentVectors.flags(
                try (0..<count).map { row in
                    switch value.scalar(row) {
                    case .null: .unknown
                    case .text(let text): matches(text)
                    case .integer, .double: throw NotByColumn()
                    }
                })
        }
    }
}
