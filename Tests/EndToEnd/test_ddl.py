"""`fusebox ddl clickhouse`, as text: the exporter's own columns, and ours behind them. What the engine makes of it: test_clickhouse_engine.py."""

import re
import subprocess

import pytest

# The columns that the OpenTelemetry collector's exporter names in its INSERTs.
EXPORTER = ["Timestamp", "TraceId", "SpanId", "ParentSpanId", "TraceState", "SpanName", "SpanKind", "ServiceName", "ResourceAttributes", "ScopeName",
            "ScopeVersion", "SpanAttributes", "Duration", "StatusCode", "StatusMessage", "Events", "Links"]
EXPORTER_LOGS = {"Timestamp", "TraceId", "SpanId", "TraceFlags", "SeverityText", "SeverityNumber", "ServiceName", "Body", "ResourceSchemaUrl",
                 "ResourceAttributes", "ScopeSchemaUrl", "ScopeName", "ScopeVersion", "ScopeAttributes", "LogAttributes", "EventName"}
OWN = {"workflow_name", "step_id", "tool_name", "retrieval_batch", "cache_hit", "tokens", "queue_depth", "breaker_state", "model", "session_id", "stage",
       "outcome", "timeout_reason", "timeout_phase", "FuseboxNode", "FuseboxOrdinal", "FuseboxReceived"}
VIEWS = ["spans", "logs", "token_spans", "traces", "sessions", "users", "workflows", "timeouts", "tools", "span_exceptions"]


def ddl(binary, *arguments):
    return subprocess.run([binary, "ddl", "clickhouse", *arguments], capture_output=True, text=True, timeout=60)


def statements(text):
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    return [statement.strip() for statement in "\n".join(lines).split(";") if statement.strip()]


def columns(text, table):
    return re.findall(r"^    `(\w+)` ", text[text.index(f".{table}\n"):].split("\nENGINE")[0], re.M)


def test_the_tables_are_the_exporter_s_and_ours_behind_it(binary):
    done = ddl(binary)
    assert done.returncode == 0, done.stderr
    text = done.stdout
    assert "{" not in text
    spans = columns(text, "otel_traces")
    assert spans[:len(EXPORTER)] == EXPORTER and OWN <= set(spans[len(EXPORTER):])
    assert EXPORTER_LOGS <= set(columns(text, "otel_logs"))
    # Ours can be inserted, and are computed where they are not.
    assert "MATERIALIZED V" in text and "MATERIALIZED " not in text.replace("MATERIALIZED VIEW", "")
    tool = next(line for line in text.splitlines() if "`tool_name`" in line)
    assert " DEFAULT " in tool and tool.index("'tool_name'") < tool.index("'gen_ai.tool.name'") < tool.index("'tool.name'")
    assert "toInt64OrNull" in next(line for line in text.splitlines() if "`tokens`" in line)
    assert "ResourceAttributes['model']" in next(line for line in text.splitlines() if "`model`" in line)
    for statement in statements(text):
        assert statement.count("(") == statement.count(")") and statement.count("'") % 2 == 0
    assert re.findall(r"VIEW fusebox\.(\w+)", text) == VIEWS
    assert text.count("ENGINE = ReplacingMergeTree\n") == 2 and text.count("ENGINE = AggregatingMergeTree\n") == 1
    assert "ORDER BY (ServiceName, SpanName, toDateTime(Timestamp), TraceId, SpanId, SpanKind)" in text
    assert "Timestamp, FuseboxNode, FuseboxOrdinal)" in text and "TTL" not in text and "ON CLUSTER" not in text


def test_names_days_and_a_cluster(binary):
    text = ddl(binary, "--database", "otel", "--table", "agents", "--logs-table", "records", "--views", "seen", "--cluster", "main", "--days", "30").stdout
    assert all(" ON CLUSTER main" in statement.splitlines()[0] for statement in statements(text))
    assert "ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/otel/agents_v2', '{replica}')" in text
    assert "ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/otel/records_v2', '{replica}')" in text
    assert text.count("TTL toDate(Timestamp, 'UTC') + toIntervalDay(30)") == 2 and "TTL Day + toIntervalDay(30)" in text
    assert "otel.agents_trace_id_ts_mv" in text and "default." not in text and "VIEW seen.spans ON CLUSTER main" in text


def test_an_upgrade_keeps_the_old_table_and_copies_it(binary):
    plain, text = ddl(binary, "--cluster", "main").stdout, ddl(binary, "--cluster", "main", "--upgrade").stdout
    assert statements(plain) == statements(text)[3:-1]
    drop, rename, other = statements(text)[:3]
    assert drop.startswith("DROP VIEW IF EXISTS default.otel_traces_trace_id_ts_mv")
    assert rename == "RENAME TABLE default.otel_traces TO default.otel_traces_v1 ON CLUSTER main" and "_trace_id_ts_v1" in other
    copy = statements(text)[-1]
    assert copy.startswith("INSERT INTO default.otel_traces (") and "FROM default.otel_traces_v1" in copy
    assert "run it once on one machine of each" in text
    # Nothing is dropped but what is made again.
    assert not re.search(r"^DROP TABLE", text, re.M)


@pytest.mark.parametrize("arguments", [["--database", "x; DROP TABLE y"], ["--table", "1a"], ["--table", ""], ["--cluster", "a'b"], ["--views", "a.b"],
                                       ["--logs-table", "x y"], ["--days", "0"], ["--days", "x"]])
def test_what_is_no_name_is_refused(binary, arguments):
    done = ddl(binary, *arguments)
    assert done.returncode == 2 and done.stderr and not done.stdout
