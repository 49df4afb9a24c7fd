/// What a query lets the virtual table skip: handed from SQLite's planner to the scan as text.
struct SpansPlan {
    enum Term: Equatable {
        /// Only spans of the trace that the argument names.
        case trace
        /// Bounds of the start time; whether the bound itself is in.
        case startAbove(inclusive: Bool)
        case startBelow(inclusive: Bool)
        /// Only spans whose text in this column is the argument.
        case equals(column: Int)
    }

    /// One for each argument of the scan, in order.
    var terms: [Term] = []
    /// False when the query reads no column, as `count(*)` does.
    var readsColumns = true

    var text: String {
        terms.map { term in
            switch term {
            case .trace: "t"
            case .startAbove(let inclusive): inclusive ? "A" : "a"
            case .startBelow(let inclusive): inclusive ? "B" : "b"
            case .equals(let column): "e\(column)"
            }
        }.joined(separator: ",") + (readsColumns ? "" : ";count")
    }

    init() {}

    init(text: String) {
        let parts = text.split(separator: ";", omittingEmptySubsequences: false)
        readsColumns = parts.count < 2
        for word in (parts.first ?? "").split(separator: ",") {
            switch word.first {
            case "t": terms.append(.trace)
            case "A": terms.append(.startAbove(inclusive: true))
            case "a": terms.append(.startAbove(inclusive: false))
            case "B": terms.append(.startBelow(inclusive: true))
            case "b": terms.append(.startBelow(inclusive: false))
            case "e": terms.append(.equals(column: Int(word.dropFirst()) ?? 0))
            default: break
            }
        }
    }
}
