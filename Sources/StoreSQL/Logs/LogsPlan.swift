import CSQLite

/// What a query lets the virtual table `logs` skip: handed from SQLite's planner to the scan as text.
struct LogsPlan: Equatable {
    /// How a column is compared with its argument. SQLite checks every row again, so a scan may let too many through, never too few.
    enum Comparison: Character {
        case equal = "e"
        case less = "<"
        case lessOrEqual = "{"
        case greater = ">"
        case greaterOrEqual = "}"
    }

    struct Term: Equatable {
        var comparison: Comparison
        var column: LogsColumn
    }

    enum Order: Character {
        /// By time, then in the order of arrival.
        case ascending = "a"
        /// The other way round.
        case descending = "d"
    }

    /// One for each argument of the scan, in order.
    var terms: [Term] = []
    /// False when the query reads no column, as `count(*)` does.
    var readsColumns = true
    var order: Order?

    init() {}

    var text: String {
        var parts = terms.map { "\($0.comparison.rawValue)\($0.column.rawValue)" }
        if !readsColumns { parts.append("c") }
        if let order { parts.append("\(order.rawValue)") }
        return parts.joined(separator: ",")
    }

    init(text: String) {
        for word in text.split(separator: ",") {
            guard let letter = word.first else { continue }
            if letter == "c" {
                readsColumns = false
            } else if let order = Order(rawValue: letter) {
                self.order = order
            } else if let comparison = Comparison(rawValue: letter),
                let column = Int(word.dropFirst()).flatMap(LogsColumn.init(rawValue:))
            {
                terms.append(Term(comparison: comparison, column: column))
            }
        }
    }
}

/// Tells SQLite's planner what a scan of `logs` can do for a query.
enum LogsPlanner {
    /// Fills in what the planner asked for.
    ///
    /// - Parameter records: how many there are.
    static func plan(_ info: UnsafeMutablePointer<sqlite3_index_info>, records: Int64, _ outerJoins: OuterJoins) -> LogsPlan {
        var plan = LogsPlan()
        var rows = Double(max(records, 1))
        for index in 0..<Int(info.pointee.nConstraint) {
            let constraint = info.pointee.aConstraint[index]
            guard constraint.usable != 0, let column = LogsColumn(rawValue: Int(constraint.iColumn)),
                let comparison = comparison(constraint, column, info, index),
                comparison != .equal || SpansPlanner.rightSide(info, index) != nil || !outerJoins.mayUseRowListTwice()
            else { continue }
            plan.terms.append(LogsPlan.Term(comparison: comparison, column: column))
            info.pointee.aConstraintUsage[index].argvIndex = Int32(plan.terms.count)
            rows /= comparison == .equal ? (column == .trace_id || column == .span_id ? 10_000 : 10) : 4
        }
        plan.readsColumns = info.pointee.colUsed != 0
        plan.order = order(info)
        info.pointee.orderByConsumed = plan.order == nil ? 0 : 1
        info.pointee.estimatedCost = max(rows, 1)
        info.pointee.estimatedRows = Int64(max(rows, 1))
        return plan
    }

    private static func comparison(
        _ constraint: sqlite3_index_constraint, _ column: LogsColumn, _ info: UnsafeMutablePointer<sqlite3_index_info>,
        _ index: Int
    ) -> LogsPlan.Comparison? {
        let isEqual = Int32(constraint.op) == SQLITE_INDEX_CONSTRAINT_EQ
        switch column {
        case .trace_id, .span_id, .service_name, .event_name:
            return isEqual && VirtualTable.isBinary(info, index) ? .equal : nil
        case .time_unix_nano, .severity_number: break
        default: return nil
        }
        switch Int32(constraint.op) {
        case SQLITE_INDEX_CONSTRAINT_EQ: return .equal
        case SQLITE_INDEX_CONSTRAINT_LT: return .less
        case SQLITE_INDEX_CONSTRAINT_LE: return .lessOrEqual
        case SQLITE_INDEX_CONSTRAINT_GT: return .greater
        case SQLITE_INDEX_CONSTRAINT_GE: return .greaterOrEqual
        default: return nil
        }
    }

    /// By time alone, or by time and row id in one direction.
    private static func order(_ info: UnsafeMutablePointer<sqlite3_index_info>) -> LogsPlan.Order? {
        let count = Int(info.pointee.nOrderBy)
        guard count == 1 || count == 2, Int(info.pointee.aOrderBy[0].iColumn) == LogsColumn.time_unix_nano.rawValue else {
            return nil
        }
        let isDescending = info.pointee.aOrderBy[0].desc
        if count == 2, info.pointee.aOrderBy[1].iColumn != -1 || info.pointee.aOrderBy[1].desc != isDescending { return nil }
        return isDescending != 0 ? .descending : .ascending
    }
}
