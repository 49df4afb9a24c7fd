import SpanStore
import StoreSQL
import TelemetryModel

/// What a span must be, all at once, for its trace to be found. Empty matches every span.
package struct SpanCriteria: Equatable, Sendable {
    package enum Status: String, CaseIterable, Sendable {
        case error
        case ok

        /// Whether a trace's root is so; one without a root did not fail.
        func holds(ofRoot statusCode: Int64?) -> Bool { (statusCode == 2) == (self == .error) }
    }

    /// An attribute and the text of its value, or that no span value is that.
    package struct Attribute: Equatable, Sendable {
        package var key: String
        package var value: String
        /// Whether spans with this value are left out.
        package var isExcluded = false

        package init(key: String, value: String, isExcluded: Bool = false) {
            self.key = key
            self.value = value
            self.isExcluded = isExcluded
        }

        /// From `key=value` or `key!=value`.
        package init?(_ text: String) {
            guard let equals = text.firstIndex(of: "="), equals != text.startIndex else { return nil }
            var key = text[..<equals]
            let isExcluded = key.last == "!"
            if isExcluded { key.removeLast() }
            guard !key.isEmpty else { return nil }
            self.init(key: String(key), value: String(text[text.index(after: equals)...]), isExcluded: isExcluded)
        }
    }

    /// Conditions on attributes in one question.
    package static let attributesMax = 16

    package var service: String?
    package var workflow: String?
    /// A tool's name, or a stage for calls that name no tool.
    package var tool: String?
    package var name: String?
    package var model: String?
    package var session: String?
    package var user: String?
    package var evalID: String?
    package var stage: String?
    package var outcome: String?
    package var breakerState: String?
    package var status: Status?
    /// Any attribute and the text of its value.
    package var attributes: [Attribute] = []
    /// Text somewhere in the span's name, status message or attributes.
    package var text: String?
    /// More conditions as SQL over the columns of `spans`, with their values: other query languages compile to these.
    package var extra: [SQLCondition] = []

    package init() {}

    package static func == (left: SpanCriteria, right: SpanCriteria) -> Bool { left.condition == right.condition }

    /// The criteria as one condition; `nil` when every span matches.
    package var condition: SQLCondition? {
        var parts: [SQLCondition] = []
        func equal(_ column: String, _ value: String?) {
            if let value { parts.append(SQLCondition("\(column) = ?", [.text(value)])) }
        }
        equal("service_name", service)
        equal("workflow_name", workflow)
        equal("name", name)
        equal("model", model)
        equal("session_id", session)
        equal("user_id", user)
        equal("eval_id", evalID)
        equal("stage", stage)
        equal("outcome", outcome)
        equal("breaker_state", breakerState)
        if let tool {
            parts.append(
                Self.stages.contains(tool)
                    ? SQLCondition("(tool_name = ? OR (tool_name IS NULL AND stage = ?))", [.text(tool), .text(tool)])
                    : SQLCondition("tool_name = ?", [.text(tool)]))
        }
        switch status {
        case .error: parts.append(SQLCondition("status_code = 2"))
        case .ok: parts.append(SQLCondition("status_code <> 2"))
        case nil: break
        }
        parts += attributes.map(\.condition)
        if let text {
            func pattern(_ text: String) -> QueryValue { .text("%\(SQLCondition.escapedPattern(text))%") }
            var columns = [("name", text), ("status_message", text), ("attributes", text)]
            // Attributes are JSON, in which a quotation mark and a backslash have one before them.
            var json = JSONWriter()
            json.string(text)
            let inJSON = String(decoding: json.bytes.dropFirst().dropLast(), as: UTF8.self)
            if inJSON != text { columns.append(("attributes", inJSON)) }
            parts.append(
                SQLCondition(
                    "(" + columns.map { "\($0.0) LIKE ? ESCAPE '\\'" }.joined(separator: " OR ") + ")",
                    columns.map { pattern($0.1) }))
        }
        parts += extra
        return SQLCondition.all(parts)
    }

    /// Calls without a tool name go by their stage, as in the metrics.
    private static let stages: Set<String> = ["http_tool", "subprocess", "llm", "vector", "other"]

    static func isStage(_ tool: String) -> Bool { stages.contains(tool) }
}

extension SpanCriteria.Attribute {
    /// By the attribute's column, where its values alone tell: a scan then steps over segments that have none.
    fileprivate var condition: SQLCondition {
        guard let column = SQLCondition.attributeColumn(key) else {
            return shown("attr(attributes, ?)", [.text(key)])
        }
        switch value {
        // The column has booleans as 1 and 0, and what they are beside it.
        case "true", "false", "1", "0":
            let type = SQLCondition.attributeTypeColumn(key)
            let isTruth = value == "true" || value == "false"
            let isSame = isTruth ? "\(type) IN ('\(value)', 'text')" : "\(type) NOT IN ('true', 'false')"
            let values: [QueryValue] = [.text(value), .integer(value == "true" || value == "1" ? 1 : 0)]
            return isExcluded
                ? SQLCondition("((\(column) IS NOT ? AND \(column) IS NOT ?) OR NOT \(isSame))", values)
                : SQLCondition("(\(column) IN (?, ?) AND \(isSame))", values)
        case let text where Int64(text).map(String.init) == text:
            let values: [QueryValue] = [.text(text), .integer(Int64(text) ?? 0)]
            return isExcluded
                ? SQLCondition("(\(column) IS NOT ? AND \(column) IS NOT ?)", values) : SQLCondition("\(column) IN (?, ?)", values)
        // Several numbers may be shown as one text.
        case let text where Double(text) != nil: return shown(column, [])
        default: return SQLCondition("\(column) \(isExcluded ? "IS NOT" : "=") ?", [.text(value)])
        }
    }

    private func shown(_ sql: String, _ values: [QueryValue]) -> SQLCondition {
        SQLCondition("CAST(\(sql) AS TEXT) \(isExcluded ? "IS NOT" : "=") ?", values + [.text(value)])
    }
}

/// A condition in SQL and the values of its parameters, in order.
package struct SQLCondition: Equatable, Sendable {
    package var sql: String
    package var values: [QueryValue]

    package init(_ sql: String, _ values: [QueryValue] = []) {
        self.sql = sql
        self.values = values
    }

    /// A span's attribute as the call of `attr` that a statement over columns knows: booleans are 0 and 1 there. `nil` for a key that cannot
    /// stand in a statement.
    package static func attributeColumn(_ key: String) -> String? {
        key.utf8.contains(0) ? nil : AttributeColumn(key).name
    }

    /// What kind of value that is, as the call of `attr_type`.
    static func attributeTypeColumn(_ key: String) -> String { AttributeColumn(key, .type).name }

    /// All of the conditions; `nil` for none.
    package static func all(_ conditions: [SQLCondition]) -> SQLCondition? { joined(conditions, " AND ") }

    /// Any of the conditions; `nil` for none.
    package static func any(_ conditions: [SQLCondition]) -> SQLCondition? { joined(conditions, " OR ") }

    private static func joined(_ conditions: [SQLCondition], _ word: String) -> SQLCondition? {
        guard let first = conditions.first else { return nil }
        guard conditions.count > 1 else { return first }
        return SQLCondition("(" + conditions.map(\.sql).joined(separator: word) + ")", conditions.flatMap(\.values))
    }

    /// A text for `LIKE … ESCAPE '\'`, where it stands for itself.
    package static func escapedPattern(_ text: String) -> String {
        var escaped = ""
        for character in text {
            if character == "%" || character == "_" || character == "\\" { escaped.append("\\") }
            escaped.append(character)
        }
        return escaped
    }
}
