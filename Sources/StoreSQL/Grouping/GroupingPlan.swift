/// What a grouping statement asks of the columns of `spans`. Immutable once made.
final class GroupingPlan {
    /// What a group is told by, and of which affinity it is: SQL compares by that.
    struct Key {
        var expression: SQLExpression
        var affinity: SQLAffinity
    }

    let keys: [Key]
    let aggregates: [SQLAggregate]
    /// All of them hold of every row that counts.
    let conditions: [SQLExpression]
    /// Keys of the attributes that are columns behind those of `SpansColumn.all`.
    let attributes: [String]
    /// By a parameter's token its number among the arguments.
    let parameters: [Int: Int]
    /// The same in SQL, with `?1` and so on for the arguments: keys, then aggregates.
    let plainText: String
    /// Whether there is one row, even of no spans.
    let isOneRow: Bool

    init(
        keys: [Key], aggregates: [SQLAggregate], conditions: [SQLExpression], attributes: [String], parameters: [Int: Int],
        plainText: String, isOneRow: Bool
    ) {
        self.keys = keys
        self.aggregates = aggregates
        self.conditions = conditions
        self.attributes = attributes
        self.parameters = parameters
        self.plainText = plainText
        self.isOneRow = isOneRow
    }

    /// The columns of `spans_grouped` that show the keys.
    var keyNames: [String] { Self.names(of: keys) }

    static func names(of keys: [Key]) -> [String] {
        keys.enumerated().map { GroupedModule.keyName($0.offset, $0.element.affinity) }
    }

    /// Whether groups may come in any order, as by the column that promises none.
    var isUnordered: Bool {
        keys.count == 1 && keys[0].expression.form == .column(SpansColumn.unorderedTraceIndex)
    }
}

/// How SQLite converts what it compares with an expression (its documentation's "type affinity").
enum SQLAffinity {
    case text, integer
    /// Compared as it is.
    case none

    /// In the order of the columns of `spans_grouped`.
    static let all = [text, integer, none]

    init(_ expression: SQLExpression) {
        switch expression.form {
        case .column(let column) where column < SpansColumn.all.count:
            self = SpansColumn.all[column].type.hasPrefix("TEXT") ? .text : .integer
        case .call("cast as integer", _): self = .integer
        default: self = .none
        }
    }
}

extension SQLExpression {
    /// Whether vectors of it can be made; where values are not of the types that this is meant for, that shows only then.
    var isEvaluable: Bool {
        switch form {
        case .constant, .parameter, .column: true
        case .name, .aggregate: false
        case .binary(.other, _, _): false
        case .call(let name, let arguments):
            switch name {
            case "coalesce": arguments.count >= 2 && arguments.allSatisfy(\.isEvaluable)
            case "ifnull": arguments.count == 2 && arguments.allSatisfy(\.isEvaluable)
            case "cast as integer": arguments.count == 1 && arguments.allSatisfy(\.isEvaluable)
            case LikePattern.escapedLike: arguments.count == 3 && arguments.allSatisfy(\.isEvaluable)
            default: false
            }
        case .not, .negated, .binary, .isNull, .isIn, .choice: parts.allSatisfy(\.isEvaluable)
        }
    }
}

extension SQLAggregate {
    /// Whether it can be made of vectors.
    var isEvaluable: Bool {
        guard arguments.allSatisfy(\.isEvaluable), filter?.isEvaluable ?? true, !isDistinct || function == .count else { return false }
        switch function {
        case .count: return arguments.count <= 1 && (!isDistinct || arguments.count == 1)
        case .sum, .total, .avg, .min, .max, .saturatedSum: return arguments.count == 1
        case .percentile:
            guard arguments.count == 2, case .constant(let percent) = arguments[1].form else { return false }
            if case .text = percent { return false }
            return percent != .null
        case .firstOf: return arguments.count == 5 && arguments[4].form == .column(SpansColumn.spanIDIndex)
        }
    }
}
