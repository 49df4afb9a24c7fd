"""Verify, backup, export, import, prune: what an operator does with a data file besides asking it."""

import json
import os
import sqlite3
import stat

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import captures
from server import Fusebox, poll
from terminal import Terminal
from test_durability import Load
from wire import BASE_TIME, attribute, batch, data, fixed64, nested, number, span, span_id, trace_id

OK, FAILED, USAGE, INTEGRITY = 0, 1, 2, 4
RUNS = ["handmade"]
@pytest.fixture(scope="module")
def filled(binary, tmp_path_factory):
    """A server with a captured run and a span of every kind of value; stopped, and its folder."""
    server = Fusebox(binary, tmp_path_factory.mktemp("maintenance") / "data").start()
    for run in RUNS:
        captures.replay(server, captures.posts(run))
    assert server.post(batch(rich_span())).status == 200
    yield server
    server.stop()


def rich_span():
    link = data(13, data(1, trace_id()) + data(2, span_id()) + data(3, "a=b") + data(4, attribute("why", "retry")))
    event = data(11, fixed64(1, BASE_TIME) + data(2, "exception") + data(3, attribute("exception.type", "Ü \n\0")))
    return span(name="every kind", attributes=[
        ("text", "quote \" backslash \\ line\n zero \0 ümlaut 🦊"), ("yes", True), ("no", False), ("small", -1), ("big", 2**63 - 1),
        ("real", 0.1), ("huge", 1e300), ("nan", float("nan")), ("infinite", float("-inf")), ("bytes", data(7, bytes(range(256)))),
        ("nested", nested(5)), ("list", data(6, data(1, attribute("inner", 5)))), ("empty", b""),
    ], extra=link + event + data(15, data(2, "bad") + number(3, 2)) + data(3, "k=v"))


def content(server):
    """Every span with all that it has, but when it was received; attributes in any order."""
    spans = server.sql("SELECT * FROM spans ORDER BY trace_id, span_id")
    for one in spans:
        del one["received_time_unix_nano"]
        for column in ("attributes", "resource_attributes", "events", "links"):
            one[column] = json.loads(one[column])
    return spans


def verify(server, *arguments):
    done = server.run("verify", *arguments)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


# Verify

def test_verify_of_a_sound_file(filled):
    code, out, err = verify(filled, "--data-dir", str(filled.folder))
    assert (code, err) == (OK, "")
    count = filled.scalar("SELECT count(*) FROM spans")
    assert out.startswith(f"checked {count} spans in ") and out.endswith(": no damage\n")
    code, out, err = verify(filled, "--data-dir", str(filled.folder), "--format", "json")
    report = json.loads(out)
    assert (code, report["sound"], report["spans"], report["findings"]) == (OK, True, count, [])


def test_verify_names_the_damaged_segment_and_its_times(filled, tmp_path):
    copy = tmp_path / "copy.db"
    assert filled.run("backup", "--data-dir", str(filled.folder), str(copy)).returncode == OK
    with sqlite3.connect(copy) as connection:
        segment, start, end = connection.execute("SELECT id, start_min, start_max FROM segment ORDER BY id LIMIT 1 OFFSET 2").fetchone()
        (frame,) = connection.execute("SELECT data FROM segment_stream WHERE id = ?", [segment * 4096]).fetchone()
        middle = len(frame) // 2
        damaged = frame[:middle] + bytes([frame[middle] ^ 4]) + frame[middle + 1:]
        connection.execute("UPDATE segment_stream SET data = ? WHERE id = ?", [damaged, segment * 4096])
    connection.close()
    code, out, err = verify(filled, "--format", "json", str(copy))
    (finding,) = json.loads(out)["findings"]
    assert code == INTEGRITY and "1 place" in err
    assert (finding["segment"], finding["start_min_unix_nano"], finding["start_max_unix_nano"]) == (segment, start, end)
    code, out, err = verify(filled, str(copy))
    assert code == INTEGRITY and f"damaged: segment {segment}, spans that started from 20" in out


@pytest.mark.parametrize("change, finding", [
    ("UPDATE counter SET value = value + 1 WHERE id = (SELECT min(id) FROM counter)", "1 rows of the table counter are damaged"),
    ("UPDATE segment SET span_count = span_count + 1 WHERE id = 1", "counts"),
    ("UPDATE segment SET start_max = start_max + 1 WHERE id = 1", "its times are not those of its spans"),
    ("UPDATE segment SET trace_filter = zeroblob(4) WHERE id = 1", "trace filter"),
    ("DELETE FROM segment_stream WHERE id = 4096", "streams"),
    ("DELETE FROM segment WHERE id = 1", "belong to no segment"),
    ("INSERT INTO segment_stream VALUES (1 << 40, x'00')", "belong to no segment"),
    ("UPDATE label_value SET first_seen_unix_nano = 1", "rows of the table label_value are damaged"),
    ("ALTER TABLE evaluation RENAME COLUMN score TO points", "the declaration of the table evaluation is not as it was made"),
])
def test_verify_counts_everything(filled, tmp_path, change, finding):
    copy = tmp_path / "copy.db"
    assert filled.run("backup", "--data-dir", str(filled.folder), str(copy), "--no-verify").returncode == OK
    with sqlite3.connect(copy) as connection:
        connection.execute(change)
    connection.close()
    code, out, _ = verify(filled, str(copy))
    assert code == INTEGRITY
    assert finding in out


def test_verify_beside_a_busy_server(launch):
    fusebox = launch()
    load = Load(fusebox.port, "verify")
    poll("some load", lambda: load.acknowledged_spans > 200)
    for _ in range(5):
        code, out, err = verify(fusebox, "--data-dir", str(fusebox.folder))
        assert (code, err) == (OK, ""), out
    load.finish()


def test_verify_without_a_file(filled, tmp_path):
    code, _, err = verify(filled, "--data-dir", str(tmp_path))
    assert code == FAILED and "there is no data file" in err


# Backup

def test_backups_while_writing(launch, tmp_path):
    """Each copy is sound, holds what was acknowledged before it began, and no request in part."""
    fusebox = launch()
    load = Load(fusebox.port, "backup")
    poll("some load", lambda: load.acknowledged_spans > 200)
    for number_of_copy in range(20):
        with load.lock:
            before = {trace: len(spans) for trace, spans in load.acknowledged.items()}
        copy = tmp_path / f"{number_of_copy}" / "fusebox.db"
        copy.parent.mkdir()
        done = fusebox.run("backup", "--data-dir", str(fusebox.folder), str(copy.parent))
        assert (done.returncode, done.stderr) == (OK, b""), done.stderr
        assert done.stdout.endswith(b" and checked it\n")
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        with sqlite3.connect(copy) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()
        done = fusebox.run("sql", "--data-dir", str(copy.parent), "--format", "json", "SELECT trace_id, count(*) AS n FROM spans GROUP BY 1")
        there = {bytes.fromhex(row["trace_id"]): row["n"] for row in json.loads(done.stdout)}
        assert all(there.get(trace) == count for trace, count in before.items())
    load.finish()
    everything = load.acknowledged | load.unanswered
    assert all(count == len(everything[trace]) for trace, count in there.items())


def test_a_backup_is_served_again(filled, launch, tmp_path):
    assert filled.run("backup", "--data-dir", str(filled.folder), str(tmp_path / "fusebox.db")).returncode == OK
    restored = launch(folder=tmp_path)
    assert content(restored) == content(filled)
    assert restored.settled().total("agent_tool_calls_total") == filled.settled().total("agent_tool_calls_total")


def test_a_backup_overwrites_nothing(filled, tmp_path):
    target = tmp_path / "precious.db"
    target.write_text("precious")
    done = filled.run("backup", "--data-dir", str(filled.folder), str(target))
    assert done.returncode == FAILED and b"is there already" in done.stderr
    assert target.read_text() == "precious"
    assert os.listdir(tmp_path) == ["precious.db"]


# Export and import

def test_json_lines_are_otlp(filled, tmp_path):
    """The official library reads each line, and finds what was sent."""
    target = tmp_path / "spans.jsonl"
    done = filled.run("export", "--data-dir", str(filled.folder), str(target))
    assert (done.returncode, done.stderr) == (OK, b"")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    count = 0
    rich = None
    for line in target.read_text().splitlines():
        # The JSON mapping of protobuf takes ids as base64, OTLP's as hexadecimal: the names alone are checked here.
        request = json_format.Parse(hexadecimal_to_base64(line), ExportTraceServiceRequest())
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                count += len(scope.spans)
                rich = next((one for one in scope.spans if one.name == "every kind"), rich)
    assert count == filled.scalar("SELECT count(*) FROM spans")
    values = {pair.key: pair.value for pair in rich.attributes}
    assert values["bytes"].bytes_value == bytes(range(256))
    assert values["big"].int_value == 2**63 - 1
    assert values["text"].string_value == "quote \" backslash \\ line\n zero \0 ümlaut 🦊"
    assert values["real"].double_value == 0.1
    assert values["infinite"].double_value == float("-inf")
    assert values["list"].kvlist_value.values[0].value.int_value == 5
    assert rich.status.code == 2 and rich.events[0].name == "exception" and rich.links[0].trace_state == "a=b"
    standard = filled.run("export", "--data-dir", str(filled.folder))
    assert standard.stdout == target.read_bytes()


def hexadecimal_to_base64(line):
    import base64

    def convert(value):
        if isinstance(value, dict):
            return {key: base64.b64encode(bytes.fromhex(one)).decode() if key in ("traceId", "spanId", "parentSpanId") else convert(one)
                    for key, one in value.items()}
        return [convert(one) for one in value] if isinstance(value, list) else value

    return json.dumps(convert(json.loads(line)))


@pytest.mark.parametrize("how", ["folder", "endpoint", "backup", "standard input"])
def test_what_is_exported_comes_in_again_whole(filled, launch, tmp_path, how):
    lines = tmp_path / "spans.jsonl"
    assert filled.run("export", "--data-dir", str(filled.folder), str(lines)).returncode == OK
    target = launch()
    count = filled.scalar("SELECT count(*) FROM spans")
    if how == "endpoint":
        done = target.run("import", "--endpoint", target.url, str(lines))
    else:
        target.stop()
        folder = ["--data-dir", str(target.folder)]
        if how == "folder":
            done = target.run("import", *folder, str(lines))
        elif how == "standard input":
            done = target.run("import", *folder, "-", input=lines.read_bytes())
        else:
            copy = tmp_path / "copy.db"
            assert filled.run("backup", "--data-dir", str(filled.folder), str(copy)).returncode == OK
            done = target.run("import", *folder, str(copy))
    assert (done.returncode, done.stderr) == (OK, b"")
    assert done.stdout.startswith(f"{count} spans taken in".encode())
    if how != "endpoint":
        again = target.run("import", *folder, str(lines))
        assert again.stdout.startswith(f"0 spans taken in, {count} were there before".encode())
        # Lines have the attributes in another order than the requests that the backup holds: other bytes, and said so.
        assert again.stdout.endswith(b"the first ones stay)\n" if how == "backup" else b"before\n")
        target.start()
    assert content(target) == content(filled)
    if how == "folder":
        assert target.settled().total("agent_tool_calls_total") == filled.settled().total("agent_tool_calls_total")


def test_an_import_beside_a_server_says_what_to_do(filled, tmp_path):
    lines = tmp_path / "spans.jsonl"
    lines.write_text("{}\n")
    done = filled.run("import", "--data-dir", str(filled.folder), str(lines))
    assert done.returncode == FAILED and b"--endpoint" in done.stderr


@pytest.mark.parametrize("text, message", [
    ("{}\nnonsense\n", b"line 2 of"), ('{"resourceSpans": 5}', b"line 1 of"), ("[", b"line 1 of"),
])
def test_an_import_names_the_bad_line(binary, launch, tmp_path, text, message):
    target = launch()
    target.stop()
    lines = tmp_path / "bad.jsonl"
    lines.write_text(text)
    done = target.run("import", "--data-dir", str(target.folder), str(lines))
    assert done.returncode == FAILED and message in done.stderr, done.stderr


def test_plain_tables(filled, tmp_path):
    target = tmp_path / "plain.db"
    done = filled.run("export", "--data-dir", str(filled.folder), "--format", "sqlite", str(target))
    assert (done.returncode, done.stderr) == (OK, b"")
    with sqlite3.connect(target) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert {"spans", "evals", "breaker_transitions", "costs"} <= tables
        for query in ["SELECT count(*) AS n, sum(tokens) AS t, group_concat(DISTINCT tool_name) AS tools FROM spans",
                      "SELECT tool_name, count(*) AS n FROM spans GROUP BY 1 ORDER BY 1",
                      "SELECT json_extract(attributes, '$.big') AS big FROM spans WHERE name = 'every kind'",
                      "SELECT count(*) AS n FROM breaker_transitions"]:
            rows = connection.execute(query)
            names = [column[0] for column in rows.description]
            assert [dict(zip(names, row)) for row in rows] == filled.sql(query), query
        plan = connection.execute("EXPLAIN QUERY PLAN SELECT * FROM spans WHERE trace_id = 'x'").fetchall()
        assert "spans_trace_id" in str(plan)
    connection.close()


def test_an_export_of_a_time(filled, tmp_path):
    (edge,) = filled.sql("SELECT start_time_unix_nano AS t FROM spans ORDER BY 1 LIMIT 1 OFFSET 5")
    for flag, sign in [("--since", ">="), ("--until", "<=")]:
        target = tmp_path / f"{flag}.db"
        done = filled.run("export", "--data-dir", str(filled.folder), "--format", "sqlite", flag, str(edge["t"]), str(target))
        assert done.returncode == OK, done.stderr
        with sqlite3.connect(target) as connection:
            (count,) = connection.execute("SELECT count(*) FROM spans").fetchone()
        connection.close()
        assert count == filled.scalar(f"SELECT count(*) FROM spans WHERE start_time_unix_nano {sign} {edge['t']}")
    assert filled.run("export", "--data-dir", str(filled.folder), "--since", "1d", "--until", "2d").returncode == USAGE
    assert filled.run("export", "--data-dir", str(filled.folder), "--since", "yesterday").returncode == USAGE
    assert filled.run("export", "--data-dir", str(filled.folder), "--format", "sqlite").returncode == USAGE


# Prune

def test_prune(launch):
    fusebox = launch()
    day = 86400 * 10**9
    old = [span(start=BASE_TIME - 60 * day, end=BASE_TIME - 60 * day + 1, attributes=[("tool_name", "hammer")]) for _ in range(5)]
    new = [span(attributes=[("tool_name", "hammer")]) for _ in range(3)]
    assert fusebox.post(batch(*old)).status == 200
    assert fusebox.post(batch(*new)).status == 200
    folder = ["--data-dir", str(fusebox.folder)]
    bound = str(BASE_TIME - 30 * day)
    done = fusebox.run("prune", *folder, "--before", bound, "--yes")
    assert done.returncode == FAILED and b"in use" in done.stderr
    fusebox.stop()
    # What the breakers have not settled is read again at the next start, and stays.
    done = fusebox.run("prune", *folder, "--before", bound)
    assert done.returncode == OK and done.stdout.startswith(b"0 spans in 0 segments")
    done = fusebox.run("prune", *folder, "--before", bound, "--yes")
    assert done.returncode == OK and done.stdout.startswith(b"deleted 0 spans in 0 segments"), done
    fusebox.start()
    calls = fusebox.settled().total("agent_tool_calls_total")
    fusebox.stop()
    done = fusebox.run("prune", *folder, "--before", bound)
    assert done.returncode == OK and done.stdout.startswith(b"5 spans in 1 segments")
    assert fusebox.scalar("SELECT count(*) FROM spans") == 8
    done = fusebox.run("prune", *folder, "--before", bound, "--yes")
    assert done.returncode == OK and done.stdout.startswith(b"deleted 5 spans in 1 segments"), done
    assert fusebox.scalar("SELECT count(*) FROM spans") == 3
    assert verify(fusebox, *folder)[0] == OK
    fusebox.start()
    assert fusebox.metrics().total("agent_tool_calls_total") == calls
    answer = fusebox.post(batch(*old))
    assert answer.status == 200 and answer.body, "spans from before the floor are refused in partial_success"
    assert fusebox.scalar("SELECT count(*) FROM spans") == 3
    assert fusebox.run("prune", *folder, "--before", "2999-01-01", "--yes").returncode == USAGE
    assert fusebox.run("prune", *folder, "--before", "soon").returncode == USAGE


def test_progress_on_a_terminal(filled, tmp_path):
    """Whoever watches sees how far it is, and a clean line afterwards; a pipe sees nothing of it."""
    with Terminal([filled.binary, "backup", "--data-dir", str(filled.folder), str(tmp_path / "copy.db")], filled.environment) as terminal:
        assert terminal.finish() == OK
        shown = terminal.raw.decode()
    assert "copying █" in shown and "checking the copy █" in shown
    assert shown.rstrip().endswith("and checked it")
