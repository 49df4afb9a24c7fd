/// What a TraceQL query may ask of a span: a column or an attribute in SQL, or something that needs the whole trace.
struct TraceQLField: Equatable, Sendable {
    enum Kind: Equatable, Sendable {
        /// Of any type.
        case attribute
        case text
        case integer
        /// Nanoseconds, told as seconds.
        case duration
        case status
        case spanKind
    }

    /// What SQL over single spans cannot tell.
    enum Computed: Equatable, Sendable {
        case traceDuration, rootName, rootServiceName, nestedSetLeft, nestedSetRight, nestedSetParent, childCount
    }

    enum Source: Equatable, Sendable {
        case column
        /// Attributes of the span, the resource, both or the scope, by their columns; the first that has the key.
        case attribute([String])
        /// Of one of its events or links, by the column, and by a member of the element or a key of its attributes.
        case element(column: String, member: String?)
        case computed(Computed)
    }

    /// The name as the query wrote it: a label's or a selected attribute's key.
    var name: String
    var source: Source
    /// The value in SQL; of several elements the first.
    var sql: String
    var values: [QueryValue] = []
    var kind = Kind.attribute
    /// Of an attribute.
    var key = ""
    /// It is the parent's, and NULL where that is not there.
    private(set) var isOfParent = false

    /// The field as the span has it of which it is asked.
    var own: TraceQLField {
        var field = self
        field.isOfParent = false
        return field
    }

    static let statuses = ["unset": 0, "ok": 1, "error": 2]
    static let kinds = ["unspecified": 0, "internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5]

    private static let columns: [String: (sql: String, kind: Kind)] = [
        "duration": ("duration_ns", .duration), "name": ("name", .text), "status": ("status_code", .status), "kind": ("kind", .spanKind),
        "statusMessage": ("status_message", .text), "span:id": ("span_id", .text), "span:parentID": ("parent_span_id", .text),
        "parent": ("parent_span_id", .text), "trace:id": ("trace_id", .text), "instrumentation:name": ("scope_name", .text),
        "instrumentation:version": ("scope_version", .text), "resource.service.name": ("service_name", .text),
        ".service.name": ("service_name", .text),
    ]
    private static let computed: [String: (Computed, Kind)] = [
        "traceDuration": (.traceDuration, .duration), "rootName": (.rootName, .text), "rootServiceName": (.rootServiceName, .text),
        "nestedSetLeft": (.nestedSetLeft, .integer), "nestedSetRight": (.nestedSetRight, .integer),
        "nestedSetParent": (.nestedSetParent, .integer), "childCount": (.childCount, .integer),
    ]
    /// Other spellings of the same.
    private static let spellings = [
        "span:duration": "duration", "span:name": "name", "span:status": "status", "span:kind": "kind", "span:statusMessage": "statusMessage",
        "id": "span:id", "parentID": "span:parentID", "trace:duration": "traceDuration", "trace:rootName": "rootName",
        "trace:rootService": "rootServiceName", "trace:rootServiceName": "rootServiceName", "span:childCount": "childCount",
    ]
    private static let elements: [String: (column: String, member: String, kind: Kind)] = [
        "event:name": ("events", "name", .text), "event:timeSinceStart": ("events", "time_unix_nano", .duration),
        "link:spanID": ("links", "span_id", .text), "link:traceID": ("links", "trace_id", .text),
    ]

    /// Intrinsics that stand behind `parent.` as they stand by themselves.
    private static let ofParents: Set = [
        "duration", "name", "status", "statusMessage", "kind", "childCount", "parent", "rootName", "rootServiceName", "traceDuration",
        "nestedSetLeft", "nestedSetRight", "nestedSetParent",
    ]

    init(_ name: String) throws(QueryError) {
        if let inner = Self.key(name, "parent.") {
            let isScoped = inner.hasPrefix("span.") || inner.hasPrefix("resource.")
            self = try TraceQLField(isScoped || Self.ofParents.contains(inner) ? inner : "." + inner)
            (self.name, isOfParent) = (name, true)
            return
        }
        self.name = name
        let known = Self.spellings[name] ?? name
        if let column = Self.columns[known] {
            (source, sql, kind) = (.column, column.sql, column.kind)
        } else if let computed = Self.computed[known] {
            (source, sql, kind) = (.computed(computed.0), "NULL", computed.1)
        } else if let element = Self.elements[known] {
            source = .element(column: element.column, member: element.member)
            let value = Self.member(element.member)
            sql = "(SELECT \(value) FROM json_each(\(element.column)) AS element LIMIT 1)"
            kind = element.kind
        } else if let key = Self.key(name, "resource.") {
            (source, sql, values) = (.attribute(["resource_attributes"]), "traceql_value(resource_attributes, ?)", [.text(key)])
            self.key = key
        } else if let key = Self.key(name, "span.") {
            (source, sql, values) = (.attribute(["attributes"]), "traceql_value(attributes, ?)", [.text(key)])
            self.key = key
        } else if let key = Self.key(name, "instrumentation.") {
            (source, sql, values) = (.attribute(["scope_attributes"]), "traceql_value(scope_attributes, ?)", [.text(key)])
            self.key = key
        } else if let key = Self.key(name, "event.") ?? Self.key(name, "link.") {
            let column = name.hasPrefix("event.") ? "events" : "links"
            source = .element(column: column, member: nil)
            sql = """
                (SELECT traceql_value(element.value ->> 'attributes', ?) FROM json_each(\(column)) AS element
                WHERE attr(element.value ->> 'attributes', ?) IS NOT NULL LIMIT 1)
                """
            values = [.text(key), .text(key)]
            self.key = key
        } else if let key = Self.key(name, ".") {
            source = .attribute(["attributes", "resource_attributes"])
            // The span's counts wherever it is, be it nothing that a number could be made of.
            sql = "CASE WHEN attr(attributes, ?) IS NOT NULL THEN traceql_value(attributes, ?) ELSE traceql_value(resource_attributes, ?) END"
            values = [.text(key), .text(key), .text(key)]
            self.key = key
        } else {
            throw .invalid(
                "'\(name)' is not known; use resource., span., parent., event., link., instrumentation. or . attributes, or name, duration, status, kind, statusMessage, "
                    + "rootName, rootServiceName, traceDuration, nestedSetParent and their span: and trace: spellings")
        }
    }

    /// `SQLCondition.attributeColumn` of a span's attribute; `nil` for other fields.
    var attributeColumn: String? { source == .attribute(["attributes"]) ? SQLCondition.attributeColumn(key) : nil }

    /// The value where it is a number.
    var numberSQL: String { sql.replacing("traceql_value(", with: "traceql_number(") }

    private static func key(_ name: String, _ scope: String) -> String? {
        name.hasPrefix(scope) && name.count > scope.count ? String(name.dropFirst(scope.count)) : nil
    }

    /// A member of an event or link in SQL.
    static func member(_ name: String) -> String {
        name == "time_unix_nano"
            ? "CAST(element.value ->> 'time_unix_nano' AS INTEGER) - start_time_unix_nano" : "element.value ->> '\(name)'"
    }

    /// The field's value of a row as a query shows it: a status by its name.
    func shown(_ value: QueryValue) -> QueryValue {
        guard let integer = value.integer else { return value }
        switch kind {
        case .status: return .text(Self.statuses.first { $0.value == Int(integer) }?.key ?? "\(integer)")
        case .spanKind: return .text(Self.kinds.first { $0.value == Int(integer) }?.key ?? "\(integer)")
        case .duration, .attribute, .text, .integer: return value
        }
    }
}
