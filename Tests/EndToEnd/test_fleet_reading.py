"""Reading what was forwarded: the engine gives the answers of the node that sent it there. With the real ClickHouse engine, as
`test_clickhouse_engine.py`."""

import csv
import io
import json
import subprocess
import urllib.parse

import pytest

import captures
from server import Fusebox, poll
from test_clickhouse import fleet, sent
from test_clickhouse_engine import RealEngine, ddl, pytestmark  # noqa: F401
from test_forwarding import QUICK, configure
from wire import BASE_TIME, attribute, batch, data, fixed64, number, span, span_id, trace_id

SESSION = "it's \\ one"


@pytest.fixture(scope="module")
def engine(binary, tmp_path_factory):
    made = RealEngine(tmp_path_factory.mktemp("engine") / "engine").start()
    made.run_schema(ddl(binary))
    yield made
    made.kill()


def odd_spans():
    """What captured agents do not have."""
    trace, root, tool = trace_id(), span_id(), span_id()
    event = data(11, fixed64(1, BASE_TIME + 5) + data(2, "exception") + data(3, attribute("exception.type", "Odd")))
    link = data(13, data(1, trace_id()) + data(2, span_id()) + data(4, attribute("why", "because")))
    failed = data(15, data(2, "it broke") + number(3, 2))
    return batch(
        span(trace, root, name="run", attributes=[("workflow.name", "w"), ("session.id", SESSION), ("user.id", "42")], start=BASE_TIME, end=BASE_TIME + 9_000_000),
        span(trace, tool, name="call", attributes=[("gen_ai.operation.name", "execute_tool"), ("gen_ai.tool.name", "find"), ("n", 7), ("b", True), ("d", 1.5),
            ("list", data(5, data(1, data(1, "in"))))], start=BASE_TIME + 1, end=BASE_TIME + 5_000_000, extra=failed + event + link),
        span(trace, name="chat", attributes=[("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "gpt-4o"), ("gen_ai.usage.input_tokens", 10),
            ("gen_ai.usage.output_tokens", 3), ("session.id", SESSION)], start=BASE_TIME + 2, end=BASE_TIME + 4_000_000),
        *(span(name="slow", attributes=[("tool.name", "search"), ("timeout", index % 3 == 0)], start=BASE_TIME, end=BASE_TIME + (index + 1) * 1_000_003)
          for index in range(21)))


def odd_records():
    """Records of one time, without a time, outside of spans, with bodies and attributes of every kind."""
    trace, one = trace_id(), span_id()
    where = data(9, trace) + data(10, one)
    scope = data(1, data(1, "logs") + data(2, "1.2") + data(3, attribute("scoped", True)))
    records = [
        *(fixed64(1, BASE_TIME + 7) + number(2, 9) + data(5, data(1, f"line {index}")) for index in range(7)),
        fixed64(1, BASE_TIME + 9) + number(2, 17) + data(3, "ERROR") + data(5, data(1, "Refused: it's \\ one")) + data(6, attribute("key", "one")) + where,
        fixed64(11, BASE_TIME + 11) + number(2, 5) + data(12, "odd.event") + data(6, attribute("n", 7)) + data(6, attribute("list", data(5, data(1, data(1, "in"))))),
        fixed64(1, BASE_TIME + 13) + data(5, data(6, data(1, attribute("a", 1)))),
        fixed64(1, BASE_TIME + 15) + number(2, 13) + data(5, data(1, "refused\nagain")) + where,
    ]
    resource = data(1, data(1, attribute("service.name", "logging")))
    return data(1, resource + data(2, scope + b"".join(data(2, record) for record in records)))


@pytest.fixture(scope="module")
def node(binary, engine, tmp_path_factory):
    """A node that took what captured agents sent, all of which is in the engine."""
    folder = tmp_path_factory.mktemp("node")
    configure(folder, fleet(engine))
    server = Fusebox(binary, folder, QUICK).start()
    for name in captures.NAMES:
        captures.replay_all(server, name)
    assert server.post(odd_spans()).status == 200
    assert server.post(odd_records(), "/v1/logs").status == 200
    poll("all is sent", lambda: sent(server), seconds=60)
    # As after answers that were lost: every row was sent twice, and is one.
    for table in ("otel_traces", "otel_logs"):
        engine.ask(f"SYSTEM STOP MERGES otel.{table}")
        engine.ask(f"INSERT INTO otel.{table} SELECT * FROM otel.{table}")
        assert engine.value(f"SELECT count() FROM otel.{table}") > engine.value(f"SELECT count() FROM otel.{table} FINAL") > 10
    yield server
    server.stop()


@pytest.fixture(scope="module")
def reading(binary, engine, tmp_path_factory):
    """A server over the engine, on a machine that has no data folder."""
    home = tmp_path_factory.mktemp("reader")
    configuration = home / "reader.yaml"
    configuration.write_text(f"engines:\n  fleet:\n    endpoint: {engine.url}\n    database: otel\n")
    folder = home / "no-data"
    server = Fusebox(binary, folder, {}, ["--engine", "fleet", "--grpc-port", "none", "--config", str(configuration)])
    server.start()
    yield server
    server.stop()
    assert not folder.exists()


def command(node, *arguments, code=0):
    done = node.run(*arguments, "--data-dir", str(node.folder))
    assert done.returncode == code, (arguments, done.stdout[-500:], done.stderr)
    return done.stdout.decode()


def both(node, *arguments, code=0):
    """What a command says of the node, and of the engine."""
    return command(node, *arguments, code=code), command(node, *arguments, "--engine", "fleet", code=code)


# SQL


def test_sql_of_an_engine_is_written_as_a_node_s_is(node, engine):
    def ask(query, *arguments, form="json"):
        return command(node, "sql", "--engine", "fleet", "--format", form, *arguments, query)

    query = "SELECT span_id, name, start_time_unix_nano, duration_ns, input_tokens, status_message, parent_span_id FROM spans WHERE trace_id {} ORDER BY span_id"
    trace = node.scalar("SELECT trace_id FROM spans WHERE name = 'chat' AND model = 'gpt-4o' AND session_id IS NOT NULL LIMIT 1")
    own = node.sql(query.format("= :trace"), trace=trace)
    assert json.loads(ask(query.format("= {trace:String}"), "-p", f"trace={trace}")) == own and len(own) == 3
    assert list(csv.DictReader(io.StringIO(ask(query.format(f"= '{trace}'"), form="csv")))) == [
        {name: "" if value is None else str(value) for name, value in row.items()} for row in own]
    table = ask("SELECT 9223372036854775807 AS most, toUInt64('18446744073709551615') AS more, 0.1 AS part, nan AS none, NULL AS nothing, 'a\\tb' AS t", form="table")
    assert "9223372036854775807" in table and "18446744073709551615" in table and "0.1" in table and table.count("∅") == 2
    assert json.loads(ask("SELECT attributes FROM spans WHERE name = 'call' AND tool_name = 'find'"))[0]["attributes"].startswith("{")
    # One after the other, as on a node; and a join that finds nothing says NULL.
    assert ask("SELECT 1 AS a; SELECT b.x FROM (SELECT 1 AS x) a LEFT JOIN (SELECT 2 AS x) b ON a.x = b.x", form="jsonl") == '{"a":1}\n{"b.x":null}\n'


def test_what_an_engine_refuses_is_said_in_our_words(node, engine):
    def refused(*arguments, code=1):
        done = node.run("sql", "--engine", "fleet", "--data-dir", str(node.folder), *arguments)
        assert done.returncode == code, done
        return done.stderr.decode()

    assert "queries only read" in refused("DROP TABLE otel.otel_traces")
    # A statement that begins as one that reads: the engine itself is told that nothing is written.
    refused("WITH 1 AS x INSERT INTO otel.otel_logs (Body) SELECT 'no'")
    assert engine.value("SELECT count() FROM otel.otel_logs WHERE Body = 'no'") == 0
    assert "LIMIT" in refused("--rows-max", "10", "SELECT number FROM numbers(100)")
    assert "narrow it" in refused("--deadline-s", "1", "SELECT sum(sleepEachRow(0.5)) FROM numbers(10) SETTINGS max_block_size = 1")
    assert "GiB" in refused("--read-bytes-max", "10", "SELECT sum(length(attributes)) FROM spans")
    assert "SHOW TABLES" in refused("SELECT * FROM nowhere")
    assert "fleet" in refused("SELECT no_such_column FROM spans")
    assert "leave FORMAT CSV out" in refused("SELECT 1 FORMAT CSV")
    assert "there are: fleet" in node.run("sql", "--engine", "other", "--data-dir", str(node.folder), "SELECT 1").stderr.decode()
    done = node.run("sql", "--engine", "fleet", "--explain", "--data-dir", str(node.folder), "SELECT 1")
    assert done.returncode == 2 and b"EXPLAIN" in done.stderr


def test_views_of_one_name_say_the_same(node, engine):
    def engine_rows(query):
        return json.loads(command(node, "sql", "--engine", "fleet", "--format", "json", query))

    # A call that several spans tell is counted by the node once (docs/metrics.md 2.12): those traces are compared by commands below.
    told = {row["trace_id"] for row in node.sql("SELECT DISTINCT trace_id FROM spans WHERE outcome IS NOT own_outcome OR told_by_log IS NOT NULL")}
    only = f"trace_id NOT IN ({', '.join(repr(trace) for trace in sorted(told)) or repr('')})"
    for query in (
            f"SELECT trace_id, start_time_unix_nano, end_time_unix_nano, duration_ns, service_name, workflow_name, root_name, root_status_code, span_count, "
            f"error_count, timeout_count, session_id, user_id, eval_id FROM traces WHERE {only} ORDER BY trace_id",
            f"SELECT trace_id, span_id, tool_name, stage, reason, phase, duration_ns, time_unix_nano FROM timeouts WHERE {only} ORDER BY span_id",
            f"SELECT span_id, tool_name, stage, own_outcome AS outcome, model, provider, operation, tokens, input_tokens, output_tokens, cached_tokens, session_id, "
            f"user_id, eval_id, error_type, cache_hit, queue_depth, retrieval_batch, breaker_state, kind, status_code FROM spans ORDER BY trace_id, span_id, kind"):
        assert engine_rows(query.replace("own_outcome AS outcome", "outcome")) == node.sql(query), query


# Commands


def unwatched(report):
    """A cost report without the hours that only a node knows."""
    rows = report["sections"].get("totals", {}).get("rows", [])
    return {**report, "sections": {**report["sections"], "totals": [row for row in rows if row["what"] != "watched"]}}


def without(text, *names):
    """JSON without members that say when or where."""
    def strip(value):
        if isinstance(value, dict):
            return {name: strip(part) for name, part in value.items() if name not in names}
        return [strip(part) for part in value] if isinstance(value, list) else value
    return strip(json.loads(text))


def test_commands_say_the_same_of_the_engine(node, engine):
    for arguments in (
            ("tools", "--format", "json"), ("tools", "--since", "2020-01-01", "--service", "wire", "--format", "json"),
            ("traces", "--limit", "1000", "--format", "json"), ("traces", "--outcome", "timeout", "--format", "jsonl"),
            ("traces", "--session", SESSION, "--format", "json"), ("session", SESSION, "--json")):
        of_node, of_engine = both(node, *arguments)
        assert of_engine == of_node and len(of_node) > 20, arguments
    ids = [row["trace_id"] for row in node.sql("SELECT trace_id FROM traces ORDER BY span_count DESC, trace_id LIMIT 3")]
    for trace in ids:
        of_node, of_engine = both(node, "trace", trace, "--width", "120")
        assert of_engine == of_node
    # Prices and runs are missing, here as there: no success.
    for code, *arguments in ((3, "cost", "--since", "2020-01-01"), (3, "compare", "since=2020-01-01,service=wire", "since=2020-01-01")):
        of_node, of_engine = (without(text, "until", "until_unix_nano") for text in both(node, *arguments, "--format", "json", code=code))
        assert unwatched(of_engine) == unwatched(of_node), arguments
    assert "no trace or span begins" in node.run("trace", "f" * 32, "--engine", "fleet", "--data-dir", str(node.folder)).stderr.decode()


def test_gates_over_an_engine_leave_out_what_only_nodes_have(node, engine):
    def gates(*arguments, code):
        found = json.loads(command(node, "gate", "--since", "2020-01-01", "--format", "json", *arguments, code=code))
        section = found["sections"]["gates"]
        return {row["gate"]: row for row in section["rows"]}, section.get("notes", [])

    of_node, _ = gates("--timeouts-max", "1000", code=0)
    of_engine, notes = gates("--timeouts-max", "1000", "--engine", "fleet", code=0)
    kept = {"breaker_opens", "stalls", "lost_spans"}
    assert {name: row for name, row in of_engine.items() if name not in kept} == {name: row for name, row in of_node.items() if name not in kept}
    assert all(of_engine[name]["value"] is None for name in kept) and any("kept by each node" in note for note in notes)
    of_engine, notes = gates("--breaker-opens-max", "0", "--engine", "fleet", code=3)
    assert of_engine["breaker_opens"]["result"] == "no data" and any("on each of them" in note for note in notes)


# The server


def answer(server, path):
    """An answer, with attributes as an engine has them: as texts."""
    found = server.get(path)
    return found.status, as_texts(json.loads(found.body))


def as_texts(value):
    def text(one):
        return one if isinstance(one, str) else json.dumps(one, separators=(",", ":"))
    if isinstance(value, list):
        return [as_texts(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {name: {key: text(one) for key, one in part.items()} if name == "attributes" and isinstance(part, dict) else as_texts(part)
            for name, part in value.items()}


def test_a_server_over_an_engine_answers_as_the_node(node, reading):
    ids = [row["trace_id"] for row in node.sql("SELECT trace_id FROM traces ORDER BY span_count DESC, trace_id LIMIT 3")]
    tool = node.sql("SELECT trace_id, span_id FROM spans WHERE name = 'call' AND tool_name = 'find'")[0]
    trace = tool["trace_id"]
    session, traceql = urllib.parse.quote(SESSION), urllib.parse.quote('{ span.gen_ai.tool.name = "find" }')
    for path in (
            "/api/traces?limit=500", "/api/traces?outcome=timeout&limit=5", "/api/traces?tool=find&preview=true", "/api/services", "/api/tools", "/api/workflows",
            "/api/sessions", "/api/users", f"/api/session?id={session}", f"/api/session/messages?id={session}", "/api/values?column=tool_name",
            f"/api/ids/{trace[:9]}", f"/api/ids/{tool['span_id']}", f"/api/traces/{trace}/find?q=find", f"/api/traces/{trace}/messages",
            "/api/compare?a.service=wire&b.from=1700000000000000000", "/api/contract", "/tempo/api/search?q=" + traceql,
            *(f"/api/traces/{one}" for one in ids)):
        assert answer(reading, path) == answer(node, path), path
        assert answer(node, path)[0] == 200, path
    # What an engine is not sent: flags, and what a client dropped.
    lost = {"flags", "dropped_attributes_count", "dropped_events_count", "dropped_links_count"}
    (status, own), (_, of_node) = (answer(one, f"/api/traces/{trace}/spans/{tool['span_id']}") for one in (reading, node))
    assert status == 200 and set(own) == set(of_node)
    for column in set(own) - lost - {"events", "links", "content_hash"}:
        assert own[column] == of_node[column], column
    assert own["attributes"]["list"] == '["in"]' and own["events"][0]["name"] == "exception" and own["links"][0]["attributes"] == {"why": "because"}
    # Grafana finds a trace by its id, in Tempo's words and in Jaeger's.
    status, tempo = answer(reading, f"/tempo/api/traces/{trace}")
    assert status == 200 and sum(len(scope["spans"]) for part in tempo["batches"] for scope in part["scopeSpans"]) == 3
    status, jaeger = answer(reading, f"/jaeger/api/traces/{trace}")
    assert status == 200 and len(jaeger["data"][0]["spans"]) == 3
    assert answer(reading, f"/api/traces/{'f' * 32}")[0] == 404


class Agent:
    """Speaks the Model Context Protocol over HTTP, or to a command."""

    def __init__(self, send):
        self.send = send

    @classmethod
    def of_server(cls, server):
        def send(body):
            found = server.post(body, "/mcp", {"Content-Type": "application/json"})
            assert found.status == 200, found
            return json.loads(found.body)
        return cls(send)

    @classmethod
    def of_command(cls, node, *arguments):
        def send(body):
            done = subprocess.run([node.binary, "mcp", "--data-dir", str(node.folder), *arguments], input=body + b"\n", capture_output=True, timeout=60)
            assert done.returncode == 0, done
            return json.loads(done.stdout)
        return cls(send)

    def ask(self, method, **parameters):
        return self.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).encode())["result"]

    def call(self, tool, /, **arguments):
        result = self.ask("tools/call", name=tool, arguments=arguments)
        assert not result["isError"], result
        return result["structuredContent"]

    def refusal(self, tool, /, **arguments):
        result = self.ask("tools/call", name=tool, arguments=arguments)
        assert result["isError"], result
        return result["content"][0]["text"]


# What only nodes keep.
KEPT = {"list_breakers", "list_stalls", "list_evals"}
START = "2020-01-01T00:00:00Z"
END = "2026-11-30T00:00:00Z"


@pytest.mark.parametrize("way", ["http", "command"])
def test_agents_are_answered_over_an_engine_as_by_the_node(node, reading, way):
    of_node = Agent.of_server(node)
    of_engine = Agent.of_server(reading) if way == "http" else Agent.of_command(node, "--engine", "fleet")
    longest = node.sql("SELECT trace_id FROM traces ORDER BY span_count DESC, trace_id LIMIT 1")[0]["trace_id"]
    tool = node.sql("SELECT trace_id, span_id FROM spans WHERE name = 'call' AND tool_name = 'find'")[0]
    questions = [
        ("list_failures", {"since": START, "limit": 30}), ("list_failures", {"since": START, "service": "wire", "outcome": "timeout"}),
        ("search_traces", {"limit": 100}), ("search_traces", {"since": START, "outcome": "timeout"}), ("search_traces", {"session": SESSION}),
        ("search_traces", {"text": "find", "limit": 5}), ("get_trace", {"trace_id": longest}), ("get_trace", {"trace_id": longest, "only": "problems"}),
        ("get_trace", {"trace_id": tool["trace_id"], "only": "critical_path"}), ("get_conversation", {"trace_id": tool["trace_id"]}),
        ("get_conversation", {"session": SESSION}), ("get_costs", {"since": START, "until": END}), ("get_costs", {"since": START, "until": END, "service": "wire"}),
        ("compare_windows", {"a_since": START, "a_until": "2023-11-15T00:00:00Z", "b_since": "2023-11-15T00:00:00Z", "b_until": END, "limit": 100}),
    ]
    assert {row["name"] for row in node.sql("SELECT DISTINCT name FROM spans WHERE outcome = 'timeout'")}
    for name, arguments in questions:
        own, found = of_node.call(name, **arguments), of_engine.call(name, **arguments)
        if name == "get_costs":
            own["report"], found["report"] = unwatched(own["report"]), unwatched(found["report"])
        assert as_texts(found) == as_texts(own), (name, arguments)
        assert len(json.dumps(own)) > 100, (name, arguments)
    # The clock is in it.
    own, found = (one.call("what_changed", since=START, limit=30) for one in (of_node, of_engine))
    missing = {"breakers_opened", "stalls", "evals", "newest_span_received"}
    assert set(own) - set(found) == missing and own["runs"] > 0 and own["tools"]
    assert without(json.dumps(found), "before") == without(json.dumps(own), "before", *missing)
    own, found = (one.call("get_span", **tool)["span"] for one in (of_node, of_engine))
    assert as_texts(found["attributes"]) == {key: value if isinstance(value, str) else json.dumps(value, separators=(",", ":")) for key, value in own["attributes"].items()}
    assert found["events"] == own["events"] and found["status_message"] == "it broke"


@pytest.mark.parametrize("way", ["http", "command"])
def test_agents_are_told_what_only_nodes_keep(node, reading, way):
    of_node = Agent.of_server(node)
    of_engine = Agent.of_server(reading) if way == "http" else Agent.of_command(node, "--engine", "fleet")
    tools = {tool["name"]: tool for tool in of_engine.ask("tools/list")["tools"]}
    assert {tool["name"] for tool in of_node.ask("tools/list")["tools"]} - set(tools) == KEPT
    assert "ClickHouse" in tools["query_sql"]["description"] and "each node" in tools["what_changed"]["description"]
    assert "breakers_opened" not in tools["what_changed"]["outputSchema"]["properties"]
    for name in KEPT:
        assert "ask a node" in of_engine.refusal(name), name
    greeting = of_engine.ask("initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo={"name": "test", "version": "1"})
    assert "engine fleet" in greeting["instructions"]
    uris = {resource["uri"] for resource in of_engine.ask("resources/list")["resources"]}
    assert "fusebox://schema" in uris and not uris & {"fusebox://fuses", "fusebox://docs/evals", "fusebox://docs/stalls"}
    schema = of_engine.ask("resources/read", uri="fusebox://schema")["contents"][0]["text"]
    assert "- **spans**: " in schema and "ClickHouse" in schema
    prompt = of_engine.ask("prompts/get", name="why_did_this_run_fail")["messages"][0]["content"]["text"]
    assert "list_breakers" not in prompt and "list_failures" in prompt


def test_agents_ask_sql_in_the_engine_s_dialect(node, reading):
    agent = Agent.of_server(reading)
    found = agent.call("query_sql", query="SELECT tool_name, toInt64(calls) AS calls FROM tools WHERE tool_name = {t:String}", parameters={"t": "search"})
    assert found == {"columns": ["tool_name", "calls"], "rows": [["search", 21]], "row_count": 1, "truncated": False, "clipped_cells": 0}
    cut = agent.call("query_sql", query="SELECT number, repeat('x', 10000) FROM numbers(100000)", limit=3)
    assert cut["row_count"] == len(cut["rows"]) <= 3 and cut["truncated"] and cut["clipped_cells"] > 0
    assert agent.call("query_sql", query="SELECT number FROM numbers(3)", limit=3)["truncated"] is False
    assert "only read" in agent.refusal("query_sql", query="DROP TABLE otel.otel_traces")
    assert "one statement" in agent.refusal("query_sql", query="SELECT 1; SELECT 2")
    # Every example of the schema runs there.
    schema = agent.ask("resources/read", uri="fusebox://schema")["contents"][0]["text"]
    examples = [part.split("```")[0].strip() for part in schema.split("```sql")[1:]]
    assert len(examples) >= 4
    for example in examples:
        agent.call("query_sql", query=example, parameters={"trace": "a" * 32, "span": "b" * 16})


def test_sql_over_http_is_the_engine_s(node, reading):
    def sql(query, path="/api/sql", code=200):
        found = reading.post(query.encode(), path, {"Content-Type": "application/sql"})
        assert found.status == code, found
        return json.loads(found.body)

    found = sql("SELECT tool_name, toInt64(calls) AS calls, 9007199254740993 AS wide FROM tools WHERE tool_name = {t:String}", "/api/sql?p.t=search")
    assert found == {"columns": ["tool_name", "calls", "wide"], "rows": [["search", 21, "9007199254740993"]], "row_count": 1, "truncated": False}
    cut = sql("SELECT number FROM numbers(100000)", "/api/sql?limit=7")
    assert cut["row_count"] == 7 and cut["truncated"] and cut["rows"][6] == [6]
    assert sql("SELECT number FROM numbers(7)", "/api/sql?limit=7")["truncated"] is False
    assert "only read" in sql("DROP TABLE otel.otel_traces", code=400)["detail"]
    assert "one statement" in sql("SELECT 1; SELECT 2", code=400)["detail"]
    assert "no_such" in sql("SELECT no_such FROM spans", code=400)["detail"]
    status, schema = answer(reading, "/api/schema")
    assert status == 200 and {"spans", "traces", "tools", "logs"} <= {table["name"] for table in schema}


def test_the_overview_and_costs_over_an_engine_are_the_node_s(node, reading):
    kept = {"reported_opens", "derived_opens", "reported_cooldown_ns", "derived_cooldown_ns"}
    some = node.scalar("SELECT start_time_unix_nano FROM spans WHERE tokens > 0 ORDER BY 1 LIMIT 1")
    windows = [{"from": some, "to": some + 86_400_000_000_000}, {"from": BASE_TIME - 1, "to": BASE_TIME + 60_000_000_000, "points": 10},
               {"from": BASE_TIME, "to": BASE_TIME + 1, "service": "wire"}, {"from": 0, "service": "wire"}, {}]
    counted = 0
    for window in windows:
        path = "/api/overview?" + urllib.parse.urlencode(window)
        (status, own), (_, of_node) = answer(reading, path), answer(node, path)
        assert status == 200 and own["totals"], path
        # When breakers were open only nodes know, and null is not none; a stretch in which nothing else was is not listed then.
        for overview in (own, of_node):
            rows = [overview["totals"], *overview["buckets"]]
            assert all((one[name] is None) == (overview is own) for one in rows for name in kept)
            overview["buckets"] = [{name: value for name, value in one.items() if name not in kept} for one in overview["buckets"] if one["spans"] or one["runs"]]
            overview["totals"] = {name: value for name, value in overview["totals"].items() if name not in {*kept, "time_unix_nano"}}
            # Without an end the last cooldown is in it.
            overview["to_unix_nano"] = overview["to_unix_nano"] if "to" in window else None
        assert own == of_node, path
        counted += own["totals"]["spans"]
    assert counted > 100
    for query in ("", f"?from={some}", f"?from={BASE_TIME}&to={BASE_TIME + 60_000_000_000}", f"?from={BASE_TIME + 60_000_000_000}"):
        assert answer(reading, "/api/costs" + query) == answer(node, "/api/costs" + query), query
    # A window is the law of the view with a time.
    assert answer(node, "/api/costs?from=0") == answer(node, "/api/costs")
    assert [(row["model"], row["tokens"]) for row in answer(node, f"/api/costs?from={BASE_TIME}&to={BASE_TIME + 4_000_001}")[1]] == [("gpt-4o", 13)]
    assert answer(node, f"/api/costs?from={BASE_TIME}&to={BASE_TIME + 4_000_000}")[1] == []


def test_the_page_shows_the_overview_a_trace_and_gates_over_an_engine(node, reading, tab):
    window = f"from={BASE_TIME - 1}&to={BASE_TIME + 60_000_000_000}"
    page = tab(reading, 1280).open(f"#/overview?{window}")
    page.tab.wait_for_selector(".stats")
    shown = page.text()
    assert "Workflow p95" in shown and "search" in shown and "Breaker" not in shown and "Fuse" not in shown
    page.check()
    trace = node.scalar("SELECT trace_id FROM logs WHERE trace_id IN (SELECT trace_id FROM spans) ORDER BY trace_id LIMIT 1")
    page.open(f"#/trace/{trace}")
    page.check()
    assert trace[:8] in page.text()
    # Stalls are told to be on nodes, beside the gates.
    page.open(f"#/gates?{window}")
    assert "kept by each node" in page.text() and "only nodes have that" in page.text(".problem")


def test_metrics_of_traceql_over_an_engine_are_the_node_s(node, reading):
    day = 86_400_000_000_000
    first, last = node.sql("SELECT min(start_time_unix_nano) AS first, max(start_time_unix_nano) AS last FROM spans")[0].values()

    def ask(server, query, path="query_range", start=first - 1, end=last + day, step="86400s", code=200):
        found = server.get(f"/tempo/api/metrics/{path}?" + urllib.parse.urlencode({"q": query, "start": start, "end": end, "step": step}))
        assert found.status == code, (query, found)
        if code != 200:
            return found.body.decode()
        series = json.loads(found.body)["series"]
        for one in series:
            # Which spans stand for a sample is not said, nor in which order doubles are added.
            assert all(exemplar["labels"] for exemplar in one.pop("exemplars"))
            for sample in one["samples"]:
                sample["value"] = pytest.approx(sample["value"], rel=1e-12)
        return series

    for query in (
            "{} | rate()", "{ status = error } | count_over_time() by (resource.service.name)", '{ span.gen_ai.tool.name = "find" } | rate() by (name)',
            "{} | quantile_over_time(duration, .5, .95) by (name)", "{ kind = client } | max_over_time(duration)", "{} | histogram_over_time(duration)",
            "{ nestedSetParent < 0 } | avg_over_time(traceDuration) by (rootName)", "{} >> { status = error } | rate() by (span.gen_ai.tool.name)",
            "{ } | count_over_time() by (name) | topk(3)"):
        for path in ("query_range", "query"):
            own = ask(reading, query, path)
            assert own == ask(node, query, path), query
            assert own, query
    # Of attributes that were numbers or lists, texts are compared.
    query = '{ span.gen_ai.tool.name =~ "f.*" } | compare({ status = error }, 3)'
    own, of_node = ([one for one in ask(server, query) if not one["labels"][-1]["key"].startswith("span.")] for server in (reading, node))
    assert own == of_node and own
    # A narrow window of the same.
    assert ask(reading, "{} | rate() by (name)", start=BASE_TIME, end=BASE_TIME + 1_000_000_000, step="1s") == ask(
        node, "{} | rate() by (name)", start=BASE_TIME, end=BASE_TIME + 1_000_000_000, step="1s")
    # Attributes are texts there: what takes one as a number or a boolean finds nothing, and that is said.
    for query in ("{ span.n > 5 } | rate()", "{ span.b = true } | rate()", "{ span.b } | rate()", "{} | sum_over_time(span.n)", "{ span.n + 1 = 8 } | rate()",
                  "{ 5 < span.n } | rate()", "{ span.d = duration } | rate()", "{ name = \"call\" || !(span.n = 7) } | rate()"):
        assert "texts in the engine fleet" in ask(reading, query, code=501) and ask(node, query, code=200) is not None, query
    for query in ("{ span.n = 7 }", "{ resource.x = 1 } >> {}", "{} | avg(span.n) > 3", "{} | by(-span.n)"):
        found = reading.get("/tempo/api/search?" + urllib.parse.urlencode({"q": query}))
        assert found.status == 501 and b"texts in the engine fleet" in found.body, (query, found)
    assert answer(reading, "/tempo/api/search?" + urllib.parse.urlencode({"q": '{ span.n = "7" && span.b != nil }'}))[1]["traces"]


def test_conversations_over_an_engine_are_the_node_s(node, reading):
    """In whatever way frameworks tell what was said: in attributes of spans, in their events, in log records."""
    told_by_logs = {row["trace_id"] for row in node.sql("SELECT DISTINCT trace_id FROM logs WHERE trace_id IN (SELECT trace_id FROM spans)")}
    # One of each service, and all whose log records are there.
    ids = {row["trace_id"] for row in node.sql("SELECT max(trace_id) AS trace_id FROM spans WHERE operation IS NOT NULL GROUP BY service_name, scope_name, operation")}
    said = set()
    for trace in sorted(ids | told_by_logs):
        own, of_node = (answer(server, f"/api/traces/{trace}/messages") for server in (reading, node))
        assert own == of_node and own[0] == 200, trace
        if of_node[1]["items"]:
            said.add(trace)
    assert len(said) > 10 and said & told_by_logs


def test_log_records_over_an_engine_are_the_node_s(node, reading):
    record = node.sql("SELECT trace_id, span_id FROM logs WHERE span_id IS NOT NULL ORDER BY time_unix_nano LIMIT 1")[0]
    events = [row["event_name"] for row in node.sql("SELECT DISTINCT event_name FROM logs WHERE event_name IS NOT NULL ORDER BY 1 LIMIT 2")]
    services = [row["service_name"] for row in node.sql("SELECT DISTINCT service_name FROM logs ORDER BY 1")]
    first, last = node.sql("SELECT min(time_unix_nano) AS first, max(time_unix_nano) AS last FROM logs")[0].values()
    # What stays on a node: when a library saw a record, and what a client dropped.
    lost = {"observed_time_unix_nano", "dropped_attributes_count"}

    def page(server, **query):
        status, found = answer(server, "/api/logs?" + urllib.parse.urlencode(query))
        assert status == 200, found
        return [{name: value for name, value in one.items() if name not in lost} for one in found["logs"]], found["next_cursor"]

    seen = 0
    for query in ({"limit": 1000}, {"trace_id": record["trace_id"]}, {**record}, {"from": first, "to": last}, {"from": BASE_TIME, "to": BASE_TIME + 10},
                  {"severity_min": "warn"}, {"severity_min": 0}, {"q": "REFUSED"}, {"q": "key one", "limit": 2}, *({"event_name": one} for one in events), *({"service": one} for one in services)):
        own, of_node = page(reading, **query), page(node, **query)
        assert own == of_node, query
        seen += len(own[0])
    assert seen > 100
    # Page by page, over records of one time too.
    for limit, query in ((3, {"service": "logging"}), (4, {})):
        pages, cursor = [], None
        while True:
            found, cursor = page(reading, limit=limit, **query, **({"cursor": cursor} if cursor else {}))
            pages += found
            if cursor is None:
                break
        assert pages == page(node, limit=1000, **query)[0] and len(pages) > limit
    # Grafana's Loki data source.
    window = {"start": BASE_TIME - 1, "end": BASE_TIME + 3_600_000_000_000, "limit": 1000}
    for path, query in (
            ("query_range", {"query": '{service_name="logging"}'}), ("query_range", {"query": '{service_name="logging"} |= "refused"'}),
            ("query_range", {"query": '{level="error"} | trace_id != "" | key = "one"', "direction": "forward"}),
            ("query_range", {"query": 'sum by (level) (count_over_time({service_name="logging"}[5m]))', "step": "60s"}),
            ("query", {"query": 'count_over_time({service_name=~"log.*"}[1h])', "time": BASE_TIME + 60_000_000_000}),
            ("label/service_name/values", {}), ("label/level/values", {"query": '{service_name="logging"}'}), ("series", {"match[]": '{service_name="logging"}'})):
        address = f"/loki/api/v1/{path}?" + urllib.parse.urlencode({**window, **query})
        own, of_node = answer(reading, address), answer(node, address)
        assert own == of_node and own[0] == 200, address
        assert own[1]["data"] and (not isinstance(own[1]["data"], dict) or own[1]["data"]["result"]), address


def test_what_only_nodes_have_is_refused_in_words(node, reading):
    for path in ("/api/breakers", "/api/stalls", "/api/evals", "/api/forward", "/jaeger/api/dependencies?endTs=1795000000000&lookback=3600000"):
        found = reading.get(path)
        assert found.status == 501, (path, found)
        assert b"node" in found.body, found
    for path in ("/v1/traces", "/v1/logs", "/v1/metrics"):
        found = reading.post(odd_spans(), path)
        assert found.status == 501 and b"send it to a node" in found.body, found
    assert reading.post(b"{}", "/api/evals", {"Content-Type": "application/json"}).status == 501
    status, own = answer(reading, "/api/status")
    assert status == 200 and own["engine"] == "fleet" and not own["taking_spans"] and own["span_count"] is None
    assert answer(node, "/api/status")[1]["engine"] is None
    status, gates = answer(reading, "/api/gates?from=1700000000000000000")
    assert status == 200 and any("kept by each node" in note for note in gates["sections"]["gates"]["notes"])
    assert reading.get("/-/ready").status == 200 and reading.get("/").status == 200 and b"fusebox_build_info" in reading.get("/metrics").body


def test_an_engine_that_is_gone_is_told(binary, tmp_path):
    configuration = tmp_path / "reader.yaml"
    configuration.write_text("engines:\n  gone:\n    endpoint: http://127.0.0.1:9\n")
    server = Fusebox(binary, tmp_path / "none", {}, ["--engine", "gone", "--grpc-port", "none", "--config", str(configuration)])
    server.start()
    try:
        for path in ("/api/traces", f"/api/traces/{'a' * 32}"):
            found = server.get(path)
            assert found.status == 503 and b"gone" in found.body and b"endpoint" in found.body, found
    finally:
        server.stop()
    done = server.run("traces", "--engine", "gone", "--config", str(configuration))
    assert done.returncode == 1 and b"endpoint" in done.stderr
