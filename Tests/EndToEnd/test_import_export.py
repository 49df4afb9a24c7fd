"""What goes in and out by files: nothing is passed over in silence, nothing is left half written, and failures say what they are."""

import json
import os
import subprocess
import threading

import pytest

from server import Fusebox
from wire import batch, span, span_id, trace_id

OK, FAILED, USAGE = 0, 1, 2
LOG_LINE = json.dumps({"resourceLogs": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "agent"}}]},
                                         "scopeLogs": [{"logRecords": [{"body": {"stringValue": "said"}, "timeUnixNano": "1700000000000000000"}]}]}]})
METRIC_LINE = json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "m", "gauge": {"dataPoints": [{"asInt": "1"}]}}]}]}]})


def span_line(name="work", trace="0af7651916cd43dd8448eb211c80319c", identity="b7ad6b7169203331"):
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [
        {"traceId": trace, "spanId": identity, "name": name, "startTimeUnixNano": "1700000000000000000",
         "endTimeUnixNano": "1700000001000000000"}]}]}]})


@pytest.fixture
def folder(tmp_path, binary):
    """A command line over a folder of its own."""
    server = Fusebox(binary, tmp_path / "data")
    server.folder.mkdir()
    server.at = ["--data-dir", str(server.folder)]
    return server


@pytest.fixture(scope="module")
def stocked(binary, tmp_path_factory):
    server = Fusebox(binary, tmp_path_factory.mktemp("stocked") / "data").start()
    for _ in range(5):
        assert server.post(batch(*[span(trace_id(), span_id()) for _ in range(400)])).status == 200
    server.stop()
    server.at = ["--data-dir", str(server.folder)]
    return server


def count(folder, table):
    done = folder.run("sql", *folder.at, "--format", "csv", f"SELECT count(*) FROM {table}")
    assert done.returncode == OK, done.stderr
    return int(done.stdout.split()[1])


def test_spans_are_counted_when_they_were_answered(folder, tmp_path):
    lines = tmp_path / "spans.jsonl"
    lines.write_text(span_line() + "\n")
    done = folder.run("import", "--endpoint", "http://127.0.0.1:1", str(lines))
    assert done.returncode == FAILED and b"until then: 0 spans taken in" in done.stderr, done.stderr


def test_log_records_of_a_collectors_file_come_in_too(folder, tmp_path):
    lines = tmp_path / "all.jsonl"
    lines.write_text("\n".join([span_line(), LOG_LINE, METRIC_LINE, LOG_LINE]) + "\n")
    done = folder.run("import", *folder.at, str(lines))
    assert done.returncode == OK, done.stderr
    assert done.stdout == b"1 spans taken in, 2 log records, 0 were there before, not taken: 1 lines of metrics\n"
    assert (count(folder, "spans"), count(folder, "logs")) == (1, 2)


def test_log_records_are_sent_to_a_collector_too(launch, tmp_path):
    target = launch()
    lines = tmp_path / "all.jsonl"
    lines.write_text("\n".join([LOG_LINE, span_line()]) + "\n")
    done = target.run("import", "--endpoint", target.url, str(lines))
    assert (done.returncode, done.stdout) == (OK, b"1 spans taken in, 1 log records\n"), done
    assert target.scalar("SELECT count(*) FROM logs") == 1


@pytest.mark.parametrize("line, words", [(METRIC_LINE, b"1 lines of metrics"), ('{"some":"json"}', b"1 lines that are not OTLP requests")])
def test_a_file_of_which_nothing_is_taken_fails(folder, tmp_path, line, words):
    lines = tmp_path / "other.jsonl"
    lines.write_text(line + "\n")
    done = folder.run("import", *folder.at, str(lines))
    assert done.returncode == FAILED and words in done.stdout and b"nothing was taken in of" in done.stderr, done
    # Empty requests and empty files are nothing to complain about.
    lines.write_text('{}\n\n{"resourceSpans":[]}\n')
    assert folder.run("import", *folder.at, str(lines)).returncode == OK


@pytest.mark.parametrize("how", ["fifo", "substitution", "/dev/stdin", "-"])
def test_what_cannot_be_read_twice_is_imported(folder, tmp_path, how):
    content = (span_line() + "\n").encode()
    lines = tmp_path / "spans.jsonl"
    lines.write_bytes(content)
    if how == "fifo":
        path = tmp_path / "fifo"
        os.mkfifo(path)
        threading.Thread(target=lambda: path.write_bytes(content), daemon=True).start()
        done = folder.run("import", *folder.at, str(path))
    elif how == "substitution":
        done = subprocess.run(["bash", "-c", f"{folder.binary} import --data-dir {folder.folder} <(cat {lines})"], capture_output=True,
                              env=folder.environment, timeout=60)
    else:
        done = folder.run("import", *folder.at, how, input=content)
    assert (done.returncode, done.stdout) == (OK, b"1 spans taken in, 0 were there before\n"), done


def test_a_query_is_read_from_a_pipe(stocked, tmp_path):
    script = f"{stocked.binary} sql --data-dir {stocked.folder} --format csv -f <(echo 'SELECT count(*) AS n FROM spans')"
    done = subprocess.run(["bash", "-c", script], capture_output=True, env=stocked.environment, timeout=60)
    assert (done.returncode, done.stdout) == (OK, b"n\r\n2000\r\n"), done


def test_a_data_file_through_a_pipe_is_refused_with_a_reason(stocked, folder):
    done = folder.run("import", *folder.at, "-", input=(stocked.folder / "fusebox.db").read_bytes())
    assert done.returncode == USAGE and b"cannot be read through a pipe" in done.stderr, done


COMMANDS = {
    "sql": ["sql", "--format", "csv", "SELECT * FROM spans"], "export": ["export"], "traces": ["traces"], "tools": ["tools"],
    "verify": ["verify"], "fuses": ["fuses"], "config": ["config", "print"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_an_output_that_takes_nothing_is_told(stocked, name):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([stocked.binary, *COMMANDS[name], *stocked.at], stdout=full, stderr=subprocess.PIPE, env=stocked.environment)
    assert done.returncode == FAILED and b"the output could not be written: No space left on device" in done.stderr, done


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_that_cannot_be_written_is_told(stocked, argument):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([stocked.binary, argument], stdout=full, stderr=subprocess.PIPE, env=stocked.environment)
    assert done.returncode == FAILED and b"could not be written" in done.stderr, done


@pytest.mark.parametrize("form", ["otlp-json", "sqlite"])
def test_an_export_that_fails_leaves_nothing_under_its_name(stocked, tmp_path, form):
    target = tmp_path / "out"
    script = f"ulimit -f 32; trap '' XFSZ; exec {stocked.binary} export --data-dir {stocked.folder} --format {form} {target}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, env=stocked.environment, timeout=60)
    assert done.returncode == FAILED and done.stderr.startswith(b"fusebox: "), done
    assert os.listdir(tmp_path) == []


# A file of a newer version

def newer(stocked, tmp_path):
    import shutil
    import sqlite3
    folder = tmp_path / "newer"
    folder.mkdir()
    shutil.copy(stocked.folder / "fusebox.db", folder / "fusebox.db")
    with sqlite3.connect(folder / "fusebox.db") as connection:
        connection.execute("PRAGMA user_version = 40")
    connection.close()
    return folder


COMMANDS_ON_A_FOLDER = [
    ["serve", "--http-port", "0", "--grpc-port", "none"], ["sql", "SELECT 1"], ["traces"], ["tools"], ["fuses"], ["cost"], ["stalls"], ["verify"],
    ["backup", "COPY"], ["export"], ["export", "--format", "sqlite", "COPY"], ["import", "LINES"], ["prune", "--before", "30d"],
    ["prune", "--before", "30d", "--yes"], ["eval", "import", "EVALS"], ["gate"], ["trace", "0af7651916cd43dd8448eb211c80319c"],
]


@pytest.mark.parametrize("command", COMMANDS_ON_A_FOLDER, ids=" ".join)
def test_a_file_of_a_newer_version_is_refused_and_keeps_every_byte(stocked, tmp_path, command):
    folder = newer(stocked, tmp_path)
    (tmp_path / "lines.jsonl").write_text(span_line() + "\n")
    (tmp_path / "evals.jsonl").write_text('{"eval_id":"a","name":"exact","score":1}\n')
    before = (folder / "fusebox.db").read_bytes()
    places = {"COPY": tmp_path / "copy", "LINES": tmp_path / "lines.jsonl", "EVALS": tmp_path / "evals.jsonl"}
    words = [str(places.get(word, word)) for word in command]
    split = 2 if words[0] == "eval" else 1
    done = stocked.run(*words[:split], "--data-dir", str(folder), *words[split:])
    assert done.returncode == FAILED, done
    assert b"schema version 40" in done.stderr and b"damaged" not in done.stderr + done.stdout, done
    assert (folder / "fusebox.db").read_bytes() == before
    assert not (tmp_path / "copy").exists()


def test_a_newer_file_is_no_source_of_an_import(stocked, folder, tmp_path):
    done = folder.run("import", *folder.at, str(newer(stocked, tmp_path) / "fusebox.db"))
    assert done.returncode == FAILED and b"schema version 40" in done.stderr, done


# A torn file

@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_torn_file_is_called_damaged(stocked, tmp_path, share):
    folder = tmp_path / "torn"
    folder.mkdir()
    image = (stocked.folder / "fusebox.db").read_bytes()
    (folder / "fusebox.db").write_bytes(image[:int(len(image) * share)])
    done = stocked.run("sql", "--data-dir", str(folder), "SELECT count(*), max(length(attributes)) FROM spans")
    assert done.returncode == 4, done
    assert b"misuse" not in done.stderr and b"fusebox verify" in done.stderr, done.stderr


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_a_torn_file_with_a_log_is_called_damaged(launch, tmp_path, share):
    """The log has the file's head, so the file opens; what is missing is met by the query."""
    fusebox = launch()
    for _ in range(30):
        assert fusebox.post(batch(*[span(trace_id(), span_id()) for _ in range(100)])).status == 200
    fusebox.restart()
    for _ in range(5):
        fusebox.post(batch(*[span(trace_id(), span_id()) for _ in range(100)]))
    fusebox.kill()
    path = fusebox.folder / "fusebox.db"
    os.truncate(path, int(path.stat().st_size * share) // 4096 * 4096)
    done = fusebox.run("sql", "--data-dir", str(fusebox.folder), "SELECT count(*), max(length(attributes)) FROM spans")
    assert b"misuse" not in done.stderr, done
    # What is missing may be nothing that the query needs.
    assert done.returncode == 4 and b"fusebox verify" in done.stderr or b" 3500 " in done.stdout, done


def test_a_copy_beside_an_old_log_is_not_mixed_with_it(launch, tmp_path):
    fusebox = launch()
    fusebox.post(batch(span(trace_id(), span_id())))
    copy = tmp_path / "copy.db"
    assert fusebox.run("backup", "--data-dir", str(fusebox.folder), str(copy)).returncode == OK
    fusebox.post(batch(span(trace_id(), span_id())))
    fusebox.kill()
    assert (fusebox.folder / "fusebox.db-wal").stat().st_size > 0
    (fusebox.folder / "fusebox.db").write_bytes(copy.read_bytes())
    done = fusebox.run("serve", "--data-dir", str(fusebox.folder), "--http-port", "0")
    assert done.returncode == FAILED and b"fusebox.db-wal" in done.stderr and b"remove" in done.stderr, done
    for name in ("fusebox.db-wal", "fusebox.db-shm"):
        (fusebox.folder / name).unlink(missing_ok=True)
    fusebox.start()
    assert fusebox.scalar("SELECT count(*) FROM spans") == 1


def test_variables_that_kubernetes_sets_for_a_service_are_ignored_with_a_warning(launch):
    fusebox = launch({"FUSEBOX_HTTP_PORT": "tcp://10.96.0.7:4318", "FUSEBOX_GRPC_PORT": "tcp://10.96.0.7:4317"})
    assert "FUSEBOX_HTTP_PORT" in fusebox.stderr and "enableServiceLinks" in fusebox.stderr
