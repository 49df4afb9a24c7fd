import TelemetryTesting

/// Random statements over `spans`, `logs` and the views, such as people write; the same for the same seed.
///
/// Each condition stands between `begin` and `end`, so that conditions can be taken out of a statement that goes wrong.
struct RandomQueries {
    static let begin: Character = "\u{1}"
    static let end: Character = "\u{2}"

    struct Table {
        var name: String
        var texts: [String]
        var integers: [String]
        /// Columns that no two rows agree in.
        var key: [String] = []
        var hasAttributes = false

        var columns: [String] { texts + integers }
    }

    static let spans = Table(
        name: "spans",
        texts: [
            "trace_id", "span_id", "parent_span_id", "service_name", "name", "status_message", "scope_name", "tool_name",
            "session_id", "model", "operation", "workflow_name", "stage", "outcome", "error_type", "call_name",
        ],
        integers: [
            "start_time_unix_nano", "end_time_unix_nano", "duration_ns", "kind", "status_code", "tokens", "input_tokens",
            "received_time_unix_nano", "dropped_attributes_count", "counts_tokens",
        ], key: ["trace_id", "span_id"], hasAttributes: true)
    static let logs = Table(
        name: "logs",
        texts: ["trace_id", "span_id", "severity_text", "event_name", "body", "service_name", "scope_name"],
        integers: ["time_unix_nano", "observed_time_unix_nano", "received_time_unix_nano", "severity_number", "flags"],
        key: ["received_time_unix_nano", "time_unix_nano"], hasAttributes: true)
    static let views = [
        Table(
            name: "traces", texts: ["trace_id", "service_name", "workflow_name", "root_name", "session_id"],
            integers: ["start_time_unix_nano", "duration_ns", "span_count", "error_count", "timeout_count", "tokens"]),
        Table(name: "sessions", texts: ["session_id"], integers: ["trace_count", "span_count", "tokens"]),
        Table(
            name: "timeouts", texts: ["tool_name", "trace_id", "span_id", "model", "service_name"],
            integers: ["time_unix_nano", "duration_ns"]),
        Table(name: "tools", texts: ["service_name", "tool_name", "stage"], integers: ["calls", "ok", "errors", "timeouts"]),
        Table(name: "workflows", texts: ["service_name", "workflow_name"], integers: ["runs", "span_count", "tokens"]),
        Table(
            name: "token_spans", texts: ["trace_id", "span_id", "model", "session_id", "workflow_name"],
            integers: ["tokens", "input_tokens", "end_time_unix_nano"]),
        Table(name: "costs", texts: ["service_name", "model"], integers: ["calls", "tokens", "unpriced_calls"]),
        Table(
            name: "span_exceptions", texts: ["trace_id", "span_id", "service_name", "type", "source"],
            integers: ["time_unix_nano"]),
        Table(
            name: "span_evals", texts: ["trace_id", "span_id", "name", "span_name", "matched_by"],
            integers: ["start_time_unix_nano", "is_ambiguous"]),
    ]
    static let attributes = ["key.1", "key.2", "key.7", "key.400", "key.530", "tool_name", "none", "it's", "session.id"]

    var random: SplitMix64
    /// By table and column, literals of values that occur.
    let values: [String: [String]]

    init(seed: UInt64, values: [String: [String]]) {
        random = SplitMix64(seed: seed)
        self.values = values
    }

    // MARK: Chance

    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

    mutating func pick<Element>(_ list: [Element]) -> Element { list[Int.random(in: 0..<list.count, using: &random)] }

    mutating func some<Element>(_ count: ClosedRange<Int>, of list: [Element]) -> [Element] {
        Array(list.shuffled(using: &random).prefix(Int.random(in: count, using: &random)))
    }

    // MARK: Values

    private static let oddLiterals = [
        "NULL", "0", "1", "-1", "2.5", "'5'", "'x'", "''", "x'61'", "9223372036854775807", "-9223372036854775808", "1e99",
        "'1e3'", "('a' || char(0) || 'b')", "' 12'", "9007199254740993",
    ]

    mutating func literal(_ table: Table, _ column: String) -> String {
        if chance(20) { return pick(Self.oddLiterals) }
        let column = chance(10) ? pick(table.columns) : column
        let known = values["\(table.name).\(column)"] ?? []
        return known.isEmpty ? pick(Self.oddLiterals) : pick(known)
    }

    mutating func pattern(_ table: Table, _ column: String) -> String {
        if chance(15) {
            return pick([
                "'%'", "''", "'_%'", "NULL", "5", "'%_'", "('a' || char(0) || '%')", "'a\\%%'", "'É%'", "'é%'",
                "CAST(x'ff25' AS TEXT)",
            ])
        }
        let known = values["\(table.name).\(column)"] ?? []
        let texts = known.filter { $0.hasPrefix("'") && !$0.dropFirst().dropLast().contains("'") }
        guard !texts.isEmpty else { return "'t%'" }
        let text = pick(texts).dropFirst().dropLast()
        let start = String(text.prefix(Int.random(in: 0...5, using: &random)))
        switch Int.random(in: 0..<6, using: &random) {
        case 0: return "'\(start.uppercased())%'"
        case 1: return "'%\(text.suffix(2))'"
        case 2: return "'\(text)'"
        case 3: return "'\(start)_%'"
        default: return "'\(start)%'"
        }
    }

    // MARK: Conditions

    /// A condition on a table under an alias.
    mutating func condition(_ table: Table, _ alias: String, depth: Int = 0) -> String {
        let text: String
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<12 where depth < 2:
            let joined = (0..<2).map { _ in condition(table, alias, depth: depth + 1) }.joined(separator: pick([" AND ", " OR "]))
            text = "(\(joined))"
        case 12..<16 where depth < 2: text = "NOT \(condition(table, alias, depth: depth + 1))"
        case 16..<30:
            let test = pick(["IS NULL", "IS NOT NULL", "NOTNULL", "ISNULL", "NOT NULL", "IS NOT NULL"])
            text = "\(alias).\(pick(table.columns)) \(test)"
        case 30..<48: text = like(table, alias)
        case 48..<58: text = membership(table, alias)
        case 58..<64:
            let column = pick(table.columns)
            text = "\(alias).\(column) BETWEEN \(literal(table, column)) AND \(literal(table, column))"
        case 64..<72 where table.hasAttributes: text = attribute(table, alias)
        case 72..<77: text = rowValues(table, alias)
        case 77..<80: text = "\(pick(["length", "typeof", "instr"]))".with(function: alias, column: pick(table.texts))
        case 80..<83:
            let column = pick(table.texts)
            text = "\(alias).\(column) = \(literal(table, column)) COLLATE \(pick(["NOCASE", "BINARY", "RTRIM"]))"
        case 83..<86: text = exists(table, alias)
        case 86..<89: text = "\(alias).\(pick(table.columns)) \(comparison()) \(alias).\(pick(table.columns))"
        default:
            let column = pick(table.columns)
            text = "\(alias).\(column) \(comparison()) \(literal(table, column))"
        }
        return "\(Self.begin)\(text)\(Self.end)"
    }

    mutating func comparison() -> String { pick(["=", "=", "=", "<", "<=", ">", ">=", "<>", "IS", "IS NOT", "=="]) }

    private mutating func like(_ table: Table, _ alias: String) -> String {
        if table.hasAttributes, chance(15) {
            let part = pick([
                "key.1", "text 3", "EXT", "é", "x\"", "\":\"", "tool_name\":\"w", "12", "true", "n\",\"k", "u0000", "none", "key.53_", "}", "TOOL",
            ])
            return "\(alias).attributes \(pick(["", "NOT "]))LIKE '%\(part)\(pick(["%", "", "%e%"]))'"
        }
        let column = chance(90) ? pick(table.texts) : pick(table.integers)
        let pattern = pattern(table, column)
        switch Int.random(in: 0..<9, using: &random) {
        case 0: return "\(alias).\(column) NOT LIKE \(pattern)"
        case 1: return "\(alias).\(column) LIKE \(pattern) ESCAPE '\\'"
        case 2: return "like(\(pattern), \(alias).\(column))"
        case 3: return "\(alias).\(column) GLOB \(pattern.replacing("%", with: "*").replacing("_", with: "?"))"
        default: return "\(alias).\(column) LIKE \(pattern)"
        }
    }

    private mutating func membership(_ table: Table, _ alias: String) -> String {
        let column = pick(table.columns)
        let negation = chance(25) ? "NOT " : ""
        if chance(25) {
            let inner = condition(table, "i", depth: 2)
            return "\(alias).\(column) \(negation)IN (SELECT i.\(column) FROM \(table.name) i WHERE \(inner))"
        }
        let items = (0..<Int.random(in: 0...4, using: &random)).map { _ in literal(table, column) }
        return "\(alias).\(column) \(negation)IN (\(items.joined(separator: ", ")))"
    }

    private mutating func attribute(_ table: Table, _ alias: String) -> String {
        let call = attributeCall(alias)
        if chance(40) { return attributeBesideColumn(call, table, alias) }
        switch Int.random(in: 0..<5, using: &random) {
        case 0: return "\(call) IS NOT NULL"
        case 1: return "\(call) LIKE \(pick(["'t%'", "'%'", "'1%'", "'text _ %'", "'A%'"]))"
        case 2: return "\(call) IN (1, 'text 3 é', 2.0, '')"
        default:
            let value = pick([
                "1", "0", "-3", "'text 1 é'", "'web'", "2.5", "'1'", "('a' || char(0) || 'b')", "9007199254740993", "NULL",
            ])
            return "\(call) \(comparison()) \(value)"
        }
    }

    mutating func attributeCall(_ alias: String) -> String {
        "attr(\(alias).attributes, '\(pick(Self.attributes).replacing("'", with: "''"))')"
    }

    /// An attribute compared with something that has an affinity: SQLite converts the one by that of the other.
    private mutating func attributeBesideColumn(_ call: String, _ table: Table, _ alias: String) -> String {
        let name = pick(chance(40) ? ["session_id", "span_id"].filter(table.columns.contains) : table.columns)
        let column = "\(alias).\(name)"
        switch Int.random(in: 0..<13, using: &random) {
        case 0: return "\(column) \(comparison()) \(call)"
        case 1: return "\(call) \(chance(30) ? "NOT " : "")IN (SELECT i.\(name) FROM \(table.name) i)"
        case 2: return "\(call) BETWEEN \(literal(table, name)) AND \(column)"
        case 3: return "\(column) BETWEEN \(literal(table, name)) AND \(call)"
        case 4: return "CASE \(call) WHEN \(column) THEN 1 ELSE 0 END"
        case 5: return "(\(call), 1) \(pick(["=", "<", "IS NOT"])) (\(column), 1)"
        case 6: return "\(call) \(comparison()) CAST(\(column) AS \(pick(["TEXT", "INTEGER"])))"
        case 7: return "\(call) \(comparison()) (SELECT max(i.\(name)) FROM \(table.name) i)"
        case 8: return "\(column) IN (\(call), \(literal(table, name)))"
        case 9: return "\(call) \(comparison()) \(attributeCall(alias))"
        case 10: return "\(literal(table, name)) \(comparison()) \(call)"
        default: return "\(call) \(comparison()) \(column)"
        }
    }

    private mutating func rowValues(_ table: Table, _ alias: String) -> String {
        let columns = some(2...2, of: table.columns)
        let left = columns.map { "\(alias).\($0)" }.joined(separator: ", ")
        let right = columns.map { literal(table, $0) }.joined(separator: ", ")
        if chance(30) {
            let inner = condition(table, "i", depth: 2)
            return "(\(left)) IN (SELECT i.\(columns[0]), i.\(columns[1]) FROM \(table.name) i WHERE \(inner))"
        }
        return "(\(left)) \(pick(["=", "<", ">=", "IS NOT"])) (\(right))"
    }

    private mutating func exists(_ table: Table, _ alias: String) -> String {
        let other = pick([Self.spans, Self.logs])
        guard table.columns.contains("trace_id") else { return "EXISTS (SELECT 1 FROM \(other.name) i)" }
        let column = table.columns.contains("span_id") ? pick(["trace_id", "span_id"]) : "trace_id"
        let inner = condition(other, "i", depth: 2)
        let negation = chance(40) ? "NOT " : ""
        return "\(negation)EXISTS (SELECT 1 FROM \(other.name) i WHERE i.\(column) = \(alias).\(column) AND \(inner))"
    }

    mutating func conditions(_ table: Table, _ alias: String, _ count: ClosedRange<Int> = 0...3) -> String {
        let list = (0..<Int.random(in: count, using: &random)).map { _ in condition(table, alias) }
        return list.isEmpty ? "1" : list.joined(separator: " AND ")
    }
}

extension String {
    /// A call of the function with this name, compared with something that it may give.
    fileprivate func with(function alias: String, column: String) -> String {
        switch self {
        case "instr": "instr(\(alias).\(column), 'e') > 1"
        case "typeof": "typeof(\(alias).\(column)) = 'text'"
        default: "length(\(alias).\(column)) > 5"
        }
    }
}
