/// Columns of ours behind those of the collector's exporter. `fusebox ddl clickhouse` declares them, and flights fill them.
package enum ClickHouseColumns {
    package enum Kind: Equatable, Sendable {
        /// `LowCardinality(String)`, empty for none.
        case text
        /// `Nullable(Int64)`.
        case integer
        /// `Nullable(UInt8)`.
        case flag
    }

    /// What a node derived from a span when it came in, as the span itself says it. The names are those of SQL.
    package static let derived: [(name: String, kind: Kind)] = [
        ("operation", .text), ("workflow_name", .text), ("step_id", .text), ("tool_name", .text), ("retrieval_batch", .integer),
        ("cached_tokens", .integer), ("cache_hit", .flag), ("input_tokens", .integer), ("output_tokens", .integer),
        ("reasoning_tokens", .integer), ("tokens", .integer), ("queue_depth", .integer), ("breaker_state", .text),
        ("model", .text),
        ("provider", .text), ("session_id", .text), ("user_id", .text), ("eval_id", .text), ("error_type", .text),
        ("stage", .text),
        ("outcome", .text), ("timeout_reason", .text), ("timeout_phase", .text), ("cache_write_tokens", .integer),
        ("told_by_log", .integer),
    ]

    /// Those that say how an attempt ended.
    static let endings: Set<String> = ["outcome", "timeout_reason", "timeout_phase"]

    /// Which node a row came from.
    package static let node = "FuseboxNode"
    /// The row's ordinal on that node. Log records have their identity of both.
    package static let ordinal = "FuseboxOrdinal"
    /// When that node received it.
    package static let received = "FuseboxReceived"
}
