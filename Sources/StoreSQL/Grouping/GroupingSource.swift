/// What a statement groups: `spans`, or a view that shows some of its rows.
struct GroupingSource: Sendable {
    /// As statements name it, in lower case.
    let name: String
    /// What each column shows, by its name in lower case.
    private let columns: [String: SQLExpression.Form]
    /// What holds of every row.
    let conditions: [SQLExpression]
    /// Another name for it in this statement, in lower case.
    var alias: String?

    init(name: String, columns: [String: SQLExpression.Form], conditions: [SQLExpression]) {
        (self.name, self.columns, self.conditions) = (name, columns, conditions)
    }

    static let spans = GroupingSource(
        name: "spans",
        columns: Dictionary(
            SpansColumn.all.enumerated().map { ($0.element.name, .column($0.offset)) }, uniquingKeysWith: { first, _ in first }),
        conditions: [])

    /// What a name means as a column, whatever its letters' case.
    func column(_ name: String) -> SQLExpression.Form? { columns[name.lowercased()] }

    /// Whether a name before a column's means this source.
    func isNamed(_ qualifier: String) -> Bool { qualifier.lowercased() == alias ?? name }
}
