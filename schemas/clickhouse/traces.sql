-- Spans in the columns of the OpenTelemetry collector's ClickHouse exporter, so that it can write here and what reads its tables can read. A
-- span's identity is in the table's key: one that comes twice is one row, at the latest when its parts are merged, and under FINAL at once.
CREATE DATABASE IF NOT EXISTS {database}{on_cluster};

CREATE TABLE IF NOT EXISTS {database}.{table}{on_cluster}
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

    -- The columns of Fusebox's spans. A node fills them; an INSERT that names the columns above alone has them computed.
{columns}
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_span_attr_key mapKeys(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_span_attr_value mapValues(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_duration Duration TYPE minmax GRANULARITY 1,
    INDEX idx_ordinal FuseboxOrdinal TYPE minmax GRANULARITY 1
)
ENGINE = {engine}
PARTITION BY toDate(Timestamp, 'UTC')
PRIMARY KEY (ServiceName, SpanName, toDateTime(Timestamp))
-- The kind is in the key since both ends of a call may have one id.
ORDER BY (ServiceName, SpanName, toDateTime(Timestamp), TraceId, SpanId, SpanKind){ttl_spans}
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1;

-- When each trace was: a search by trace id reads this first. Least and largest stay right however often a span comes.
CREATE TABLE IF NOT EXISTS {database}.{table}_trace_id_ts{on_cluster}
(
    `TraceId` String CODEC(ZSTD(1)),
    `Start` SimpleAggregateFunction(min, DateTime) CODEC(Delta, ZSTD(1)),
    `End` SimpleAggregateFunction(max, DateTime) CODEC(Delta, ZSTD(1)),
    `Day` Date CODEC(ZSTD(1))
)
ENGINE = {lookup_engine}
PARTITION BY Day
ORDER BY TraceId{ttl_traces}
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.{table}_trace_id_ts_mv{on_cluster} TO {database}.{table}_trace_id_ts
AS SELECT TraceId, min(toDateTime(Timestamp)) AS Start, max(toDateTime(Timestamp)) AS End, toDate(Timestamp, 'UTC') AS Day
FROM {database}.{table}
WHERE TraceId != ''
GROUP BY TraceId, Day;
