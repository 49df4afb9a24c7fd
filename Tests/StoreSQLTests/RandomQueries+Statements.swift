/// Whole statements, each of a kind that people ask.
extension RandomQueries {
    /// A statement, and whether its rows come in an order of their own.
    mutating func next() -> (sql: String, isOrdered: Bool) {
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<10: rows()
        case 10..<17: (groups(), false)
        case 17..<24: groupedByColumn()
        case 24..<30: (distinct(), false)
        case 30..<59: (join(), false)
        case 59..<62: (joinByAttribute(), false)
        case 62..<70: (compound(), false)
        case 70..<76: (commonTable(), false)
        case 76..<82: (window(), false)
        case 82..<87: (json(), false)
        case 87..<91: (limited(), false)
        default: (overView(), false)
        }
    }

    private mutating func anyTable() -> Table { chance(75) ? Self.spans : Self.logs }

    private mutating func list(_ table: Table, _ alias: String, _ count: ClosedRange<Int> = 1...4) -> String {
        var columns = some(count, of: table.columns).map { "\(alias).\($0)" }
        if table.hasAttributes && chance(20) {
            columns.append(attributeCall(alias))
            if chance(40) { columns.append("\(attributeCall(alias)) \(comparison()) \(alias).\(pick(table.columns))") }
        }
        return columns.joined(separator: ", ")
    }

    private mutating func rows() -> (sql: String, isOrdered: Bool) {
        let table = anyTable()
        let query = "SELECT \(list(table, "a")) FROM \(table.name) a WHERE \(conditions(table, "a"))"
        guard chance(60) else { return (query, false) }
        let direction = pick(["", " DESC"])
        let directions = ["", " ASC", " DESC", " NULLS LAST", " DESC NULLS FIRST"]
        let orders = some(0...2, of: table.columns).map { "a.\($0)\(pick(directions))" }
        let key = table.key.map { "a.\($0)\(direction)" }
        let limit = chance(70) ? " LIMIT \(pick([0, 1, 3, 20, -1])) OFFSET \(pick([0, 0, 2, 50]))" : ""
        return ("\(query) ORDER BY \((orders + key).joined(separator: ", "))\(limit)", true)
    }

    private mutating func aggregates(_ table: Table, _ alias: String) -> String {
        let integer = pick(table.integers)
        let text = pick(table.texts)
        return some(
            1...4,
            of: [
                "count(*)", "count(\(alias).\(text))", "count(DISTINCT \(alias).\(text))", "min(\(alias).\(text))",
                "max(\(alias).\(integer))", "avg(\(alias).\(integer))",
                "percentile(\(alias).\(integer), \(pick([0, 1, 50, 95, 100])))",
                "sum(\(alias).\(text) IS NULL)", "count(*) FILTER (WHERE \(condition(table, alias, depth: 2)))",
                "total(\(alias).\(integer))", "max(\(alias).\(text))",
            ]
        ).joined(separator: ", ")
    }

    private mutating func groups() -> String {
        let table = anyTable()
        let columns = some(1...3, of: table.texts + table.integers.suffix(3)).map { "a.\($0)" }.joined(separator: ", ")
        let having = chance(30) ? " HAVING count(*) \(pick([">", "<", "="])) \(pick([1, 2, 5]))" : ""
        let query = "SELECT \(columns), \(aggregates(table, "a")) FROM \(table.name) a WHERE \(conditions(table, "a"))"
        return "\(query) GROUP BY \(columns)\(having)"
    }

    private mutating func distinct() -> String {
        let table = anyTable()
        if chance(40) { return "SELECT \(aggregates(table, "a")) FROM \(table.name) a WHERE \(conditions(table, "a"))" }
        return "SELECT DISTINCT \(list(table, "a", 1...2)) FROM \(table.name) a WHERE \(conditions(table, "a"))"
    }

    // MARK: Joins

    /// Two tables, or three, on a column that both have, with more conditions in ON.
    private mutating func join() -> String {
        let kinds = ["JOIN", "LEFT JOIN", "LEFT JOIN", "LEFT OUTER JOIN", "RIGHT JOIN", "FULL JOIN", "FULL OUTER JOIN"]
        var tables = [(anyTable(), "a")]
        var from = "\(source(tables[0].0)) a"
        for alias in chance(30) ? ["b", "c"] : ["b"] {
            let table = anyTable()
            let (left, leftAlias) = pick(tables)
            var on = [equality(left, leftAlias, table, alias)]
            tables.append((table, alias))
            if chance(60) {
                // What virtual tables are told of without being told that it stands in ON.
                let (other, otherAlias) = pick(tables)
                let column = pick(other.texts)
                let test = pick(["IS NOT NULL", "LIKE \(pattern(other, column))", "GLOB '[a-s]*'", "<> 'x'"])
                on.append("\(Self.begin)\(otherAlias).\(column) \(test)\(Self.end)")
            }
            for _ in 0..<Int.random(in: 0...1, using: &random) {
                let (other, otherAlias) = pick(tables)
                on.append(condition(other, otherAlias))
            }
            if chance(20), table.hasAttributes, let (other, otherAlias) = tables.first {
                let sides = [attributeCall(alias), chance(25) ? attributeCall(otherAlias) : "\(otherAlias).\(pick(other.texts))"]
                let (left, right) = chance(50) ? (sides[0], sides[1]) : (sides[1], sides[0])
                on.append("\(Self.begin)\(left) \(comparison()) \(right)\(Self.end)")
            }
            if chance(20), let (other, otherAlias) = tables.first {
                let (left, right) = ("\(otherAlias).\(pick(other.texts))", "\(alias).\(pick(table.texts))")
                on.append("\(Self.begin)\(left) \(pick(["<", "<>", "IS NOT", "LIKE"])) \(right)\(Self.end)")
            }
            from += " \(pick(kinds)) \(source(table)) \(alias) ON \(on.shuffled(using: &random).joined(separator: " AND "))"
        }
        let wanted = tables.map { "\($0.1).\($0.0.key[1])" }.joined(separator: ", ")
        let (filtered, filteredAlias) = pick(tables)
        let whole = tables.flatMap { table in table.0.key.map { "\(table.1).\($0)" } }
        switch Int.random(in: 0..<4, using: &random) {
        case 0: return "SELECT count(*), \(tables.map { "count(\($0.1).trace_id)" }.joined(separator: ", ")) FROM \(from)"
        case 1:
            let last = tables[tables.count - 1]
            let rest = conditions(filtered, filteredAlias, 0...1)
            return "SELECT \(wanted) FROM \(from) WHERE \(last.1).\(pick(last.0.key)) IS NULL AND \(rest)"
        case 2: return "SELECT \(whole.joined(separator: ", ")) FROM \(from) WHERE \(conditions(filtered, filteredAlias))"
        default:
            return "SELECT \(filteredAlias).\(pick(filtered.texts)), \(aggregates(tables[0].0, "a")) FROM \(from) GROUP BY 1"
        }
    }

    /// Spans joined with what has one of their attributes in a column of its own.
    private mutating func joinByAttribute() -> String {
        let (left, right) = (anyTable(), anyTable())
        let column = pick(right.columns.filter { ["session_id", "span_id", "tool_name", "name", "body", "kind", "flags"].contains($0) })
        let call = attributeCall("a")
        // Each column by its name: of hidden ones, i.* shows none.
        let columns = left.columns.map { "i.\($0)" }.joined(separator: ", ")
        let source = chance(30) ? "(SELECT \(attributeCall("i")) AS k, \(columns), i.attributes FROM \(left.name) i)" : left.name
        let key = source == left.name ? call : pick(["a.k", call])
        let on = pick(["\(key) = b.\(column)", "b.\(column) = \(key)", "b.\(column) = \(key) AND \(condition(right, "b"))"])
        let from = "\(source) a \(pick(["JOIN", "LEFT JOIN"])) \(right.name) b ON \(on)"
        if chance(50) { return "SELECT count(*), count(b.\(column)), min(\(call)) FROM \(from)" }
        return "SELECT a.\(left.key[1]), b.\(column), \(call) FROM \(from) WHERE \(conditions(left, "a", 0...1))"
    }

    /// A table, or a subquery that shows all of its columns and one that says whether another is NULL.
    private mutating func source(_ table: Table) -> String {
        guard chance(15) else { return table.name }
        let columns = table.columns.map { "i.\($0)" }.joined(separator: ", ")
        let attributes = table.hasAttributes ? ", i.attributes" : ""
        return "(SELECT \(columns)\(attributes) FROM \(table.name) i WHERE \(conditions(table, "i", 0...1)))"
    }

    private mutating func equality(_ left: Table, _ leftAlias: String, _ right: Table, _ rightAlias: String) -> String {
        let rightColumn = pick(["trace_id", "span_id", "span_id"])
        let leftColumn = rightColumn == "span_id" && left.name == "spans" && chance(60) ? "parent_span_id" : rightColumn
        return "\(rightAlias).\(rightColumn) = \(leftAlias).\(leftColumn)"
    }

    // MARK: Others

    private mutating func compound() -> String {
        let (left, right) = (anyTable(), anyTable())
        let count = Int.random(in: 1...2, using: &random)
        func query(_ table: Table, _ queries: inout RandomQueries) -> String {
            let columns = queries.some(count...count, of: table.texts).map { "a.\($0)" }.joined(separator: ", ")
            return "SELECT \(columns) FROM \(table.name) a WHERE \(queries.conditions(table, "a", 0...2))"
        }
        return "\(query(left, &self)) \(pick(["UNION", "UNION ALL", "INTERSECT", "EXCEPT"])) \(query(right, &self))"
    }

    private mutating func commonTable() -> String {
        let table = anyTable()
        let columns = table.columns.map { chance(10) && table.hasAttributes ? "attr(\(pick(["i.", ""]))attributes, 'key.1') AS \($0)" : "i.\($0)" }
            .joined(separator: ", ")
        let materialized = pick(["", "MATERIALIZED ", "NOT MATERIALIZED "])
        let inner = "WITH c AS \(materialized)(SELECT \(columns) FROM \(table.name) i WHERE \(conditions(table, "i")))"
        let plain = Table(name: "c", texts: table.texts, integers: table.integers)
        if chance(50) {
            let on = "s.span_id = c.span_id AND \(condition(plain, "c")) AND \(condition(Self.spans, "s"))"
            return "\(inner) SELECT \(aggregates(plain, "c")) FROM c \(pick(["LEFT JOIN", "JOIN", "FULL JOIN"])) spans s ON \(on)"
        }
        return "\(inner) SELECT \(list(plain, "c")) FROM c WHERE \(conditions(plain, "c"))"
    }

    private mutating func window() -> String {
        let table = anyTable()
        let key = table.key.map { "a.\($0)" }.joined(separator: ", ")
        let partition = chance(70) ? "PARTITION BY a.\(pick(table.texts)) " : ""
        let call = pick(["row_number()", "lag(a.\(pick(table.columns)))", "count(*)", "max(a.\(pick(table.integers)))", "dense_rank()"])
        let query = "SELECT \(key), \(call) OVER (\(partition)ORDER BY \(key))"
        return "\(query) FROM \(table.name) a WHERE \(conditions(table, "a"))"
    }

    private mutating func json() -> String {
        let table = anyTable()
        let end = "WHERE \(conditions(table, "a", 0...2))"
        switch Int.random(in: 0..<4, using: &random) {
        case 0:
            let path = "'$.\"\(pick(["key.1", "key.2", "key.7"]))\"'"
            return "SELECT a.trace_id, json_extract(a.attributes, \(path)) FROM \(table.name) a \(end)"
        case 1:
            let from = "\(table.name) a, json_each(a.attributes) j"
            return "SELECT j.key, count(*), min(j.type) FROM \(from) \(end) AND j.key LIKE 'key._' GROUP BY j.key"
        case 2: return "SELECT a.trace_id, a.attributes, a.resource_attributes FROM \(table.name) a \(end)"
        default:
            let on = "j.key = 'key.1' AND \(condition(Self.spans, "a"))"
            return "SELECT a.span_id, j.value FROM spans a LEFT JOIN json_each(a.attributes) j ON \(on)"
        }
    }

    /// Of rows without an order only their number is one answer.
    private mutating func limited() -> String {
        let table = chance(60) ? anyTable() : pick(Self.views)
        let inner = "SELECT \(list(table, "a", 1...2)) FROM \(table.name) a WHERE \(conditions(table, "a", 0...2))"
        return "SELECT count(*) FROM (\(inner) LIMIT \(pick([0, 1, 7, 40])) OFFSET \(pick([0, 1, 30])))"
    }

    private mutating func overView() -> String {
        let view = pick(Self.views)
        switch Int.random(in: 0..<3, using: &random) {
        case 0: return "SELECT \(list(view, "a", 2...4)) FROM \(view.name) a WHERE \(conditions(view, "a"))"
        case 1:
            let column = pick(view.texts)
            let query = "SELECT a.\(column), \(aggregates(view, "a")) FROM \(view.name) a"
            return "\(query) WHERE \(conditions(view, "a")) GROUP BY a.\(column)"
        default:
            guard let column = ["trace_id", "session_id", "service_name"].first(where: view.texts.contains) else {
                return "SELECT count(*) FROM \(view.name) a"
            }
            let from = "\(view.name) a \(pick(["LEFT JOIN", "RIGHT JOIN", "JOIN"])) spans b"
            let on = "b.\(column) = a.\(column) AND \(condition(view, "a")) AND \(condition(Self.spans, "b"))"
            return "SELECT count(*), count(a.\(column)), count(b.\(column)) FROM \(from) ON \(on)"
        }
    }
}
