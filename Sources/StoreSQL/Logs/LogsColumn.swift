/// The columns of the virtual table `logs`, in their SQL order. docs/sql.md tells each; a test holds the two together.
enum LogsColumn: Int, CaseIterable {
    case time_unix_nano, observed_time_unix_nano, received_time_unix_nano, trace_id, span_id, severity_number, severity_text
    case event_name, body, service_name, scope_name, flags, dropped_attributes_count, attributes, resource_attributes

    var name: String { "\(self)" }

    var isInteger: Bool {
        switch self {
        case .time_unix_nano, .observed_time_unix_nano, .received_time_unix_nano, .severity_number, .flags,
            .dropped_attributes_count:
            true
        default: false
        }
    }

    /// The declaration that SQLite is given.
    static var declaration: String {
        "CREATE TABLE logs(" + allCases.map { "\($0.name) \($0.isInteger ? "INTEGER" : "TEXT")" }.joined(separator: ", ") + ")"
    }
}
