"""Forwarding into the real ClickHouse engine, where a Python that has it is named by FUSEBOX_CHDB_PYTHON
(`scripts/nightly.sh engine` gets one)."""

import http.client
import importlib.util
import json
import os
import pathlib
import random
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request

import pytest

from server import poll
from test_clickhouse import DAY, fleet, sent
from test_forwarding import QUICK, configure, free_port, statuses, stored
from test_logs import PATH as LOGS, record
from wire import BASE_TIME, attribute, batch, data, fixed64, number, span, span_id, trace_id

KILLS = int(os.environ.get("FUSEBOX_ENGINE_KILLS", "4"))
ENGINE_PYTHON = os.environ.get("FUSEBOX_CHDB_PYTHON") or (sys.executable if importlib.util.find_spec("chdb") else None)

pytestmark = pytest.mark.skipif(
    ENGINE_PYTHON is None,
    reason="the real ClickHouse engine is left out: name a Python with the package chdb-core in FUSEBOX_CHDB_PYTHON")

# A schema as it was printed before tables were keyed by identity.
OLD_SCHEMA = pathlib.Path(__file__).parent.parent / "Fixtures/clickhouse/schema-v1.sql"


class RealEngine:
    """chdb behind HTTP, in a process of its own that can be killed."""

    def __init__(self, folder):
        self.folder, self.port, self.process = folder, free_port(), None
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self):
        self.process = subprocess.Popen(
            [ENGINE_PYTHON, str(pathlib.Path(__file__).parent / "clickhouse_engine.py"), str(self.folder), str(self.port)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self.process.stdout.readline() == b"ready\n", "the engine did not start"
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def ask(self, statement):
        request = urllib.request.Request(f"{self.url}/?" + urllib.parse.urlencode({"query": statement}), data=b"")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as problem:
            raise AssertionError(f"{statement[:200]}: {problem.read().decode()[:2000]}") from None

    def rows(self, statement):
        return [json.loads(line) for line in self.ask(statement + " FORMAT JSONEachRow").splitlines()]

    def value(self, statement):
        return int(self.ask(statement))

    def run_schema(self, text):
        lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
        for statement in "\n".join(lines).split(";"):
            if statement.strip():
                self.ask(statement.strip())


@pytest.fixture
def real(tmp_path):
    engine = RealEngine(tmp_path / "engine").start()
    yield engine
    engine.kill()


def ddl(binary, *arguments):
    return subprocess.run(
        [binary, "ddl", "clickhouse", "--database", "otel", *arguments], capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.fixture
def node_of(launch, tmp_path):
    def start(targets):
        configure(tmp_path / "node", targets)
        return launch(QUICK, folder=tmp_path / "node")
    return start


def call(name, **parts):
    attributes = [("gen_ai.operation.name", "execute_tool"), ("gen_ai.tool.name", name), ("z", 1), ("a", "x'\\\t\n\u00e9")]
    return span(attributes=attributes, **parts)


def model(trace):
    return span(trace, attributes=[
        ("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "m"), ("gen_ai.usage.input_tokens", 10), ("gen_ai.usage.output_tokens", 3)])


def test_the_engine_takes_the_schema_and_what_nodes_send(binary, node_of, real):
    real.run_schema(ddl(binary))
    # Once more changes nothing.
    real.run_schema(ddl(binary))
    node = node_of(fleet(real))
    trace = trace_id()
    failed = data(15, number(3, 2))
    event = data(11, fixed64(1, BASE_TIME) + data(2, "exception") + data(3, attribute("exception.type", "Odd")))
    assert node.post(batch(
        span(trace, span_id(), name="root", attributes=[("workflow.name", "w"), ("session.id", "s1"), ("user.id", "u")]), model(trace),
        *(call("search", start=BASE_TIME - day * DAY, end=BASE_TIME - day * DAY + 1000 * day, extra=event) for day in range(40)),
        call("search", extra=failed), span(name="odd", start=1, end=2), span(name="far", start=2**63 - 10, end=2**63 - 2))).status == 200
    logs = data(1, data(1, data(1, attribute("service.name", "s"))) + data(2, data(2, record("line", time=BASE_TIME, attributes=[("k", 1)])) * 3))
    assert node.post(logs, LOGS).status == 200
    poll("all is sent", lambda: sent(node), seconds=60)
    own = stored(node)
    rows = real.rows("""
        SELECT trace_id, span_id, parent_span_id, name, kind, status_code, toString(start_time_unix_nano) AS start, toString(end_time_unix_nano) AS end,
            attributes, tool_name, workflow_name, outcome, stage, toString(input_tokens) AS input_tokens FROM fusebox.spans""")
    assert {(row["trace_id"], row["span_id"]) for row in rows} == set(own) and len(rows) == len(own) == 45
    columns = {(row["trace_id"], row["span_id"]): row for row in node.sql(
        "SELECT trace_id, span_id, tool_name, workflow_name, outcome, stage, input_tokens FROM spans")}
    for row in rows:
        key = row["trace_id"], row["span_id"]
        span_ = own[key]
        assert (row["name"], row["kind"], row["status_code"]) == (span_["name"], span_["kind"], span_["status_code"])
        assert (int(row["start"]), int(row["end"])) == (span_["start_time_unix_nano"], span_["end_time_unix_nano"])
        assert row["attributes"] == {name: str(value) for name, value in span_["attributes"].items()}
        for column in ("tool_name", "workflow_name", "outcome", "stage"):
            assert row[column] == columns[key][column], column
        assert row["input_tokens"] == (None if columns[key]["input_tokens"] is None else str(columns[key]["input_tokens"]))
    # Views of one name say the same.
    for view in (
            "SELECT tool_name, stage, calls, ok, errors, timeouts, rejected FROM {}tools ORDER BY tool_name, stage",
            "SELECT trace_id, root_name, workflow_name, span_count, error_count, tokens, session_id, user_id, eval_id FROM {}traces ORDER BY trace_id",
            "SELECT session_id, trace_count, span_count, error_count, tokens FROM {}sessions",
            "SELECT user_id, session_count, trace_count, span_count, tokens FROM {}users",
            "SELECT service_name, workflow_name, runs, failed_runs, span_count, tokens FROM {}workflows",
            "SELECT time_unix_nano, type, message, source, count(*) AS found FROM {}span_exceptions GROUP BY 1, 2, 3, 4"):
        assert [[str(value) for value in row.values()] for row in real.rows(view.format("fusebox."))] == [
            [str(value) for value in row.values()] for row in node.sql(view.format(""))], view
    assert real.value("SELECT count() FROM fusebox.logs WHERE body = 'line' AND attr(attributes, 'k') = '1'") == 3
    assert real.value("SELECT uniqExact(TraceId) FROM otel.otel_traces_trace_id_ts") == len({trace for trace, _ in own})
    # As Grafana's data source finds a trace.
    lookup = "(SELECT {} FROM otel.otel_traces_trace_id_ts WHERE TraceId = '" + trace.hex() + "')"
    assert real.value(f"""SELECT count() FROM otel.otel_traces WHERE TraceId = '{trace.hex()}' AND Timestamp >= {lookup.format('min(Start)')}
        AND Timestamp <= {lookup.format('max(End) + 1')}""") == 2
    assert real.rows("SELECT model, input_tokens + output_tokens AS used FROM fusebox.token_spans") == [{"model": "m", "used": 13}]
    # All of it again doubles nothing.
    assert node.run("forward", "replay", "fleet", "--data-dir", str(node.folder)).returncode == 0
    poll("all is there again", lambda: statuses(node)["fleet", "traces"]["sent"] == 90 and statuses(node)["fleet", "logs"]["sent"] == 6, seconds=60)
    assert real.value("SELECT count() FROM fusebox.spans") == 45 and real.value("SELECT count() FROM fusebox.logs") == 3
    assert statuses(node)["fleet", "traces"]["refused"] == 0


def test_odd_spans_arrive_as_they_are(binary, node_of, real):
    real.run_schema(ddl(binary))
    node = node_of(fleet(real))
    odd = {
        "many": [(f"k{index}", index) for index in range(1000)], "large": [("text", "x" * (1 << 20))], "none": [],
        "texts": [("", "no key"), ("nul", "a\0b"), ("smile", "\U0001f600"), ("quote", "'\\\"`")],
        "numbers": [("low", -2**63), ("high", 2**63 - 1), ("tiny", 5e-324), ("zero", -0.0)],
    }
    assert node.post(batch(*(span(name=name, attributes=attributes) for name, attributes in odd.items()), resource=[])).status == 200
    assert node.post(batch(span(name=b"\xff\xfe", start=None, end=None, attributes=[("raw", b"\x0a\x02\xc3\x28")]))).status == 200
    # One clock that is wrong, in the midst of others.
    assert node.post(batch(*(span(name="clock", start=index * DAY, end=index * DAY + 5) for index in range(40)))).status == 200
    poll("all is sent", lambda: sent(node), seconds=90)
    rows = {row["name"]: row for row in real.rows("SELECT name, attributes, service_name FROM fusebox.spans WHERE name != 'clock'")}
    own = {row["name"]: row for row in stored(node).values()}
    assert len(rows) == 6 and {name for name in own} == {*rows, "clock"}
    for name in odd:
        assert rows[name]["service_name"] == "unknown_service"
        expected = {key: str(value) for key, value in own[name]["attributes"].items()}
        if name == "numbers":
            expected["zero"] = "0"
        assert rows[name]["attributes"] == expected, name
    assert real.value("SELECT count() FROM fusebox.spans WHERE name = 'clock'") == 40
    assert statuses(node)["fleet", "traces"]["refused"] == 0


def test_rows_of_the_collector_s_exporter_get_our_columns(binary, real):
    real.run_schema(ddl(binary, "--days", "3000"))
    real.ask("""INSERT INTO otel.otel_traces (Timestamp, TraceId, SpanId, SpanName, SpanKind, ServiceName, ResourceAttributes, SpanAttributes, Duration)
        SELECT toDateTime64('2026-11-30 10:00:00', 9), 't', toString(number % 3), 'n', 'Client', 's', map('model', 'big'), map('gen_ai.tool.name', 'find',
        'gen_ai.usage.input_tokens', '5', 'cache.hit', 'true'), 7 FROM numbers(6)""")
    # The exporter tries again and again; records of logs have nothing that tells them apart, so each stays.
    real.ask("INSERT INTO otel.otel_logs (Timestamp, ServiceName, Body) SELECT toDateTime64('2026-11-30 10:00:00', 9), 's', 'x' FROM numbers(4)")
    assert real.rows("SELECT tool_name, model, toString(input_tokens) AS input, cache_hit FROM fusebox.spans WHERE span_id = '1'") == [
        {"tool_name": "find", "model": "big", "input": "5", "cache_hit": 1}]
    assert real.value("SELECT count() FROM fusebox.spans") == 3
    assert real.value("SELECT count() FROM otel.otel_logs FINAL") == 4


def test_tables_of_before_are_upgraded_with_what_is_in_them(binary, node_of, real):
    real.run_schema(OLD_SCHEMA.read_text())
    insert = """INSERT INTO otel.otel_traces (Timestamp, TraceId, SpanId, SpanName, ServiceName, SpanAttributes, Duration, Events.Timestamp, Events.Name,
        Events.Attributes) SELECT toDateTime64('2026-01-01 00:00:00', 9) + INTERVAL number % 250 DAY, hex(cityHash64(number % 250)), '1', 'n', 's',
        map('tool.name', 'find'), 7, [now64(9)], ['e'], [map('k', 'v')] FROM numbers({}) SETTINGS max_partitions_per_insert_block = 0"""
    real.ask(insert.format(250))
    real.ask(insert.format(100))
    node = node_of(fleet(real, signals=["traces"]))
    assert node.post(batch(call("search"))).status == 200
    poll("it says so", lambda: "--upgrade" in statuses(node)["fleet", "traces"]["message"])
    real.run_schema(ddl(binary, "--upgrade"))
    assert real.value("SELECT count() FROM otel.otel_traces FINAL WHERE tool_name = 'find' AND Events.Name = ['e']") == 250
    assert real.value("SELECT count() FROM otel.otel_traces_v1") == 350
    assert real.value("SELECT uniqExact(TraceId) FROM otel.otel_traces_trace_id_ts") == 250
    assert node.run("forward", "resume", "fleet", "--data-dir", str(node.folder)).returncode == 0
    poll("all is sent", lambda: sent(node), seconds=30)
    assert real.value("SELECT count() FROM fusebox.spans") == 251


def test_what_an_engine_lost_is_found_and_sent_again(binary, node_of, real):
    real.run_schema(ddl(binary))
    node = node_of(fleet(real))
    for _ in range(5):
        assert node.post(batch(*(span() for _ in range(40)))).status == 200
    assert node.post(data(1, data(2, data(2, record("line", time=BASE_TIME)) * 7)), LOGS).status == 200
    poll("all is sent", lambda: sent(node))

    def verify(*arguments):
        return node.run("forward", "verify", "fleet", "--data-dir", str(node.folder), *arguments)

    done = verify("--since", "1h")
    assert done.returncode == 0 and b"traces: 200 were sent, 0 of them are missing" in done.stdout and b"logs: 7 were sent, 0" in done.stdout, done
    # As power that fails takes what was not synced.
    real.ask("ALTER TABLE otel.otel_traces DELETE WHERE FuseboxOrdinal BETWEEN 100 AND 110 SETTINGS mutations_sync = 1")
    done = verify()
    assert done.returncode == 1 and b"traces: 200 were sent, 11 of them are missing" in done.stdout and b"--resend" in done.stderr, done
    assert verify("--resend").returncode == 0
    poll("all is there", lambda: sent(node) and real.value("SELECT count() FROM fusebox.spans") == 200)
    done = verify()
    assert done.returncode == 0 and real.value("SELECT count() FROM fusebox.logs") == 7, done


def test_nothing_is_lost_or_doubled_while_engine_and_node_are_killed(binary, node_of, real):
    real.run_schema(ddl(binary))
    node = node_of(fleet(real, signals=["traces", "logs"], batch_rows=2000))
    chance = random.Random(KILLS)
    stopping = threading.Event()
    acknowledged = set()
    records = [0]

    def load():
        while not stopping.is_set():
            own = [(trace_id(), span_id()) for _ in range(20)]
            body = batch(*(span(trace, identity, start=BASE_TIME - chance.randrange(3) * DAY, end=BASE_TIME + 5) for trace, identity in own))
            logs = data(1, data(2, b"".join(data(2, record("line", time=BASE_TIME)) for _ in range(5))))
            try:
                if node.post(body).status == 200:
                    acknowledged.update((trace.hex(), identity.hex()) for trace, identity in own)
                if node.post(logs, LOGS).status == 200:
                    records[0] += 5
            except (OSError, http.client.HTTPException):
                # Dead, or half an answer: nobody knows.
                pass
            time.sleep(0.05)

    client = threading.Thread(target=load, daemon=True)
    client.start()
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.02, 0.9))
        which = chance.random()
        if which > 0.2:
            real.kill()
        if which < 0.4:
            node.kill()
            node.start()
        if which > 0.2:
            real.start()
        # Its waits would be the longest of this test.
        assert node.run("forward", "resume", "fleet", "--data-dir", str(node.folder)).returncode == 0
    stopping.set()
    client.join(30)
    assert node.run("forward", "resume", "fleet", "--data-dir", str(node.folder)).returncode == 0
    poll("all is sent", lambda: sent(node), seconds=120 + 5 * KILLS)
    rows = real.rows("SELECT trace_id, span_id FROM fusebox.spans")
    own = set(stored(node))
    assert {(row["trace_id"], row["span_id"]) for row in rows} == own and len(rows) == len(own)
    assert acknowledged <= own and len(acknowledged) > 20 * KILLS
    logs = node.scalar("SELECT count(*) FROM logs")
    assert real.value("SELECT count() FROM fusebox.logs") == logs >= records[0]
    assert real.value("SELECT uniqExact(TraceId) FROM otel.otel_traces_trace_id_ts") == len(own)
    status = statuses(node)["fleet", "traces"]
    assert (status["refused"], status["lost"]) == (0, 0)
    assert node.run("forward", "verify", "fleet", "--data-dir", str(node.folder)).returncode == 0
    print(f"{KILLS} kills, {len(own)} spans, {logs} log records, raw rows",
          real.value("SELECT count() FROM otel.otel_traces"), real.value("SELECT count() FROM otel.otel_logs"))
