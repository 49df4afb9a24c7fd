import SegmentFormat

/// The columns of the virtual table `spans`, in their SQL order. docs/sql.md tells each; a test holds the two together.
enum SpansColumn {
    enum Source {
        case traceID, spanID, parentSpanID
        case startTime, endTime, duration
        /// The end, else the start, else the receipt (`SpanTimes`).
        case latestKnownTime
        /// 1 where the span is a run, 0 elsewhere (`SegmentRows.isRun`): every list and report counts runs by it.
        case isRun
        case serviceName, scopeName, scopeVersion
        case integer(ColumnSpace, String)
        case text(ColumnSpace, String)
        /// The tool's name, or the stage: what a call goes by.
        case callName
        /// The workflow that a call goes by: its own, else its trace's.
        case callWorkflow
        /// 1 where the span's tokens count, 0 elsewhere.
        case countsTokens
        /// How the call ended: the stored text of that name, unless another span tells of the call (docs/metrics.md 2.12).
        case ending(String)
        case attributes, resourceAttributes, scopeAttributes, events, links
        /// A span attribute by its key, as `attr` gives it.
        case attribute(String)
        /// What kind of value it has, as `attr_type` says it.
        case attributeType(String)
        /// The first of these span attributes, for reports: unlike `attr(attributes, …)` it reads no other attribute.
        case firstAttribute([String])
        /// A stored integer; of a span that was stored before there was one, the first of these attributes.
        case storedOrAttribute(String, [String])
        /// A span attribute that says yes or no, as 1 or 0; NULL where it says neither.
        case flag(String)
    }

    static let all: [(name: String, type: String, source: Source)] = [
        ("trace_id", "TEXT", .traceID),
        ("span_id", "TEXT", .spanID),
        ("parent_span_id", "TEXT", .parentSpanID),
        ("start_time_unix_nano", "INTEGER", .startTime),
        ("end_time_unix_nano", "INTEGER", .endTime),
        ("duration_ns", "INTEGER", .duration),
        ("service_name", "TEXT", .serviceName),
        ("name", "TEXT", .text(.fixed, FixedColumn.name)),
        ("kind", "INTEGER", .integer(.fixed, FixedColumn.kind)),
        ("status_code", "INTEGER", .integer(.fixed, FixedColumn.statusCode)),
        ("status_message", "TEXT", .text(.fixed, FixedColumn.statusMessage)),
        ("scope_name", "TEXT", .scopeName),
        ("scope_version", "TEXT", .scopeVersion),
        ("workflow_name", "TEXT", .text(.derived, "workflow_name")),
        ("step_id", "TEXT", .text(.derived, "step_id")),
        ("tool_name", "TEXT", .text(.derived, "tool_name")),
        ("retrieval_batch", "INTEGER", .integer(.derived, "retrieval_batch")),
        ("cache_hit", "INTEGER", .integer(.derived, "cache_hit")),
        ("tokens", "INTEGER", .integer(.derived, "tokens")),
        ("queue_depth", "INTEGER", .integer(.derived, "queue_depth")),
        ("breaker_state", "TEXT", .text(.derived, "breaker_state")),
        ("input_tokens", "INTEGER", .integer(.derived, "input_tokens")),
        ("output_tokens", "INTEGER", .integer(.derived, "output_tokens")),
        ("cached_tokens", "INTEGER", .integer(.derived, "cached_tokens")),
        ("reasoning_tokens", "INTEGER", .integer(.derived, "reasoning_tokens")),
        ("model", "TEXT", .text(.derived, "model")),
        ("provider", "TEXT", .text(.derived, "provider")),
        ("operation", "TEXT", .text(.derived, "operation")),
        ("session_id", "TEXT", .text(.derived, "session_id")),
        ("user_id", "TEXT", .text(.derived, "user_id")),
        ("eval_id", "TEXT", .text(.derived, "eval_id")),
        ("error_type", "TEXT", .text(.derived, "error_type")),
        ("stage", "TEXT", .text(.derived, "stage")),
        ("outcome", "TEXT", .ending("outcome")),
        ("timeout_reason", "TEXT", .ending("timeout_reason")),
        ("timeout_phase", "TEXT", .ending("timeout_phase")),
        ("received_time_unix_nano", "INTEGER", .integer(.fixed, FixedColumn.received)),
        ("trace_state", "TEXT", .text(.fixed, FixedColumn.traceState)),
        ("flags", "INTEGER", .integer(.fixed, FixedColumn.flags)),
        ("dropped_attributes_count", "INTEGER", .integer(.fixed, FixedColumn.droppedAttributes)),
        ("dropped_events_count", "INTEGER", .integer(.fixed, FixedColumn.droppedEvents)),
        ("dropped_links_count", "INTEGER", .integer(.fixed, FixedColumn.droppedLinks)),
        ("attributes", "TEXT", .attributes),
        ("resource_attributes", "TEXT", .resourceAttributes),
        ("events", "TEXT", .events),
        ("links", "TEXT", .links),
        // Hidden: `SELECT *` leaves them out.
        ("content_hash", "INTEGER HIDDEN", .integer(.fixed, FixedColumn.contentHash)),
        ("workflow_root", "INTEGER HIDDEN", .flag(workflowRoot)),
        (
            "cache_write_tokens", "INTEGER HIDDEN",
            // The names that were known before the column was stored; those of now stand in schemas/columns.
            .storedOrAttribute(
                "cache_write_tokens",
                [
                    "gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_write.input_tokens",
                    "gen_ai.usage.cache_creation_input_tokens", "llm.token_count.prompt_details.cache_write",
                ])
        ),
        // Endings as the span itself has them, whoever else tells of the call.
        ("own_outcome", "TEXT HIDDEN", .text(.derived, "outcome")),
        ("own_timeout_reason", "TEXT HIDDEN", .text(.derived, "timeout_reason")),
        ("own_timeout_phase", "TEXT HIDDEN", .text(.derived, "timeout_phase")),
        ("response_id", "TEXT HIDDEN", .text(.derived, "response_id")),
        ("protocol_method", "TEXT HIDDEN", .text(.derived, "protocol_method")),
        ("tells_parent", "INTEGER HIDDEN", .integer(.derived, "tells_parent")),
        ("may_be_told", "INTEGER HIDDEN", .integer(.derived, "may_be_told")),
        ("told_by_log", "INTEGER HIDDEN", .integer(.derived, "told_by_log")),
        ("embed_batch", "INTEGER HIDDEN", .integer(.derived, "embed_batch")),
        ("process_memory", "INTEGER HIDDEN", .integer(.derived, "process_memory")),
        ("host_memory", "INTEGER HIDDEN", .integer(.derived, "host_memory")),
        ("host_memory_total", "INTEGER HIDDEN", .integer(.derived, "host_memory_total")),
        ("tool_arguments", "TEXT HIDDEN", .firstAttribute(["gen_ai.tool.call.arguments"])),
        // Logfire sends a span when it begins, with an id of its own, below the one that it stands for.
        ("logfire_span_type", "TEXT HIDDEN", .firstAttribute(["logfire.span_type"])),
        ("logfire_pending_parent_id", "TEXT HIDDEN", .firstAttribute(["logfire.pending_parent_id"])),
        ("call_name", "TEXT HIDDEN", .callName),
        ("call_workflow", "TEXT HIDDEN", .callWorkflow),
        ("counts_tokens", "INTEGER HIDDEN", .countsTokens),
        // The trace id once more: GROUP BY it gives groups in no order, however many there are (docs/adr/0052).
        ("unordered_trace_id", "TEXT HIDDEN", .traceID),
        ("scope_attributes", "TEXT HIDDEN", .scopeAttributes),
        ("is_run", "INTEGER HIDDEN", .isRun),
        ("latest_known_unix_nano", "INTEGER HIDDEN", .latestKnownTime),
    ]

    /// The attribute of a span that is a run though it has a parent.
    static let workflowRoot = "workflow.root"

    static let startTimeIndex = index(of: "start_time_unix_nano")
    static let endTimeIndex = index(of: "end_time_unix_nano")

    static let unorderedTraceIndex = index(of: "unordered_trace_id")
    static let latestKnownIndex = index(of: "latest_known_unix_nano")
    static let spanIDIndex = index(of: "span_id")
    static let attributesIndex = index(of: "attributes")

    private static func index(of name: String) -> Int { all.firstIndex { $0.name == name } ?? -1 }

    private static let indices = Dictionary(
        all.enumerated().map { ($0.element.name, $0.offset) }, uniquingKeysWith: { first, _ in first })

    /// The position of a column.
    static func index(named name: String) throws(SegmentError) -> Int {
        guard let index = indices[name] else { throw .damaged("no column \(name)") }
        return index
    }

    /// The declaration that SQLite is given.
    ///
    /// - Parameter attributes: hidden columns behind the others.
    static func declaration(attributes: [AttributeColumn]) -> String {
        let columns = all.map { "\($0.name) \($0.type)" }
        // As a BLOB they are compared as they are, like the result of `attr`.
        let hidden = attributes.map { "\(SQLText.quoted($0.name)) BLOB HIDDEN" }
        return "CREATE TABLE spans(" + (columns + hidden).joined(separator: ", ") + ")"
    }
}
