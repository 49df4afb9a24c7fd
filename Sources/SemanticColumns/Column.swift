/// The columns that attributes fill, by the names that SQL and `schemas/columns/columns.txt` use.
///
/// Raw values are positions in a `ColumnRow` only; what is stored names columns by text.
public enum Column: Int, CaseIterable, Sendable {
    // Columns of `spans`.
    case operation, workflow_name, step_id, tool_name, retrieval_batch, cached_tokens, cache_hit, input_tokens, output_tokens
    case reasoning_tokens, tokens, queue_depth, breaker_state, model, provider, session_id, user_id, eval_id, error_type
    // Facts that a segment stores and `spans` hides: what tells calls of one trace apart, or that they are the same one
    // (docs/metrics.md 2.12), and what queries need of tokens.
    case cache_write_tokens, response_id, protocol_method, tells_parent, may_be_told, told_by_log
    // The same of the loop contract (docs/metrics.md 2.14).
    case embed_batch, process_memory, host_memory, host_memory_total
    // Facts: read by the derivations, not stored as columns.
    case stage_attribute, raw_error_type, timeout_flag, breaker_rejected, breaker_id, http_status, grpc_status, rpc_status
    case exit_code, first_token_seconds, retry_attempt, resend_count, workflow_root, watchdog
    case has_http_method, has_url, has_database, has_process
    // An exception event means that the span failed, whatever its status.
    case exception_fails

    /// The columns that `spans` shows.
    public static let shown: ClosedRange<Int> = Column.operation.rawValue...Column.error_type.rawValue

    /// How many `spans` shows; their raw values are the numbers below.
    @inlinable
    public static var shownCount: Int { Column.error_type.rawValue + 1 }

    /// How many a segment stores; their raw values are the numbers below.
    @inlinable
    public static var storedCount: Int { Column.host_memory_total.rawValue + 1 }

    public var name: String { "\(self)" }

    /// Names of the stored columns, in the order of their raw values, which start at 0.
    public static let storedNames = allCases.filter { $0.rawValue < storedCount }.map(\.name)

    /// Names of the shown columns, in the same order.
    public static let shownNames = allCases.filter { shown.contains($0.rawValue) }.map(\.name)
}

/// What a column takes. What does not convert is as if it were not there.
public enum ColumnType: String, Sendable {
    /// Text as it is; integers and integral doubles in decimal; blank text is none.
    case text
    /// An integer, an integral double or a decimal string, not negative.
    case integer
    /// The same, negative too.
    case signed
    /// A bool, 0 or 1, or `true`, `false`, `hit`, `miss` in any case.
    case flag
    /// A number of seconds, kept as nanoseconds.
    case seconds
    /// The state of a circuit breaker; spellings are folded to `closed`, `open` and `half_open`, integers kept as `code:N`
    /// because the field numbers them in conflicting ways.
    case breaker
}
