"""The Model Context Protocol by the official client and by fastmcp's, over both transports: lists, every tool, and an agent that finds a failure."""

import json

import fastmcp
import mcp
import pytest
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from mcp.client.stdio import StdioServerParameters

import captures
import wire
from server import run_to_its_end
from test_security import made_token

NAME = "handmade-retries"
TOOLS = {
    "what_changed", "list_failures", "search_traces", "get_trace", "get_span", "query_sql", "list_breakers", "get_costs", "list_stalls",
    "compare_windows", "list_evals", "get_conversation",
}
# The capture is of a fixed day, and the clock of the test is not.
LONG_AGO = "3000d"


@pytest.fixture(scope="module")
def store(shared):
    captures.replay(shared, captures.posts(NAME))
    shared.settled()
    return shared


def by_official_client(server, transport, mode):
    if transport == "http":
        return mcp.Client(f"{server.url}/mcp", mode=mode)
    return mcp.Client(StdioServerParameters(command=server.binary, args=["mcp", "--data-dir", str(server.folder)]), mode=mode)


def by_fastmcp(server, transport):
    if transport == "http":
        return fastmcp.Client(StreamableHttpTransport(f"{server.url}/mcp"))
    return fastmcp.Client(StdioTransport(command=server.binary, args=["mcp", "--data-dir", str(server.folder)], keep_alive=False))


def a_failed_span(server):
    return server.sql("SELECT trace_id, span_id FROM spans WHERE outcome = 'timeout' ORDER BY start_time_unix_nano LIMIT 1")[0]


def arguments_for_every_tool(server):
    span = a_failed_span(server)
    return {
        **{name: {} for name in TOOLS}, "what_changed": {"since": LONG_AGO}, "list_failures": {"since": LONG_AGO},
        "get_trace": {"trace_id": span["trace_id"]}, "get_conversation": {"trace_id": span["trace_id"]}, "get_span": span, "query_sql": {"query": "SELECT count(*) FROM spans"},
        "compare_windows": {"a_since": LONG_AGO, "a_until": "1000d", "b_since": "1000d"}, "get_costs": {"since": LONG_AGO},
        "list_stalls": {"since": LONG_AGO}, "list_breakers": {"since": LONG_AGO},
    }


@pytest.mark.parametrize("transport", ["http", "stdio"])
@pytest.mark.parametrize("mode, version", [("auto", "2026-07-28"), ("legacy", "2025-11-25")])
def test_the_official_client_lists_and_calls_everything(store, transport, mode, version):
    """It holds every answer against the schema of its tool."""
    async def use():
        async with by_official_client(store, transport, mode) as client:
            assert client.protocol_version == version
            tools = (await client.list_tools()).tools
            assert {tool.name for tool in tools} == TOOLS
            for name, arguments in arguments_for_every_tool(store).items():
                result = await client.call_tool(name, arguments)
                assert not result.is_error, (name, result.content)
                assert json.loads(result.content[0].text) == result.structured_content
            resources = (await client.list_resources()).resources
            for resource in resources:
                contents = (await client.read_resource(resource.uri)).contents
                assert len(contents[0].text) > 100, resource.uri
            prompts = (await client.list_prompts()).prompts
            assert {prompt.name for prompt in prompts} == {"why_did_this_run_fail", "what_got_slower", "write_a_gate"}
            for prompt in prompts:
                filled = await client.get_prompt(prompt.name, {argument.name: "x" for argument in prompt.arguments})
                assert filled.messages[0].content.text

    run_to_its_end(use())


@pytest.mark.parametrize("transport", ["http", "stdio"])
def test_fastmcp_lists_and_calls_everything(store, transport):
    async def use():
        async with by_fastmcp(store, transport) as client:
            assert {tool.name for tool in await client.list_tools()} == TOOLS
            for name, arguments in arguments_for_every_tool(store).items():
                result = await client.call_tool(name, arguments)
                assert not result.is_error, name
            assert len(await client.list_resources()) > 5
            assert len(await client.list_prompts()) == 3

    run_to_its_end(use())


class Agent:
    """Calls tools by HTTP as a program does, and counts what it reads."""

    def __init__(self, server):
        self.server = server
        self.bytes = 0

    def call(self, tool, /, **arguments):
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
        answer = self.server.post(json.dumps(body).encode(), "/mcp", {"Content-Type": "application/json"})
        assert answer.status == 200, answer
        result = json.loads(answer.body)["result"]
        text = result["content"][0]["text"]
        self.bytes += len(text.encode())
        assert not result["isError"], text
        return result["structuredContent"]


def test_an_agent_answers_ten_questions_about_a_failure_within_its_budget(store):
    agent = Agent(store)
    truth = store.sql(
        "SELECT service_name, call_name, timeout_reason, count(*) AS n FROM spans WHERE outcome = 'timeout' GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3")

    # 1. What failed most, and why?
    failures = agent.call("list_failures", since=LONG_AGO, outcome="timeout")
    worst = failures["groups"][0]
    assert (worst["service"], worst["call"], worst["reason"], worst["count"]) == tuple(truth[0].values())
    # 2. How often in all?
    assert sum(group["count"] for group in failures["groups"]) == sum(row["n"] for row in truth)
    # 3. In which run, and what else happened in it?
    trace = agent.call("get_trace", trace_id=worst["example_trace_id"], only="problems")
    timed_out = [span for span in trace["spans"] if span["outcome"] == "timeout"]
    assert worst["example_span_id"] in [span["span_id"] for span in timed_out]
    # 4. How long did it wait?
    (waited,) = [span["duration_ms"] for span in timed_out if span["span_id"] == worst["example_span_id"]]
    assert waited == pytest.approx(store.scalar("SELECT duration_ns / 1e6 FROM spans WHERE span_id = :span", span=worst["example_span_id"]), abs=0.001)
    # 5. What led to it?
    whole = agent.call("get_trace", trace_id=worst["example_trace_id"], limit=20)
    assert whole["span_count"] == store.scalar("SELECT count(*) FROM spans WHERE trace_id = :trace", trace=worst["example_trace_id"])
    assert whole["spans"][0]["depth"] == 0
    # 6. What did the call itself say?
    span = agent.call("get_span", trace_id=worst["example_trace_id"], span_id=worst["example_span_id"])["span"]
    assert span["timeout_reason"] == worst["reason"]
    # 7. Did a breaker open, and for how long?
    breakers = agent.call("list_breakers", since=LONG_AGO, limit=20)["breakers"]
    opened = {(row["tool"], row["machine"]): row["opens_ever"] for row in breakers if row["opens_ever"]}
    counted = store.sql("SELECT tool_name, machine, count(*) AS n FROM breaker_openings GROUP BY 1, 2")
    assert {key[0] for key in opened} == {row["tool_name"] for row in counted}
    # 8. Which runs met the same?
    found = agent.call("search_traces", tool=worst["call"], outcome="timeout", limit=20)
    ids = {row["trace_id"] for row in found["traces"]}
    assert worst["example_trace_id"] in ids
    # 9. Is the tool slow as a whole?
    (row,) = agent.call("query_sql", query="SELECT p95_ms FROM tools WHERE tool_name = :tool", parameters={"tool": worst["call"]}, limit=1)["rows"]
    assert row[0] == store.scalar("SELECT p95_ms FROM tools WHERE tool_name = :tool LIMIT 1", tool=worst["call"])
    # 10. What did it cost?
    costs = agent.call("get_costs", since=LONG_AGO)
    assert costs["tokens"] == (store.scalar("SELECT sum(tokens) FROM token_spans") or 0)
    assert agent.bytes < 100_000


def test_a_trace_tells_its_critical_path_as_the_api_does(store):
    agent = Agent(store)
    for row in store.sql("SELECT trace_id FROM traces ORDER BY span_count DESC LIMIT 5"):
        path = json.loads(store.get(f"/api/traces/{row['trace_id']}").body)["critical_path"]
        wanted = {span["span_id"]: span["duration_ns"] / 1e6 for span in path["spans"] if span["duration_ns"] > 0}
        told = agent.call("get_trace", trace_id=row["trace_id"], only="critical_path", limit=500)
        assert {span["span_id"]: span["path_ms"] for span in told["spans"]} == {key: pytest.approx(value, abs=0.001) for key, value in wanted.items()}
        assert [span["path_ms"] for span in told["critical_path"]] == [pytest.approx(value, abs=0.001) for value in sorted(wanted.values(), reverse=True)[:10]]
        assert sum(wanted.values()) + told["uncovered_ms"] == pytest.approx(told["duration_ms"], abs=0.01)
        whole = agent.call("get_trace", trace_id=row["trace_id"], limit=500)
        assert {span["span_id"] for span in whole["spans"] if span["path_ms"]} == set(wanted) and whole["critical_path"] == told["critical_path"]


def test_a_run_is_read_as_a_conversation(fusebox):
    captures.replay_all(fusebox, "openai-v2-content")
    agent = Agent(fusebox)
    trace = fusebox.sql("SELECT trace_id FROM spans WHERE attr(attributes, 'gen_ai.input.messages') IS NOT NULL OR stage = 'llm' LIMIT 1")[0]["trace_id"]
    said = agent.call("get_conversation", trace_id=trace)
    roles = [item.get("role") for item in said["items"] if item["kind"] == "message"]
    assert "user" in roles and "assistant" in roles, said
    one_by_one = []
    offset = 0
    while offset is not None:
        page = agent.call("get_conversation", trace_id=trace, limit=1, offset=offset)
        one_by_one += page["items"]
        offset = page["next_offset"]
    assert one_by_one == said["items"]


def test_spans_that_begin_at_once_stand_in_one_order_at_every_door(fusebox):
    """In that of their arrival: identities are made by chance, and say nothing of what came first."""
    trace = wire.trace_id()
    names = ["first", "second", "third"]
    root = bytes([9] * 8)
    spans = [wire.span(trace, root, "run")]
    spans += [wire.span(trace, bytes([8 - index] * 8), name, parent=root) for index, name in enumerate(names)]
    fusebox.post(wire.batch(*spans))
    fusebox.settled()
    identity = trace.hex()
    doors = {
        "api": [span["name"] for span in json.loads(fusebox.get(f"/api/traces/{identity}").body)["spans"]],
        "jaeger": [span["operationName"] for span in json.loads(fusebox.get(f"/jaeger/api/traces/{identity}").body)["data"][0]["spans"]],
        "mcp": [span["name"] for span in Agent(fusebox).call("get_trace", trace_id=identity)["spans"]],
    }
    assert doors == {door: ["run", *names] for door in doors}


def test_breakers_were_open_as_long_as_the_page_says(store):
    page = json.loads(store.get("/api/breakers").body)
    told = {}
    for opening in page["openings"]:
        key = (opening["service_name"], opening["tool_name"], opening["scope"], opening["machine"])
        nanoseconds = int(opening["end_time_unix_nano"]) - int(opening["start_time_unix_nano"])
        count, open_ns = told.get(key, (0, 0))
        told[key] = (count + 1, open_ns + nanoseconds)
    assert told
    rows = Agent(store).call("list_breakers", since=LONG_AGO, limit=100)["breakers"]
    listed = {(row["service"], row["tool"], row["scope"], row["machine"]): (row["opens"], row["open_ms"]) for row in rows if row["opens"]}
    assert listed == {key: (count, pytest.approx(nanoseconds / 1e6, abs=0.001)) for key, (count, nanoseconds) in told.items()}
    # An opening counts where it began, and is open for as much of it as lies in the window.
    one = next(one for one in page["openings"] if int(one["end_time_unix_nano"]) - int(one["start_time_unix_nano"]) > 2)
    start, end = int(one["start_time_unix_nano"]), int(one["end_time_unix_nano"])
    for since, until in [(start, end), (start + 1, end), (start - 1, start), (start - 1, start + 1)]:
        window = {"from": since, "to": until}
        totals = json.loads(store.get("/api/overview?" + "&".join(f"{name}={value}" for name, value in window.items())).body)["totals"]
        rows = Agent(store).call("list_breakers", since=exact(since), until=exact(until), limit=100)["breakers"]
        for machine in ("reported", "derived"):
            own = [row for row in rows if row["machine"] == machine]
            assert sum(row["opens"] for row in own) == totals[f"{machine}_opens"], (machine, window)
            assert sum(row["open_ms"] for row in own) == pytest.approx(totals[f"{machine}_cooldown_ns"] / 1e6, abs=0.001)


def exact(nanoseconds):
    import datetime
    return datetime.datetime.fromtimestamp(nanoseconds // 10**9, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S") + f".{nanoseconds % 10**9:09d}Z"


def test_pages_give_every_trace_once(store):
    agent = Agent(store)
    seen, cursor = [], None
    while True:
        page = agent.call("search_traces", limit=3, **({"cursor": cursor} if cursor else {}))
        seen += [row["trace_id"] for row in page["traces"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        if len(seen) > 60:
            break
    assert len(seen) == len(set(seen))
    assert len(seen) >= min(60, store.scalar("SELECT count(*) FROM traces"))


def test_sql_neither_writes_nor_runs_for_ever(store):
    agent = {"Content-Type": "application/json"}
    before = store.scalar("SELECT count(*) FROM spans")
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    for query, reason in [("DELETE FROM segment", "only read"), (endless, "longer than")]:
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "query_sql", "arguments": {"query": query}}}
        result = json.loads(store.post(json.dumps(body).encode(), "/mcp", agent).body)["result"]
        assert result["isError"] and reason in result["content"][0]["text"], result
    assert store.scalar("SELECT count(*) FROM spans") == before


def test_the_door_is_that_of_readers(launch):
    """A token that reads opens it, one that sends does not; other methods and types are refused by what HTTP has for that."""
    token, digest = made_token(launch())
    server = launch({"FUSEBOX_READ_TOKENS": digest})
    message = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode()
    kind = {"Content-Type": "application/json"}
    assert server.post(message, "/mcp", kind).status == 401
    allowed = {**kind, "Authorization": f"Bearer {token}"}
    assert json.loads(server.post(message, "/mcp", allowed).body)["result"] == {}
    assert server.request("GET", "/mcp", headers=allowed).status == 405
    assert server.request("DELETE", "/mcp", headers=allowed).status == 405
    assert server.post(message, "/mcp", {**allowed, "Content-Type": "text/plain"}).status == 415
    assert server.post(message, "/mcp", {**allowed, "Origin": "https://elsewhere.example"}).status == 403
    assert server.post(b"{", "/mcp", allowed).status == 400
    assert server.post(json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}).encode(), "/mcp", allowed).status == 202


def test_an_agent_in_a_loop_is_told_to_wait_and_spans_go_on(fusebox):
    refused = 0
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_stalls", "arguments": {}}}).encode()
    for number in range(300):
        result = json.loads(fusebox.post(body, "/mcp", {"Content-Type": "application/json"}).body)["result"]
        refused += result["isError"] and "wait" in result["content"][0]["text"]
        if number % 20 == 0:
            assert fusebox.post(wire.batch(wire.span())).status == 200
    assert refused > 0


def test_standard_input_is_read_beside_a_server_and_without_one(launch):
    server = launch()
    assert server.post(wire.batch(wire.span(name="only one"))).status == 200
    lines = "\n".join([
        "", "{", json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json.dumps({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "search_traces", "arguments": {}}})])
    for _ in range(2):
        done = server.run("mcp", "--data-dir", str(server.folder), input=lines.encode())
        broken, found = [json.loads(line) for line in done.stdout.splitlines()]
        assert broken["error"]["code"] == -32700
        assert [row["name"] for row in found["result"]["structuredContent"]["traces"]] == ["only one"]
        if server.is_running:
            server.stop()
