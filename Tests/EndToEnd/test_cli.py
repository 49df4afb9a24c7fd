"""The command line: formats, refusals, exit codes, the prompt, configuration."""

import csv
import io
import json
import re
import sqlite3
import subprocess
import sys
import textwrap

import pytest

import captures
from server import Fusebox
from terminal import Terminal
from wire import batch, span, trace_id

OK, FAILED, USAGE = 0, 1, 2
CONTROL = "red\x1b[31m\x07 bell\r\nline\ttab\x9b2J \u202eright\u202c \x7f"


@pytest.fixture(scope="module")
def filled(binary, tmp_path_factory):
    """A server with a captured run, and one span with a hostile name."""
    server = Fusebox(binary, tmp_path_factory.mktemp("cli") / "data", {"BREAKER_SETTLE_S": "1", "BREAKER_COOLDOWN_S": "0.5"}).start()
    captures.replay(server, captures.posts("handmade"))
    assert server.post(batch(span(name=CONTROL), resource=[("service.name", "hostile")])).status == 200
    server.settled()
    yield server
    server.stop()


def sql(server, *arguments, **options):
    return server.run("sql", "--data-dir", str(server.folder), *arguments, **options)


def lines(text):
    return textwrap.dedent(text).lstrip("\n")


# Formats

VALUES = """SELECT 1 AS number, 'a,b "c"' AS "te|xt", NULL AS none, 2.5 AS real, x'00ff' AS blob
UNION ALL SELECT -20, 'zwei', 'x|y', 1e300, NULL"""

FORMATS = {
    "table": lines("""
        number  te|xt    none    real  blob
        ──────  ───────  ────  ──────  ───────
             1  a,b "c"  ∅        2.5  x'00ff'
           -20  zwei     x|y   1e+300  ∅
        """),
    "csv": 'number,te|xt,none,real,blob\r\n1,"a,b ""c""",,2.5,x\'00ff\'\r\n-20,zwei,x|y,1e+300,\r\n',
    "json": lines("""
        [
        {"number":1,"te|xt":"a,b \\"c\\"","none":null,"real":2.5,"blob":"x'00ff'"},
        {"number":-20,"te|xt":"zwei","none":"x|y","real":1e+300,"blob":null}
        ]
        """),
    "jsonl": lines("""
        {"number":1,"te|xt":"a,b \\"c\\"","none":null,"real":2.5,"blob":"x'00ff'"}
        {"number":-20,"te|xt":"zwei","none":"x|y","real":1e+300,"blob":null}
        """),
    "markdown": lines("""
        | number | te\\|xt  | none |   real | blob    |
        |-------:|---------|------|-------:|---------|
        |      1 | a,b "c" |      |    2.5 | x'00ff' |
        |    -20 | zwei    | x\\|y | 1e+300 |         |
        """),
}


def test_a_trace_that_took_no_time_says_so(fusebox):
    trace = trace_id()
    assert fusebox.post(batch(span(trace, start=1_795_000_000_000_000_000, end=1_795_000_000_000_000_000))).status == 200
    done = fusebox.run("trace", "--data-dir", str(fusebox.folder), trace.hex())
    assert "  0 ns  " in done.stdout.decode().splitlines()[0], done


def test_members_of_one_name_are_told_apart(filled):
    query = "SELECT 1 AS a, 2 AS a, 3 AS \"a:1\", 4 AS a"
    for form in ("json", "jsonl"):
        row = sql(filled, "--format", form, query).stdout.decode()
        assert '{"a":1,"a:2":2,"a:1":3,"a:3":4}' in row
    assert sql(filled, "--format", "csv", query).stdout == b"a,a,a:1,a\r\n1,2,3,4\r\n"


@pytest.mark.parametrize("name", FORMATS)
def test_formats(filled, name):
    done = sql(filled, "--format", name, VALUES)
    assert (done.returncode, done.stderr) == (OK, b"")
    assert done.stdout.decode() == FORMATS[name]


def test_table_is_the_default(filled):
    assert sql(filled, VALUES).stdout.decode() == FORMATS["table"]


EMPTY = {
    "table": "  a    b\n───  ───\n", "csv": "a,b\r\n", "json": "[]\n", "jsonl": "",
    "markdown": "|   a |   b |\n|-----|-----|\n",
}


@pytest.mark.parametrize("name", EMPTY)
def test_formats_without_rows(filled, name):
    done = sql(filled, "--format", name, "SELECT 1 AS a, 2 AS b WHERE 0")
    assert (done.returncode, done.stdout.decode()) == (OK, EMPTY[name])


def test_formats_agree_on_the_spans(filled):
    query = "SELECT trace_id, span_id, name, duration_ns, attributes FROM spans ORDER BY span_id"
    rows = json.loads(sql(filled, "--format", "json", query).stdout)
    assert len(rows) == 354
    assert [json.loads(line) for line in sql(filled, "--format", "jsonl", query).stdout.splitlines()] == rows
    from_csv = list(csv.DictReader(io.StringIO(sql(filled, "--format", "csv", query).stdout.decode(), newline="")))
    assert from_csv == [{key: "" if value is None else str(value) for key, value in row.items()} for row in rows]


def test_unknown_format(filled):
    done = sql(filled, "--format", "xml", "SELECT 1")
    assert done.returncode == USAGE
    assert b"markdown" in done.stderr
    assert done.stdout == b""


# Where queries come from

def test_query_from_a_file(filled, tmp_path):
    path = tmp_path / "query.sql"
    path.write_text("-- two statements\nSELECT 1 AS a;\nSELECT :word AS b;\n")
    done = sql(filled, "--format", "jsonl", "-f", str(path), "-p", "word=x=y")
    assert (done.returncode, done.stdout) == (OK, b'{"a":1}\n{"b":"x=y"}\n')


def test_query_from_standard_input(filled):
    done = sql(filled, "--format", "jsonl", input=b"SELECT count(*) AS n FROM spans;")
    assert (done.returncode, done.stdout) == (OK, b'{"n":354}\n')


def test_parameters(filled):
    trace = captures.truth("handmade")["trace_ids"][0]
    done = sql(filled, "--format", "json", "-p", f"trace={trace}", "-p", "least=0",
               "SELECT DISTINCT trace_id FROM spans WHERE trace_id = :trace AND duration_ns >= :least")
    assert json.loads(done.stdout) == [{"trace_id": trace}]
    for value, kind in ("7", "integer"), ("7.5", "real"), ("seven", "text"), ("", "text"), ("'; DROP TABLE x; --", "text"):
        done = sql(filled, "--format", "json", "-p", f"v={value}", "SELECT typeof(:v) AS kind, :v AS v")
        (row,) = json.loads(done.stdout)
        assert (row["kind"], str(row["v"])) == (kind, value)


@pytest.mark.parametrize("arguments, code, words", [
    (["SELECT :a"], USAGE, ["-p a="]),
    (["SELECT ?"], USAGE, ["-p name=value"]),
    (["-p", "nonsense", "SELECT 1"], USAGE, ["name=value"]),
    (["-f", "/nowhere.sql"], USAGE, ["/nowhere.sql"]),
    (["-f", "/nowhere.sql", "SELECT 1"], USAGE, ["-f"]),
    ([""], USAGE, ["no query"]),
    (["/* nothing */ ;"], USAGE, ["no query"]),
    (["SELECT 1", "SELECT 2"], USAGE, ["SELECT 2"]),
    (["--no-such-flag"], USAGE, ["no-such-flag"]),
    (["SELECT"], FAILED, ["incomplete"]),
    (["SELEC 1"], FAILED, ["syntax error"]),
    (["SELECT * FROM span"], FAILED, ["no such table: span", "tables are: spans, traces"]),
    (["SELECT tool FROM spans"], FAILED, ["no such column: tool", "attr(attributes"]),
    (["SELECT no_such_function(1)"], FAILED, ["no_such_function"]),
    (["SELECT abs(-9223372036854775808)"], FAILED, ["overflow"]),
])
def test_mistakes(filled, arguments, code, words):
    done = sql(filled, *arguments)
    assert done.returncode == code, done.stderr
    assert done.stdout == b""
    message = done.stderr.decode()
    assert all(word in message for word in words), message
    assert message.endswith("\n")


# Read-only

WRITES = [
    "INSERT INTO counter VALUES ('x', 'y', 1, 1)", "INSERT INTO spans (trace_id) VALUES ('00')", "DELETE FROM spans",
    "DELETE FROM counter", "UPDATE counter SET value = 0", "DROP TABLE segment", "DROP VIEW tools", "CREATE TABLE t (a)",
    "CREATE TEMP TABLE t (a)", "CREATE INDEX i ON counter (value)", "ALTER TABLE counter RENAME TO c", "VACUUM", "REINDEX", "ANALYZE",
    "VACUUM INTO '/tmp/fusebox-copy.db'", "ATTACH ':memory:' AS other", "ATTACH '/tmp/fusebox-attached.db' AS other", "DETACH temp",
    "PRAGMA query_only = OFF", "PRAGMA user_version = 7", "PRAGMA journal_mode = DELETE", "PRAGMA synchronous = OFF",
    "PRAGMA writable_schema = ON", "PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA trusted_schema = ON", "PRAGMA temp_store_directory = '/'",
    "SELECT load_extension('x')", "CREATE VIRTUAL TABLE v USING spans", "CREATE TRIGGER g AFTER INSERT ON counter BEGIN SELECT 1; END",
    "REPLACE INTO counter VALUES ('x', 'y', 1, 1)", "WITH x AS (SELECT 1) DELETE FROM counter",
]

# What no later tick of the server changes.
KEPT = "SELECT * FROM counter WHERE family = 'agent_tool_calls_total' ORDER BY id"


@pytest.mark.parametrize("statement", WRITES)
def test_writes_are_refused(filled, statement):
    before = sql(filled, "--format", "csv", KEPT).stdout
    assert before.count(b"\n") > 5
    done = sql(filled, statement)
    assert done.returncode == FAILED, (done.stdout, done.stderr)
    assert done.stdout == b""
    assert re.search(b"only reads|may not be modified|not authorized", done.stderr), done.stderr
    assert sql(filled, "--format", "csv", KEPT).stdout == before


def test_writes_after_a_query_are_refused(filled):
    done = sql(filled, "--format", "jsonl", "SELECT 1 AS a; DELETE FROM counter; SELECT 2 AS b")
    assert (done.returncode, done.stdout) == (FAILED, b'{"a":1}\n')


def test_file_is_not_touched(launch):
    """Reading without a server leaves the database as it is."""
    fusebox = launch()
    captures.replay(fusebox, captures.posts("haystack"))
    fusebox.stop()
    (database,) = fusebox.folder.glob("*.db")
    before = database.read_bytes()
    assert sql(fusebox, "SELECT count(*) FROM spans").returncode == OK
    sql(fusebox, "DELETE FROM counter")
    assert database.read_bytes() == before
    assert sqlite3.connect(f"file:{database}?mode=ro", uri=True).execute("PRAGMA integrity_check").fetchone() == ("ok",)


# Terminals

HARMFUL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@pytest.mark.parametrize("name", ["table", "csv", "json", "jsonl", "markdown"])
def test_control_characters_do_not_reach_a_terminal(filled, name):
    query = "SELECT name FROM spans WHERE service_name = 'hostile'"
    with Terminal([filled.binary, "sql", "--data-dir", str(filled.folder), "--format", name, query], filled.environment) as terminal:
        assert terminal.finish() == OK
        shown = terminal.raw.decode()
    assert "red" in shown and "bell" in shown
    assert not HARMFUL.search(shown), repr(shown)


def test_control_characters_of_messages_and_headers(filled):
    for query in "SELECT 1 AS \"a\x1b[31mb\"", "SELECT \"\x1b[31m\x07nope\" FROM spans":
        with Terminal([filled.binary, "sql", "--data-dir", str(filled.folder), query], filled.environment) as terminal:
            terminal.finish()
            assert not HARMFUL.search(terminal.raw.decode()), terminal.raw


def test_values_are_whole_in_a_pipe(filled):
    """Programs get what was stored; only terminals are protected."""
    query = "SELECT name FROM spans WHERE service_name = 'hostile'"
    assert json.loads(sql(filled, "--format", "json", query).stdout) == [{"name": CONTROL}]
    assert list(csv.reader(io.StringIO(sql(filled, "--format", "csv", query).stdout.decode(), newline="")))[1] == [CONTROL]


def test_prompt(filled):
    history = filled.folder / "sql_history"
    history.unlink(missing_ok=True)
    command = [filled.binary, "sql", "--data-dir", str(filled.folder)]
    with Terminal(command, filled.environment) as terminal:
        # Each line is typed at a prompt: between two of them the terminal is not the editor's.
        at = terminal.expect("fusebox> ")
        terminal.type(".tables\n")
        at = terminal.expect("fusebox> ", after=terminal.expect("spans\ntraces\n", after=at))
        terminal.type(".schema spans\n")
        end = terminal.expect("fusebox> ", after=terminal.expect("links TEXT", after=at))
        for column in "trace_id TEXT", "start_time_unix_nano INTEGER", "workflow_name TEXT", "tokens INTEGER", "attributes TEXT":
            assert column in terminal.text[at:end]
        terminal.type("SELECT count(*) AS n\n")
        at = terminal.expect("...> ", after=end)
        terminal.type("FROM spans;\n")
        at = terminal.expect("fusebox> ", after=terminal.expect("354", after=at))
        terminal.type("SELECT * FROM nowhere;\n")
        at = terminal.expect("fusebox> ", after=terminal.expect("no such table: nowhere", after=at))
        terminal.type("DELETE FROM counter;\n")
        at = terminal.expect("fusebox> ", after=terminal.expect("only reads", after=at))
        terminal.type(".format jsonl\n")
        at = terminal.expect("fusebox> ", after=terminal.expect("\n", after=at))
        terminal.type("SELECT 5 AS five;\n")
        at = terminal.expect("fusebox> ", after=terminal.expect('{"five":5}', after=at))
        terminal.type(".nonsense\n")
        at = terminal.expect("fusebox> ", after=terminal.expect(".help", after=at))
        terminal.type(".quit\n")
        assert terminal.finish() == OK
    assert "SELECT count(*) AS n FROM spans;" in history.read_text().replace("\\040", " ")

    # The history is there the next time: three steps back is the last statement.
    with Terminal(command, filled.environment) as terminal:
        at = terminal.expect("fusebox> ")
        terminal.type("\x10\x10\x10\n")
        at = terminal.expect("────", after=at)
        terminal.expect("fusebox> ", after=at)
        assert terminal.end_input() == OK


def test_history_is_private(filled):
    """Queries may quote prompts and customers."""
    history = filled.folder / "sql_history"
    if not history.exists():
        pytest.skip("written by test_prompt")
    assert history.stat().st_mode & 0o077 == 0


# Folders

def test_sql_without_a_server(launch):
    fusebox = launch()
    captures.replay(fusebox, captures.posts("handmade"))
    fusebox.stop()
    assert fusebox.scalar("SELECT count(*) FROM spans") == 353
    assert len(fusebox.sql("SELECT * FROM tools")) == 4
    # After a crash too.
    fusebox.start()
    captures.replay(fusebox, captures.posts("haystack"))
    fusebox.kill()
    assert fusebox.scalar("SELECT count(*) FROM spans") == 353 + len(captures.spans("haystack"))


@pytest.mark.parametrize("command", [["sql", "SELECT 1"], ["sql"], ["fuses"]])
def test_no_data_folder(binary, tmp_path, command):
    folder = tmp_path / "nowhere"
    fusebox = Fusebox(binary, folder)
    done = fusebox.run(*command, "--data-dir", str(folder), stdin=subprocess.DEVNULL)
    assert done.returncode == FAILED
    assert done.stdout == b""
    assert str(folder) in done.stderr.decode()
    assert "fusebox serve" in done.stderr.decode()
    assert not folder.exists()


def test_second_server_on_the_same_folder(fusebox):
    second = fusebox.run("serve", "--data-dir", str(fusebox.folder), "--http-port", "0")
    assert second.returncode == FAILED
    message = second.stderr.decode()
    assert str(fusebox.folder) in message, message
    assert "process" in message or str(fusebox.process.pid) in message, message
    assert fusebox.post(batch(span())).status == 200


def test_port_that_is_taken(fusebox, tmp_path):
    second = fusebox.run("serve", "--data-dir", str(tmp_path / "other"), "--http-port", str(fusebox.port))
    assert second.returncode == FAILED
    assert f"port {fusebox.port} or " in second.stderr.decode()
    assert "is taken" in second.stderr.decode()
    assert "--http-port" in second.stderr.decode()


def test_folder_that_cannot_be_made(fusebox, tmp_path):
    (tmp_path / "file").write_text("in the way")
    done = fusebox.run("serve", "--data-dir", str(tmp_path / "file" / "below"), "--http-port", "0")
    assert done.returncode == FAILED
    assert str(tmp_path / "file") in done.stderr.decode()


def test_file_that_is_no_database(launch):
    fusebox = launch()
    fusebox.stop()
    (database,) = fusebox.folder.glob("*.db")
    for log in fusebox.folder.glob("*.db-*"):
        log.unlink()
    database.write_bytes(b"this is no database, whatever its name says" * 100)
    for command in ["sql", "SELECT 1"], ["fuses"], ["serve", "--http-port", "0"]:
        done = fusebox.run(command[0], "--data-dir", str(fusebox.folder), *command[1:])
        assert done.returncode in (1, 4), (command, done.stderr)
        assert b"not a database" in done.stderr, (command, done.stderr)


def test_data_is_private(fusebox):
    """Spans quote prompts: nobody but the owner reads them."""
    assert fusebox.folder.stat().st_mode & 0o077 == 0


# Configuration

@pytest.fixture
def bare(binary, tmp_path):
    """A command without a server."""
    return Fusebox(binary, tmp_path / "data")


def config(bare, *arguments, yaml=None, environment=None):
    if yaml is not None:
        bare.folder.mkdir(exist_ok=True)
        (bare.folder / "fusebox.yaml").write_text(yaml)
    bare.environment.update(environment or {})
    return bare.run("config", *arguments, "--data-dir", str(bare.folder))


YAML = """\
http_port: 4999
fuses:
  http_tool_timeout_s: 9.5
  vector_query_timeout_s: 3
  prefill_budgets_s:
    "model/with: signs": 2.5
    small: 1
  stages:
    web_search: http_tool
    "tool: x": subprocess
breaker:
  threshold: 4
  cooldown_s: 12
  scope: service
  derived_stages: [http_tool, vector]
gates:
  p95_latency_ms_max: 4500
"""


def settings(text):
    """The lines of `config print` without where values came from."""
    return [re.sub(r"\s+#.*", "", line) for line in text.split("\n")]


def test_config_print_is_a_configuration(bare, tmp_path):
    printed = config(bare, "print", yaml=YAML, environment={"BREAKER_SETTLE_S": "2.5", "SUBPROCESS_TREE_LIMIT_S": "300"})
    assert printed.returncode == OK, printed.stderr
    text = printed.stdout.decode()
    assert "threshold: 4" in text and "settle_s: 2.5" in text and "BREAKER_SETTLE_S" in text
    # Printed, read again by a process that has none of the environment, and printed again.
    again = Fusebox(bare.binary, tmp_path / "data")
    checked = config(again, "check", yaml=text)
    assert (checked.returncode, checked.stderr) == (OK, b"")
    assert b"good" in checked.stdout
    reprinted = config(again, "print")
    assert settings(reprinted.stdout.decode()) == settings(text)


def test_config_print_of_the_defaults(bare, tmp_path):
    text = config(bare, "print").stdout.decode()
    assert all(name in text for name in (
        "HTTP_TOOL_TIMEOUT_S", "VECTOR_QUERY_TIMEOUT_S", "BREAKER_THRESHOLD", "BREAKER_COOLDOWN_S", "BREAKER_SETTLE_S", "BREAKER_SCOPE",
        "P95_LATENCY_MS_MAX", "FUSEBOX_DATA_DIR", "FUSEBOX_HTTP_PORT", "FUSEBOX_LISTEN"))
    assert config(bare, "check", yaml=text).returncode == OK
    assert settings(config(bare, "print").stdout.decode()) == settings(text)


def test_flag_over_environment_over_file(bare):
    def cooldown(**how):
        return re.search(r"cooldown_s: (\S+)  # (.*)", config(bare, "print", **how).stdout.decode()).groups()
    assert cooldown() == ("30", "default; BREAKER_COOLDOWN_S")
    value, origin = cooldown(yaml="breaker:\n  cooldown_s: 7\n")
    assert value == "7" and "fusebox.yaml" in origin
    value, origin = cooldown(environment={"BREAKER_COOLDOWN_S": "8"})
    assert value == "8" and origin.startswith("from BREAKER_COOLDOWN_S")
    assert f"data_dir: {bare.folder}  # from flag" in config(bare, "print").stdout.decode()


@pytest.mark.parametrize("yaml, line, words", [
    ("http_port: 1\nbraker:\n  threshold: 3\n", 2, ["braker", "config print"]),
    ("breaker:\n  # a comment\n  treshold: 3\n", 3, ["breaker.treshold"]),
    ("breaker:\n  threshold: three\n", 2, ["breaker.threshold", "three", "whole number"]),
    ("breaker:\n  threshold: 0\n", 2, ["breaker.threshold", "from 1"]),
    ("breaker:\n  cooldown_s: -1\n", 2, ["breaker.cooldown_s"]),
    ("breaker:\n  scope: host\n", 2, ["process, service"]),
    ("http_port: 70000\n", 1, ["65535"]),
    ("fuses:\n  stages:\n    web_search: browser\n", 3, ["browser", "http_tool"]),
    ("fuses:\n  prefill_budgets_s:\n    a: soon\n", 3, ["soon"]),
    ("breaker: 3\n", 1, ["breaker"]),
    ("breaker:\n  threshold: 3\n  threshold: 4\n", 2, ["threshold"]),
    ("breaker: [\n", 2, ["YAML"]),
    ("- a\n- b\n", None, ["mapping"]),
])
def test_bad_files(bare, yaml, line, words):
    for command in "check", "print":
        done = config(bare, command, yaml=yaml)
        message = done.stderr.decode()
        assert done.returncode == USAGE, message
        assert done.stdout == b""
        assert "fusebox.yaml" in message
        assert all(word in message for word in words), message
        if line is not None:
            assert re.search(rf"\bline {line}\b|:{line}:", message), message


def test_serve_does_not_start_with_a_bad_file(bare):
    config(bare, "check", yaml="nonsense: 1\n")
    done = bare.run("serve", "--data-dir", str(bare.folder), "--http-port", "0")
    assert done.returncode == USAGE
    assert "line 1" in done.stderr.decode()


@pytest.mark.parametrize("environment, words", [
    ({"BREAKER_THRESHOLD": "many"}, ["BREAKER_THRESHOLD", "many"]),
    ({"HTTP_TOOL_TIMEOUT_S": "0"}, ["HTTP_TOOL_TIMEOUT_S"]),
    ({"BREAKER_COOLDOWN_S": "nan"}, ["BREAKER_COOLDOWN_S"]),
    ({"BREAKER_COOLDOWN_S": "inf"}, ["BREAKER_COOLDOWN_S"]),
    ({"FUSEBOX_HTTP_PORT": "-1"}, ["FUSEBOX_HTTP_PORT"]),
    ({"BREAKER_SCOPE": "all"}, ["BREAKER_SCOPE", "process, service"]),
    ({"FUSEBOX_CONFIG": "/nowhere.yaml"}, ["/nowhere.yaml"]),
])
def test_bad_environment(bare, environment, words):
    done = config(bare, "check", environment=environment)
    assert done.returncode == USAGE
    assert all(word in done.stderr.decode() for word in words), done.stderr


def test_unusual_timeout_is_a_warning(bare):
    done = config(bare, "check", environment={"HTTP_TOOL_TIMEOUT_S": "60"})
    assert done.returncode == OK
    assert b"warning" in done.stderr and b"between 8 and 12" in done.stderr


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1"])
def test_listening_beyond_loopback_is_refused(bare, address):
    done = bare.run("serve", "--data-dir", str(bare.folder), "--http-port", "0", "--listen", address)
    assert done.returncode == USAGE
    assert b"--insecure-listen" in done.stderr
    assert not bare.folder.exists()


def test_listening_beyond_loopback_when_told(launch):
    fusebox = launch(arguments=["--listen", "0.0.0.0", "--insecure-listen"])
    assert fusebox.get("/-/healthy").status == 200


# The program itself

def test_version(bare):
    done = bare.run("--version")
    assert (done.returncode, done.stderr) == (OK, b"")
    assert re.fullmatch(rb"fusebox \d+\.\d+\.\d+ \(Swift .+, linux \w+, SQLite 3\.\S+\)\n", done.stdout)


@pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"], ["sql", "--help"], ["fuses", "--help"], ["config", "--help"]])
def test_help(bare, arguments):
    done = bare.run(*arguments)
    assert (done.returncode, done.stderr) == (OK, b"")
    assert b"USAGE: fusebox" in done.stdout


@pytest.mark.parametrize("arguments", [["nonsense"], ["--nonsense"], ["serve", "--nonsense"], ["config", "nonsense"]])
def test_usage_errors(bare, arguments):
    done = bare.run(*arguments)
    assert (done.returncode, done.stdout) == (USAGE, b"")
    assert b"nonsense" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions(bare, shell):
    done = bare.run("--generate-completion-script", shell)
    assert (done.returncode, done.stderr) == (OK, b"")
    assert b"fuses" in done.stdout
    if shell == "bash":
        assert subprocess.run(["bash", "-n"], input=done.stdout).returncode == 0


def test_output_into_a_closed_pipe(filled):
    done = subprocess.run(["bash", "-c", 'set -o pipefail; "$0" sql --data-dir "$1" --format csv "SELECT * FROM spans, tools" | head -n 1',
                           filled.binary, str(filled.folder)], capture_output=True, env=filled.environment, timeout=60)
    assert done.stdout.startswith(b"trace_id,")
    assert done.stderr == b""
    assert done.returncode in (0, 141)


# Fuses

def test_fuses(filled):
    done = filled.run("fuses", "--data-dir", str(filled.folder))
    assert (done.returncode, done.stderr) == (OK, b"")
    text = done.stdout.decode()
    assert re.search(r"http_tool\s+10 s", text) and re.search(r"vector\s+4 s", text)
    assert "after 3 timeouts in a row" in text and "0.5 s" in text
    for tool in captures.expected("handmade"):
        assert tool in text


def test_fuses_agree_with_the_metrics(filled):
    done = filled.run("fuses", "--data-dir", str(filled.folder), "--format", "json")
    assert (done.returncode, done.stderr) == (OK, b"")
    reported = {row["tool"]: row for row in json.loads(done.stdout) if row["machine"] == "reported"}
    metrics = filled.settled()
    for tool, want in captures.expected("handmade").items():
        row = reported[tool]
        assert {key: row[key] for key in ("opens", "half_opens", "closes")} == {key: want[key] for key in ("opens", "half_opens", "closes")}
        assert abs(row["cooldown_s"] - want["cooldown_seconds"]) <= 0.002
        assert metrics.value("agent_breaker_instances", tool=tool, state=row["state"]) == 1


def test_fuses_are_those_of_the_running_server(launch):
    """The command's own environment is another one than the server's, and does not change what breakers do."""
    fusebox = launch({"BREAKER_THRESHOLD": "5", "HTTP_TOOL_TIMEOUT_S": "9"})
    for _ in range(2):
        fusebox.environment.update({"BREAKER_THRESHOLD": "7", "HTTP_TOOL_TIMEOUT_S": "11"})
        text = fusebox.run("fuses", "--data-dir", str(fusebox.folder)).stdout.decode()
        assert re.search(r"Fuses of the server\n  http_tool\s+9 s", text) and "after 5 timeouts in a row" in text, text
        fusebox.environment.update({"BREAKER_THRESHOLD": "5", "HTTP_TOOL_TIMEOUT_S": "9"})
        fusebox.restart()


def test_fuses_without_spans(launch):
    fusebox = launch()
    done = fusebox.run("fuses", "--data-dir", str(fusebox.folder))
    assert (done.returncode, done.stderr) == (OK, b"")
    assert b"No breaker yet" in done.stdout
    assert fusebox.run("fuses", "--data-dir", str(fusebox.folder), "--format", "json").stdout == b"[]\n"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere Swift's libraries are the system's")
def test_the_executable_needs_no_swift(binary):
    needed = subprocess.run(["ldd", binary], capture_output=True, text=True, check=True).stdout
    assert "libsqlite3" in needed and "swift" not in needed and "Foundation" not in needed, needed
