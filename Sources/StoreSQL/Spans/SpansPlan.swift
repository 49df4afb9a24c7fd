/// What a query lets the virtual table skip: handed from SQLite's planner to the scan as text.
struct SpansPlan: Equatable {
    /// How a column is compared with its argument. SQLite checks every row again, so a scan may let too many through, never too few.
    enum Comparison: Character, CaseIterable {
        case equal = "e"
        /// The argument is a list.
        case isIn = "i"
        case isNull = "n"
        case isNotNull = "N"
        case less = "<"
        case lessOrEqual = "{"
        case greater = ">"
        case greaterOrEqual = "}"
        /// A pattern of LIKE.
        case like = "l"

        /// Whether SQLite hands such a condition down though it stands in the ON of an outer join on the right of the table, and so
        /// must not take rows away from it: docs/adr/0063.
        var mayBeOfAnotherTable: Bool { self == .isNotNull || self == .like }
    }

    struct Term: Equatable {
        var comparison: Comparison
        /// Position in `SpansColumn.all`, or behind them among the attributes that the table was declared with.
        var column: Int
    }

    /// A column that rows are given in the order of.
    struct Order: Equatable {
        var column: Int
        var isDescending: Bool
    }

    /// One for each argument of the scan, in order.
    var terms: [Term] = []
    /// False when the query reads no column, as `count(*)` does.
    var readsColumns = true
    /// Columns that rows are given in the order of, the first above all.
    var orders: [Order] = []
    /// Whether spans of a trace must follow each other, in whatever order of traces.
    var groupsTraces = false

    var text: String {
        var parts = terms.map { "\($0.comparison.rawValue)\($0.column)" }
        if !readsColumns { parts.append("c") }
        if groupsTraces { parts.append("t") }
        for order in orders { parts.append("\(order.isDescending ? "d" : "a")\(order.column)") }
        return parts.joined(separator: ",")
    }

    init() {}

    init(text: String) {
        for word in text.split(separator: ",") {
            let number = Int(word.dropFirst()) ?? 0
            switch word.first {
            case "c": readsColumns = false
            case "t": groupsTraces = true
            case "a": orders.append(Order(column: number, isDescending: false))
            case "d": orders.append(Order(column: number, isDescending: true))
            case let letter?:
                if let comparison = Comparison(rawValue: letter) { terms.append(Term(comparison: comparison, column: number)) }
            case nil: break
            }
        }
    }
}
