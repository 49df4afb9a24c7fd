"""`fusebox traces`, `trace`, `tail`, `tools` and `fuses --watch`."""

import json
import re
import signal
import subprocess
import time

import pytest

import captures
import wire
from server import Fusebox, poll
from terminal import Terminal

NAME = "handmade"


@pytest.fixture(scope="module")
def agents(binary, tmp_path_factory):
    server = Fusebox(binary, tmp_path_factory.mktemp("terminal") / "data", {"BREAKER_SETTLE_S": "1"}).start()
    captures.replay_all(server, NAME)
    yield server
    server.stop()


def lines(server, *arguments):
    done = server.run(arguments[0], "--data-dir", str(server.folder), *arguments[1:])
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_traces_lists_what_sql_finds_newest_first(agents):
    found = json.loads(lines(agents, "traces", "--tool", "crm_lookup", "--outcome", "timeout", "--limit", "1000", "--format", "json"))
    expected = {row["t"] for row in agents.sql("SELECT DISTINCT trace_id AS t FROM spans WHERE tool_name = 'crm_lookup' AND outcome = 'timeout'")}
    assert {trace["trace_id"] for trace in found} == expected
    (one,) = agents.sql("SELECT * FROM traces WHERE trace_id = :trace", trace=found[0]["trace_id"])
    for name in ["start_time_unix_nano", "end_time_unix_nano", "duration_ns", "span_count", "error_count", "timeout_count", "tokens"]:
        assert found[0][name] == one[name], name
    everything = json.loads(lines(agents, "traces", "--limit", "10000", "--format", "json"))
    starts = [trace["start_time_unix_nano"] for trace in everything]
    assert starts == sorted(starts, reverse=True)
    assert len(starts) == agents.scalar("SELECT count(DISTINCT trace_id) FROM spans")


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_a_waterfall_fits_its_width_and_has_every_span(agents, width):
    trace = agents.scalar("SELECT trace_id FROM spans GROUP BY trace_id ORDER BY count(*) DESC LIMIT 1")
    text = lines(agents, "trace", trace, "--width", str(width)).splitlines()
    assert len(text) - 1 == agents.scalar("SELECT count(*) FROM spans WHERE trace_id = :trace", trace=trace)
    assert all(len(line) <= width for line in text[1:]), max(map(len, text[1:]))
    assert "\x1b" not in "".join(text)


def test_a_waterfall_has_colours_on_a_terminal_alone(agents):
    trace = agents.scalar("SELECT trace_id FROM spans WHERE outcome = 'timeout' LIMIT 1")
    arguments = [agents.binary, "trace", trace, "--data-dir", str(agents.folder)]
    with Terminal(arguments, agents.environment) as terminal:
        assert terminal.finish() == 0
        assert b"\x1b[31m" in terminal.raw
    with Terminal(arguments, {**agents.environment, "NO_COLOR": "1"}) as terminal:
        assert terminal.finish() == 0
        assert b"\x1b[31m" not in terminal.raw


def test_a_waterfall_does_not_let_spans_steer_the_terminal(agents):
    trace = wire.trace_id()
    agents.post(wire.batch(wire.span(trace, name="evil \x1b]0;title\x07 \x1b[2J\u202e name")))
    text = lines(agents, "trace", trace.hex())
    assert "\x1b" not in text and "\x07" not in text and "\u202e" not in text


def test_an_unknown_trace_is_no_success(agents):
    done = agents.run("trace", "bad0bad0", "--data-dir", str(agents.folder))
    assert done.returncode == 1 and b"no trace or span begins with" in done.stderr
    done = agents.run("trace", "no id", "--data-dir", str(agents.folder))
    assert done.returncode == 2


def test_tools_are_those_of_the_view(agents):
    found = json.loads(lines(agents, "tools", "--format", "json"))
    expected = {(row["tool_name"], row["stage"], row["calls"], row["timeouts"]) for row in agents.sql("SELECT * FROM tools")}
    assert {(row["tool_name"], row["stage"], row["calls"], row["timeouts"]) for row in found} == expected


def test_tail_shows_spans_as_they_are_committed(agents):
    command = [agents.binary, "tail", "--data-dir", str(agents.folder), "--json", "--count", "2", "--tool", "tailed"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=agents.environment) as process:
        sent = []

        def send():
            trace = wire.trace_id()
            sent.append(trace.hex())
            agents.post(wire.batch(wire.span(trace, attributes=[("tool_name", "tailed")]), wire.span()))
            time.sleep(0.2)
            return process.poll() is not None

        # It follows from when it is there, which nothing tells: spans are sent until it has two.
        poll("two spans", send)
        found = [json.loads(line)["trace_id"] for line in process.stdout.read().splitlines()]
    assert len(found) == 2 and set(found) <= set(sent) and process.returncode == 0


def test_fuses_watch_shows_them_again(agents):
    with Terminal([agents.binary, "fuses", "--watch", "--data-dir", str(agents.folder)], agents.environment) as terminal:
        first = terminal.expect("web_search")
        terminal.expect("web_search", after=terminal.text.rindex("web_search") + 5, seconds=20)
        assert first
        terminal.process.send_signal(signal.SIGINT)
        terminal.finish()


@pytest.mark.parametrize("columns", [60, 80, 90, 120, 200])
@pytest.mark.parametrize("command", ["traces", "tools", "fuses"])
def test_a_table_fits_its_terminal(agents, command, columns):
    with Terminal([agents.binary, command, "--data-dir", str(agents.folder)], agents.environment, (columns, 40)) as terminal:
        assert terminal.finish() == 0
        lines = terminal.text.splitlines()
    rows = lines[[index for index, line in enumerate(lines) if line.startswith("──")][0] - 1:]
    assert len(rows) > 4
    # Beside an id there must be room for ten characters of a name.
    assert all(len(line) <= max(columns, 73) for line in rows), max(rows, key=len)
    if command == "traces":
        # Whole where there is room, else the first twelve digits, by which the trace is found.
        ids = [re.search(r"\b[0-9a-f]{12}(?:[0-9a-f]{20})?\b", line) for line in rows[2:]]
        assert all(ids)
        assert agents.run("trace", ids[0][0], "--data-dir", str(agents.folder)).returncode == 0
    # Nobody cuts what goes to a file.
    assert "…" not in lines_of(agents, command)


def lines_of(server, command):
    return server.run(command, "--data-dir", str(server.folder)).stdout.decode()


def test_fuses_that_are_watched_do_not_scroll(agents):
    with Terminal([agents.binary, "fuses", "--watch", "--data-dir", str(agents.folder)], agents.environment, (100, 12)) as terminal:
        terminal.expect("opened no oftener")
        terminal.expect("opened no oftener", after=terminal.text.index("oftener") + 5)
        screens = terminal.text.split("Fuses\n")
        assert all(screen.count("\n") < 12 for screen in screens[1:-1])
        terminal.process.send_signal(signal.SIGINT)
        terminal.finish()


@pytest.mark.parametrize("columns", [80, 100, 110, 160])
def test_the_tail_fits_its_terminal(agents, columns):
    command = [agents.binary, "tail", "--data-dir", str(agents.folder), "--count", "1", "--tool", "fitted"]
    with Terminal(command, agents.environment, (columns, 40)) as terminal:
        terminal.expect("waiting for spans")

        def send():
            agents.post(wire.batch(wire.span(name="a name that is much longer than a terminal has room for", attributes=[("tool_name", "fitted")])))
            time.sleep(0.2)
            return terminal.process.poll() is not None

        poll("a span", send)
        terminal.finish()
        (line,) = [line for line in terminal.text.splitlines() if "a name" in line]
    assert len(line) <= columns


def test_help_names_the_commands(agents):
    text = agents.run("--help").stdout.decode()
    for name in ["traces", "trace", "tail", "tools", "fuses"]:
        assert re.search(rf"^  {name} ", text, re.M)


def test_the_manual_has_every_command_and_no_roff_mistake(agents):
    import pathlib, sys
    script = pathlib.Path(__file__).resolve().parents[2] / "scripts/make-manual.py"
    done = subprocess.run([sys.executable, script, agents.binary], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for name in ["serve", "sql", "traces", "trace", "tail", "tools", "fuses"]:
        assert f'.SS "{name}"' in done.stdout
    assert not [line for line in done.stdout.splitlines() if line.startswith("'")]
