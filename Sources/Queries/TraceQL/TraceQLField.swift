/// What a TraceQL query may ask of a span, as SQL over `spans`.
struct TraceQLField: Equatable {
    enum Kind: Equatable {
        case attribute
        /// Nanoseconds, told as seconds.
        case duration
        case status
        case spanKind
    }

    /// The name as the query wrote it: a label's or a selected attribute's key.
    var name: String
    var sql: String
    var values: [QueryValue]
    var kind = Kind.attribute

    static let statuses = ["unset": 0, "ok": 1, "error": 2]
    static let kinds = ["unspecified": 0, "internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5]

    private static let intrinsics: [String: (sql: String, kind: Kind)] = [
        "duration": ("duration_ns", .duration), "name": ("name", .attribute), "status": ("status_code", .status),
        "kind": ("kind", .spanKind), "statusMessage": ("status_message", .attribute), "id": ("span_id", .attribute),
        "parentID": ("parent_span_id", .attribute),
    ]
    private static let roots = ["rootName": "name", "rootServiceName": "service_name"]

    init(_ name: String) throws(QueryError) {
        self.name = name
        let bare = name.hasPrefix("span:") ? String(name.dropFirst(5)) : name
        if let intrinsic = Self.intrinsics[bare] {
            (sql, values, kind) = (intrinsic.sql, [], intrinsic.kind)
        } else if name == "trace:id" {
            (sql, values) = ("trace_id", [])
        } else if name == "traceDuration" || name == "trace:duration" {
            sql =
                "(SELECT max(end_time_unix_nano) - min(start_time_unix_nano) FROM spans AS whole WHERE whole.trace_id = spans.trace_id)"
            (values, kind) = ([], .duration)
        } else if let column = Self.roots[name] ?? Self.roots["root" + name.dropFirst("trace:root".count)], !name.contains(".") {
            sql =
                "(SELECT root.\(column) FROM spans AS root WHERE root.trace_id = spans.trace_id AND root.parent_span_id IS NULL LIMIT 1)"
            values = []
        } else if name == "resource.service.name" || name == ".service.name" {
            (sql, values) = ("service_name", [])
        } else if let key = Self.key(name, "resource.") {
            (sql, values) = ("attr(resource_attributes, ?)", [.text(key)])
        } else if let key = Self.key(name, "span.") {
            (sql, values) = ("attr(attributes, ?)", [.text(key)])
        } else if let key = Self.key(name, ".") {
            (sql, values) = ("coalesce(attr(attributes, ?), attr(resource_attributes, ?))", [.text(key), .text(key)])
        } else {
            throw .invalid(
                "'\(name)' is not supported; use resource., span. or . attributes, or name, duration, status, kind, rootName")
        }
    }

    private static func key(_ name: String, _ scope: String) -> String? {
        name.hasPrefix(scope) && name.count > scope.count ? String(name.dropFirst(scope.count)) : nil
    }

    /// The field's value of a row as a query shows it: a status by its name.
    func shown(_ value: QueryValue) -> QueryValue {
        guard let integer = value.integer else { return value }
        switch kind {
        case .status: return .text(Self.statuses.first { $0.value == Int(integer) }?.key ?? "\(integer)")
        case .spanKind: return .text(Self.kinds.first { $0.value == Int(integer) }?.key ?? "\(integer)")
        case .duration, .attribute: return value
        }
    }
}
