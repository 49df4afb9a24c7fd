"""Evals, costs, gates, soaks beside a running server, and the examples of their pages."""

import json
import os
import re
import subprocess
import threading
import xml.etree.ElementTree as ElementTree

import junitparser
import pytest

import captures
from conftest import ROOT
from server import poll
from wire import BASE_TIME, batch, span

TRUTH = ROOT / "Tests/Fixtures/truth/handmade"
OK, FAILED, USAGE, INSUFFICIENT, INTEGRITY = 0, 1, 2, 3, 4


def command(server, *arguments, **options):
    return server.run(arguments[0], *arguments[1:], "--data-dir", str(server.folder), **options)


def expect(done, code=OK):
    assert done.returncode == code, (done.returncode, done.stdout.decode(), done.stderr.decode())
    return done.stdout.decode()


def runs(count, seconds=1.0, service="gates", start=BASE_TIME):
    """Runs of one workflow."""
    length = int(seconds * 1e9)
    return batch(
        *[span(name="run", start=start + index * 10**9, end=start + index * 10**9 + length, attributes=[("workflow_name", "w")])
          for index in range(count)],
        resource=[("service.name", service)])


# Evals


def test_evals_of_a_real_agent_join_its_spans(fusebox):
    truth = json.loads((TRUTH / "truth.json").read_text())
    captures.replay(fusebox, captures.posts("handmade"))
    said = expect(command(fusebox, "eval", "import", str(TRUTH / "evals.jsonl")))
    assert "evals: 53 (53 new, 0 changed, 0 as before)" in said
    assert "spans: 52 matched, 1 unmatched, 0 ambiguous" in said
    again = expect(command(fusebox, "eval", "import", str(TRUTH / "evals.jsonl")))
    assert "evals: 53 (0 new, 0 changed, 53 as before)" in again
    for row in fusebox.sql("SELECT name, count(*) AS count, avg(score) AS mean FROM evals GROUP BY name"):
        expected = truth["evals"]["by_evaluator"][row["name"]]
        assert row["count"] == expected["count"] and abs(row["mean"] - expected["mean"]) < 1e-6
    assert fusebox.scalar("SELECT count(*) FROM span_evals") == 52
    metrics = fusebox.settled()
    assert metrics.value("agent_eval_score", eval_id="ev-22-0039", metric="faithfulness") == 0.3924


def test_the_same_eval_once_more_is_no_newer_than_it_was(fusebox, tmp_path):
    def take(*rows):
        path = tmp_path / "evals.jsonl"
        path.write_text("".join(json.dumps({"eval_id": "e", "name": "q", **row}) + "\n" for row in rows))
        expect(command(fusebox, "eval", "import", str(path)))

    def told():
        metrics = fusebox.settled()
        (run,) = [labels["git_revision"] for labels, _ in metrics.rows("agent_eval_run_info")]
        return metrics.value("agent_eval_score", eval_id="e", metric="q"), run

    first, second = {"run_id": "a", "score": 0.1, "git_revision": "r-a"}, {"run_id": "b", "score": 0.9, "git_revision": "r-b"}
    stored = "SELECT eval_id, run_id, score, updated_unix_nano FROM evals ORDER BY run_id"
    take(first)
    take(second)
    before = fusebox.sql(stored)
    assert told() == (0.9, "r-b")
    take(first)
    assert fusebox.sql(stored) == before and told() == (0.9, "r-b")
    # What it says is new: so is the eval.
    take({**first, "score": 0.2})
    assert told() == (0.2, "r-a")
    # Of several at once, the last; and what says that it was judged before all of them is not the newest.
    take({"run_id": "c", "score": 0.3, "git_revision": "r-c"}, {"run_id": "d", "score": 0.4, "git_revision": "r-d"})
    assert told() == (0.4, "r-d")
    take({"run_id": "old", "score": 0.7, "git_revision": "r-old", "timestamp": "2020-01-01T00:00:00Z"})
    assert told() == (0.4, "r-d")


def test_bad_lines_are_named_and_strict_imports_nothing(fusebox, tmp_path):
    path = tmp_path / "evals.jsonl"
    path.write_text('{"eval_id":"a","name":"f","score":1}\n\n{"eval_id":"b"\n{"name":"f","score":1}\n')
    strict = command(fusebox, "eval", "import", "--strict", str(path))
    expect(strict, FAILED)
    assert fusebox.scalar("SELECT count(*) FROM evals") == 0
    done = command(fusebox, "eval", "import", str(path))
    assert "evals: 1 (1 new, 0 changed, 0 as before), 2 lines skipped" in expect(done)
    problems = done.stderr.decode()
    assert "line 3: it is not JSON" in problems and "line 4: it does not say what it is about" in problems


def test_imports_beside_a_server_under_load_lose_no_span_and_fail_no_commit(fusebox, tmp_path):
    rows = 5000
    path = tmp_path / "evals.jsonl"
    path.write_text("".join(json.dumps({"eval_id": f"e{n}", "name": "f", "score": n / rows}) + "\n" for n in range(rows)))
    imports = []
    thread = threading.Thread(target=lambda: imports.append(command(fusebox, "eval", "import", str(path))))
    thread.start()
    sent = 0
    while thread.is_alive() or sent == 0:
        answer = fusebox.post(runs(50, start=BASE_TIME + sent * 10**9))
        assert answer.status == 200, answer
        sent += 50
    thread.join()
    assert "evals: 5000 (5000 new" in expect(imports[0])
    assert fusebox.scalar("SELECT count(*) FROM spans") == sent
    assert fusebox.scalar("SELECT count(*) FROM evals") == rows
    metrics = fusebox.settled()
    assert metrics.value("fusebox_commits_total", result="busy") == 0
    assert metrics.value("fusebox_commits_total", result="error") == 0


def test_an_import_without_a_server_and_a_kill_in_between_keep_everything(launch, tmp_path):
    server = launch(folder=tmp_path / "data")
    assert server.post(runs(3)).status == 200
    server.kill()
    expect(command(server, "eval", "import", str(TRUTH / "evals.jsonl")))
    server.start()
    assert server.scalar("SELECT count(*) FROM evals") == 53
    assert server.scalar("SELECT count(*) FROM spans") == 3
    assert server.post(runs(2, start=BASE_TIME + 10**15)).status == 200
    server.stop()
    assert not list((tmp_path / "data/inbox").glob("*"))


def test_a_stopped_writer_takes_the_inbox_when_it_comes_back(launch, tmp_path):
    """A file that waits in the inbox when the server starts is taken, and one that is none is put aside."""
    server = launch(folder=tmp_path / "data")
    inbox = tmp_path / "data/inbox"
    server.stop()
    inbox.mkdir(exist_ok=True)
    (inbox / "1.jsonl").write_text("no document\n")
    (inbox / "2.jsonl").write_text('{"fusebox":"evals"}\n{"name":"f","score":1,"eval_id":"e"}\n')
    server.start()
    poll("the inbox is empty", lambda: not (inbox / "2.jsonl").exists())
    assert server.scalar("SELECT count(*) FROM evals") == 1
    assert [path.name for path in inbox.iterdir()] == ["1.jsonl.refused"]


# Gates


def test_gates_end_with_their_exit_codes_and_say_why(fusebox):
    assert fusebox.post(runs(100)).status == 200
    window = ["--since", "2026-01-01", "--until", "2027-01-01"]
    passed = command(fusebox, "gate", *window, "--p95-latency-ms-max", "2000", "--timeouts-max", "0")
    assert "verdict: passed" in expect(passed)
    failed = expect(command(fusebox, "gate", *window, "--p95-latency-ms-max", "400"), FAILED)
    assert "p95_latency_ms: 1000 ms is 600 ms (150 %) over the limit of 400 ms" in failed
    empty = expect(command(fusebox, "gate", *window, "--p95-latency-ms-max", "400", "--where", "service_name = 'nobody'"), INSUFFICIENT)
    assert "0 runs; a p95 needs 59, so 59 more" in empty
    unpriced = expect(command(fusebox, "gate", *window, "--cost-usd-per-mtok-max", "5"), INSUFFICIENT)
    assert "usd_per_mtok: no tokens in the window" in unpriced
    expect(command(fusebox, "gate", "--since", "nonsense"), USAGE)
    expect(command(fusebox, "gate", "--where", "no such column"), USAGE)


def test_a_condition_stays_within_its_brackets(fusebox):
    assert fusebox.post(runs(3)).status == 200
    window = ["--since", "2026-01-01"]
    for condition, words in [
        ("1) or (1", "a bracket is closed that was not opened"), ("1 -- x", "a part is a comment"), ("1; select 2", "begins another statement"),
        ("(1", "a bracket is not closed"),
    ]:
        for arguments in (["gate", *window], ["cost", *window], ["sweep", *window], ["compare", "gates", "gates", *window]):
            done = command(fusebox, *arguments, "--where", condition)
            expect(done, USAGE)
            assert words in done.stderr.decode(), (arguments, done.stderr)
    report = json.loads(expect(command(fusebox, "gate", *window, "--where", "name <> ');--('", "--format", "json")))
    assert report["sections"]["gates"]["rows"][0]["value"] == 3


def test_egress_is_a_number_of_bytes_of_a_link_with_a_price(launch, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "prices.yaml").write_text("egress:\n  - {link: eth0, dollars_per_unit: 0.09, free_units: 0, unit_bytes: 1000000000}\n")
    server = launch({"EGRESS_USD_MAX": "0.1"}, folder=folder)
    assert server.post(runs(60)).status == 200
    window = ["--since", "2026-01-01"]
    for name in ("gate", "cost"):
        for value, words in [
            ("eth0=5GB", "link=bytes"), ("x", "link=bytes"), ("eth0=-1", "link=bytes"), ("eth0=1e9", "link=bytes"),
            ("nope=5000000000", "which has no price; give it one under egress in prices.yaml (links with one: eth0)"),
        ]:
            done = command(server, name, *window, "--egress", value)
            expect(done, USAGE)
            assert words in done.stderr.decode(), (name, value, done.stderr)
        twice = command(server, name, *window, "--egress", "eth0=1", "--egress", "eth0=2")
        expect(twice, USAGE)
        assert "twice" in twice.stderr.decode()
    failed = command(server, "gate", *window, "--egress", "eth0=5000000000", "--format", "json")
    rows = json.loads(expect(failed, FAILED))["sections"]["gates"]["rows"]
    assert [round(row["value"], 9) for row in rows if row["gate"] == "egress_usd"] == [0.45]


@pytest.mark.parametrize("arguments", [
    ["gate"], ["cost"], ["sweep"], ["compare", "a", "b"], ["stalls"], ["tools"], ["traces"], ["sql", "SELECT 1"], ["eval", "list"], ["prune", "--before", "1d"],
    ["forget", "--user", "x"], ["export"], ["verify"], ["soak", "status"], ["fuses"],
], ids=lambda arguments: arguments[0])
def test_a_mistyped_folder_is_named_and_not_made(fusebox, tmp_path, arguments):
    typo = tmp_path / "typo"
    done = fusebox.run(*arguments, "--data-dir", str(typo))
    assert not typo.exists(), list(typo.iterdir())
    if arguments != ["soak", "status"]:
        assert done.returncode != OK and f"there is no data file in {typo}" in done.stderr.decode(), done
    typo.mkdir()
    fusebox.run(*arguments, "--data-dir", str(typo))
    assert list(typo.iterdir()) == []


TIMES = {
    "0.5h": OK, "15m": OK, "-15m": OK, "7d": OK, "2026-01-01": OK, "2026-01-01T10:00:00+02:00": OK, "1767225600000000000": OK, "0": OK,
    "1767225600000": "looks like milliseconds", "1767225600": "looks like seconds", "5": "needs a unit", "2026-02-31": "no date or time",
    "2026-01-01T24:00:00Z": "no date or time", "2026-01-01T10:00:00+25:00": "no date or time", "yesterday": "an age such as",
}


@pytest.mark.parametrize("text", TIMES)
def test_every_command_reads_times_alike(fusebox, text):
    assert fusebox.post(runs(1)).status == 200
    for name, *arguments in [
        ("gate", "--since"), ("cost", "--since"), ("stalls", "--since"), ("sweep", "--since"), ("tools", "--since"), ("traces", "--since"),
        ("export", "--since"), ("prune", "--before"), ("forget", "--older-than"), ("eval", "export", "--since"),
    ]:
        flag = arguments.pop()
        done = command(fusebox, name, *arguments, f"{flag}={text}")
        if TIMES[text] == OK:
            assert done.returncode in (OK, INSUFFICIENT), (name, text, done)
        else:
            assert done.returncode == USAGE and TIMES[text] in done.stderr.decode(), (name, text, done)
    answer = fusebox.get(f"/api/traces?from={text.replace('+', '%2B')}")
    assert (answer.status, TIMES[text] == OK or TIMES[text] in answer.body.decode()) == (200 if TIMES[text] == OK else 400, True)


def test_an_empty_window_is_refused_everywhere(fusebox):
    window = ["--since", "1h", "--until", "2h"]
    for arguments in (["gate"], ["cost"], ["stalls"], ["sweep"], ["tools"], ["traces"], ["export"], ["eval", "export"]):
        done = command(fusebox, *arguments, *window)
        assert done.returncode == USAGE and "--since" in done.stderr.decode(), (arguments, done)
    assert command(fusebox, "compare", "since=1h,until=2h", "since=1h").returncode == USAGE
    for path in ("/api/tools?from=-1h&to=-2h", "/api/compare?a.from=-1h&a.to=-2h", "/api/traces?from=-1h&to=-2h"):
        assert fusebox.get(path).status == 400, path


def test_junit_is_read_by_a_junit_reader(fusebox):
    assert fusebox.post(runs(100)).status == 200
    text = expect(command(fusebox, "gate", "--since", "2026-01-01", "--p95-latency-ms-max", "400", "--format", "junit"), FAILED)
    root = ElementTree.fromstring(text)
    cases = {case.attrib["name"]: case for case in root.iter("testcase")}
    assert root.tag == "testsuites" and root.attrib["failures"] == "1"
    assert "over the limit" in cases["p95_latency_ms"].find("failure").attrib["message"]
    assert cases["timeouts"].find("skipped") is not None
    assert cases["lost_spans"].find("failure") is None
    # The same by a reader that others use, which knows the format and nothing of us.
    suites = junitparser.JUnitXml.fromstring(text)
    read = {case.name: case for suite in suites for case in suite}
    assert read.keys() == cases.keys() and suites.failures == 1 and suites.tests == len(cases)
    assert [type(result) for result in read["p95_latency_ms"].result] == [junitparser.Failure]
    assert [type(result) for result in read["timeouts"].result] == [junitparser.Skipped]
    assert read["lost_spans"].is_passed


def test_explained_sql_gives_the_figures(fusebox):
    assert fusebox.post(runs(100)).status == 200
    report = json.loads(expect(command(fusebox, "gate", "--since", "2026-01-01", "--full", "--explain", "--format", "json")))
    latency = report["sections"]["latency"]
    (row,) = fusebox.sql(latency["queries"][0]["sql"])
    assert (row["n"], row["p95_ms"]) == (latency["rows"][0]["n"], latency["rows"][0]["p95_ms"])
    for section in report["sections"].values():
        for query in section["queries"]:
            fusebox.sql(query["sql"])


# Soak


def test_a_packet_with_one_changed_byte_fails_and_names_the_file(fusebox, tmp_path):
    packet = tmp_path / "packet"
    expect(command(fusebox, "soak", "start", "--name", "acceptance"))
    expect(command(fusebox, "soak", "start"), FAILED)
    assert fusebox.post(runs(60)).status == 200
    assert "no data" in expect(command(fusebox, "soak", "status"))
    said = expect(command(fusebox, "soak", "finish", "--out", str(packet)), INSUFFICIENT)
    assert "short of the 4 h that REMOTE_SOAK_MIN_HOURS asks for" in said
    assert "verdict: insufficient data" in expect(command(fusebox, "soak", "verify", str(packet), "--spans"))
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=packet, check=True)
    for path in sorted(packet.iterdir()):
        content = path.read_bytes()
        changed = bytearray(content)
        changed[len(changed) // 2] ^= 1
        path.write_bytes(changed)
        done = command(fusebox, "soak", "verify", str(packet))
        expect(done, INTEGRITY)
        assert path.name in done.stderr.decode()
        path.write_bytes(content)
    expect(command(fusebox, "soak", "verify", str(packet)))


# Pages


PAGES = ["evals", "costs", "gates", "soak", "sweep", "compare", "stalls"]


@pytest.mark.parametrize("page", PAGES)
def test_the_example_of_a_page_runs(fusebox, binary, tmp_path, page):
    text = (ROOT / f"docs/{page}.md").read_text()
    example = re.search(r"\A# [^\n]*\n\n```sh\n(.*?)```\n", text, re.DOTALL)[1]
    demo = fusebox.run("demo", "--endpoint", fusebox.url)
    assert demo.returncode == 0, demo.stderr
    commands = tmp_path / "bin"
    commands.mkdir()
    (commands / "fusebox").symlink_to(binary)
    environment = {**fusebox.environment, "PATH": f"{commands}:{os.environ['PATH']}", "FUSEBOX_DATA_DIR": str(fusebox.folder)}
    done = subprocess.run(["bash", "-ec", example], cwd=tmp_path, env=environment, capture_output=True, timeout=120)
    # A soak of seconds has too few runs of its own to be judged.
    assert done.returncode in ([OK, INSUFFICIENT] if page == "soak" else [OK]), (done.stdout.decode(), done.stderr.decode())


# Stalls and cost, as the server counts them


def test_a_run_that_repeats_itself_is_a_stall(fusebox):
    trace, root = b"\x01" * 16, b"\x02" * 8
    calls = [
        span(trace, bytes([index + 3]) * 8, "tool search", BASE_TIME + index * 10**9, BASE_TIME + index * 10**9 + 5 * 10**8, root,
             [("tool_name", "search"), ("gen_ai.tool.call.arguments", '{"q": 1}')])
        for index in range(3)
    ]
    whole = span(trace, root, "run", BASE_TIME, BASE_TIME + 4 * 10**9, attributes=[("workflow_name", "w")])
    assert fusebox.post(batch(*calls, whole)).status == 200
    rows = poll("a stall", lambda: fusebox.sql("SELECT kind, span_name, detail FROM stalls"), seconds=60)
    assert rows == [{"kind": "repeat", "span_name": "tool search", "detail": "search 3 times in a row"}]
    assert fusebox.metrics().value("agent_loop_stalls_total", service_name="wire", workflow="w", kind="repeat") == 1


def test_dollars_are_counted_at_the_price_that_holds(launch, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    (folder / "prices.yaml").write_text("models:\n  - {model: m, input: 2.50, cache_read: 1.25, output: 10}\n")
    server = launch(folder=folder)
    call = span(name="chat m", attributes=[
        ("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "m"), ("gen_ai.usage.input_tokens", 3_000_000),
        ("gen_ai.usage.cache_read.input_tokens", 1_000_000), ("gen_ai.usage.output_tokens", 400_000)])
    other = span(name="chat n", attributes=[
        ("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "n"), ("gen_ai.usage.input_tokens", 7)])
    assert server.post(batch(call, other)).status == 200
    metrics = server.settled()
    labels = dict(service_name="wire", workflow="unknown", model="m")
    assert metrics.value("agent_api_cost_dollars_total", **labels) == 10.25
    assert metrics.value("agent_unpriced_tokens_total", model="n") == 7
    assert server.scalar("SELECT dollars FROM costs WHERE model = 'm'") == 10.25
    assert server.scalar("SELECT dollars FROM costs WHERE model = 'n'") is None
    server.restart()
    assert server.settled().value("agent_api_cost_dollars_total", **labels) == 10.25
