import TelemetryModel

/// The part of Loki's query language that Grafana's builder, its log volume and its links from traces write: one stream selector, filters of lines
/// and labels, and counts of them over time.
///
///     { service_name = "travel" } |= "timeout" | trace_id = "5b8efff7…"
///     sum by (level) (count_over_time({ service_name = "travel" } [1m]))
///
/// What is beyond it is refused with a message.
package struct LogQL: Sendable {
    package enum Measure: String, Sendable {
        case count = "count_over_time"
        case rate
    }

    package struct Metric: Sendable {
        package var measure: Measure
        /// Nanoseconds that each sample looks back.
        package var range: Int64
        /// Labels that stay; `nil` for those of the streams.
        package var by: [String]?
    }

    package private(set) var metric: Metric?
    /// The only service whose records are meant; `nil` where the query does not say so.
    private(set) var service: String?
    private var conditions: [SQLCondition] = []

    /// The records that are meant; `nil` for all.
    package var condition: SQLCondition? { SQLCondition.all(conditions) }

    private static let conditionsMax = 64
    private static let queryBytesMax = 16 << 10

    private var rest: Substring

    package init(_ query: String) throws(QueryError) {
        guard query.utf8.count <= Self.queryBytesMax else { throw .invalid("the query is longer than \(Self.queryBytesMax) bytes") }
        rest = query[...]
        skipSpace()
        if rest.first == "{" {
            try logs()
        } else {
            try counts()
        }
        skipSpace()
        guard rest.isEmpty else { throw .invalid("the query goes on with '\(rest.prefix(40))' where it should end") }
    }

    // MARK: Words

    private mutating func skipSpace() { rest = rest.drop { $0.isWhitespace } }

    private mutating func take(_ text: String) -> Bool {
        skipSpace()
        guard rest.hasPrefix(text) else { return false }
        rest = rest.dropFirst(text.count)
        return true
    }

    private mutating func expect(_ text: String) throws(QueryError) {
        guard take(text) else { throw .invalid("the query must have \(text) where it has '\(rest.prefix(20))'") }
    }

    private mutating func name() throws(QueryError) -> String {
        skipSpace()
        let name = rest.prefix { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "." || $0 == ":" }
        guard !name.isEmpty else { throw .invalid("the query must have a name where it has '\(rest.prefix(20))'") }
        rest = rest.dropFirst(name.count)
        return String(name)
    }

    private mutating func text() throws(QueryError) -> String {
        skipSpace()
        guard let quote = rest.first, quote == "\"" || quote == "`" else {
            throw .invalid("the query must have a text in quotes where it has '\(rest.prefix(20))'")
        }
        rest = rest.dropFirst()
        var text = ""
        while let character = rest.first, character != quote {
            rest = rest.dropFirst()
            if character == "\\", quote == "\"" {
                var left = rest
                let escaped = try QuotedText.escaped { left.popFirst() }
                rest = left
                if let escaped { text.append(escaped) }
            } else {
                text.append(character)
            }
        }
        guard rest.first == quote else { throw .invalid("a string in the query does not end") }
        rest = rest.dropFirst()
        return text
    }

    private mutating func add(_ condition: SQLCondition) throws(QueryError) {
        guard conditions.count < Self.conditionsMax else { throw .invalid("the query has more than \(Self.conditionsMax) conditions") }
        conditions.append(condition)
    }

    // MARK: Records

    private mutating func logs() throws(QueryError) {
        try expect("{")
        while !take("}") {
            try label()
            guard take(",") || rest.drop(while: \.isWhitespace).first == "}" else {
                throw .invalid("the selector must go on with , or } where it has '\(rest.prefix(20))'")
            }
        }
        while true {
            if take("|=") {
                try line("=")
            } else if take("!=") {
                try line("!=")
            } else if take("|~") {
                try line("=~")
            } else if take("!~") {
                try line("!~")
            } else if take("|") {
                try stage()
            } else {
                return
            }
        }
    }

    private mutating func label() throws(QueryError) {
        let label = try name()
        try add(try compared(label))
    }

    private mutating func compared(_ label: String) throws(QueryError) -> SQLCondition {
        let value = LogLabels.sql(label)
        for symbol in ["=~", "!~", "!=", "="] where take(symbol) {
            let text = try text()
            if label == LogLabels.service, symbol == "=", !text.isEmpty { service = text }
            return try Self.condition(value.sql, value.values, symbol, text)
        }
        throw .invalid("\(label) must be followed by =, !=, =~ or !~")
    }

    /// Whether an expression can be matched, as it stands in the query.
    private static func check(_ expression: String) throws(QueryError) {
        do {
            _ = try Pattern(ofWholeText: expression)
        } catch {
            throw .invalid("the expression '\(expression.prefix(200))' cannot be matched here: \(error.message)")
        }
    }

    private static func condition(
        _ sql: String, _ values: [QueryValue], _ symbol: String, _ text: String
    ) throws(QueryError) -> SQLCondition {
        switch symbol {
        case "=", "!=": return SQLCondition("coalesce(\(sql), '') \(symbol == "=" ? "=" : "<>") ?", values + [.text(text)])
        default:
            try check(text)
            return SQLCondition(
                "\(symbol == "!~" ? "NOT " : "")traceql_matches(CAST(coalesce(\(sql), '') AS TEXT), ?)", values + [.text(text)])
        }
    }

    private mutating func line(_ symbol: String) throws(QueryError) {
        let text = try text()
        switch symbol {
        case "=" where text.isEmpty: return
        case "=": try add(SQLCondition("instr(body, ?) > 0", [.text(text)]))
        case "!=": try add(SQLCondition("coalesce(instr(body, ?), 0) = 0", [.text(text)]))
        default:
            try Self.check(text)
            // Anywhere in the line, over its line ends; flags end with their group.
            try add(try Self.condition("body", [], symbol, "[\\s\\S]*(?:\(text))[\\s\\S]*"))
        }
    }

    private mutating func stage() throws(QueryError) {
        let word = try name()
        if word == "drop" {
            // Labels of errors, which there are none of here.
            repeat { _ = try name() } while take(",")
            return
        }
        guard !["json", "logfmt", "pattern", "regexp", "unpack", "line_format", "label_format", "unwrap", "decolorize", "keep"].contains(word) else {
            throw .invalid("the stage '\(word)' is not known; attributes are labels without it: | key = \"value\"")
        }
        try add(try compared(word))
    }

    // MARK: Counts

    private mutating func counts() throws(QueryError) {
        var word = try name()
        var by: [String]?
        var isSum = false
        if word == "sum" {
            isSum = true
            by = try labels()
            try expect("(")
            word = try name()
        }
        guard let measure = Measure(rawValue: word) else {
            throw .invalid("'\(word)' is not known; count_over_time and rate are, and sum of them")
        }
        try expect("(")
        try logs()
        try expect("[")
        let range = try duration()
        try expect("]")
        try expect(")")
        if isSum {
            try expect(")")
            if by == nil { by = try labels() ?? [] }
        }
        metric = Metric(measure: measure, range: range, by: by)
    }

    private mutating func labels() throws(QueryError) -> [String]? {
        guard take("by") else { return nil }
        try expect("(")
        var labels: [String] = []
        while !take(")") {
            guard labels.count < 16 else { throw .invalid("at most 16 labels") }
            labels.append(try name())
            _ = take(",")
        }
        return labels
    }

    private static let units: [(String, Double)] = [("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9), ("d", 86_400e9), ("w", 604_800e9)]

    private mutating func duration() throws(QueryError) -> Int64 {
        var total = 0.0
        skipSpace()
        while rest.first?.isNumber == true {
            let digits = rest.prefix { $0.isNumber || $0 == "." }
            rest = rest.dropFirst(digits.count)
            guard let value = Double(digits), let unit = Self.units.first(where: { rest.hasPrefix($0.0) }) else {
                throw .invalid("a range such as 5m must have a unit")
            }
            rest = rest.dropFirst(unit.0.count)
            total += value * unit.1
        }
        guard (1e6...1e17).contains(total) else { throw .invalid("a range must be from 1ms to three years") }
        return Int64(total)
    }
}

/// Labels of log records as Loki has them: those of streams, and attributes.
package enum LogLabels {
    static let service = "service_name"
    /// Of streams.
    package static let streams = [service, "level", "event_name", "scope_name"]

    private static let level = """
        CASE WHEN severity_number BETWEEN 1 AND 4 THEN 'trace' WHEN severity_number BETWEEN 5 AND 8 THEN 'debug'
            WHEN severity_number BETWEEN 9 AND 12 THEN 'info' WHEN severity_number BETWEEN 13 AND 16 THEN 'warn'
            WHEN severity_number BETWEEN 17 AND 20 THEN 'error' WHEN severity_number BETWEEN 21 AND 24 THEN 'fatal' ELSE 'unknown' END
        """

    static func sql(_ label: String) -> SQLCondition {
        switch label {
        case service, "event_name", "scope_name", "trace_id", "span_id", "severity_text": SQLCondition(label)
        case "level", "detected_level", "severity": SQLCondition(level)
        default: SQLCondition("CAST(attr(attributes, ?) AS TEXT)", [.text(label)])
        }
    }
}
