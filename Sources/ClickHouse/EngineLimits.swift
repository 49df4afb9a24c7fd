/// What a question may cost an engine: each goes along as a setting, so that the engine itself ends what takes more.
package struct EngineLimits: Equatable, Sendable {
    /// Whole seconds; at least 1.
    package var seconds = 60
    /// Of the answer. More is an error, and not an answer that lacks some.
    package var rows = 1_000_000
    /// Of the answer.
    package var answerBytes = 256 << 20
    /// That are read for it, before they are compressed.
    package var readBytes = 100 << 30

    /// Whether a longer answer is cut behind one row more than these, which says that there are more, and no error.
    package var isCut = false

    package init() {}

    /// How long the answer is waited for: the engine ends its work before.
    package var waitNanoseconds: Int64 { (Int64(seconds) + 10) * 1_000_000_000 }

    var settings: [(String, String)] {
        [
            ("max_execution_time", "\(seconds)"), ("timeout_overflow_mode", "throw"),
            ("max_result_rows", "\(rows)"), ("max_result_bytes", "\(answerBytes)"),
            ("result_overflow_mode", isCut ? "break" : "throw"),
            ("max_bytes_to_read", "\(readBytes)"), ("read_overflow_mode", "throw"),
        ]
            // A block alone may have more bytes than an answer.
            + (isCut ? [("limit", "\(rows + 1)")] : [])
    }
}

extension ClickHouseQuery {
    /// What every question says of itself, whatever the server's defaults are.
    private static let questionSettings: [(String, String)] = [
        // Nothing is written or set up, whatever the user may do otherwise. 2, since the settings here go along.
        ("readonly", "2"),
        // As SQL has it on a node: what a join does not find is NULL, and UNION leaves out what is there twice.
        ("join_use_nulls", "1"), ("union_default_mode", "DISTINCT"),
        // A row's partition follows from its identity.
        ("do_not_merge_across_partitions_select_final", "1"),
        ("output_format_json_quote_64bit_integers", "0"), ("output_format_json_quote_denormals", "1"),
        ("output_format_json_named_tuples_as_objects", "1"),
        ("cancel_http_readonly_queries_on_client_close", "1"), ("send_progress_in_http_headers", "0"), ("wait_end_of_query", "1"),
    ]

    /// The path of a question whose statement is the request's body.
    ///
    /// - Parameters:
    ///   - database: in which names without one are looked up.
    ///   - format: of an answer whose statement names none.
    ///   - parameters: values for `{name:Type}` in the statement.
    package static func question(
        in database: String, format: String, _ limits: EngineLimits, parameters: [String: String] = [:]
    ) -> String {
        path(
            [("database", database), ("default_format", format)] + questionSettings + limits.settings
                + parameters.sorted { $0.key < $1.key }.map { ("param_\($0.key)", $0.value) })
    }
}
