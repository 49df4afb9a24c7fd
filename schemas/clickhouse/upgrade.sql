-- From the tables that older versions of `fusebox ddl clickhouse` printed, in which a span that was sent twice is there twice, to those of now.
-- The old table of spans stays as {table}_v1 until you drop it. Stop what writes here first. When the copy stops half-way, run it again: rows that
-- are there already do not double.{cluster_note}
DROP VIEW IF EXISTS {database}.{table}_trace_id_ts_mv{on_cluster};

RENAME TABLE {database}.{table} TO {database}.{table}_v1{on_cluster};

RENAME TABLE {database}.{table}_trace_id_ts TO {database}.{table}_trace_id_ts_v1{on_cluster};

