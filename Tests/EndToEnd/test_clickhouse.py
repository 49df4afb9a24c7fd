"""What a node has acknowledged is in ClickHouse once, whatever is killed, refused or cut: against a stand-in that reads its blocks."""

import json
import os
import random
import subprocess
import threading
import time

import pytest
import yaml

from clickhouse_target import DAY, Engine, Move, columns_of, error, sorting
from conftest import ROOT
from server import Fusebox, poll
from test_forwarding import QUICK, all_sent, configure, spans, statuses, stored
from test_logs import PATH as LOGS, record
from wire import BASE_TIME, Bare, attribute, batch, data, fixed64, number, post_head, span, span_id, trace_id

KILLS = int(os.environ.get("FUSEBOX_FORWARD_KILLS", "10"))
SOON = {"batch_age_s": 0.02}


@pytest.fixture(scope="module")
def columns(binary):
    ddl = subprocess.run([binary, "ddl", "clickhouse", "--database", "otel"], capture_output=True, text=True, timeout=60, check=True).stdout
    return {table: columns_of(ddl, table) for table in ("otel_traces", "otel_logs")}


@pytest.fixture
def engine(columns):
    made = Engine(columns)
    yield made
    made.close()


def fleet(engine, **entries):
    return {"fleet": {"kind": "clickhouse", "endpoint": engine.url, "database": "otel", **SOON, **entries}}


@pytest.fixture
def node_of(launch, tmp_path):
    def start(targets, folder=None, environment=None):
        folder = folder or tmp_path / "node"
        configure(folder, targets)
        return launch({**QUICK, **(environment or {})}, folder=folder)
    return start


def sent(node):
    return all_sent(node, "fleet")


# What is in a row


def test_a_row_says_what_the_span_said(node_of, engine, columns):
    node = node_of(fleet(engine))
    trace, root, child = trace_id(), span_id(), span_id()
    event = data(11, fixed64(1, BASE_TIME + 7) + data(2, "moment") + data(3, attribute("k", 5)))
    link = data(13, data(1, trace_id()) + data(2, root) + data(3, "a=b") + data(4, attribute("l", True)))
    status = data(15, data(2, "bad") + number(3, 2))
    attributes = [("text", "é\n"), ("n", -3), ("half", 0.5), ("two", 2.0), ("yes", True), ("list", data(5, data(1, data(1, "in")) + data(1, number(3, 4)))),
                  ("raw", data(7, b"\x00\xff")), ("gen_ai.tool.name", "search"), ("gen_ai.operation.name", "execute_tool")]
    body = batch(
        span(trace, root, name="root", attributes=[("workflow.name", "w")], extra=number(6, 2)),
        span(trace, child, name="child", parent=root, attributes=attributes, extra=event + link + status + number(6, 3) + data(3, "x=y")),
        resource=[("service.name", "svc"), ("host", "h")])
    assert node.post(body).status == 200
    poll("all is sent", lambda: sent(node))
    rows = engine.spans()
    assert len(rows) == 2
    row = rows[trace.hex(), child.hex()]
    own = node.sql("SELECT * FROM spans WHERE name = 'child'")[0]
    assert row["Timestamp"] == BASE_TIME and row["Duration"] == 5_000_000
    assert (row["SpanName"], row["SpanKind"], row["StatusCode"], row["StatusMessage"]) == (b"child", b"Client", b"Error", b"bad")
    assert (row["ParentSpanId"], row["TraceState"], row["ServiceName"]) == (root.hex().encode(), b"x=y", b"svc")
    assert row["ResourceAttributes"] == {b"service.name": b"svc", b"host": b"h"}
    assert row["SpanAttributes"] == {
        b"text": "é\n".encode(), b"n": b"-3", b"half": b"0.5", b"two": b"2", b"yes": b"true", b"list": b'["in",4]', b"raw": b"AP8=",
        b"gen_ai.tool.name": b"search", b"gen_ai.operation.name": b"execute_tool"}
    assert list(row["SpanAttributes"]) == sorted(row["SpanAttributes"])
    assert (row["Events.Timestamp"], row["Events.Name"], row["Events.Attributes"]) == ([BASE_TIME + 7], [b"moment"], [{b"k": b"5"}])
    assert row["Links.SpanId"] == [root.hex().encode()] and row["Links.Attributes"] == [{b"l": b"true"}]
    assert row["Links.TraceState"] == [b"a=b"]
    assert row["tool_name"] == b"search" == own["tool_name"].encode() and row["stage"] == own["stage"].encode()
    assert row["outcome"] == own["outcome"].encode() == b"error" and row["tokens"] is None
    assert rows[trace.hex(), root.hex()]["workflow_name"] == b"w" and rows[trace.hex(), root.hex()]["SpanKind"] == b"Server"
    assert {row["FuseboxOrdinal"] for row in rows.values()} == {0, 1}
    assert row["FuseboxReceived"] == own["received_time_unix_nano"]
    (node_name,) = {row["FuseboxNode"] for row in rows.values()}
    assert (node.folder / "fusebox.node").read_bytes().strip() == node_name and len(node_name) == 32
    # Every column of the table is filled, but those that the engine computes.
    (insert,) = engine.inserts
    assert set(insert["columns"]) == set(columns["otel_traces"])


def test_a_log_record_is_a_row_by_node_and_ordinal(node_of, engine, columns):
    node = node_of(fleet(engine, compression="gzip"))
    lines = b"".join(data(2, record(f"line {index}", time=BASE_TIME + index, attributes=[("k", index)])) for index in range(5))
    # Two that are equal are two.
    lines += data(2, record("again", time=BASE_TIME)) * 2
    logs = data(1, data(1, data(1, attribute("service.name", "s"))) + data(2, data(1, data(1, "scope") + data(2, "1.2")) + lines))
    assert node.post(logs, LOGS).status == 200
    poll("all is sent", lambda: sent(node))
    rows = sorted(engine.rows["otel_logs"].values(), key=lambda row: row["FuseboxOrdinal"])
    assert [row["Body"] for row in rows] == [b"line 0", b"line 1", b"line 2", b"line 3", b"line 4", b"again", b"again"]
    assert rows[3]["LogAttributes"] == {b"k": b"3"} and rows[3]["Timestamp"] == BASE_TIME + 3
    assert (rows[0]["ServiceName"], rows[0]["ScopeName"], rows[0]["ScopeVersion"]) == (b"s", b"scope", b"1.2")
    assert set(engine.inserts[0]["columns"]) == set(columns["otel_logs"]) - {"TimestampTime"}


def test_an_insert_is_of_one_day_sorted_and_says_its_settings(node_of, engine):
    node = node_of(fleet(engine))
    times = [BASE_TIME + day * DAY + random.randrange(1000) * 10**9 for day in (0, -1, 0, 2, -1, -400, 0) for _ in range(10)]
    encoded = [span(name=random.choice("abc"), start=time, end=time + 5) for time in times]
    assert node.post(batch(*encoded)).status == 200
    poll("all is sent", lambda: sent(node))
    assert len(engine.spans()) == 70
    assert len(engine.inserts) == 4
    for insert in engine.inserts:
        days = {row["Timestamp"] // DAY for row in insert["rows"]}
        assert len(days) == 1
        keys = [sorting("otel_traces", row) for row in insert["rows"]]
        assert keys == sorted(keys)
        parameters = insert["parameters"]
        assert {name: parameters[name] for name in engine.settings} == {
            "async_insert": "0", "deduplicate_insert": "disable", "insert_deduplicate": "0", "optimize_on_insert": "0",
            "input_format_native_allow_types_conversion": "1", "send_progress_in_http_headers": "0"}
        assert parameters["wait_end_of_query"] == "1"
        assert parameters["query_id"] == f"fusebox-{insert['rows'][0]['FuseboxNode'].decode()}-traces-0-70-{days.pop()}"
        assert insert["headers"]["Content-Encoding"] == "zstd" and insert["headers"]["X-ClickHouse-User"] == "default"


def test_many_days_go_in_flights_of_few(node_of, engine):
    node = node_of(fleet(engine))
    assert node.post(batch(*(span(start=BASE_TIME - day * DAY, end=BASE_TIME - day * DAY + 5) for day in range(100)))).status == 200
    poll("all is sent", lambda: sent(node))
    assert len(engine.spans()) == 100 and len(engine.inserts) == 100
    assert len({insert["parameters"]["query_id"].rsplit("-", 1)[0] for insert in engine.inserts}) == 4


# Exactly once


def test_every_acknowledged_span_is_there_once_after_kills(node_of, engine):
    chance = random.Random(KILLS)
    lock = threading.Lock()

    def behave(rows, insert):
        with lock:
            return chance.choices(
                [Move.TAKE, Move.TAKE_AND_HANG_UP, Move.TAKE_AND_HALF, Move.HANG_UP, error(252), error(319)], [20, 2, 1, 1, 1, 1])[0]

    engine.behave = behave
    node = node_of(fleet(engine, batch_rows=60))
    acknowledged = set()
    for _ in range(KILLS):
        stopping = threading.Event()

        def load(port=node.port):
            while not stopping.is_set():
                keys = [(trace_id(), span_id()) for _ in range(random.randrange(1, 40))]
                body = batch(*(span(trace, identity, start=BASE_TIME - random.randrange(3) * DAY, end=BASE_TIME + 5, attributes=[("z", index), ("a", "x")])
                               for index, (trace, identity) in enumerate(keys)))
                try:
                    with Bare(port) as bare:
                        bare.send(post_head(len(body)))
                        bare.send(body)
                        answer = bare.answer()
                except (OSError, AssertionError):
                    return
                if answer is None:
                    return
                if answer.status == 200:
                    with lock:
                        acknowledged.update((trace.hex(), identity.hex()) for trace, identity in keys)

        clients = [threading.Thread(target=load, daemon=True) for _ in range(2)]
        for client in clients:
            client.start()
        time.sleep(chance.uniform(0.05, 0.4))
        node.kill()
        stopping.set()
        for client in clients:
            client.join(30)
        node.start()
    engine.behave = lambda rows, insert: Move.TAKE
    assert node.run("forward", "resume", "fleet", "--data-dir", str(node.folder)).returncode == 0
    poll("all is sent", lambda: sent(node), seconds=60 + 5 * KILLS)
    rows, own = engine.spans(), stored(node)
    assert acknowledged <= set(own) and len(acknowledged) > KILLS
    assert set(rows) == set(own) and len(engine.rows["otel_traces"]) == len(own)
    for key, row in rows.items():
        assert row["Timestamp"] == own[key]["start_time_unix_nano"]
        assert {name.decode(): value.decode() for name, value in row["SpanAttributes"].items()} == {
            name: str(value) for name, value in own[key]["attributes"].items()}
    # What went again under one name was the same, byte for byte.
    bodies = {}
    for insert in engine.inserts:
        assert bodies.setdefault(insert["parameters"]["query_id"], insert["body"]) == insert["body"]
    status = statuses(node)["fleet", "traces"]
    assert (status["refused"], status["lost"]) == (0, 0)


def test_a_restored_backup_is_another_node_and_doubles_no_span(node_of, engine, tmp_path):
    node = node_of(fleet(engine))
    logs = data(1, data(1, data(1, attribute("service.name", "s"))) + data(2, data(2, record("x", time=BASE_TIME))))
    assert node.post(batch(*spans(20))).status == 200 and node.post(logs, LOGS).status == 200
    backup = tmp_path / "backup.db"
    assert node.run("backup", str(backup), "--data-dir", str(node.folder)).returncode == 0
    assert node.post(batch(*spans(20))).status == 200
    poll("all is sent", lambda: sent(node))
    node.restart()
    poll("all is sent", lambda: sent(node))
    before = (node.folder / "fusebox.node").read_text()
    node.stop()
    restored = tmp_path / "restored"
    restored.mkdir(mode=0o700)
    (restored / "fusebox.db").write_bytes(backup.read_bytes())
    again = node_of(fleet(engine), folder=restored)
    assert again.post(batch(*spans(3))).status == 200
    assert again.run("forward", "replay", "fleet", "--data-dir", str(restored)).returncode == 0
    poll("all is there", lambda: sent(again) and len(engine.spans()) == 43)
    assert (restored / "fusebox.node").read_text() != before
    assert len(engine.rows["otel_traces"]) == 43


def test_a_span_that_two_nodes_got_is_one_row(node_of, engine, tmp_path):
    nodes = [node_of(fleet(engine), folder=tmp_path / name) for name in ("one", "two")]
    # A client that did not hear the answer went to the other.
    body = batch(*spans(10))
    for node in nodes:
        assert node.post(body).status == 200
        assert node.post(batch(*spans(5))).status == 200
        poll("all is sent", lambda: sent(node))
    assert len(engine.rows["otel_traces"]) == 20 and sum(engine.times["otel_traces"].values()) == 30
    assert len({row["FuseboxNode"] for row in engine.rows["otel_traces"].values()}) == 2


def test_another_replica_takes_over(node_of, engine, columns):
    other = Engine(columns)
    try:
        node = node_of(fleet(engine, endpoint=[other.url, engine.url], signals=["traces"]))
        assert node.post(batch(*spans(10))).status == 200
        poll("all is sent", lambda: sent(node))
        assert len(other.rows["otel_traces"]) == 10 and not engine.inserts
    finally:
        other.close()
    other.behave = lambda rows, insert: Move.HANG_UP
    assert node.post(batch(*spans(10))).status == 200
    poll("all is sent", lambda: sent(node), seconds=30)
    assert len(engine.rows["otel_traces"]) == 10


# Answers


def test_a_busy_or_unsure_engine_gets_the_same_bytes_again(node_of, engine):
    codes = [202, 241, 242, 216, 159, 319, 999, 12345]
    moves = [*(error(code) for code in codes), Move.TAKE_AND_HANG_UP]
    engine.behave = lambda rows, insert: moves.pop(0) if moves else Move.TAKE
    node = node_of(fleet(engine, signals=["traces"]))
    assert node.post(batch(*spans(10))).status == 200
    for tries, code in enumerate(codes, 1):
        poll("it was tried", lambda: len(engine.inserts) >= tries)
        assert node.run("forward", "resume", "fleet", "--data-dir", str(node.folder)).returncode == 0
    poll("all is sent", lambda: sent(node), seconds=30)
    assert len(engine.rows["otel_traces"]) == 10
    assert len({(insert["parameters"]["query_id"], insert["body"]) for insert in engine.inserts}) == 1
    assert statuses(node)["fleet", "traces"]["refused"] == 0


def test_too_many_parts_makes_inserts_fewer(node_of, engine):
    engine.behave = lambda rows, insert: error(252, text="DB::Exception: Too many parts (3000)") if len(engine.inserts) < 4 else Move.TAKE
    node = node_of(fleet(engine, signals=["traces"], batch_age_s=0.2))
    assert node.post(batch(*spans(10))).status == 200
    for tries in range(1, 5):
        poll("it was tried", lambda: len(engine.inserts) >= tries)
        assert node.run("forward", "resume", "fleet", "--data-dir", str(node.folder)).returncode == 0
    poll("all is sent", lambda: sent(node), seconds=30)
    # 16 times 0.2 s from now on.
    began = time.monotonic()
    assert node.post(batch(*spans(10))).status == 200
    poll("all is sent", lambda: sent(node), seconds=30)
    assert time.monotonic() - began > 2
    assert len(engine.rows["otel_traces"]) == 20


def test_one_poison_span_leaves_all_others_there(node_of, engine):
    poison = span_id()
    engine.behave = lambda rows, insert: (
        error(117, 400, "DB::Exception: odd value") if any(row["SpanId"] == poison.hex().encode() for row in rows) else Move.TAKE)
    node = node_of(fleet(engine, signals=["traces"]))
    encoded = spans(3000)
    encoded.insert(1777, span(identity=poison))
    assert node.post(batch(*encoded)).status == 200
    poll("all is sent", lambda: sent(node), seconds=40)
    assert len(engine.rows["otel_traces"]) == 3000
    done = node.run("forward", "status", "--refused", "--format", "json", "--data-dir", str(node.folder))
    (row,) = json.loads(done.stdout)
    assert row["span_id"] == poison.hex() and row["code"] == 117 and "odd value" in row["message"] and row["message"].startswith("ClickHouse 117")
    assert node.metrics().value("fusebox_forward_spans_total", target="fleet", signal="traces", result="refused") == 1


@pytest.mark.parametrize("answer", [error(307), (413, {}, b""), error(229, 400)])
def test_too_large_is_halved(node_of, engine, answer):
    engine.behave = lambda rows, insert: answer if len(rows) > 40 else Move.TAKE
    node = node_of(fleet(engine, signals=["traces"]))
    assert node.post(batch(*spans(150))).status == 200
    poll("all is sent", lambda: sent(node))
    assert len(engine.rows["otel_traces"]) == 150 and statuses(node)["fleet", "traces"]["refused"] == 0


@pytest.mark.parametrize("auth", ["headers", "basic"])
def test_a_wrong_password_heals_when_its_file_changes(node_of, engine, tmp_path, auth):
    engine.password = "kept close"
    file = tmp_path / "password"
    file.write_text("guessed\n")
    node = node_of(fleet(engine, user="writer", password_file=str(file), auth=auth, signals=["traces"]))
    assert node.post(batch(*spans(5))).status == 200
    poll("it says so", lambda: statuses(node)["fleet", "traces"]["state"] == "unauthorized")
    assert "ClickHouse 516" in statuses(node)["fleet", "traces"]["message"]
    assert not engine.inserts
    file.write_text("kept close\n")
    poll("all is sent", lambda: sent(node), seconds=10)
    assert len(engine.rows["otel_traces"]) == 5
    assert "kept close" not in node.stderr and "guessed" not in node.stderr


@pytest.mark.parametrize(("engine_name", "words"), [
    ("MergeTree", "would be there twice"), ("Distributed", "name the table on the machine itself"), (None, "there is no table otel.otel_traces")])
def test_a_table_that_would_lose_or_double_gets_nothing(node_of, engine, engine_name, words):
    engine.engine = engine_name
    node = node_of(fleet(engine, signals=["traces"]))
    assert node.post(batch(*spans(5))).status == 200
    poll("it says so", lambda: statuses(node)["fleet", "traces"]["state"] == "misdirected")
    assert words in statuses(node)["fleet", "traces"]["message"] and "fusebox ddl clickhouse" in statuses(node)["fleet", "traces"]["message"] + "fusebox ddl clickhouse" * (engine_name == "Distributed")
    assert not engine.inserts
    engine.engine = "SharedReplacingMergeTree"
    assert node.run("forward", "resume", "fleet", "--data-dir", str(node.folder)).returncode == 0
    poll("all is sent", lambda: sent(node))
    assert len(engine.rows["otel_traces"]) == 5


def test_a_table_that_changed_is_looked_at_again(node_of, engine):
    node = node_of(fleet(engine, signals=["traces"]))
    assert node.post(batch(*spans(5))).status == 200
    poll("all is sent", lambda: sent(node))
    engine.columns = {**engine.columns, "otel_traces": {name: kind for name, kind in engine.columns["otel_traces"].items() if name != "user_id"}}
    engine.settings = ["async_insert"]
    engine.behave = lambda rows, insert: error(16, 404, "DB::Exception: No such column user_id") if "user_id" in insert["columns"] else Move.TAKE
    assert node.post(batch(*spans(5))).status == 200
    poll("it says so", lambda: statuses(node)["fleet", "traces"]["state"] == "misdirected")
    assert node.run("forward", "resume", "fleet", "--data-dir", str(node.folder)).returncode == 0
    poll("all is sent", lambda: sent(node))
    assert len(engine.rows["otel_traces"]) == 10
    last = engine.inserts[-1]
    assert "user_id" not in last["columns"] and set(last["parameters"]) == {"query", "query_id", "wait_end_of_query", "async_insert"}
    poll("it is told", lambda: "has no columns user_id" in node.stderr)


def test_a_page_in_place_of_an_answer_is_no_delivery(node_of, engine):
    moves = [(200, {"Content-Type": "text/html"}, b"<html>sign in</html>"), (200, {}, b""),
             (200, {"X-ClickHouse-Summary": "{}"}, b"Code: 241. DB::Exception: memory")]
    engine.behave = lambda rows, insert: moves.pop(0) if moves else Move.TAKE
    node = node_of(fleet(engine, signals=["traces"]))
    assert node.post(batch(*spans(10))).status == 200
    for left in (2, 1, 0):
        poll("it was tried", lambda: len(moves) <= left)
        assert node.run("forward", "resume", "fleet", "--data-dir", str(node.folder)).returncode == 0
    poll("all is sent", lambda: sent(node), seconds=30)
    assert len(engine.rows["otel_traces"]) == 10


# Configuration


@pytest.mark.parametrize(("entries", "message"), [
    ({"database": "a b"}, "letters, digits and _"),
    ({"table": "x;y"}, "letters, digits and _"),
    ({"auth": "digest"}, "must be headers, basic, bearer"),
    ({"user": "a:b"}, "without spaces and colons"),
    ({"batch_rows": 0}, "batch_rows"),
    ({"password_file": "/p", "token_file": "/t"}, "one of them is enough"),
    ({"token_file": "/t"}, "auth: bearer"),
    ({"auth": "bearer"}, "auth: bearer"),
    ({"headers": {"X-ClickHouse-Key": "k"}}, "for which there are user"),
    ({"shards": 3}, "there is no setting 'forward.targets.fleet.shards'"),
    ({"kind": "otlp", "database": "x"}, "there is no setting 'forward.targets.fleet.database'"),
    ({"endpoint": []}, "a list of up to 16"),
    ({"endpoint": ["http://a", "b"]}, "must be like"),
    ({"kind": "otlp", "endpoint": ["http://a", "http://b"]}, "only a target of kind clickhouse"),
    ({"kind": "kafka"}, "the kinds of targets are otlp and clickhouse"),
])
def test_a_wrong_target_is_refused_with_its_line(binary, tmp_path, entries, message):
    node = Fusebox(binary, tmp_path / "node")
    configure(node.folder, {"fleet": {"kind": "clickhouse", "endpoint": "http://ch:8123", **entries}})
    done = node.run("config", "check", "--data-dir", str(node.folder))
    assert done.returncode == 2 and message in done.stderr.decode() and "line" in done.stderr.decode(), done


def test_the_configuration_that_is_printed_gives_itself_again(binary, tmp_path):
    node = Fusebox(binary, tmp_path / "node")
    configure(node.folder, {"fleet": {
        "kind": "clickhouse", "endpoint": ["https://ch:8443", "https://other:8443"], "database": "otel", "table": "spans", "user": "w", "password_file": "/p", "batch_rows": 7,
        "batch_age_s": 2.5, "auth": "basic"}})
    first = node.run("config", "print", "--data-dir", str(node.folder))
    assert first.returncode == 0 and b"batch_rows: 7" in first.stdout and b"password_file" in first.stdout, first
    (node.folder / "fusebox.yaml").write_bytes(first.stdout)
    second = node.run("config", "print", "--data-dir", str(node.folder))
    assert second.returncode == 0, second
    targets = first.stdout[first.stdout.index(b"  targets:"):].split(b"\n\n")[0]
    assert targets in second.stdout


def test_the_compose_file_configures_a_node_that_starts(binary, tmp_path):
    compose = yaml.safe_load((ROOT / "deploy/clickhouse/compose.yaml").read_text())
    node = Fusebox(binary, tmp_path / "node")
    node.folder.mkdir(mode=0o700)
    (node.folder / "fusebox.yaml").write_text(compose["configs"]["node"]["content"])
    done = node.run("config", "check", "--data-dir", str(node.folder))
    assert done.returncode == 0, done
    assert "fusebox ddl clickhouse --database otel" in compose["services"]["schema"]["entrypoint"][2]
    assert set(compose["services"]) == {"schema", "engine", "node"} and set(compose["volumes"]) == {"schema", "engine", "node"}


def test_engines_are_printed_as_they_are_read(binary, tmp_path):
    def command(text, *arguments):
        (tmp_path / "c.yaml").write_text(text)
        return subprocess.run([binary, *arguments, "--config", str(tmp_path / "c.yaml")], capture_output=True, text=True, timeout=60)

    engines = "engines:\n  fleet:\n    endpoint: [http://one:8123, http://two:8123]\n    database: otel\n    views: v\n    user: reader\n    password_file: /p\n"
    printed = command(engines, "config", "print")
    assert printed.returncode == 0 and yaml.safe_load(printed.stdout)["engines"] == {"fleet": {
        "endpoint": ["http://one:8123", "http://two:8123"], "database": "otel", "table": "otel_traces", "logs_table": "otel_logs", "views": "v",
        "auth": "headers", "user": "reader", "password_file": "/p"}}
    assert yaml.safe_load(command(printed.stdout, "config", "print").stdout) == yaml.safe_load(printed.stdout)
    # What only a target has.
    for line in ("    hold: true", "    kind: clickhouse", "    batch_rows: 5"):
        done = command(engines + line + "\n", "config", "check")
        assert done.returncode == 2 and "there are: endpoint" in done.stderr, done
    for arguments in (("sql", "--engine", "other", "SELECT 1"), ("traces", "--engine", "other"), ("serve", "--engine", "other")):
        done = command(engines, *arguments)
        assert done.returncode == 2 and "there are: fleet" in done.stderr, done
