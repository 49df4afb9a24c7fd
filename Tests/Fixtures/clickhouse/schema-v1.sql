-- Spans in the schema of the OpenTelemetry collector's ClickHouse exporter, so that it can write here and what reads its tables can read.
CREATE DATABASE IF NOT EXISTS otel;

CREATE TABLE IF NOT EXISTS otel.otel_traces
(
    `Timestamp` DateTime64(9) CODEC(Delta, ZSTD(1)),
    `TraceId` String CODEC(ZSTD(1)),
    `SpanId` String CODEC(ZSTD(1)),
    `ParentSpanId` String CODEC(ZSTD(1)),
    `TraceState` String CODEC(ZSTD(1)),
    `SpanName` LowCardinality(String) CODEC(ZSTD(1)),
    `SpanKind` LowCardinality(String) CODEC(ZSTD(1)),
    `ServiceName` LowCardinality(String) CODEC(ZSTD(1)),
    `ResourceAttributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `ScopeName` String CODEC(ZSTD(1)),
    `ScopeVersion` String CODEC(ZSTD(1)),
    `SpanAttributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    `Duration` UInt64 CODEC(ZSTD(1)),
    `StatusCode` LowCardinality(String) CODEC(ZSTD(1)),
    `StatusMessage` String CODEC(ZSTD(1)),
    `Events` Nested (`Timestamp` DateTime64(9), `Name` LowCardinality(String), `Attributes` Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    `Links` Nested (`TraceId` String, `SpanId` String, `TraceState` String, `Attributes` Map(LowCardinality(String), String)) CODEC(ZSTD(1)),

    -- The columns of Fusebox's spans. They are computed when rows come in, so that an INSERT that names the columns above works as before.
    `operation` LowCardinality(String) MATERIALIZED coalesce(nullIf(SpanAttributes['gen_ai.operation.name'], ''), '') CODEC(ZSTD(1)),
    `workflow_name` LowCardinality(String) MATERIALIZED coalesce(nullIf(SpanAttributes['workflow_name'], ''), nullIf(SpanAttributes['workflow.name'], ''), nullIf(SpanAttributes['gen_ai.workflow.name'], ''), nullIf(SpanAttributes['traceloop.workflow.name'], ''), nullIf(SpanAttributes['langfuse.trace.name'], ''), nullIf(SpanAttributes['ai.telemetry.functionId'], ''), nullIf(SpanAttributes['confident.trace.name'], ''), nullIf(ResourceAttributes['workflow_name'], ''), nullIf(ResourceAttributes['workflow.name'], ''), nullIf(ResourceAttributes['gen_ai.workflow.name'], ''), nullIf(ResourceAttributes['traceloop.workflow.name'], ''), nullIf(ResourceAttributes['langfuse.trace.name'], ''), nullIf(ResourceAttributes['ai.telemetry.functionId'], ''), nullIf(ResourceAttributes['confident.trace.name'], ''), '') CODEC(ZSTD(1)),
    `step_id` LowCardinality(String) MATERIALIZED coalesce(nullIf(SpanAttributes['step_id'], ''), nullIf(SpanAttributes['step.id'], ''), nullIf(SpanAttributes['workflow.step.id'], ''), nullIf(SpanAttributes['graph.node.name'], ''), nullIf(SpanAttributes['graph.node.id'], ''), nullIf(SpanAttributes['executor.id'], ''), nullIf(SpanAttributes['gen_ai.task.id'], ''), nullIf(SpanAttributes['haystack.component.name'], ''), nullIf(SpanAttributes['gen_ai.task.name'], ''), '') CODEC(ZSTD(1)),
    `tool_name` LowCardinality(String) MATERIALIZED coalesce(nullIf(SpanAttributes['tool_name'], ''), nullIf(SpanAttributes['gen_ai.tool.name'], ''), nullIf(SpanAttributes['ai.toolCall.name'], ''), nullIf(SpanAttributes['tool.name'], ''), nullIf(SpanAttributes['haystack.tool.name'], ''), nullIf(SpanAttributes['confident.tool.name'], ''), '') CODEC(ZSTD(1)),
    `retrieval_batch` Nullable(Int64) MATERIALIZED toInt64OrNull(coalesce(nullIf(SpanAttributes['retrieval_batch'], ''), nullIf(SpanAttributes['retrieval.batch'], ''), nullIf(SpanAttributes['retrieval.batch_size'], ''), nullIf(SpanAttributes['retrieval.batch.size'], ''), nullIf(SpanAttributes['db.operation.batch.size'], ''), nullIf(SpanAttributes['gen_ai.memory.record.count'], ''), '')) CODEC(ZSTD(1)),
    `cached_tokens` Nullable(Int64) MATERIALIZED toInt64OrNull(coalesce(nullIf(SpanAttributes['gen_ai.usage.cache_read.input_tokens'], ''), nullIf(SpanAttributes['gen_ai.usage.cache_read_input_tokens'], ''), nullIf(SpanAttributes['llm.token_count.prompt_details.cache_read'], ''), nullIf(SpanAttributes['llm.token_count.prompt_details.cache_input'], ''), '')) CODEC(ZSTD(1)),
    `cache_hit` Nullable(UInt8) MATERIALIZED multiIf(lower(coalesce(nullIf(SpanAttributes['cache_hit'], ''), nullIf(SpanAttributes['cache.hit'], ''), nullIf(SpanAttributes['gen_ai.cache.hit'], ''), nullIf(SpanAttributes['llm.cache.hit'], ''), '')) IN ('true', '1', 'hit'), 1, lower(coalesce(nullIf(SpanAttributes['cache_hit'], ''), nullIf(SpanAttributes['cache.hit'], ''), nullIf(SpanAttributes['gen_ai.cache.hit'], ''), nullIf(SpanAttributes['llm.cache.hit'], ''), '')) IN ('false', '0', 'miss'), 0, NULL) CODEC(ZSTD(1)),
    `input_tokens` Nullable(Int64) MATERIALIZED toInt64OrNull(coalesce(nullIf(SpanAttributes['input_tokens'], ''), nullIf(SpanAttributes['gen_ai.usage.input_tokens'], ''), nullIf(SpanAttributes['gen_ai.usage.prompt_tokens'], ''), nullIf(SpanAttributes['llm.token_count.prompt'], ''), nullIf(SpanAttributes['llm.usage.prompt_tokens'], ''), nullIf(SpanAttributes['confident.llm.input_token_count'], ''), '')) CODEC(ZSTD(1)),
    `output_tokens` Nullable(Int64) MATERIALIZED toInt64OrNull(coalesce(nullIf(SpanAttributes['output_tokens'], ''), nullIf(SpanAttributes['gen_ai.usage.output_tokens'], ''), nullIf(SpanAttributes['gen_ai.usage.completion_tokens'], ''), nullIf(SpanAttributes['llm.token_count.completion'], ''), nullIf(SpanAttributes['llm.usage.completion_tokens'], ''), nullIf(SpanAttributes['confident.llm.output_token_count'], ''), '')) CODEC(ZSTD(1)),
    `reasoning_tokens` Nullable(Int64) MATERIALIZED toInt64OrNull(coalesce(nullIf(SpanAttributes['reasoning_tokens'], ''), nullIf(SpanAttributes['gen_ai.usage.reasoning.output_tokens'], ''), nullIf(SpanAttributes['gen_ai.usage.reasoning_tokens'], ''), nullIf(SpanAttributes['gen_ai.usage.details.reasoning_tokens'], ''), nullIf(SpanAttributes['llm.token_count.completion_details.reasoning'], ''), nullIf(SpanAttributes['llm.usage.reasoning_tokens'], ''), nullIf(SpanAttributes['codex.usage.reasoning_output_tokens'], ''), '')) CODEC(ZSTD(1)),
    `tokens` Nullable(Int64) MATERIALIZED toInt64OrNull(coalesce(nullIf(SpanAttributes['tokens'], ''), nullIf(SpanAttributes['tokens.total'], ''), nullIf(SpanAttributes['gen_ai.usage.total_tokens'], ''), nullIf(SpanAttributes['llm.token_count.total'], ''), nullIf(SpanAttributes['llm.usage.total_tokens'], ''), '')) CODEC(ZSTD(1)),
    `queue_depth` Nullable(Int64) MATERIALIZED toInt64OrNull(coalesce(nullIf(SpanAttributes['queue_depth'], ''), nullIf(SpanAttributes['queue.depth'], ''), nullIf(SpanAttributes['queue.size'], ''), nullIf(SpanAttributes['queue.length'], ''), '')) CODEC(ZSTD(1)),
    `breaker_state` LowCardinality(String) MATERIALIZED coalesce(nullIf(SpanAttributes['breaker_state'], ''), nullIf(SpanAttributes['breaker.state'], ''), nullIf(SpanAttributes['circuit_breaker.state'], ''), nullIf(SpanAttributes['circuitbreaker.state'], ''), nullIf(SpanAttributes['circuit.breaker.state'], ''), nullIf(SpanAttributes['resilience4j.circuit_breaker.state'], ''), '') CODEC(ZSTD(1)),
    `model` LowCardinality(String) MATERIALIZED coalesce(nullIf(SpanAttributes['gen_ai.response.model'], ''), nullIf(SpanAttributes['llm.response.model_name'], ''), nullIf(SpanAttributes['gen_ai.request.model'], ''), nullIf(SpanAttributes['llm.request.model_name'], ''), nullIf(SpanAttributes['llm.model_name'], ''), nullIf(SpanAttributes['embedding.model_name'], ''), nullIf(SpanAttributes['reranker.model_name'], ''), nullIf(SpanAttributes['langfuse.observation.model.name'], ''), nullIf(SpanAttributes['ai.response.model'], ''), nullIf(SpanAttributes['model'], ''), nullIf(SpanAttributes['confident.llm.model'], ''), nullIf(ResourceAttributes['gen_ai.response.model'], ''), nullIf(ResourceAttributes['llm.response.model_name'], ''), nullIf(ResourceAttributes['gen_ai.request.model'], ''), nullIf(ResourceAttributes['llm.request.model_name'], ''), nullIf(ResourceAttributes['llm.model_name'], ''), nullIf(ResourceAttributes['embedding.model_name'], ''), nullIf(ResourceAttributes['reranker.model_name'], ''), nullIf(ResourceAttributes['langfuse.observation.model.name'], ''), nullIf(ResourceAttributes['ai.response.model'], ''), nullIf(ResourceAttributes['model'], ''), nullIf(ResourceAttributes['confident.llm.model'], ''), '') CODEC(ZSTD(1)),
    `provider` LowCardinality(String) MATERIALIZED coalesce(nullIf(SpanAttributes['gen_ai.provider.name'], ''), nullIf(SpanAttributes['gen_ai.system'], ''), nullIf(SpanAttributes['langsmith.metadata.ls_provider'], ''), nullIf(SpanAttributes['llm.provider'], ''), nullIf(SpanAttributes['llm.system'], ''), nullIf(ResourceAttributes['gen_ai.provider.name'], ''), nullIf(ResourceAttributes['gen_ai.system'], ''), nullIf(ResourceAttributes['langsmith.metadata.ls_provider'], ''), nullIf(ResourceAttributes['llm.provider'], ''), nullIf(ResourceAttributes['llm.system'], ''), '') CODEC(ZSTD(1)),
    `session_id` LowCardinality(String) MATERIALIZED coalesce(nullIf(SpanAttributes['session_id'], ''), nullIf(SpanAttributes['gen_ai.conversation.id'], ''), nullIf(SpanAttributes['session.id'], ''), nullIf(SpanAttributes['traceloop.association.properties.session_id'], ''), nullIf(SpanAttributes['traceloop.association.properties.conversation_id'], ''), nullIf(SpanAttributes['traceloop.association.properties.thread_id'], ''), nullIf(SpanAttributes['confident.trace.thread_id'], ''), nullIf(SpanAttributes['langfuse.session.id'], ''), nullIf(SpanAttributes['langsmith.metadata.session_id'], ''), nullIf(SpanAttributes['langsmith.metadata.thread_id'], ''), nullIf(SpanAttributes['langsmith.metadata.conversation_id'], ''), nullIf(SpanAttributes['ai.telemetry.metadata.sessionId'], ''), nullIf(SpanAttributes['ai.telemetry.metadata.threadId'], ''), nullIf(SpanAttributes['ai.telemetry.metadata.conversationId'], ''), nullIf(SpanAttributes['ai.settings.context.sessionId'], ''), nullIf(SpanAttributes['conversation.id'], ''), nullIf(SpanAttributes['gcp.vertex.agent.session_id'], ''), nullIf(ResourceAttributes['session_id'], ''), nullIf(ResourceAttributes['gen_ai.conversation.id'], ''), nullIf(ResourceAttributes['session.id'], ''), nullIf(ResourceAttributes['traceloop.association.properties.session_id'], ''), nullIf(ResourceAttributes['traceloop.association.properties.conversation_id'], ''), nullIf(ResourceAttributes['traceloop.association.properties.thread_id'], ''), nullIf(ResourceAttributes['confident.trace.thread_id'], ''), nullIf(ResourceAttributes['langfuse.session.id'], ''), nullIf(ResourceAttributes['langsmith.metadata.session_id'], ''), nullIf(ResourceAttributes['langsmith.metadata.thread_id'], ''), nullIf(ResourceAttributes['langsmith.metadata.conversation_id'], ''), nullIf(ResourceAttributes['ai.telemetry.metadata.sessionId'], ''), nullIf(ResourceAttributes['ai.telemetry.metadata.threadId'], ''), nullIf(ResourceAttributes['ai.telemetry.metadata.conversationId'], ''), nullIf(ResourceAttributes['ai.settings.context.sessionId'], ''), nullIf(ResourceAttributes['conversation.id'], ''), nullIf(ResourceAttributes['gcp.vertex.agent.session_id'], ''), '') CODEC(ZSTD(1)),
    `user_id` LowCardinality(String) MATERIALIZED coalesce(nullIf(SpanAttributes['user_id'], ''), nullIf(SpanAttributes['user.id'], ''), nullIf(SpanAttributes['enduser.id'], ''), nullIf(SpanAttributes['enduser.pseudo.id'], ''), nullIf(SpanAttributes['langfuse.user.id'], ''), nullIf(SpanAttributes['traceloop.association.properties.user_id'], ''), nullIf(SpanAttributes['langsmith.metadata.user_id'], ''), nullIf(SpanAttributes['ai.telemetry.metadata.userId'], ''), nullIf(SpanAttributes['ai.settings.context.userId'], ''), nullIf(SpanAttributes['confident.trace.user_id'], ''), nullIf(ResourceAttributes['user_id'], ''), nullIf(ResourceAttributes['user.id'], ''), nullIf(ResourceAttributes['enduser.id'], ''), nullIf(ResourceAttributes['enduser.pseudo.id'], ''), nullIf(ResourceAttributes['langfuse.user.id'], ''), nullIf(ResourceAttributes['traceloop.association.properties.user_id'], ''), nullIf(ResourceAttributes['langsmith.metadata.user_id'], ''), nullIf(ResourceAttributes['ai.telemetry.metadata.userId'], ''), nullIf(ResourceAttributes['ai.settings.context.userId'], ''), nullIf(ResourceAttributes['confident.trace.user_id'], ''), '') CODEC(ZSTD(1)),
    `eval_id` LowCardinality(String) MATERIALIZED coalesce(nullIf(SpanAttributes['eval_id'], ''), nullIf(SpanAttributes['eval.id'], ''), nullIf(SpanAttributes['evaluation.id'], ''), nullIf(SpanAttributes['langfuse.experiment.item.id'], ''), nullIf(SpanAttributes['confident.trace.test_case_id'], ''), nullIf(SpanAttributes['mlflow.eval.requestId'], ''), nullIf(SpanAttributes['eval_run_id'], ''), nullIf(ResourceAttributes['eval_id'], ''), nullIf(ResourceAttributes['eval.id'], ''), nullIf(ResourceAttributes['evaluation.id'], ''), nullIf(ResourceAttributes['langfuse.experiment.item.id'], ''), nullIf(ResourceAttributes['confident.trace.test_case_id'], ''), nullIf(ResourceAttributes['mlflow.eval.requestId'], ''), nullIf(ResourceAttributes['eval_run_id'], ''), '') CODEC(ZSTD(1)),
    `error_type` LowCardinality(String) MATERIALIZED coalesce(nullIf(SpanAttributes['error.type'], ''), '') CODEC(ZSTD(1)),

    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_span_attr_key mapKeys(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_span_attr_value mapValues(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_duration Duration TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(Timestamp)
ORDER BY (ServiceName, SpanName, toDateTime(Timestamp))
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

-- When each trace was: a search by trace id reads this first.
CREATE TABLE IF NOT EXISTS otel.otel_traces_trace_id_ts
(
    `TraceId` String CODEC(ZSTD(1)),
    `Start` DateTime CODEC(Delta, ZSTD(1)),
    `End` DateTime CODEC(Delta, ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(Start)
ORDER BY (TraceId, Start)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS otel.otel_traces_trace_id_ts_mv TO otel.otel_traces_trace_id_ts
AS SELECT TraceId, min(Timestamp) AS Start, max(Timestamp) AS End
FROM otel.otel_traces
WHERE TraceId != ''
GROUP BY TraceId;
