-- Views over `spans` and the tables of the data file. They are made in the temporary schema of each reading connection, so that
-- they change with the program and not with the file. docs/sql.md tells each column.

-- Model calls with their tokens, each counted once: what wraps a call or tells of it a second time is left out (docs/metrics.md 2.12).
CREATE TEMP VIEW token_spans AS
SELECT trace_id, span_id, parent_span_id, service_name, call_workflow AS workflow_name, model, provider, session_id, user_id,
    end_time_unix_nano, latest_known_unix_nano, tokens, input_tokens, output_tokens, cached_tokens, reasoning_tokens,
    CASE WHEN input_tokens IS NOT NULL THEN cache_write_tokens END AS cache_write_tokens
FROM spans
WHERE counts_tokens = 1;

-- One row a trace. Times are the earliest start and the latest end of the spans that are stored. Spans that were made of log records are
-- left out where spans tell of the same calls.
CREATE TEMP VIEW traces AS
SELECT trace_id, start_time_unix_nano, end_time_unix_nano,
    max(0, end_time_unix_nano - start_time_unix_nano) AS duration_ns,
    service_name, workflow_name, root_name, root_status_code, span_count, error_count, timeout_count, tokens, session_id, user_id, eval_id
FROM (
    SELECT unordered_trace_id AS trace_id,
        min(start_time_unix_nano) AS start_time_unix_nano,
        max(end_time_unix_nano) AS end_time_unix_nano,
        count(*) AS span_count,
        sum(status_code = 2) AS error_count,
        sum(outcome = 'timeout') AS timeout_count,
        max(CASE WHEN parent_span_id IS NULL THEN name END) AS root_name,
        first_of(service_name, parent_span_id IS NOT NULL, start_time_unix_nano, end_time_unix_nano, span_id) AS service_name,
        first_of(workflow_name, parent_span_id IS NOT NULL, start_time_unix_nano, end_time_unix_nano, span_id) AS workflow_name,
        max(CASE WHEN parent_span_id IS NULL THEN status_code END) AS root_status_code,
        saturated_sum(CASE WHEN counts_tokens = 1 THEN tokens END) AS tokens,
        first_of(session_id, parent_span_id IS NOT NULL, start_time_unix_nano, end_time_unix_nano, span_id) AS session_id,
        first_of(user_id, parent_span_id IS NOT NULL, start_time_unix_nano, end_time_unix_nano, span_id) AS user_id,
        max(eval_id) AS eval_id
    FROM spans
    WHERE told_by_log IS NULL OR outcome IS NOT NULL OR counts_tokens = 1
    GROUP BY unordered_trace_id
);

-- One row a conversation.
CREATE TEMP VIEW sessions AS
SELECT session_id, min(start_time_unix_nano) AS start_time_unix_nano, max(end_time_unix_nano) AS end_time_unix_nano,
    count(*) AS trace_count, sum(span_count) AS span_count, sum(error_count) AS error_count,
    sum(timeout_count) AS timeout_count, saturated_sum(tokens) AS tokens
FROM traces
WHERE session_id IS NOT NULL
GROUP BY session_id;

-- One row a user, from the traces that name one.
CREATE TEMP VIEW users AS
SELECT user_id, min(start_time_unix_nano) AS start_time_unix_nano, max(end_time_unix_nano) AS end_time_unix_nano,
    count(DISTINCT session_id) AS session_count, count(*) AS trace_count, sum(span_count) AS span_count,
    sum(error_count) AS error_count, sum(timeout_count) AS timeout_count, saturated_sum(tokens) AS tokens
FROM traces
WHERE user_id IS NOT NULL
GROUP BY user_id;

-- One row a timed-out attempt.
CREATE TEMP VIEW timeouts AS
SELECT end_time_unix_nano AS time_unix_nano, service_name, workflow_name, step_id, tool_name, stage, model,
    timeout_reason AS reason, timeout_phase AS phase, duration_ns, error_type, breaker_state, trace_id, span_id
FROM spans
WHERE outcome = 'timeout';

-- One row a tool and stage of a service. Calls without a tool name go by their stage, as in the metrics.
CREATE TEMP VIEW tools AS
SELECT service_name, call_name AS tool_name, stage,
    count(*) AS calls, sum(outcome = 'ok') AS ok, sum(outcome = 'error') AS errors, sum(outcome = 'timeout') AS timeouts,
    sum(outcome = 'rejected') AS rejected,
    percentile(CASE WHEN outcome <> 'rejected' THEN duration_ns END, 50) / 1e6 AS p50_ms,
    percentile(CASE WHEN outcome <> 'rejected' THEN duration_ns END, 95) / 1e6 AS p95_ms,
    max(end_time_unix_nano) AS last_time_unix_nano
FROM spans
WHERE outcome IS NOT NULL
GROUP BY service_name, call_name, stage;

-- One row a workflow of a service: its runs (docs/metrics.md 2.1), and what its traces hold. One that has traces and no runs has 0.
CREATE TEMP VIEW workflows AS
SELECT service_name, workflow_name, sum(runs) AS runs, sum(failed_runs) AS failed_runs, sum(span_count) AS span_count,
    sum(timeouts) AS timeouts, saturated_sum(tokens) AS tokens, max(p50_ms) AS p50_ms, max(p95_ms) AS p95_ms,
    max(last_time_unix_nano) AS last_time_unix_nano
FROM (
    SELECT service_name, workflow_name, count(*) AS runs, sum(status_code = 2) AS failed_runs, 0 AS span_count, 0 AS timeouts,
        0 AS tokens, percentile(duration_ns, 50) / 1e6 AS p50_ms, percentile(duration_ns, 95) / 1e6 AS p95_ms,
        max(end_time_unix_nano) AS last_time_unix_nano
    FROM spans
    WHERE is_run = 1
    GROUP BY service_name, workflow_name
    UNION ALL
    SELECT service_name, workflow_name, 0, 0, sum(span_count), sum(timeout_count), saturated_sum(tokens), NULL, NULL,
        max(end_time_unix_nano)
    FROM traces
    WHERE workflow_name IS NOT NULL
    GROUP BY service_name, workflow_name
)
GROUP BY service_name, workflow_name;

-- Edges of breakers in the order in which they were applied.
CREATE TEMP VIEW breaker_transitions AS
SELECT time_unix_nano, service_name, scope, tool_name, machine, from_state, to_state, trace_id, span_id
FROM main.breaker_transition
ORDER BY id;

-- Openings of breakers: where each began and ended, and how much of it counts. A running one has no end yet.
CREATE TEMP VIEW breaker_openings AS
SELECT service_name, scope, tool_name, machine, from_unix_nano, to_unix_nano, until_unix_nano, credited_ns, trace_id, span_id
FROM main.breaker_opening;

-- Judgements of spans, traces, sessions and examples, as they were imported or sent.
CREATE TEMP VIEW evals AS
SELECT eval_id, name, score, label, explanation, annotator, run_id, trace_id, span_id, session_id, created_unix_nano,
    example_id, response_id, annotator_kind, error, dataset, git_revision, metadata, source, updated_unix_nano
FROM main.evaluation;

-- Each eval beside the span that it judges: the span named, else the topmost span that carries its eval id (or example id), else
-- the trace's root, else the call with that response id, else the first root of the session. `matched_by` says which.
CREATE TEMP VIEW span_evals AS
WITH wanted_span AS MATERIALIZED (SELECT DISTINCT span_id FROM main.evaluation WHERE span_id IS NOT NULL),
wanted_eval AS MATERIALIZED (
    SELECT eval_id FROM main.evaluation WHERE eval_id IS NOT NULL
    UNION SELECT example_id FROM main.evaluation WHERE example_id IS NOT NULL
),
wanted_trace AS MATERIALIZED (SELECT DISTINCT trace_id FROM main.evaluation WHERE trace_id IS NOT NULL),
wanted_session AS MATERIALIZED (SELECT DISTINCT session_id FROM main.evaluation WHERE session_id IS NOT NULL),
wanted_response AS MATERIALIZED (SELECT DISTINCT response_id FROM main.evaluation WHERE response_id IS NOT NULL),
target AS MATERIALIZED (
    SELECT trace_id, span_id, parent_span_id, eval_id AS carried, session_id, service_name, workflow_name, name AS span_name,
        duration_ns, start_time_unix_nano, end_time_unix_nano, status_code,
        CASE WHEN EXISTS (SELECT 1 FROM wanted_response) THEN attr(attributes, 'gen_ai.response.id') END AS response
    FROM spans
    WHERE eval_id IN wanted_eval OR span_id IN wanted_span
        OR parent_span_id IS NULL AND (trace_id IN wanted_trace OR session_id IN wanted_session)
        OR EXISTS (SELECT 1 FROM wanted_response) AND attr(attributes, 'gen_ai.response.id') IN wanted_response
),
candidate AS (
    SELECT evaluation.id, 0 AS rank, target.*
    FROM main.evaluation JOIN target ON target.span_id = evaluation.span_id
    WHERE coalesce(evaluation.trace_id, target.trace_id) = target.trace_id
    UNION ALL SELECT evaluation.id, 1, target.*
    FROM main.evaluation JOIN target ON target.carried = evaluation.eval_id
    WHERE evaluation.span_id IS NULL AND coalesce(evaluation.trace_id, target.trace_id) = target.trace_id
    UNION ALL SELECT evaluation.id, 2, target.*
    FROM main.evaluation JOIN target ON target.carried = evaluation.example_id
    WHERE evaluation.span_id IS NULL AND coalesce(evaluation.trace_id, target.trace_id) = target.trace_id
    UNION ALL SELECT evaluation.id, 3, target.*
    FROM main.evaluation JOIN target ON target.trace_id = evaluation.trace_id
    WHERE evaluation.span_id IS NULL AND target.parent_span_id IS NULL
    UNION ALL SELECT evaluation.id, 4, target.*
    FROM main.evaluation JOIN target ON target.response = evaluation.response_id
    WHERE evaluation.span_id IS NULL AND evaluation.trace_id IS NULL
    UNION ALL SELECT evaluation.id, 5, target.*
    FROM main.evaluation JOIN target ON target.session_id = evaluation.session_id
    WHERE evaluation.span_id IS NULL AND evaluation.trace_id IS NULL AND target.parent_span_id IS NULL
),
-- Of the best way to match, the topmost span: a root, else the one that starts first and ends last.
ranked AS (
    SELECT *, row_number() OVER (
        PARTITION BY id
        ORDER BY rank, start_time_unix_nano, parent_span_id IS NOT NULL, end_time_unix_nano DESC, trace_id, span_id) AS place,
        min(rank) OVER (PARTITION BY id) AS best
    FROM candidate
),
traces_matched AS (SELECT id, count(DISTINCT trace_id) AS trace_count FROM ranked WHERE rank = best AND rank < 5 GROUP BY id)
SELECT evaluation.eval_id, evaluation.name, evaluation.score, evaluation.label, evaluation.annotator, evaluation.run_id,
    ranked.trace_id, ranked.span_id, ranked.service_name, ranked.workflow_name, ranked.span_name, ranked.duration_ns,
    ranked.start_time_unix_nano, ranked.end_time_unix_nano, ranked.status_code,
    CASE ranked.rank WHEN 0 THEN 'span_id' WHEN 1 THEN 'eval_id' WHEN 2 THEN 'example_id' WHEN 3 THEN 'trace_id'
        WHEN 4 THEN 'response_id' ELSE 'session_id' END AS matched_by,
    coalesce(traces_matched.trace_count > 1, 0) AS is_ambiguous, evaluation.id AS evaluation_id, evaluation.explanation
FROM ranked JOIN main.evaluation ON evaluation.id = ranked.id LEFT JOIN traces_matched ON traces_matched.id = ranked.id
WHERE ranked.place = 1;

-- Each model's prices with the time until which they hold.
CREATE TEMP VIEW prices AS
SELECT model, kind, effective_from_unix_nano,
    lead(effective_from_unix_nano, 1, 9223372036854775807) OVER (PARTITION BY model ORDER BY effective_from_unix_nano)
        AS effective_until_unix_nano,
    input, cache_read, cache_write, output, source
FROM main.model_price;

-- Tokens and dollars by model: token types do not overlap, `input_tokens` here is without what a cache gave or took. A model with a
-- call without a price has NULL, never 0.
CREATE TEMP VIEW costs AS
WITH priced AS (
    SELECT token_spans.*, prices.model AS price_model,
        token_dollars(tokens, input_tokens, output_tokens, cached_tokens, cache_write_tokens, prices.input, prices.cache_read,
            prices.cache_write, prices.output) AS dollars
    FROM token_spans LEFT JOIN prices ON prices.model = token_spans.model
        AND prices.effective_from_unix_nano <= token_spans.latest_known_unix_nano
        AND token_spans.latest_known_unix_nano < prices.effective_until_unix_nano
)
SELECT service_name, workflow_name, model, count(*) AS calls, saturated_sum(tokens) AS tokens,
    saturated_sum(token_count('input', tokens, input_tokens, output_tokens, cached_tokens, cache_write_tokens)) AS input_tokens,
    saturated_sum(token_count('cache_read', tokens, input_tokens, output_tokens, cached_tokens, cache_write_tokens)) AS cached_tokens,
    saturated_sum(token_count('cache_write', tokens, input_tokens, output_tokens, cached_tokens, cache_write_tokens)) AS cache_write_tokens,
    saturated_sum(token_count('output', tokens, input_tokens, output_tokens, cached_tokens, cache_write_tokens)) AS output_tokens,
    saturated_sum(token_count('unspecified', tokens, input_tokens, output_tokens, cached_tokens, cache_write_tokens)) AS unspecified_tokens,
    count(*) - count(price_model) AS unpriced_calls,
    CASE WHEN count(price_model) = count(*) THEN sum(dollars) END AS dollars
FROM priced
GROUP BY service_name, workflow_name, model;

-- Exceptions as spans recorded them in events, and as log records of spans tell them. One that an agent reports both ways is there twice.
CREATE TEMP VIEW span_exceptions AS
SELECT trace_id, span_id, event.value ->> 'time_unix_nano' AS time_unix_nano, service_name,
    attr(event.value ->> 'attributes', 'exception.type') AS type,
    attr(event.value ->> 'attributes', 'exception.message') AS message,
    attr(event.value ->> 'attributes', 'exception.stacktrace') AS stacktrace, 'span' AS source
FROM spans, json_each(spans.events) AS event
WHERE instr(spans.events, 'exception') > 0
    AND event.value ->> 'name' IN ('exception', 'gen_ai.client.operation.exception')
UNION ALL
SELECT trace_id, span_id, time_unix_nano, service_name, attr(attributes, 'exception.type'), attr(attributes, 'exception.message'),
    attr(attributes, 'exception.stacktrace'), 'log'
FROM logs
WHERE span_id IS NOT NULL
    AND (event_name IN ('exception', 'gen_ai.client.operation.exception') OR attr(attributes, 'exception.type') IS NOT NULL);

-- Stalls of agents' loops, oldest first.
CREATE TEMP VIEW stalls AS
SELECT time_unix_nano, kind, service_name, workflow_name, trace_id, span_id, span_name, duration_ns, detail
FROM main.stall
ORDER BY time_unix_nano, id;
