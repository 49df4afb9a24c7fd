"""What agents of many frameworks sent, replayed: the tables and /metrics say what each agent and its mock model counted.

What cannot be known from the wire stands below with its reason, and nothing else is left out."""

import base64
import collections
import json
import random

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import captures

FOLDER = captures.FIXTURES / "frameworks"
NAMES = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())
SETTLE_SECONDS = 2
OUTCOMES = ("ok", "error", "timeout")

# Model calls that failed for good: errors, timeouts. (truth.json counts failed requests, which clients repeat by themselves.)
FAILED_CALLS = {
    "anthropic": (0, 1), "autogen": (0, 1), "claude_code": (0, 1), "gemini_cli": (0, 1), "langfuse": (0, 1), "langsmith": (0, 1),
    "litellm": (1, 1), "litellm_proxy": (2, 1), "mlflow": (0, 1), "openai_agents": (0, 1), "openai_agents_logfire": (0, 1),
    "openlit": (0, 1), "pydantic_ai": (0, 1),
}

# Streams whose spans have no time of the first token.
NO_FIRST_TOKEN = {
    "google_adk", "langsmith", "litellm", "litellm_proxy", "openai_agents", "openai_agents_logfire", "smolagents",
}
# Calls that have one though the truth does not count streams, or that were none.
FIRST_TOKENS = {"claude_code": 4, "openlit": 20, "vercel_ai": 4}

# By folder, what differs from the truth and why.
KNOWN = {
    "autogen": {
        "input": (14190, "a stream has no usage unless the program asks for it (include_usage)"),
        "output": (1230, "the same"),
        "cached": (576, "the same"),
        "runs": (
            {"researcher": 6, "boss": 1, "flaky": 1, "hanger": 1},
            "a team has no name; a trace of one is no run, though it goes by the agent that was called in it"),
        "sessions": ({"s-1": 2, "s-2": 2, "s-3": 1, "s-4": 1, "s-5": 1, "s-6": 2, "s-7": 2}, "a team is several traces"),
    },
    "claude_code": {
        "runs": ({"claude_code.interaction": 1}, "the truth has no name for it"),
    },
    "crewai_events": {
        "input": (18344, "the event listener and the client's instrumentation tell of every call, in different traces"),
        "output": (1616, "the same"),
        "cached": (896, "the same"),
        "model calls": ((34, 0, 0), "the same"),
        "sessions": ({"s-1": 9, "s-2": 6, "s-3": 3, "s-4": 3, "s-5": 3}, "each model call is a trace of its own"),
    },
    "gemini_cli": {
        "sessions": ({"22222222-3333-4444-8555-666666666666": 1}, "the calls of a prompt are made a trace"),
    },
    "litellm": {
        "cached": (0, "in a Python text (metadata.usage_object)"),
        "cache write": (0, "the same"),
        "sessions": ({}, "not sent"),
    },
    "litellm_proxy": {
        "cached": (0, "in a Python text (metadata.usage_object)"),
    },
    "mlflow": {
        "input": (10556, "embeddings have no usage"),
        "sessions": ({}, "mlflow.trace.session is not sent over OTLP"),
    },
    "openai_agents": {
        "tools": ({"slow_api": (0, 1, 0)}, "the SDK keeps the cause of a failed tool to itself"),
        "sessions": ({"s-1": 2}, "only those of using_session are sent"),
    },
    "openai_agents_logfire": {
        "tools": ({"slow_api": (0, 1, 0)}, "the SDK keeps the cause of a failed tool to itself"),
    },
    "openlit": {
        "runs": ({"researcher": 8}, "a program that only calls a model has no name"),
    },
    "pydantic_ai": {
        "runs": ({"researcher": 8, "flaky": 1, "hanger": 1}, "a program that only embeds has no name"),
    },
    "smolagents": {
        "cached": (0, "not sent"),
        "tools": ({"final_answer": (8, 0, 0)}, "a tool of the framework's own"),
    },
}


def truth(name):
    return json.loads((FOLDER / name / "truth.json").read_text())


def posts(name):
    return [captures.Post(path) for path in sorted((FOLDER / name).glob("*.json-headers"))]


def expected(name):
    """What each door should say."""
    facts = truth(name)
    tokens = facts["tokens"]
    errors, timeouts = FAILED_CALLS.get(name, (0, 0))
    streamed = 0 if name in NO_FIRST_TOKEN else facts.get("streamed", 0)
    want = {
        "input": tokens["input"] + facts.get("embedding_tokens", 0),
        "output": tokens["output"],
        "cached": tokens["cached"],
        "cache write": tokens["cache_write"],
        "model calls": (facts["model_calls_ok"], errors, timeouts),
        "tools": {tool: tuple(counts[outcome] for outcome in OUTCOMES) for tool, counts in facts["tools"].items()},
        "runs": dict(collections.Counter(run["workflow"] for run in facts["runs"] if run["workflow"])),
        "sessions": facts["sessions"],
        "retrievals": sorted(facts.get("retrievals", [])),
        "first tokens": FIRST_TOKENS.get(name, streamed),
    }
    for check, (value, _) in KNOWN.get(name, {}).items():
        want[check] = {**want[check], **value} if check == "tools" else value
    return want


def of_tables(fusebox):
    """What SQL says."""
    (tokens,) = fusebox.sql(
        "SELECT coalesce(sum(input_tokens), 0) AS i, coalesce(sum(output_tokens), 0) AS o, coalesce(sum(cached_tokens), 0) AS c, "
        "coalesce(sum(cache_write_tokens), 0) AS w FROM token_spans")
    calls = fusebox.sql("SELECT coalesce(sum(ok), 0) AS ok, coalesce(sum(errors), 0) AS error, coalesce(sum(timeouts), 0) AS timeout "
                        "FROM tools WHERE stage = 'llm'")[0]
    tools = fusebox.sql("SELECT tool_name, sum(ok) AS ok, sum(errors) AS error, sum(timeouts) AS timeout FROM tools "
                        "WHERE stage NOT IN ('llm', 'vector') GROUP BY tool_name")
    return {
        "input": tokens["i"], "output": tokens["o"], "cached": tokens["c"], "cache write": tokens["w"],
        "model calls": tuple(calls[outcome] for outcome in OUTCOMES),
        "tools": {row["tool_name"]: tuple(row[outcome] for outcome in OUTCOMES) for row in tools},
        "runs": {row["workflow_name"]: row["n"]
                 for row in fusebox.sql("SELECT workflow_name, sum(runs) AS n FROM workflows GROUP BY workflow_name HAVING n > 0")},
        "sessions": {row["session_id"]: row["trace_count"] for row in fusebox.sql("SELECT session_id, trace_count FROM sessions")},
        "retrievals": sorted(row["n"] for row in fusebox.sql(
            "SELECT retrieval_batch AS n FROM spans WHERE retrieval_batch IS NOT NULL")),
    }


def of_metrics(metrics):
    """What /metrics says."""
    def number(family, **labels):
        known = family.removesuffix("_count").removesuffix("_sum") in metrics.types
        return int(metrics.total(family, **labels)) if known else 0

    def outcomes(**labels):
        return tuple(number("agent_tool_calls_total", outcome=outcome, **labels) for outcome in OUTCOMES)

    kinds = {kind: number("agent_tokens_total", type=kind) for kind in ("input", "cache_read", "cache_write", "output")}
    tools = set()
    if "agent_tool_calls_total" in metrics.types:
        for stage in ("http_tool", "subprocess", "other"):
            tools |= {(stage, tool) for tool, count in metrics.by("agent_tool_calls_total", "tool", stage=stage).items() if count}
    runs = metrics.by("agent_workflow_runs_total", "workflow") if "agent_workflow_runs_total" in metrics.types else {}
    return {
        "input": kinds["input"] + kinds["cache_read"] + kinds["cache_write"], "output": kinds["output"],
        "cached": kinds["cache_read"], "cache write": kinds["cache_write"],
        "model calls": outcomes(stage="llm"),
        "tools": {tool: outcomes(tool=tool, stage=stage) for stage, tool in tools},
        "runs": {name: int(count) for name, count in runs.items() if count},
        "retrievals": (number("agent_retrieval_batch_size_count"), number("agent_retrieval_batch_size_sum")),
        "first tokens": number("agent_llm_time_to_first_token_seconds_count"),
    }


def differences(fusebox, name):
    """Where a door says something else than the truth: (door, check, said, true)."""
    want = expected(name)
    metrics = fusebox.settled()
    found = []
    for door, seen in (("tables", of_tables(fusebox)), ("metrics", of_metrics(metrics))):
        for check, value in seen.items():
            right = want[check]
            if door == "metrics" and check == "retrievals":
                right = (len(right), sum(right))
            if value != right:
                found.append((door, check, value, right))
    return found


def send(fusebox, requests):
    for post in requests:
        # Some exporters close after each.
        connection = fusebox.connect()
        try:
            answer = post.send(connection, fusebox.port)
        finally:
            connection.close()
        assert answer.status == 200, answer


class OneSpan:
    """A span of a capture in a request of its own."""

    def __init__(self, resource, scope, span):
        self.request = ExportTraceServiceRequest()
        resource_spans = self.request.resource_spans.add()
        resource_spans.resource.CopyFrom(resource)
        scope_spans = resource_spans.scope_spans.add()
        scope_spans.scope.CopyFrom(scope)
        scope_spans.spans.add().CopyFrom(span)

    def send(self, connection, port):
        connection.request("POST", "/v1/traces", self.request.SerializeToString(), {"Content-Type": "application/x-protobuf"})
        return captures.Answer.read(connection)


def _base64_ids(value):
    """OTLP/JSON as protobuf's own JSON has it."""
    if isinstance(value, dict):
        return {key: base64.b64encode(bytes.fromhex(inner)).decode() if key in ("traceId", "spanId", "parentSpanId")
                else _base64_ids(inner) for key, inner in value.items()}
    return [_base64_ids(inner) for inner in value] if isinstance(value, list) else value


def apart(requests):
    """The requests with each span by itself."""
    single = []
    for post in requests:
        if post.path != "/v1/traces":
            single.append(post)
            continue
        if "json" in dict((name.lower(), value) for name, value in post.headers)["content-type"]:
            request = json_format.ParseDict(_base64_ids(json.loads(post.plain_body)), ExportTraceServiceRequest())
        else:
            request = ExportTraceServiceRequest.FromString(post.plain_body)
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                single += [OneSpan(resource.resource, scope.scope, span) for span in scope.spans]
    return single


def shuffled(requests):
    return random.Random(1).sample(requests, len(requests))


ORDERS = {
    "posted": lambda requests: [requests],
    "span by span, shuffled": lambda requests: [shuffled(apart(requests))],
    "twice": lambda requests: [requests + requests],
    "split over a restart": lambda requests: (lambda single: [single[::2], single[1::2]])(shuffled(apart(requests))),
}


@pytest.mark.parametrize("name", NAMES)
def test_doors_say_what_the_agent_counted(name, launch, subtests):
    requests = posts(name)
    servers = {}
    for order, arrange in ORDERS.items():
        servers[order] = launch({"BREAKER_SETTLE_S": str(SETTLE_SECONDS)})
        parts = arrange(requests)
        for part in parts:
            send(servers[order], part)
            if part is not parts[-1]:
                servers[order].restart()
    for order, fusebox in servers.items():
        with subtests.test(order):
            assert differences(fusebox, name) == []


def test_everything_that_is_left_out_has_a_reason():
    for name, checks in KNOWN.items():
        assert name in NAMES
        want = expected(name)
        for check, (_, reason) in checks.items():
            assert check in want and reason
