"""Calls that several spans tell of count once, and cost the same, at every door (docs/metrics.md 2.12)."""

import json
import random
from urllib.parse import urlencode

import pytest

import wire
from server import poll
from wire import BASE_TIME, data, number, span

SECOND = 10**9
TRACE, AGENT = b"\x11" * 16, b"\x01" * 8
PRICES = "models:\n  - {model: m, input: 10, cache_read: 1, cache_write: 100, output: 20}\n"


def one(digit):
    return bytes([digit]) * 8


def call(digit, name, start, length, parent, attributes, kind=1, failed=None):
    """A span of the trace: `kind` is OTLP's, `failed` the status message of a failure."""
    extra = number(6, kind)
    if failed is not None:
        extra += data(15, data(2, failed) + number(3, 2))
    begin = BASE_TIME + int(start * SECOND)
    return span(TRACE, one(digit), name, begin, begin + int(length * SECOND), parent, attributes, extra)


def chat(digit, start, length, parent, *more, failed=None):
    return call(digit, "chat m", start, length, parent, [("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "m"), *more], 3, failed)


TOKENS = [("gen_ai.usage.input_tokens", 100), ("gen_ai.usage.output_tokens", 10)]
MCP = [("mcp.method.name", "tools/call"), ("gen_ai.tool.name", "get_weather"), ("gen_ai.operation.name", "execute_tool")]

# Scope, and what an instrumentation of that name sends.
SENT = [
    ("agent", call(1, "invoke_agent", 0, 30, None, [("gen_ai.operation.name", "invoke_agent"), ("workflow_name", "triage"),
                                                    ("session.id", "s-1"), ("gen_ai.usage.input_tokens", 500)])),
    # A call that two instrumentations tell of, by the id of the answer and as siblings.
    ("one", chat(2, 1, 3, AGENT, *TOKENS, ("gen_ai.response.id", "r-1"))),
    ("two", chat(3, 1.1, 2, one(2), *TOKENS, ("gen_ai.response.id", "r-1"))),
    ("one", chat(4, 5, 3, AGENT, ("session.id", "s-1"), *TOKENS)),
    ("two", chat(5, 5.1, 2, AGENT, *TOKENS)),
    # A call in a call, of which the outer one alone has the tokens.
    ("one", chat(6, 9, 3, AGENT, *TOKENS)),
    ("one", chat(7, 9.5, 1, one(6), failed="Request timed out.")),
    # A tool of which a child tells that it timed out.
    ("agent", call(8, "tool", 13, 3, AGENT, [("span.type", "tool"), ("tool_name", "WebFetch")])),
    ("agent", call(9, "tool.execution", 14, 1, one(8), [("span.type", "tool.execution"), ("error.type", "TimeoutError")], failed="TimeoutError")),
    # Both ends of an MCP call, with the transport's span between them.
    ("mcp", call(10, "tools/call get_weather", 17, 3, AGENT, MCP, 3)),
    ("mcp", call(11, "send", 17.2, 2, one(10), [("mcp.method.name", "tools/call")], 3)),
    ("mcp", call(12, "tools/call get_weather", 17.5, 1, one(11), MCP, 2)),
    # A log record that tells of a call, in another trace of the same session: spans tell of such calls too.
    ("log", span(b"\x12" * 16, one(13), "chat m", BASE_TIME, BASE_TIME + SECOND, None, [
        ("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "m"), ("session.id", "s-1"), ("fusebox.told_by_log", 1), *TOKENS])),
]


def batch(*sent):
    """A request of spans by scope."""
    head = data(1, b"".join(data(1, wire.attribute(key, value)) for key, value in [("service.name", "calls")]))
    return data(1, head + b"".join(data(2, data(1, data(1, scope)) + data(2, encoded)) for scope, encoded in sent))


def ask(fusebox, path, **parameters):
    answer = fusebox.get(path + ("?" + urlencode(parameters) if parameters else ""))
    assert answer.status == 200, answer
    return json.loads(answer.body)


def check(fusebox):
    metrics = fusebox.settled()
    tools = {row["tool_name"]: (row["ok"], row["errors"], row["timeouts"]) for row in fusebox.sql("SELECT * FROM tools")}
    assert tools == {"llm": (2, 0, 1), "WebFetch": (0, 0, 1), "get_weather": (1, 0, 0)}
    of_api = {row["tool_name"]: (row["ok"], row["errors"], row["timeouts"]) for row in ask(fusebox, "/api/tools")}
    assert of_api == tools
    for tool, outcomes in tools.items():
        found = tuple(metrics.total("agent_tool_calls_total", tool=tool, outcome=outcome) for outcome in ["ok", "error", "timeout"])
        assert found == outcomes, tool
    assert fusebox.scalar("SELECT count(*) FROM timeouts") == metrics.total("agent_tool_timeouts_total") == 2
    assert fusebox.scalar("SELECT group_concat(reason) FROM timeouts WHERE tool_name = 'WebFetch'") == "error_type"
    assert metrics.total("agent_tool_timeouts_total", tool="WebFetch", reason="error_type") == 1
    assert fusebox.scalar("SELECT sum(tokens) FROM token_spans") == metrics.total("agent_tokens_total") == 330
    assert fusebox.sql("SELECT workflow_name, calls, tokens FROM costs") == [{"workflow_name": "triage", "calls": 3, "tokens": 330}]
    assert metrics.total("agent_tokens_total", workflow="triage") == 330
    totals = ask(fusebox, "/api/overview")["totals"]
    assert (totals["calls"], totals["timeouts"], totals["tokens"]) == (5, 2, 330)
    # Conditions that the scan decides give what SQLite gives row by row.
    for condition in ["= 'timeout'", "= 'ok'", "IS NULL", "IS NOT NULL", "IN ('ok', 'timeout')", "LIKE 'time%'"]:
        narrowed, plain = (fusebox.scalar(f"SELECT group_concat(span_id, ' ') FROM (SELECT span_id FROM spans WHERE {sign}outcome {condition} "
                                          "ORDER BY span_id)") for sign in ["", "+"])
        assert narrowed == plain, condition
    assert fusebox.scalar("SELECT count(*) FROM spans WHERE outcome = 'timeout' AND timeout_reason IS NOT NULL") == 2
    # The trace of the log record's span has nothing else, and so is not there.
    (trace,) = fusebox.sql("SELECT workflow_name, session_id, span_count, timeout_count, tokens FROM traces")
    assert trace == {"workflow_name": "triage", "session_id": "s-1", "span_count": 12, "timeout_count": 2, "tokens": 330}
    (listed,) = ask(fusebox, "/api/sessions")
    of_view = fusebox.sql("SELECT trace_count, span_count, error_count, timeout_count FROM sessions")
    assert [{key: listed[key] for key in of_view[0]}] == of_view
    assert [one["counts_tokens"] for one in ask(fusebox, f"/api/traces/{TRACE.hex()}")["spans"]].count(1) == 3


ORDERS = {
    "posted": SENT, "reversed": SENT[::-1], "shuffled": random.Random(7).sample(SENT, len(SENT)),
    "twice": SENT + SENT[::-1],
}


@pytest.mark.parametrize("order", ORDERS)
def test_a_call_that_several_spans_tell_of_counts_once(launch, order):
    fusebox = launch({"BREAKER_SETTLE_S": "4"})
    for sent in ORDERS[order]:
        assert fusebox.post(batch(sent)).status == 200
    check(fusebox)


def test_a_restart_between_relatives_changes_nothing(launch):
    fusebox = launch({"BREAKER_SETTLE_S": "8"})
    for sent in SENT[:6]:
        assert fusebox.post(batch(sent)).status == 200
    fusebox.restart()
    assert fusebox.post(batch(*SENT[6:])).status == 200
    fusebox.kill()
    fusebox.start()
    check(fusebox)
    fusebox.restart()
    check(fusebox)


def test_a_workflow_and_session_are_the_root_s(fusebox):
    """Not the last by the alphabet; without one at the root, the earliest."""
    def named(digit, start, parent, *attributes):
        return ("agent", call(digit, "step", start, 1, parent, list(attributes)))
    assert fusebox.post(batch(
        named(1, 0, None, ("session.id", "main")), named(2, 2, AGENT, ("workflow_name", "zebra"), ("session.id", "nested")),
        named(3, 1, AGENT, ("workflow_name", "apple")))).status == 200
    want = {"workflow_name": "apple", "session_id": "main"}
    assert fusebox.sql("SELECT workflow_name, session_id FROM traces") == [want]
    (listed,) = ask(fusebox, "/api/traces")["traces"]
    assert {key: listed[key] for key in want} == want
    assert [row["session_id"] for row in ask(fusebox, "/api/sessions")] == ["main"]


def test_dollars_are_the_same_at_every_door(launch, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    (folder / "prices.yaml").write_text(PRICES)
    fusebox = launch({"BREAKER_SETTLE_S": "1"}, folder=folder)
    written = chat(1, 0, 1, None, ("gen_ai.usage.input_tokens", 1_000_000), ("gen_ai.usage.cache_creation.input_tokens", 600_000),
                   ("eval_id", "e-1"))
    bare = chat(2, 2, 1, one(9), ("gen_ai.usage.total_tokens", 1_000_000))
    assert fusebox.post(batch(("one", written), ("one", bare))).status == 200
    metrics = fusebox.settled()
    assert metrics.total("agent_api_cost_dollars_total") == 84.0
    assert fusebox.sql("SELECT dollars, input_tokens, cache_write_tokens, unspecified_tokens FROM costs") == [
        {"dollars": 84.0, "input_tokens": 400_000, "cache_write_tokens": 600_000, "unspecified_tokens": 1_000_000}]
    assert ask(fusebox, "/api/overview")["totals"]["dollars"] == 84.0
    spans = ask(fusebox, f"/api/traces/{TRACE.hex()}")["spans"]
    assert [one["dollars"] for one in spans] == [64.0, 20.0]
    (scores := folder / "scores.csv").write_text("eval_id,name,score\ne-1,good,1\n")
    done = fusebox.run("eval", "import", "--data-dir", str(folder), str(scores))
    assert done.returncode == 0, done.stderr
    rows = poll("the eval is there", lambda: ask(fusebox, "/api/evals"))
    assert [one["dollars"] for one in rows] == [84.0]
    report = fusebox.run("cost", "--data-dir", str(folder), "--since", "2000-01-01", "--until", "2100-01-01", "--format", "json")
    assert b"84" in report.stdout, report
