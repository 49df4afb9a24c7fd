/// Statements that group, such as are answered from columns; the comment behind SELECT says that most of them should be.
extension RandomQueries {
    mutating func groupedByColumn() -> (sql: String, isOrdered: Bool) {
        let table = chance(75) ? Self.spans : pick(Self.views.filter { ["timeouts", "token_spans"].contains($0.name) })
        let alias = pick(["a", table.name])
        let keys = some(0...3, of: (0..<3).map { _ in key(table, alias) })
        let aggregates = some(keys.isEmpty ? 1...4 : 0...4, of: (0..<4).map { _ in outer(aggregate(table, alias)) })
        let items = keys.enumerated().map { "\($0.element) AS k\($0.offset)" } + aggregates.enumerated().map { "\($0.element) AS v\($0.offset)" }
        var tests: [String] = []
        for _ in 0..<Int.random(in: 0...2, using: &random) { tests.append(test(table, alias)) }
        if chance(25) { tests.append(condition(table, alias)) }
        let from = alias == table.name ? table.name : "\(table.name)\(pick([" ", " AS "]))\(alias)"
        var query = "SELECT /*grouped*/ \(items.shuffled(using: &random).joined(separator: ", ")) FROM \(from)"
        if !tests.isEmpty { query += " WHERE \(tests.joined(separator: " AND "))" }
        if !keys.isEmpty { query += " GROUP BY \(keys.indices.map { chance(50) ? "k\($0)" : keys[$0] }.joined(separator: ", "))" }
        if chance(30) { query += " HAVING \(pick(["count(*) > 1", "count(*) BETWEEN 1 AND 9", "max(\(alias).\(pick(table.integers))) > 0"]))" }
        if chance(15) { return (wrapped(query, keys.count, aggregates.count), false) }
        guard !keys.isEmpty, chance(40) else { return (query, false) }
        // Keys of all make the order one.
        let orders = keys.indices.map { "k\($0)\(pick(["", " DESC", " ASC NULLS LAST"]))" }
        return ("\(query) ORDER BY \(orders.joined(separator: ", ")) LIMIT \(pick([-1, 1, 5, 50]))", true)
    }

    private mutating func wrapped(_ query: String, _ keyCount: Int, _ aggregateCount: Int) -> String {
        let columns = (0..<keyCount).map { "k\($0)" } + (0..<aggregateCount).map { "v\($0)" }
        switch Int.random(in: 0..<4, using: &random) {
        case 0 where keyCount > 0: return "SELECT q.*, count(s.span_id) FROM (\(query)) q LEFT JOIN spans s ON s.service_name = q.k0 GROUP BY 1, 2"
        case 1 where keyCount > 0:
            let on = "\(pick(["s.session_id", "s.tool_name", "s.kind", "s.name"])) \(pick(["=", "<"])) q.\(pick(columns))"
            return "SELECT count(*), count(s.span_id) FROM (\(query)) q \(pick(["JOIN", "LEFT JOIN"])) spans s ON \(on)"
        case 1, 2: return "WITH q AS (\(query)) SELECT count(*), min(\(pick(columns))), max(\(pick(columns))) FROM q"
        default: return "SELECT * FROM (\(query)) WHERE \(pick(columns)) \(pick(["IS NOT NULL", "> 1", "<> 'x'"]))"
        }
    }

    private mutating func key(_ table: Table, _ alias: String) -> String {
        switch Int.random(in: 0..<10, using: &random) {
        case 0 where table.hasAttributes: return attributeCall(alias)
        case 1:
            let step = pick([1000, 1_000_000, 0, 7])
            return "\(alias).\(pick(table.integers)) \(pick(["/", "%", "-", "+"])) \(step)"
        case 2: return "coalesce(\(alias).\(pick(table.texts)), \(alias).\(pick(table.texts)), 'none')"
        case 3: return "\(alias).\(pick(table.texts)) IS NULL"
        case 4: return "CASE WHEN \(test(table, alias)) THEN \(alias).\(pick(table.texts)) ELSE \(pick(["'other'", "NULL", "3"])) END"
        case 5: return "\(alias).\(pick(table.integers))"
        default: return "\(alias).\(pick(table.texts))"
        }
    }

    /// A condition that vectors are made of.
    private mutating func test(_ table: Table, _ alias: String) -> String {
        let text = "\(alias).\(pick(table.texts))"
        let integerName = pick(table.integers)
        let integer = "\(alias).\(integerName)"
        let test: String
        switch Int.random(in: 0..<10, using: &random) {
        case 0: test = "\(text) IS \(pick(["", "NOT "]))NULL"
        case 1: test = "\(integer) \(comparison()) \(literal(table, integerName))"
        case 2: test = "\(text) \(pick(["<", ">=", "<>", "=", "IS NOT", "IS"])) '\(pick(["web_search", "svc1", "ok", "timeout", ""]))'"
        case 3: test = "\(text) \(pick(["", "NOT "]))IN ('ok', 'error', 'svc1'\(pick([", NULL", ""])))"
        case 4: test = "\(text) \(pick(["", "NOT "]))LIKE '\(pick(["%e%", "w_b%", "%", "S%"]))'"
        case 5: test = "(\(text) IS NULL OR \(integer) > \(pick([0, 1, 1000])))"
        case 6: test = "NOT (\(integer) BETWEEN \(literal(table, integerName)) AND \(literal(table, integerName)))"
        case 7 where table.hasAttributes:
            test = "\(attributeCall(alias)) \(pick(["IS NOT NULL", "= 'x'", "> 3", "<> 1", "LIKE '%1%'", "= \(text)", "< \(text)", "= \(integer)", "IS \(text)"]))"
        case 9 where table.hasAttributes:
            let part = pick(["key.1", "text 3", "EXT", "é", "tool_name", "12", "true", "key.53_", "TOOL", "x\"", "_", "%"])
            let literal = part.replacing("_", with: "\\_").replacing("%", with: "\\%")
            test =
                "(\(text) LIKE '%\(literal)%' ESCAPE '\\' OR \(alias).attributes LIKE \(pick(["'%\(literal)%' ESCAPE '\\'", "'%\(part)%'"])))"
        case 8: test = "\(integer) \(pick(["IN (0, 1, 2)", "= 1.0", "< 2.5", "<> 0"]))"
        default: test = "\(text) = \(literal(table, pick(table.texts)))"
        }
        return "\(Self.begin)\(test)\(Self.end)"
    }

    private mutating func aggregate(_ table: Table, _ alias: String) -> String {
        let integer = "\(alias).\(pick(table.integers))"
        let text = "\(alias).\(pick(table.texts))"
        let call: String
        switch Int.random(in: 0..<14, using: &random) {
        case 0: call = "count(\(pick([text, integer])))"
        case 1: call = "count(DISTINCT \(pick([text, integer])))"
        case 2: call = "sum(\(pick([integer, "\(text) = 'ok'", "\(integer) / 1000", "\(integer) * 0.5"])))"
        case 3: call = "total(\(integer))"
        case 4: call = "avg(\(integer))"
        case 5: call = "min(\(pick([integer, text])))"
        case 6: call = "max(\(pick([integer, text])))"
        case 7: call = "percentile(\(integer), \(pick(["50", "95", "0", "100", "12.5"])))"
        case 8: call = "saturated_sum(\(integer))"
        case 9: call = "max(CASE WHEN \(test(table, alias)) THEN \(pick([text, integer])) END)"
        case 10 where table.hasAttributes: call = "\(pick(["max", "min", "count"]))(\(attributeCall(alias)))"
        case 11 where table.name == "spans":
            let order = "\(alias).parent_span_id IS NOT NULL, \(alias).start_time_unix_nano, \(alias).end_time_unix_nano"
            call = "first_of(\(text), \(order), \(alias).span_id)"
        default: call = "count(*)"
        }
        return chance(15) ? "\(call) FILTER (WHERE \(test(table, alias)))" : call
    }

    /// What people make of an aggregate.
    private mutating func outer(_ aggregate: String) -> String {
        chance(75) ? aggregate : pick(["\(aggregate) / 2", "round(\(aggregate) / 1e6, 2)", "coalesce(\(aggregate), 0)", "typeof(\(aggregate))"])
    }
}
