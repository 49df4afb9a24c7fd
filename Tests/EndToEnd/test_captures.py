"""What real agents sent, replayed: every span is stored once, and SQL and /metrics say what the agents counted themselves."""

import random

import pytest

import captures
from server import poll

COOLDOWN_TOLERANCE_SECONDS = 0.002


def stored_identities(fusebox):
    return sorted((row["trace_id"], row["span_id"]) for row in fusebox.sql("SELECT trace_id, span_id FROM spans"))


@pytest.mark.parametrize("name", captures.NAMES)
def test_every_span_is_stored_once(name, fusebox):
    captures.replay(fusebox, captures.posts(name))
    assert stored_identities(fusebox) == sorted(captures.spans(name))
    metrics = fusebox.settled()
    assert metrics.value("fusebox_spans_accepted_total") == len(captures.spans(name))
    assert metrics.value("fusebox_stored_spans") == len(captures.spans(name))
    assert metrics.value("fusebox_ingest_requests_total", code="200") == len(captures.posts(name))
    assert metrics.total("fusebox_spans_rejected_total") == 0
    sent_again = metrics.value("fusebox_spans_received_total") - len(captures.spans(name))
    assert metrics.value("fusebox_spans_duplicate_total", kind="identical") == sent_again
    # A little of the content, as the official library reads it.
    rows = fusebox.sql("SELECT trace_id, span_id, name, kind, status_code, start_time_unix_nano AS s, end_time_unix_nano AS e "
                       "FROM spans")
    for row in rows:
        span = captures.spans(name)[row["trace_id"], row["span_id"]]
        assert (row["name"], row["kind"], row["status_code"], row["s"], row["e"]) == (
            span.name, span.kind, span.status.code, span.start_time_unix_nano, span.end_time_unix_nano)


def test_other_signals_are_taken(fusebox):
    posts = captures.posts("openai-v2-content") + captures.posts("langgraph-traceloop")
    signals = {post.path.rsplit("/", 1)[1] for post in posts}
    assert signals == {"traces", "metrics", "logs"}
    captures.replay(fusebox, posts)
    metrics = fusebox.settled()
    assert metrics.value("fusebox_log_records_accepted_total") == fusebox.scalar("SELECT count(*) FROM logs") > 0
    assert metrics.value("fusebox_client_points_total") > 0


# The orders in which a folder is posted. Breakers settle by receipt, so an order must be posted within BREAKER_SETTLE_S, however busy
# the machine is.
SETTLE_SECONDS = 6
ORDERS = {
    "posted": lambda posts: posts,
    "reversed": lambda posts: posts[::-1],
    "shuffled": lambda posts: random.Random(1).sample(posts, len(posts)),
    "shuffled otherwise": lambda posts: random.Random(2).sample(posts, len(posts)),
    "twice": lambda posts: posts + posts,
    "each twice, shuffled": lambda posts: random.Random(3).sample(posts + posts, 2 * len(posts)),
}


@pytest.mark.parametrize("name", captures.HANDMADE)
def test_books_agree(name, launch, subtests):
    posts = captures.posts(name)
    servers = {}
    for order, arrange in ORDERS.items():
        if len(posts) > 1 or order in ("posted", "twice"):
            servers[order] = launch({"BREAKER_SETTLE_S": str(SETTLE_SECONDS), **captures.KNOBS[name]})
            captures.replay(servers[order], arrange(posts))
    for order, fusebox in servers.items():
        with subtests.test(order):
            check_books(fusebox, name)
    with subtests.test("again when all has settled"):
        # Late copies move nothing.
        before = servers["twice"].metrics().lines("agent_")
        captures.replay(servers["twice"], posts)
        assert servers["twice"].settled().lines("agent_") == before
        check_books(servers["twice"], name)


def check_books(fusebox, name):
    """SQL and /metrics against truth.json and expected.json."""
    truth = captures.truth(name)
    metrics = fusebox.settled()
    check_spans(fusebox, truth)
    check_runs(fusebox, metrics, truth)
    check_tokens_and_cache(fusebox, metrics, truth)
    check_tools(fusebox, metrics, truth)
    check_breakers(metrics, expected_breakers(name, truth))


def check_spans(fusebox, truth):
    assert fusebox.scalar("SELECT count(*) FROM spans") == truth["spans"]
    assert [row["trace_id"] for row in fusebox.sql("SELECT trace_id FROM traces ORDER BY trace_id")] == sorted(truth["trace_ids"])
    names = fusebox.sql("SELECT name, count(*) AS n FROM spans GROUP BY name")
    assert {row["name"]: row["n"] for row in names} == truth["spans_by_name"]
    statuses = fusebox.sql(
        "SELECT CASE status_code WHEN 1 THEN 'OK' WHEN 2 THEN 'ERROR' ELSE 'UNSET' END AS s, count(*) AS n FROM spans GROUP BY s")
    assert {row["s"]: row["n"] for row in statuses} == truth["spans_by_status"]
    evals = fusebox.sql("SELECT eval_id, trace_id FROM traces WHERE eval_id IS NOT NULL")
    assert {row["eval_id"]: row["trace_id"] for row in evals} == truth["eval_id_to_trace"]


def check_runs(fusebox, metrics, truth):
    workflows = {row["workflow_name"]: row for row in fusebox.sql("SELECT * FROM workflows")}
    assert {name: row["runs"] for name, row in workflows.items()} == truth["traces_by_workflow"]
    assert {name: row["tokens"] for name, row in workflows.items()} == truth["tokens_by_workflow"]
    assert metrics.by("agent_workflow_runs_total", "workflow") == truth["traces_by_workflow"]
    assert metrics.total("agent_workflow_runs_total") == truth["roots"]
    failed = {name: row["failed_runs"] for name, row in workflows.items()}
    assert metrics.by("agent_workflow_runs_total", "workflow", outcome="error") == failed


def check_tokens_and_cache(fusebox, metrics, truth):
    by_workflow = fusebox.sql(
        "SELECT workflow_name, sum(tokens) AS n FROM spans WHERE tokens IS NOT NULL GROUP BY workflow_name")
    assert {row["workflow_name"]: row["n"] for row in by_workflow} == truth["tokens_by_workflow"]
    assert metrics.by("agent_tokens_total", "workflow") == truth["tokens_by_workflow"]
    assert metrics.total("agent_tokens_total") == truth["tokens"]

    cache = fusebox.sql("SELECT sum(cache_hit) AS hits, sum(cache_hit = 0) AS misses FROM spans")
    assert cache == [{"hits": truth["cache_hits"], "misses": truth["cache_misses"]}]
    steps = fusebox.sql(
        "SELECT attr(attributes, 'cache_hit') AS raw, step_id, cache_hit, count(*) AS n FROM spans WHERE cache_hit IS NOT NULL "
        "GROUP BY raw, step_id, cache_hit")
    assert {row["step_id"]: row["n"] for row in steps if row["cache_hit"] == 1} == truth["cache_hits_by_step"]
    assert {row["step_id"]: row["n"] for row in steps if row["cache_hit"] == 0} == truth["cache_misses_by_step"]
    assert metrics.total("agent_cache_lookups_total", result="hit") == truth["cache_hits"]
    assert metrics.total("agent_cache_lookups_total", result="miss") == truth["cache_misses"]

    batches = fusebox.sql(
        "SELECT retrieval_batch AS size, count(*) AS n FROM spans WHERE retrieval_batch IS NOT NULL GROUP BY retrieval_batch")
    assert {str(row["size"]): row["n"] for row in batches} == truth["retrieval_batch"]["by_value"]
    assert metrics.value("agent_retrieval_batch_size_count") == truth["retrieval_batch"]["count"]
    assert metrics.value("agent_retrieval_batch_size_sum") == truth["retrieval_batch"]["sum"]
    depths = fusebox.sql("SELECT max(queue_depth) AS max, count(queue_depth) AS spans_with_it FROM spans")[0]
    assert depths == {key: truth["queue_depth"][key] for key in ("max", "spans_with_it")}
    assert metrics.value("agent_queue_depth_observed_count") == truth["queue_depth"]["spans_with_it"]


def check_tools(fusebox, metrics, truth):
    """Calls, timeouts and refusals of each tool. The vector store and the model are attempts of their own."""
    names = set(truth["tool_calls_by_tool"])
    tools = {row["tool_name"]: row for row in fusebox.sql("SELECT * FROM tools") if row["tool_name"] in names}
    assert {name: row["calls"] for name, row in tools.items()} == truth["tool_calls_by_tool"]
    assert {name: row["timeouts"] for name, row in tools.items()} == truth["timeouts_by_tool"]
    assert {name: row["rejected"] for name, row in tools.items()} == truth["refused_by_breaker"]

    def of_tools(sums):
        return {name: sums.get(name, 0) for name in names}

    assert of_tools(metrics.by("agent_tool_calls_total", "tool")) == truth["tool_calls_by_tool"]
    assert of_tools(metrics.by("agent_tool_timeouts_total", "tool")) == truth["timeouts_by_tool"]
    assert of_tools(metrics.by("agent_tool_calls_total", "tool", outcome="timeout")) == truth["timeouts_by_tool"]
    assert of_tools(metrics.by("agent_breaker_rejections_total", "tool")) == truth["refused_by_breaker"]
    listed = fusebox.sql("SELECT tool_name, count(*) AS n FROM timeouts GROUP BY tool_name")
    assert of_tools({row["tool_name"]: row["n"] for row in listed}) == truth["timeouts_by_tool"]
    # Every attempt that ran has a duration.
    ran = metrics.total("agent_tool_calls_total") - metrics.total("agent_tool_calls_total", outcome="rejected")
    assert metrics.total("agent_tool_call_duration_seconds_count") == ran


def expected_breakers(name, truth):
    tools = captures.expected(name)
    if tools is not None:
        return tools
    # Of `handmade-logical` only the agent's own account is there. All of its edges show in spans; its cooldown runs on to the next
    # call, and ours ends one cooldown after the last evidence.
    rejections = truth["refused_by_breaker"]
    return {
        tool: {
            "calls": {"timeout": truth["timeouts_by_tool"][tool], "rejected": rejections[tool]},
            "timeouts": truth["timeouts_by_tool"][tool],
            "rejections": rejections[tool],
            **{edge: breaker[edge] for edge in ("opens", "half_opens", "closes")},
            "cooldown_seconds": seen_open_seconds(name, tool, float(captures.KNOBS[name]["BREAKER_COOLDOWN_S"])),
        }
        for tool, breaker in truth["breaker"].items()
    }


def seen_open_seconds(name, tool, cooldown):
    """How long a breaker was open by the states that spans carried at their starts."""
    states = []
    for span in captures.spans(name).values():
        attributes = {attribute.key: attribute.value.string_value for attribute in span.attributes}
        if attributes.get("tool_name") == tool:
            states.append((span.start_time_unix_nano / 1e9, attributes["breaker_state"]))
    total, opened, seen = 0, None, None
    for start, state in sorted(states):
        if opened is not None and state != "open":
            total += min(start, seen + cooldown) - opened
            opened = None
        elif state == "open":
            opened, seen = opened or start, start
    return total + (seen + cooldown - opened if opened else 0)


def check_breakers(metrics, tools):
    for tool, want in tools.items():
        calls = {outcome: metrics.value("agent_tool_calls_total", tool=tool, outcome=outcome) for outcome in want["calls"]}
        assert calls == want["calls"], tool
        assert metrics.total("agent_tool_timeouts_total", tool=tool) == want["timeouts"], tool
        assert metrics.value("agent_breaker_rejections_total", tool=tool) == want["rejections"], tool
        edges = {edge: metrics.value(f"agent_breaker_{edge}_total", tool=tool) for edge in ("opens", "half_opens", "closes")}
        assert edges == {edge: want[edge] for edge in edges}, tool
        cooldown = metrics.value("agent_breaker_cooldown_seconds_total", tool=tool)
        assert abs(cooldown - want["cooldown_seconds"]) <= COOLDOWN_TOLERANCE_SECONDS, (tool, cooldown)


@pytest.mark.parametrize("name", [name for name in captures.HANDMADE if captures.expected(name)])
def test_edges_of_breakers_are_listed(name, launch):
    fusebox = launch({"BREAKER_SETTLE_S": str(SETTLE_SECONDS), **captures.KNOBS[name]})
    captures.replay(fusebox, captures.posts(name))
    fusebox.settled()
    want = {}
    for tool, numbers in captures.expected(name).items():
        for state, number in ("open", "opens"), ("half_open", "half_opens"), ("closed", "closes"):
            if numbers[number]:
                want[tool, state] = numbers[number]

    def listed():
        rows = fusebox.sql("SELECT tool_name, to_state, count(*) AS n FROM breaker_transitions WHERE machine = 'reported' "
                           "GROUP BY tool_name, to_state")
        return {(row["tool_name"], row["to_state"]): row["n"] for row in rows}

    poll(f"breaker_transitions {want}", lambda: listed() == want, 5)
