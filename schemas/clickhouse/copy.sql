
INSERT INTO {database}.{table} (Timestamp, TraceId, SpanId, ParentSpanId, TraceState, SpanName, SpanKind, ServiceName, ResourceAttributes,
    ScopeName, ScopeVersion, SpanAttributes, Duration, StatusCode, StatusMessage, `Events.Timestamp`, `Events.Name`, `Events.Attributes`,
    `Links.TraceId`, `Links.SpanId`, `Links.TraceState`, `Links.Attributes`)
SELECT Timestamp, TraceId, SpanId, ParentSpanId, TraceState, SpanName, SpanKind, ServiceName, ResourceAttributes,
    ScopeName, ScopeVersion, SpanAttributes, Duration, StatusCode, StatusMessage, `Events.Timestamp`, `Events.Name`, `Events.Attributes`,
    `Links.TraceId`, `Links.SpanId`, `Links.TraceState`, `Links.Attributes`
FROM {database}.{table}_v1
SETTINGS max_partitions_per_insert_block = 0, insert_deduplicate = 0;

-- When the counts agree (that of the old table may be larger, by what was there twice):
--   SELECT count() FROM {database}.{table} FINAL;
--   SELECT uniqExact(TraceId, SpanId, SpanKind) FROM {database}.{table}_v1;
--   DROP TABLE {database}.{table}_v1{on_cluster};
--   DROP TABLE {database}.{table}_trace_id_ts_v1{on_cluster};
