
-- What SQL shows on a node, by the same names, over the rows of all nodes. Each span is there once (FINAL); say which time is asked for, by
-- `Timestamp`, or all of it is read. A span's ending and its tokens are as the span itself says them: what a node leaves out because another span
-- tells of the same call is counted here. Percentiles are estimates (t-digest).
CREATE DATABASE IF NOT EXISTS {views}{on_cluster};

CREATE FUNCTION IF NOT EXISTS attr{on_cluster} AS (attributes, key) -> nullIf(attributes[key], '');

CREATE FUNCTION IF NOT EXISTS iso{on_cluster} AS (unix_nano) -> formatDateTime(fromUnixTimestamp64Nano(unix_nano), '%FT%T.%fZ', 'UTC');

CREATE OR REPLACE VIEW {views}.spans{on_cluster} AS
SELECT Timestamp, TraceId AS trace_id, SpanId AS span_id, nullIf(ParentSpanId, '') AS parent_span_id,
    toUnixTimestamp64Nano(Timestamp) AS start_time_unix_nano, toUnixTimestamp64Nano(Timestamp) + toInt64(Duration) AS end_time_unix_nano,
    if(start_time_unix_nano = 0, NULL, toInt64(Duration)) AS duration_ns, ServiceName AS service_name, SpanName AS name,
    transform(SpanKind, ['Internal', 'Server', 'Client', 'Producer', 'Consumer'], [1, 2, 3, 4, 5], 0) AS kind,
    transform(StatusCode, ['Ok', 'Error'], [1, 2], 0) AS status_code, nullIf(StatusMessage, '') AS status_message,
    nullIf(ScopeName, '') AS scope_name, nullIf(ScopeVersion, '') AS scope_version,
{view_columns}
    coalesce(nullIf(s.tool_name, ''), nullIf(s.stage, '')) AS call_name,
    toUInt8((s.tokens IS NOT NULL OR s.input_tokens IS NOT NULL OR s.output_tokens IS NOT NULL) AND s.operation NOT IN ({wrappers}))
        AS counts_tokens,
    toUInt8(s.workflow_name != '' AND start_time_unix_nano != 0 AND (s.ParentSpanId = ''
        OR lower(trimBoth(s.SpanAttributes['workflow.root'])) IN ('true', '1', 'yes', 'hit'))) AS is_run,
    toUnixTimestamp64Nano(FuseboxReceived) AS received_time_unix_nano, nullIf(TraceState, '') AS trace_state,
    SpanAttributes AS attributes, ResourceAttributes AS resource_attributes,
    `Events.Timestamp`, `Events.Name`, `Events.Attributes`, `Links.TraceId`, `Links.SpanId`, `Links.Attributes`,
    FuseboxNode AS node, FuseboxOrdinal AS ordinal
FROM {database}.{table} AS s FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1;

CREATE OR REPLACE VIEW {views}.logs{on_cluster} AS
SELECT Timestamp, toUnixTimestamp64Nano(Timestamp) AS time_unix_nano, nullIf(TraceId, '') AS trace_id, nullIf(SpanId, '') AS span_id,
    SeverityNumber AS severity_number, nullIf(SeverityText, '') AS severity_text, nullIf(EventName, '') AS event_name, Body AS body,
    ServiceName AS service_name, nullIf(ScopeName, '') AS scope_name, LogAttributes AS attributes, ResourceAttributes AS resource_attributes,
    toUnixTimestamp64Nano(FuseboxReceived) AS received_time_unix_nano, FuseboxNode AS node, FuseboxOrdinal AS ordinal
FROM {database}.{logs_table} FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1;

CREATE OR REPLACE VIEW {views}.token_spans{on_cluster} AS
SELECT Timestamp, trace_id, span_id, parent_span_id, service_name, workflow_name, model, provider, session_id, user_id, end_time_unix_nano,
    tokens, input_tokens, output_tokens, cached_tokens, reasoning_tokens, cache_write_tokens
FROM {views}.spans
WHERE counts_tokens = 1;

CREATE OR REPLACE VIEW {views}.traces{on_cluster} AS
SELECT trace_id, min(start_time_unix_nano) AS start_time_unix_nano, max(end_time_unix_nano) AS end_time_unix_nano,
    greatest(0, max(s.end_time_unix_nano) - min(s.start_time_unix_nano)) AS duration_ns,
    argMin(service_name, (parent_span_id IS NOT NULL, s.start_time_unix_nano, s.end_time_unix_nano, span_id)) AS service_name,
    argMinIf(s.workflow_name, (parent_span_id IS NOT NULL, s.start_time_unix_nano, s.end_time_unix_nano, span_id), s.workflow_name IS NOT NULL)
        AS workflow_name,
    maxIfOrNull(name, parent_span_id IS NULL) AS root_name, maxIfOrNull(status_code, parent_span_id IS NULL) AS root_status_code,
    count() AS span_count, countIf(status_code = 2) AS error_count, sum(s.outcome = 'timeout') AS timeout_count,
    sumIf(s.tokens, counts_tokens = 1) AS tokens,
    argMinIf(s.session_id, (parent_span_id IS NOT NULL, s.start_time_unix_nano, s.end_time_unix_nano, span_id), s.session_id IS NOT NULL)
        AS session_id,
    argMinIf(s.user_id, (parent_span_id IS NOT NULL, s.start_time_unix_nano, s.end_time_unix_nano, span_id), s.user_id IS NOT NULL)
        AS user_id,
    max(s.eval_id) AS eval_id
FROM {views}.spans AS s
WHERE s.told_by_log IS NULL OR s.outcome IS NOT NULL OR s.counts_tokens = 1
GROUP BY trace_id;

CREATE OR REPLACE VIEW {views}.sessions{on_cluster} AS
SELECT session_id, min(start_time_unix_nano) AS start_time_unix_nano, max(end_time_unix_nano) AS end_time_unix_nano,
    count() AS trace_count, sum(span_count) AS span_count, sum(error_count) AS error_count, sum(timeout_count) AS timeout_count,
    sum(tokens) AS tokens
FROM {views}.traces
WHERE session_id IS NOT NULL
GROUP BY session_id;

CREATE OR REPLACE VIEW {views}.users{on_cluster} AS
SELECT user_id, min(start_time_unix_nano) AS start_time_unix_nano, max(end_time_unix_nano) AS end_time_unix_nano,
    uniqExact(session_id) AS session_count, count() AS trace_count, sum(span_count) AS span_count, sum(error_count) AS error_count,
    sum(timeout_count) AS timeout_count, sum(tokens) AS tokens
FROM {views}.traces
WHERE user_id IS NOT NULL
GROUP BY user_id;

CREATE OR REPLACE VIEW {views}.workflows{on_cluster} AS
SELECT service_name, workflow_name, sum(part.runs) AS runs, sum(part.failed_runs) AS failed_runs, sum(part.span_count) AS span_count,
    sum(part.timeouts) AS timeouts, sum(part.tokens) AS tokens, max(part.p50_ms) AS p50_ms, max(part.p95_ms) AS p95_ms,
    max(part.last_time_unix_nano) AS last_time_unix_nano
FROM (
    SELECT service_name, workflow_name, count() AS runs, countIf(status_code = 2) AS failed_runs, toUInt64(0) AS span_count,
        toUInt64(0) AS timeouts, toInt64(0) AS tokens, quantileTDigest(0.5)(duration_ns) / 1e6 AS p50_ms,
        quantileTDigest(0.95)(duration_ns) / 1e6 AS p95_ms, max(end_time_unix_nano) AS last_time_unix_nano
    FROM {views}.spans
    WHERE is_run = 1
    GROUP BY service_name, workflow_name
    UNION ALL
    SELECT service_name, workflow_name, toUInt64(0), toUInt64(0), sum(span_count), sum(timeout_count), sum(tokens), NULL, NULL,
        max(end_time_unix_nano)
    FROM {views}.traces
    WHERE workflow_name IS NOT NULL
    GROUP BY service_name, workflow_name
) AS part
GROUP BY service_name, workflow_name;

CREATE OR REPLACE VIEW {views}.timeouts{on_cluster} AS
SELECT Timestamp, end_time_unix_nano AS time_unix_nano, service_name, workflow_name, step_id, tool_name, stage, model,
    timeout_reason AS reason, timeout_phase AS phase, duration_ns, error_type, breaker_state, trace_id, span_id
FROM {views}.spans
WHERE outcome = 'timeout';

CREATE OR REPLACE VIEW {views}.tools{on_cluster} AS
SELECT service_name, call_name AS tool_name, stage, count() AS calls, countIf(outcome = 'ok') AS ok, countIf(outcome = 'error') AS errors,
    countIf(outcome = 'timeout') AS timeouts, countIf(outcome = 'rejected') AS rejected,
    quantileTDigestIf(0.5)(duration_ns, outcome != 'rejected') / 1e6 AS p50_ms,
    quantileTDigestIf(0.95)(duration_ns, outcome != 'rejected') / 1e6 AS p95_ms, max(end_time_unix_nano) AS last_time_unix_nano
FROM {views}.spans
WHERE outcome IS NOT NULL
GROUP BY service_name, call_name, stage;

CREATE OR REPLACE VIEW {views}.span_exceptions{on_cluster} AS
SELECT Timestamp, trace_id, span_id, toUnixTimestamp64Nano(event_time) AS time_unix_nano, service_name,
    attr(event_attributes, 'exception.type') AS type, attr(event_attributes, 'exception.message') AS message,
    attr(event_attributes, 'exception.stacktrace') AS stacktrace, 'span' AS source
FROM {views}.spans
ARRAY JOIN `Events.Timestamp` AS event_time, `Events.Name` AS event_name, `Events.Attributes` AS event_attributes
WHERE event_name IN ('exception', 'gen_ai.client.operation.exception')
UNION ALL
SELECT Timestamp, coalesce(trace_id, '') AS trace_id, coalesce(span_id, '') AS span_id, time_unix_nano, service_name,
    attr(attributes, 'exception.type') AS type, attr(attributes, 'exception.message') AS message,
    attr(attributes, 'exception.stacktrace') AS stacktrace, 'log' AS source
FROM {views}.logs
WHERE span_id IS NOT NULL
    AND (event_name IN ('exception', 'gen_ai.client.operation.exception') OR attr(attributes, 'exception.type') IS NOT NULL);
