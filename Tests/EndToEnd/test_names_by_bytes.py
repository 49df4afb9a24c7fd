"""Two names that look alike and differ in their bytes are two names at every door: é as one letter, and as an e with an accent behind it."""

import json
import time

import pytest

import wire

ONE, TWO = "\u00e9", "e\u0301"
SECOND = 1_000_000_000


@pytest.fixture
def store(launch):
    """One call of the first tool of the first service, two of its second, three and four of the other service's."""
    fusebox = launch()
    now = time.time_ns() - 60 * SECOND
    for place, (service, letter) in enumerate([(ONE, ONE), (ONE, TWO), (TWO, ONE), (TWO, TWO)]):
        spans = []
        for _ in range(place + 1):
            trace, root = wire.trace_id(), wire.span_id()
            shared = [("workflow_name", "w" + letter), ("session.id", "s" + letter)]
            spans += [
                wire.span(trace, root, "run", start=now, end=now + 3 * SECOND, attributes=shared),
                wire.span(trace, name="execute_tool", parent=root, start=now, end=now + SECOND,
                          attributes=[*shared, ("gen_ai.operation.name", "execute_tool"), ("gen_ai.tool.name", "t" + letter)]),
                wire.span(trace, name="chat", parent=root, start=now + SECOND, end=now + 2 * SECOND, attributes=[
                    *shared, ("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "m" + letter), ("gen_ai.usage.input_tokens", 100)])]
        body = wire.batch(*spans, resource=[("service.name", service), ("service.instance.id", "i" + letter), ("host.name", "h" + letter)])
        assert fusebox.post(body).status == 200
    fusebox.settled()
    return fusebox


def by_sql(store, statement):
    return {tuple(row.values())[:-1]: tuple(row.values())[-1] for row in store.sql(statement)}


def by_metrics(store, name, *labels):
    found = {}
    for have, value in store.settled().rows(name):
        if value and all(label in have for label in labels):
            key = tuple(have[label] for label in labels)
            found[key] = found.get(key, 0) + value
    return found


def check(store):
    tools = {(service, "t" + letter): place + 1 for place, (service, letter) in enumerate([(ONE, ONE), (ONE, TWO), (TWO, ONE), (TWO, TWO)])}
    assert by_sql(store, "SELECT service_name, tool_name, count(*) FROM spans WHERE tool_name IS NOT NULL GROUP BY 1, 2") == tools
    calls = {key: value for key, value in by_metrics(store, "agent_tool_calls_total", "service_name", "tool").items() if key[1].startswith("t")}
    assert calls == tools
    board = json.loads(store.get("/api/tools").body)
    assert {(row["service_name"], row["tool_name"]): row["calls"] for row in board if row["tool_name"].startswith("t")} == tools
    runs = {(service, tool.replace("t", "w")): count for (service, tool), count in tools.items()}
    assert by_metrics(store, "agent_workflow_runs_total", "service_name", "workflow") == runs
    board = json.loads(store.get("/api/workflows").body)
    assert {(row["service_name"], row["workflow_name"]): row["runs"] for row in board} == runs
    tokens = {(service, tool.replace("t", "m")): 100 * count for (service, tool), count in tools.items()}
    assert by_metrics(store, "agent_tokens_total", "service_name", "model") == tokens
    assert by_sql(store, "SELECT service_name, model, sum(input_tokens) FROM spans WHERE model IS NOT NULL GROUP BY 1, 2") == tokens
    sessions = {("s" + ONE,): 4, ("s" + TWO,): 6}
    assert by_sql(store, "SELECT session_id, count(DISTINCT trace_id) FROM spans GROUP BY 1") == sessions
    assert {row["session_id"]: row["trace_count"] for row in json.loads(store.get("/api/sessions").body)} == {key[0]: count for key, count in sessions.items()}
    assert set(by_metrics(store, "agent_last_span_timestamp_seconds", "service_name")) == {(ONE,), (TWO,)}
    breakers = json.loads(store.get("/api/breakers").body)["breakers"]
    assert {(one["service_name"], one["tool_name"]) for one in breakers if one["tool_name"].startswith("t")} == set(tools)
    cost = json.loads(store.run("cost", "--data-dir", str(store.folder), "--format", "json").stdout)
    assert json.dumps(cost, ensure_ascii=False).count('"m' + ONE + '"') and json.dumps(cost, ensure_ascii=False).count('"m' + TWO + '"')


def test_every_door_tells_them_apart_before_and_after_a_restart(store):
    check(store)
    store.stop()
    store.start()
    check(store)
