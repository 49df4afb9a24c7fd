import TelemetryModel

/// A project: the spans and log records whose resource has one value of one attribute. A connection with a scope shows no others in
/// `spans`, in `logs` and in the views over them, whatever asks (docs/adr/0096).
package struct ProjectScope: Equatable, Sendable {
    /// The key of a resource's attribute. `service.name` goes by the name that `spans` shows, which a resource without one has, too.
    package var attribute: String
    package var name: String
    /// Whether nothing else of the file may be read either, but for what queries of `spans` and `logs` need. Without it only spans and
    /// log records are left out: the scope is a filter.
    package var isLimit: Bool

    package static let serviceName = "service.name"

    package init(attribute: String, name: String, isLimit: Bool) {
        (self.attribute, self.name, self.isLimit) = (attribute, name, isLimit)
    }

    /// Whether a project is all spans of one service.
    package var isService: Bool { attribute == Self.serviceName }

    /// Whether a resource is of the project.
    ///
    /// - Parameter json: the resource's attributes as a JSON object.
    func holds(service: String, json: @autoclosure () throws -> [UInt8]) rethrows -> Bool {
        if isService { return service.isExactly(name) }
        return Self.project(attribute, service: service, json: try json())?.isExactly(name) ?? false
    }

    /// The project that a resource is of; `nil` for none.
    static func project(_ attribute: String, service: String, json: [UInt8]) -> String? {
        if attribute == serviceName { return service }
        switch JSONText.member(attribute, in: json[...]) {
        case .text(let text): return text
        case .number(let digits): return digits
        case .bool(let flag): return flag ? "true" : "false"
        case .container, .null, nil: return nil
        }
    }

    /// What queries of `spans` and `logs` read, which SQLite has among the file's tables, and what says which price holds: all prices are
    /// read together.
    private static let tables: Set<String> = [
        "spans", "spans_grouped", "logs", "json_each", "json_tree", "segment", "segment_stream", "log_segment", "log_stream", "model_price", "host_rent",
        "egress_price", "sqlite_master", "sqlite_schema", "sqlite_temp_master",
    ]
    private static let breakers: Set<String> = ["breaker_transition", "breaker_opening"]

    /// The view `span_evals` and its parts: SQLite names the innermost that a reading is for.
    private static let evals: Set<String> = [
        "span_evals", "wanted_span", "wanted_eval", "wanted_trace", "wanted_session", "wanted_response", "candidate",
    ]

    /// Whether a connection that is limited may read a table.
    ///
    /// - Parameter isInFile: whether the table is the file's, and not a view or a part of a query.
    /// - Parameter view: the view, or the part of one, that the reading is for; `nil` for none.
    func allows(table: String, isInFile: Bool, for view: String?) -> Bool {
        guard isLimit, isInFile else { return true }
        // Evals are shown with the spans that they judge; breakers by their service, which whoever asks adds.
        if table == "evaluation" { return view.map(Self.evals.contains) ?? false }
        if Self.breakers.contains(table) { return isService }
        return Self.tables.contains(table) || table.isEmpty
    }
}
