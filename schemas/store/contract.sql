WITH
-- What agents' loops did, beside what they may: one row a process. docs/metrics.md 2.14 is its law. StoreSQL/Reader/ContractQuery.swift puts
-- something in the place of the words in braces: which spans it is about, and the limits of the configuration or those that agents declare.
sighting AS MATERIALIZED (
    SELECT *, service_name || char(31) || instance_id AS process,
        coalesce('h' || host_name, 'p' || service_name || char(31) || instance_id) AS host
    FROM (
        SELECT service_name, declared(resource_attributes, 'instance') AS instance_id,
            declared(resource_attributes, 'host') AS host_name,
            start_time_unix_nano AS started, end_time_unix_nano AS ended,
            end_time_unix_nano > start_time_unix_nano AND start_time_unix_nano > 0 AS takes_time,
            is_run,
            operation IS 'embeddings' AS is_embedding,
            stage = 'llm' AND operation IS NOT 'embeddings' AS is_model_call,
            retrieval_batch, embed_batch,
            {workflow_limit} AS workflow_limit, {retrieval_limit} AS retrieval_limit, {embed_limit} AS embed_limit,
            coalesce(process_memory, declared(resource_attributes, 'process_memory')) AS process_memory,
            coalesce(host_memory, declared(resource_attributes, 'host_memory')) AS host_memory,
            coalesce(host_memory_total, declared(resource_attributes, 'host_memory_total')) AS host_memory_total,
            declared(resource_attributes, 'asyncio_policy') AS asyncio_policy,
            declared(resource_attributes, 'executor') AS executor
        FROM spans
        WHERE ({within})
            AND (is_run OR operation = 'embeddings' OR stage = 'llm'
                OR retrieval_batch IS NOT NULL OR embed_batch IS NOT NULL OR process_memory IS NOT NULL OR host_memory IS NOT NULL
                OR host_memory_total IS NOT NULL)
    )
),
-- How many runs were under way behind each beginning and each end, those of the same moment included.
depth AS MATERIALIZED (
    SELECT process, host, change, workflow_limit, sum(change) OVER (PARTITION BY process ORDER BY time) AS in_process,
        sum(change) OVER (PARTITION BY host ORDER BY time) AS on_host
    FROM (
        SELECT process, host, started AS time, 1 AS change, workflow_limit FROM sighting WHERE is_run AND takes_time
        UNION ALL SELECT process, host, ended, -1, NULL FROM sighting WHERE is_run AND takes_time
    )
),
concurrency AS (
    SELECT process, host, sum(change = 1) AS runs, max(in_process) AS workflows_at_once,
        sum(change = 1 AND in_process > workflow_limit) AS workflow_breaches,
        sum(change = 1 AND on_host > workflow_limit) AS host_workflow_breaches
    FROM depth GROUP BY process, host
),
host_concurrency AS (SELECT host, max(on_host) AS host_workflows_at_once FROM depth GROUP BY host),
overlap AS (
    SELECT host, saturated_sum(until - time) AS host_overlap_ns
    FROM (
        SELECT host, time, sum(embedding) OVER (PARTITION BY host ORDER BY time) AS embeddings,
            sum(model_call) OVER (PARTITION BY host ORDER BY time) AS model_calls,
            lead(time) OVER (PARTITION BY host ORDER BY time) AS until
        FROM (
            SELECT host, started AS time, is_embedding AS embedding, is_model_call AS model_call
            FROM sighting WHERE (is_embedding OR is_model_call) AND takes_time
            UNION ALL SELECT host, ended, -is_embedding, -is_model_call
            FROM sighting WHERE (is_embedding OR is_model_call) AND takes_time
        )
    )
    WHERE embeddings > 0 AND model_calls > 0
    GROUP BY host
),
host_memory AS (
    SELECT host, max(max(coalesce(process_memory, host_memory), coalesce(host_memory, process_memory))) AS host_memory_bytes,
        max(host_memory_total) AS host_memory_total_bytes
    FROM sighting GROUP BY host
)
SELECT service_name, instance_id, host_name, coalesce(runs, 0) AS runs, workflow_limit,
    coalesce(workflows_at_once, 0) AS workflows_at_once, coalesce(workflow_breaches, 0) AS workflow_breaches,
    coalesce(host_workflows_at_once, 0) AS host_workflows_at_once, coalesce(host_workflow_breaches, 0) AS host_workflow_breaches,
    retrieval_limit, retrieval_batch_max, coalesce(retrieval_breaches, 0) AS retrieval_breaches,
    embed_limit, embed_batch_max, coalesce(embed_breaches, 0) AS embed_breaches,
    coalesce(host_overlap_ns, 0) AS host_overlap_ns, process_memory_bytes, host_memory_bytes, host_memory_total_bytes,
    CASE WHEN host_memory_total_bytes > 0 THEN 1.0 - 1.0 * host_memory_bytes / host_memory_total_bytes END AS host_memory_headroom,
    asyncio_policy, executor
FROM (
    SELECT process, host, service_name, instance_id, max(host_name) AS host_name, min(workflow_limit) AS workflow_limit,
        min(retrieval_limit) AS retrieval_limit, max(retrieval_batch) AS retrieval_batch_max,
        sum(retrieval_batch > retrieval_limit) AS retrieval_breaches, min(embed_limit) AS embed_limit,
        max(embed_batch) AS embed_batch_max, sum(embed_batch > embed_limit) AS embed_breaches,
        max(process_memory) AS process_memory_bytes, max(asyncio_policy) AS asyncio_policy, max(executor) AS executor
    FROM sighting GROUP BY process, host
) AS seen
LEFT JOIN concurrency USING (process, host)
LEFT JOIN host_concurrency USING (host)
LEFT JOIN overlap USING (host)
LEFT JOIN host_memory USING (host)
ORDER BY service_name, instance_id, host_name
