-- Views over `spans` and the tables of the data file. They are made in the temporary schema of each reading connection, so that
-- they change with the program and not with the file. docs/sql.md tells each column.

-- Model calls with their tokens, each counted once: wrappers that repeat their children's totals are left out, by operation or
-- because a child of theirs has tokens of its own.
CREATE TEMP VIEW token_spans AS
WITH counted AS MATERIALIZED (
    SELECT trace_id, span_id, parent_span_id, service_name, workflow_name, model, provider, session_id, end_time_unix_nano,
        tokens, input_tokens, output_tokens, cached_tokens
    FROM spans
    WHERE tokens IS NOT NULL
        AND coalesce(operation, '') NOT IN ('invoke_agent', 'invoke_workflow', 'create_agent', 'chain', 'task', 'execute_task')
)
SELECT * FROM counted AS outer_span
WHERE NOT EXISTS (
    SELECT 1 FROM counted AS inner_span
    WHERE inner_span.trace_id = outer_span.trace_id AND inner_span.parent_span_id = outer_span.span_id
);

-- One row a trace. Times are the earliest start and the latest end of the spans that are stored.
CREATE TEMP VIEW traces AS
WITH grouped AS (
    SELECT trace_id,
        min(start_time_unix_nano) AS start_time_unix_nano,
        max(end_time_unix_nano) AS end_time_unix_nano,
        count(*) AS span_count,
        sum(status_code = 2) AS error_count,
        sum(outcome = 'timeout') AS timeout_count,
        max(CASE WHEN parent_span_id IS NULL THEN name END) AS root_name,
        coalesce(max(CASE WHEN parent_span_id IS NULL THEN service_name END), max(service_name)) AS service_name,
        coalesce(max(CASE WHEN parent_span_id IS NULL THEN workflow_name END), max(workflow_name)) AS workflow_name,
        max(CASE WHEN parent_span_id IS NULL THEN status_code END) AS root_status_code,
        max(session_id) AS session_id,
        max(eval_id) AS eval_id
    FROM spans
    GROUP BY trace_id
),
token_sums AS (SELECT trace_id, sum(tokens) AS tokens FROM token_spans GROUP BY trace_id)
SELECT grouped.trace_id, start_time_unix_nano, end_time_unix_nano,
    max(0, end_time_unix_nano - start_time_unix_nano) AS duration_ns,
    service_name, workflow_name, root_name, root_status_code, span_count, error_count, timeout_count,
    token_sums.tokens AS tokens, session_id, eval_id
FROM grouped LEFT JOIN token_sums ON token_sums.trace_id = grouped.trace_id;

-- One row a conversation.
CREATE TEMP VIEW sessions AS
SELECT session_id, min(start_time_unix_nano) AS start_time_unix_nano, max(end_time_unix_nano) AS end_time_unix_nano,
    count(*) AS trace_count, sum(span_count) AS span_count, sum(error_count) AS error_count,
    sum(timeout_count) AS timeout_count, sum(tokens) AS tokens
FROM traces
WHERE session_id IS NOT NULL
GROUP BY session_id;

-- One row a timed-out attempt.
CREATE TEMP VIEW timeouts AS
SELECT end_time_unix_nano AS time_unix_nano, service_name, workflow_name, step_id, tool_name, stage, model,
    timeout_reason AS reason, timeout_phase AS phase, duration_ns, error_type, breaker_state, trace_id, span_id
FROM spans
WHERE outcome = 'timeout';

-- One row a tool and stage of a service. Calls without a tool name go by their stage, as in the metrics.
CREATE TEMP VIEW tools AS
SELECT service_name, coalesce(tool_name, stage) AS tool_name, stage,
    count(*) AS calls, sum(outcome = 'ok') AS ok, sum(outcome = 'error') AS errors, sum(outcome = 'timeout') AS timeouts,
    sum(outcome = 'rejected') AS rejected,
    percentile(CASE WHEN outcome <> 'rejected' THEN duration_ns END, 50) / 1e6 AS p50_ms,
    percentile(CASE WHEN outcome <> 'rejected' THEN duration_ns END, 95) / 1e6 AS p95_ms,
    max(end_time_unix_nano) AS last_time_unix_nano
FROM spans
WHERE outcome IS NOT NULL
GROUP BY service_name, coalesce(tool_name, stage), stage;

-- One row a workflow of a service, from its traces.
CREATE TEMP VIEW workflows AS
SELECT service_name, workflow_name, count(*) AS runs, sum(root_status_code = 2) AS failed_runs,
    sum(span_count) AS span_count, sum(timeout_count) AS timeouts, sum(tokens) AS tokens,
    percentile(duration_ns, 50) / 1e6 AS p50_ms, percentile(duration_ns, 95) / 1e6 AS p95_ms,
    max(end_time_unix_nano) AS last_time_unix_nano
FROM traces
WHERE workflow_name IS NOT NULL
GROUP BY service_name, workflow_name;

-- Edges of breakers in the order in which they were applied.
CREATE TEMP VIEW breaker_transitions AS
SELECT time_unix_nano, service_name, scope, tool_name, machine, from_state, to_state, trace_id, span_id
FROM main.breaker_transition
ORDER BY id;

CREATE TEMP VIEW evals AS
SELECT eval_id, name, score, label, explanation, annotator, run_id, trace_id, span_id, session_id, created_unix_nano
FROM main.eval;

-- Each eval beside the span that it judges: the span named, else the topmost span that carries its eval id, else the trace's root.
CREATE TEMP VIEW span_evals AS
WITH candidates AS (
    SELECT eval.id AS row, eval.eval_id, eval.name, eval.score, eval.label, eval.annotator, eval.run_id,
        spans.trace_id, spans.span_id, spans.service_name, spans.workflow_name, spans.name AS span_name, spans.duration_ns,
        CASE WHEN eval.span_id = spans.span_id THEN 0 WHEN eval.eval_id = spans.eval_id THEN 1 ELSE 2 END AS rank,
        spans.start_time_unix_nano
    FROM main.eval AS eval JOIN spans ON
        (eval.span_id IS NOT NULL AND spans.span_id = eval.span_id AND coalesce(eval.trace_id, spans.trace_id) = spans.trace_id)
        OR (eval.span_id IS NULL AND eval.eval_id IS NOT NULL AND spans.eval_id = eval.eval_id)
        OR (eval.span_id IS NULL AND spans.trace_id = eval.trace_id AND spans.parent_span_id IS NULL)
),
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY row ORDER BY rank, start_time_unix_nano) AS place FROM candidates
)
SELECT eval_id, name, score, label, annotator, run_id, trace_id, span_id, service_name, workflow_name, span_name, duration_ns
FROM ranked
WHERE place = 1;

-- Tokens and dollars by model. A model without a price has NULL, never 0.
CREATE TEMP VIEW costs AS
WITH priced AS (
    SELECT token_spans.*, (
        SELECT price.rowid_key FROM (
            SELECT model || char(31) || effective_from_unix_nano AS rowid_key, model, effective_from_unix_nano FROM main.price
        ) AS price
        WHERE price.model = token_spans.model AND price.effective_from_unix_nano <= token_spans.end_time_unix_nano
        ORDER BY price.effective_from_unix_nano DESC LIMIT 1
    ) AS price_key
    FROM token_spans
)
SELECT priced.service_name, priced.workflow_name, priced.model, count(*) AS calls, sum(priced.tokens) AS tokens,
    sum(priced.input_tokens) AS input_tokens, sum(priced.cached_tokens) AS cached_tokens,
    sum(priced.output_tokens) AS output_tokens,
    CASE WHEN count(price.model) = count(*) THEN sum(
        ((coalesce(priced.input_tokens, 0) - coalesce(priced.cached_tokens, 0)) * price.input
        + coalesce(priced.cached_tokens, 0) * price.cache_read
        + coalesce(priced.output_tokens, 0) * price.output) / 1e6) END AS dollars
FROM priced LEFT JOIN main.price AS price
    ON price.model || char(31) || price.effective_from_unix_nano = priced.price_key
GROUP BY priced.service_name, priced.workflow_name, priced.model;
