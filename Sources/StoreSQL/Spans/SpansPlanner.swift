import CSQLite
import SQLite

/// Tells SQLite's planner what a scan of `spans` can do for a query.
enum SpansPlanner {
    /// Fills in what the planner asked for: which conditions a scan takes, in which order it gives rows, and what that costs.
    static func plan(_ info: UnsafeMutablePointer<sqlite3_index_info>, _ context: SpansModule.Context) -> SpansPlan {
        // Without the catalog the plan is only less well chosen; the scan says what is wrong with the file.
        try? context.catalog.refresh()
        let spans = context.catalog.entries.reduce(0) { $0 + $1.spanCount }
        var plan = SpansPlan()
        var rows = Double(max(spans, 1))
        for index in 0..<Int(info.pointee.nConstraint) {
            let constraint = info.pointee.aConstraint[index]
            guard constraint.usable != 0, let source = source(Int(constraint.iColumn), context),
                let comparison = comparison(constraint, source, info, index),
                !comparison.mayBeOfAnotherTable || !context.outerJoins.mayOccur(),
                comparison != .equal && comparison != .isIn || rightSide(info, index) != nil || !context.outerJoins.mayUseRowListTwice()
            else { continue }
            plan.terms.append(SpansPlan.Term(comparison: comparison, column: Int(constraint.iColumn)))
            info.pointee.aConstraintUsage[index].argvIndex = Int32(plan.terms.count)
            if isExact(comparison, source, rightSide(info, index)) { info.pointee.aConstraintUsage[index].omit = 1 }
            rows /= selectivity(comparison, source)
        }
        plan.readsColumns = info.pointee.colUsed != 0
        let isSelective = rows * 4 < Double(spans)
        plan.groupsTraces = !isSelective && groupsTraces(info)
        if !plan.groupsTraces { plan.orders = orders(info, spans: spans, isSelective: isSelective, context) }
        info.pointee.orderByConsumed = plan.groupsTraces || !plan.orders.isEmpty ? 1 : 0
        info.pointee.estimatedCost = max(rows, 1)
        info.pointee.estimatedRows = Int64(max(rows, 1))
        return plan
    }

    private static func source(_ index: Int, _ context: SpansModule.Context) -> SpansColumn.Source? {
        if SpansColumn.all.indices.contains(index) { return SpansColumn.all[index].source }
        let position = index - SpansColumn.all.count
        return context.attributes.indices.contains(position) ? context.attributes[position].source : nil
    }

    // MARK: Conditions

    /// Whether a scan knows what conditions on a column say of its rows.
    static func takesConditions(_ source: SpansColumn.Source) -> Bool {
        switch source {
        case .traceID, .spanID, .parentSpanID, .serviceName, .scopeName, .text, .ending, .startTime, .endTime, .duration, .integer,
            .countsTokens, .isRun, .latestKnownTime, .attribute, .attributeType:
            true
        case .scopeVersion, .callName, .callWorkflow, .attributes, .resourceAttributes, .scopeAttributes, .events, .links,
            .firstAttribute, .storedOrAttribute, .flag:
            false
        }
    }

    private static func comparison(
        _ constraint: sqlite3_index_constraint, _ source: SpansColumn.Source,
        _ info: UnsafeMutablePointer<sqlite3_index_info>, _ index: Int
    ) -> SpansPlan.Comparison? {
        if case .attributes = source { return Int32(constraint.op) == SQLITE_INDEX_CONSTRAINT_LIKE ? .like : nil }
        guard takesConditions(source) else { return nil }
        let isText: Bool
        switch source {
        case .startTime, .endTime, .duration, .latestKnownTime, .integer, .countsTokens, .isRun: isText = false
        default: isText = true
        }
        switch Int32(constraint.op) {
        case SQLITE_INDEX_CONSTRAINT_EQ:
            guard !isText || VirtualTable.isBinary(info, index) else { return nil }
            guard sqlite3_vtab_in(info, Int32(index), -1) != 0 else { return .equal }
            return sqlite3_vtab_in(info, Int32(index), 1) != 0 ? .isIn : .equal
        case SQLITE_INDEX_CONSTRAINT_ISNULL: return .isNull
        case SQLITE_INDEX_CONSTRAINT_ISNOTNULL: return .isNotNull
        case SQLITE_INDEX_CONSTRAINT_LIKE: return isText ? .like : nil
        default: break
        }
        // A text is compared with an attribute that may be a number: only those of its own kind are looked at.
        if isText, case .attribute = source {} else if isText { return nil }
        switch Int32(constraint.op) {
        case SQLITE_INDEX_CONSTRAINT_LT: return .less
        case SQLITE_INDEX_CONSTRAINT_LE: return .lessOrEqual
        case SQLITE_INDEX_CONSTRAINT_GT: return .greater
        case SQLITE_INDEX_CONSTRAINT_GE: return .greaterOrEqual
        default: return nil
        }
    }

    /// The type of the value on the right of a condition, when it stands in the statement.
    static func rightSide(_ info: UnsafeMutablePointer<sqlite3_index_info>, _ index: Int) -> Int32? {
        var value: OpaquePointer?
        guard sqlite3_vtab_rhs_value(info, Int32(index), &value) == SQLITE_OK, let value else { return nil }
        return sqlite3_value_type(value)
    }

    /// Whether the scan alone decides, so that SQLite need not look again: plain columns, compared with a value of their own type.
    static func isExact(_ comparison: SpansPlan.Comparison, _ source: SpansColumn.Source, _ rightSide: Int32?) -> Bool {
        let isNullCheck = comparison == .isNull || comparison == .isNotNull
        switch source {
        case .text, .ending: return isNullCheck || comparison == .equal && rightSide == SQLITE_TEXT
        case .integer, .startTime, .countsTokens: return isNullCheck || comparison != .isIn && rightSide == SQLITE_INTEGER
        default: return false
        }
    }

    /// By how much a condition is taken to shrink the result.
    private static func selectivity(_ comparison: SpansPlan.Comparison, _ source: SpansColumn.Source) -> Double {
        switch (comparison, source) {
        case (.equal, .traceID), (.isIn, .traceID): 10_000
        case (.equal, .spanID), (.isIn, .spanID), (.equal, .parentSpanID), (.isIn, .parentSpanID): 100_000
        case (.equal, _), (.isIn, _): 10
        case (.isNotNull, _): 1.5
        default: 4
        }
    }

    // MARK: Order

    /// Whether the query groups by trace and needs no order of the groups.
    ///
    /// SQLite before 3.41 does not tell a GROUP BY from one with an ORDER BY of the same column, so there is a column that promises none.
    private static func groupsTraces(_ info: UnsafeMutablePointer<sqlite3_index_info>) -> Bool {
        info.pointee.nOrderBy == 1 && Int(info.pointee.aOrderBy[0].iColumn) == SpansColumn.unorderedTraceIndex
            && sqlite3_vtab_distinct(info) == 1
    }

    /// The columns in whose order the scan can give rows, when the query wants some; also for GROUP BY and DISTINCT.
    private static func orders(
        _ info: UnsafeMutablePointer<sqlite3_index_info>, spans: Int, isSelective: Bool, _ context: SpansModule.Context
    ) -> [SpansPlan.Order] {
        let orders = (0..<Int(info.pointee.nOrderBy)).map { index in
            let term = info.pointee.aOrderBy[index]
            return SpansPlan.Order(column: Int(term.iColumn), isDescending: term.desc != 0)
        }
        if orders.count == 1, case .startTime = source(orders[0].column, context) { return orders }
        guard orders.count <= GroupedRows.columnsMax, spans <= GroupedRows.spansMax else { return [] }
        let areTexts = orders.allSatisfy { order in
            switch source(order.column, context) {
            // Few rows of many traces are sorted faster than they are found again in many segments.
            case .traceID: !isSelective
            case .serviceName, .text, .ending, .callName, .callWorkflow: true
            default: false
            }
        }
        return areTexts ? orders : []
    }
}
