/// An expression of a statement: what is said, and where it stands.
struct SQLExpression: Equatable, Sendable {
    indirect enum Form: Equatable, Sendable {
        case constant(SQLScalar)
        /// By the number of its token.
        case parameter(Int)
        /// A column of `spans` by its position, attributes behind the others, as a plan has them.
        case column(Int)
        /// A name that is no column.
        case name(String)
        case not(SQLExpression)
        case negated(SQLExpression)
        case binary(SQLOperator, SQLExpression, SQLExpression)
        case isNull(SQLExpression)
        case isIn(SQLExpression, [SQLExpression])
        case choice([(when: SQLExpression, then: SQLExpression)], otherwise: SQLExpression?)
        case call(String, [SQLExpression])
        case aggregate(SQLAggregate)

        static func == (left: Form, right: Form) -> Bool {
            switch (left, right) {
            case (.constant(let left), .constant(let right)): left == right
            case (.parameter(let left), .parameter(let right)): left == right
            case (.column(let left), .column(let right)): left == right
            case (.name(let left), .name(let right)): left == right
            case (.not(let left), .not(let right)), (.negated(let left), .negated(let right)), (.isNull(let left), .isNull(let right)):
                left == right
            case (.binary(let left, let leftOne, let leftTwo), .binary(let right, let rightOne, let rightTwo)):
                left == right && leftOne == rightOne && leftTwo == rightTwo
            case (.isIn(let left, let leftList), .isIn(let right, let rightList)): left == right && leftList == rightList
            case (.choice(let left, let leftElse), .choice(let right, let rightElse)):
                leftElse == rightElse && left.elementsEqual(right) { $0.when == $1.when && $0.then == $1.then }
            case (.call(let left, let leftArguments), .call(let right, let rightArguments)):
                left == right && leftArguments == rightArguments
            case (.aggregate(let left), .aggregate(let right)): left == right
            default: false
            }
        }
    }

    var form: Form
    /// The tokens it is written with.
    var tokens: Range<Int>

    /// Wherever they stand.
    static func == (left: SQLExpression, right: SQLExpression) -> Bool { left.form == right.form }

    /// Its parts, in the order in which they are written.
    var parts: [SQLExpression] {
        switch form {
        case .constant, .parameter, .column, .name: []
        case .not(let part), .negated(let part), .isNull(let part): [part]
        case .binary(_, let left, let right): [left, right]
        case .isIn(let value, let list): [value] + list
        case .choice(let cases, let otherwise): cases.flatMap { [$0.when, $0.then] } + (otherwise.map { [$0] } ?? [])
        case .call(_, let arguments): arguments
        case .aggregate(let aggregate): aggregate.arguments + (aggregate.filter.map { [$0] } ?? [])
        }
    }

    /// Whether it, or a part of it, fulfils a condition.
    func contains(_ condition: (SQLExpression) -> Bool) -> Bool {
        condition(self) || parts.contains { $0.contains(condition) }
    }

    var hasAggregate: Bool {
        contains { if case .aggregate = $0.form { true } else { false } }
    }

    /// The conditions that it joins by AND.
    var conjuncts: [SQLExpression] {
        guard case .binary(.and, let left, let right) = form else { return [self] }
        return left.conjuncts + right.conjuncts
    }
}

/// What stands between two expressions.
enum SQLOperator: String, Sendable {
    case or, and
    case equal = "=", unequal = "<>"
    case isSame = "is", isNotSame = "is not"
    case less = "<", lessOrEqual = "<=", greater = ">", greaterOrEqual = ">="
    case like
    case plus = "+", minus = "-", times = "*", divided = "/", remainder = "%"
    /// One that is only passed on: `||`, `->` and those of bits.
    case other
}

/// A call of an aggregate function.
struct SQLAggregate: Equatable, Sendable {
    enum Function: String, Sendable {
        case count, sum, total, avg, min, max, percentile
        case saturatedSum = "saturated_sum"
        case firstOf = "first_of"
    }

    var function: Function
    /// None for `count(*)`.
    var arguments: [SQLExpression]
    var isDistinct = false
    /// The condition behind FILTER.
    var filter: SQLExpression?
}
