"""`fusebox ddl clickhouse`, as text: the exporter's own columns, and ours from the alias table."""

import re
import subprocess

import pytest

# The columns that the OpenTelemetry collector's exporter names in its INSERT.
EXPORTER = ["Timestamp", "TraceId", "SpanId", "ParentSpanId", "TraceState", "SpanName", "SpanKind", "ServiceName", "ResourceAttributes", "ScopeName",
            "ScopeVersion", "SpanAttributes", "Duration", "StatusCode", "StatusMessage", "Events", "Links"]


def ddl(binary, *arguments):
    return subprocess.run([binary, "ddl", "clickhouse", *arguments], capture_output=True, text=True, timeout=60)


def test_the_table_is_the_exporter_s_and_ours_behind_it(binary):
    done = ddl(binary)
    assert done.returncode == 0, done.stderr
    text = done.stdout
    assert "{" not in text.replace("{shard}", "").replace("{replica}", "")
    spans = text[text.index("default.otel_traces\n"):text.index("INDEX idx_trace_id")]
    columns = re.findall(r"^    `(\w+)` ", spans, re.M)
    assert columns[:len(EXPORTER)] == EXPORTER
    own = columns[len(EXPORTER):]
    assert {"workflow_name", "step_id", "tool_name", "retrieval_batch", "cache_hit", "tokens", "queue_depth", "breaker_state", "model", "session_id"} <= set(own)
    # Nothing of ours is in an INSERT: it is computed.
    assert all(" MATERIALIZED " in line for line in spans.splitlines() if re.match(rf"    `({'|'.join(own)})`", line))
    tool = next(line for line in spans.splitlines() if "`tool_name`" in line)
    assert tool.index("'tool_name'") < tool.index("'gen_ai.tool.name'") < tool.index("'tool.name'")
    assert "toInt64OrNull" in next(line for line in spans.splitlines() if "`tokens`" in line)
    assert "ResourceAttributes['model']" in next(line for line in spans.splitlines() if "`model`" in line)
    assert text.count("CREATE ") == 4 and text.count("(") == text.count(")") and text.count("'") % 2 == 0
    assert "ORDER BY (ServiceName, SpanName, toDateTime(Timestamp))" in text and "TTL" not in text and "ON CLUSTER" not in text


def test_names_days_and_a_cluster(binary):
    text = ddl(binary, "--database", "otel", "--table", "agents", "--cluster", "main", "--days", "30").stdout
    assert text.count("ON CLUSTER main") == 4
    assert "ReplicatedMergeTree('/clickhouse/tables/{shard}/otel/agents', '{replica}')" in text
    assert "TTL toDateTime(Timestamp) + toIntervalDay(30)" in text and "TTL toDateTime(Start) + toIntervalDay(30)" in text
    assert "otel.agents_trace_id_ts_mv" in text and "default." not in text


@pytest.mark.parametrize("arguments", [["--database", "x; DROP TABLE y"], ["--table", "1a"], ["--table", ""], ["--cluster", "a'b"], ["--days", "0"], ["--days", "x"]])
def test_what_is_no_name_is_refused(binary, arguments):
    done = ddl(binary, *arguments)
    assert done.returncode == 2 and done.stderr and not done.stdout
