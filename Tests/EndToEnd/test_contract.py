"""The loop contract, docs/metrics.md 2.14: what captured agents' loops did, against a sweep over their spans; gates, packet and page's API."""

import json
import random

import pytest

import captures
import contract_model
import wire
from server import Fusebox

SECOND = 1_000_000_000
LIMITS = {"WORKFLOW_MAX_CONCURRENCY": "1", "RETRIEVAL_BATCH_SIZE": "4", "EMBED_BATCH_SIZE": "2", "BREAKER_SETTLE_S": "1"}
FAMILIES = ("agent_workflow_concurrency", "agent_host_workflow_concurrency", "agent_workflow_concurrency_breaches_total", "agent_retrieval_batch_breaches_total",
            "agent_embed_batch_breaches_total", "agent_embedding_overlap_seconds_total", "agent_process_memory_peak_bytes", "agent_host_memory_peak_bytes",
            "agent_host_memory_total_bytes")


def told(metrics):
    """What /metrics tells of loops, as the model words it."""
    found = {}
    for family in FAMILIES:
        for labels, value in metrics.rows(family):
            value = round(value * 1e9) if family.endswith("_seconds_total") else int(value)
            if value:
                found[family, tuple(sorted(labels.items()))] = value
    return found


def swept(server, limits):
    """The same by a sweep over the spans that are stored, whose columns other tests hold against the wire."""
    spans = []
    for row in server.sql(
            "SELECT service_name, resource_attributes, start_time_unix_nano AS start, end_time_unix_nano AS finish, workflow_name, parent_span_id, workflow_root, operation,"
            " stage, retrieval_batch, embed_batch FROM spans"):
        resource = json.loads(row["resource_attributes"])
        pid = resource.get("process.pid")
        instance = resource.get("service.instance.id") or (f"{resource['host.name']}:{pid}" if resource.get("host.name") and pid is not None else "")
        span = {"service": row["service_name"], "instance": instance, "host": resource.get("host.name", ""), "start": int(row["start"]), "end": int(row["finish"]),
                "run": bool(row["workflow_name"]) and (row["parent_span_id"] is None or row["workflow_root"] == 1),
                "call": "embedding" if row["operation"] == "embeddings" else "model" if row["stage"] == "llm" else None,
                "retrieval": row["retrieval_batch"], "embed": row["embed_batch"],
                "workflow_limit": limits[0], "retrieval_limit": limits[1], "embed_limit": limits[2]}
        spans.append(span)
    return {(family, tuple(sorted(labels))): value for (family, labels), value in contract_model.sweep(spans).items()}


@pytest.mark.parametrize("order", ["in order", "shuffled", "twice", "over a restart"])
def test_captured_agents_give_what_a_sweep_gives(binary, tmp_path, order):
    posts = [post for name in captures.NAMES for post in captures.posts(name) if post.path == "/v1/traces"]
    if order != "in order":
        random.Random(order).shuffle(posts)
    server = Fusebox(binary, tmp_path / "data", LIMITS).start()
    try:
        for number, post in enumerate(posts):
            for _ in range(2 if order == "twice" else 1):
                connection = server.connect()
                assert post.send(connection, server.port).status == 200
                connection.close()
            if order == "over a restart" and number % (len(posts) // 4) == 1:
                if number % 2:
                    server.kill()
                else:
                    server.stop()
                server.start()
        expected = swept(server, (1, 4, 2))
        assert told(server.settled()) == expected
        families = {family for family, _ in expected}
        # The captures have runs side by side, large batches, and embeddings, or this test would hold nothing.
        assert {"agent_workflow_concurrency", "agent_host_workflow_concurrency", "agent_retrieval_batch_breaches_total",
                "agent_embed_batch_breaches_total"} <= families, families
        assert max(value for (family, _), value in expected.items() if family == "agent_workflow_concurrency") > 1
    finally:
        server.stop()


RESOURCE = [("service.name", "loop"), ("service.instance.id", "one"), ("host.name", "box"), ("workflow.max_concurrency", 2), ("retrieval.max_batch_size", "8"),
            ("EMBED_BATCH_SIZE", 16), ("asyncio.policy", "uvloop"), ("asyncio.executor", "thread-pool-4"), ("system.memory.limit", 1000)]


def loop(now, runs=2, retrieval=8, embed=16, memory=800, lasts=SECOND):
    """An agent's loop within its contract, if nothing else is asked for."""
    spans = [wire.span(name="run", start=now, end=now + lasts, attributes=[("workflow_name", "w")]) for _ in range(runs)]
    parent = wire.span_id()
    spans.append(wire.span(name="retrieve", start=now, end=now + lasts, parent=parent, attributes=[("gen_ai.operation.name", "retrieval"), ("retrieval_batch", retrieval)]))
    spans.append(wire.span(name="embed", start=now, end=now + lasts // 2, parent=parent, attributes=[("gen_ai.operation.name", "embeddings"), ("embed_batch", embed)]))
    spans.append(wire.span(name="chat", start=now + lasts // 4, end=now + lasts, parent=parent, attributes=[
        ("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "m"), ("process.memory.usage", memory)]))
    return wire.batch(*spans, resource=RESOURCE)


def gates(server, *arguments):
    done = server.run("gate", "--data-dir", str(server.folder), "--format", "json", "--since", "1h", *arguments)
    report = json.loads(done.stdout)
    return done.returncode, {row["gate"]: row for row in report["sections"]["gates"]["rows"]}


@pytest.fixture
def server(binary, tmp_path):
    server = Fusebox(binary, tmp_path / "data", {"BREAKER_SETTLE_S": "1", "REMOTE_SOAK_MIN_HOURS": "0"}).start()
    yield server
    server.stop()


def now_of(server, ago=10 * SECOND):
    return int(json.loads(server.get("/api/status").body)["now_unix_nano"]) - ago


def test_a_loop_within_its_contract_passes(server):
    assert server.post(loop(now_of(server))).status == 200
    code, rows = gates(server, "--memory-headroom-min", "0.15")
    assert code == 0, rows
    found = {name: (rows[name]["value"], rows[name]["limit"], rows[name]["result"]) for name in ("workflow_concurrency", "retrieval_batch", "embed_batch", "memory_headroom")}
    assert found == {"workflow_concurrency": (2, 2, "pass"), "retrieval_batch": (8, 8, "pass"), "embed_batch": (16, 16, "pass"),
                     "memory_headroom": (pytest.approx(0.2), 0.15, "pass")}
    (row,) = server.sql("SELECT * FROM contract")
    assert row | {"host_memory_headroom": None} == {
        "service_name": "loop", "instance_id": "one", "host_name": "box", "runs": 2, "workflow_limit": 2, "workflows_at_once": 2, "workflow_breaches": 0,
        "host_workflows_at_once": 2, "host_workflow_breaches": 0, "retrieval_limit": 8, "retrieval_batch_max": 8, "retrieval_breaches": 0, "embed_limit": 16,
        "embed_batch_max": 16, "embed_breaches": 0, "host_overlap_ns": SECOND // 4, "process_memory_bytes": 800, "host_memory_bytes": 800,
        "host_memory_total_bytes": 1000, "host_memory_headroom": None, "asyncio_policy": "uvloop", "executor": "thread-pool-4"}
    assert row["host_memory_headroom"] == pytest.approx(0.2)


@pytest.mark.parametrize("change, gate", [
    ({"runs": 3}, "workflow_concurrency"), ({"retrieval": 9}, "retrieval_batch"), ({"embed": 17}, "embed_batch"), ({"memory": 900}, "memory_headroom")])
def test_what_agents_declare_is_judged(server, change, gate):
    assert server.post(loop(now_of(server), **change)).status == 200
    code, rows = gates(server)
    assert code == 1
    assert {name for name, row in rows.items() if row["result"].startswith("fail")} == {gate}


@pytest.mark.parametrize("flag, limit, gate", [
    ("--workflow-concurrency-max", "1", "workflow_concurrency"), ("--retrieval-batch-max", "7", "retrieval_batch"), ("--embed-batch-max", "15", "embed_batch"),
    ("--memory-headroom-min", "0.25", "memory_headroom")])
def test_each_limit_fails_its_gate(server, flag, limit, gate):
    assert server.post(loop(now_of(server))).status == 200
    code, rows = gates(server, flag, limit)
    assert code == 1
    assert {name for name, row in rows.items() if row["result"].startswith("fail")} == {gate}
    assert rows[gate]["limit"] == float(limit)


def test_headroom_that_is_asked_for_needs_readings(server):
    now = now_of(server)
    assert server.post(wire.batch(wire.span(start=now, end=now + SECOND, attributes=[("workflow_name", "w")]))).status == 200
    assert gates(server)[0] == 0
    code, rows = gates(server, "--memory-headroom-min", "0.15")
    assert (code, rows["memory_headroom"]["result"]) == (3, "no data")


def test_a_soak_packet_has_a_line_each(server, tmp_path):
    folder = ["--data-dir", str(server.folder)]
    assert server.run("soak", "start", *folder).returncode == 0
    assert server.post(loop(now_of(server, ago=0), runs=3, lasts=1_000_000)).status == 200
    # It hashes the program itself.
    done = server.run("soak", "finish", "--out", str(tmp_path / "packet"), *folder, timeout=300)
    assert done.returncode == 1, done.stderr
    report = json.loads((tmp_path / "packet" / "report.json").read_text())
    rows = {row["gate"]: row["result"] for row in report["sections"]["gates"]["rows"]}
    assert rows.items() >= {"workflow_concurrency": "fail", "retrieval_batch": "pass", "embed_batch": "pass", "memory_headroom": "pass"}.items()
    (row,) = report["sections"]["contract"]["rows"]
    assert (row["service"], row["at_once"], row["run_limit"]) == ("loop", 3, 2)
    verified = server.run("soak", "verify", str(tmp_path / "packet"), "--spans", *folder, timeout=300)
    assert verified.returncode == 0 and b"verdict: failed" in verified.stdout, verified.stderr + verified.stdout


# Sizes of embedding calls as the agents made them: of those whose spans tell.
EMBEDDED = {"openai-openinference": [3] * 5, "openai-openinference-content": [3, 3], "langfuse": [2], "mlflow": [2], "pydantic_ai": [3]}


@pytest.mark.parametrize("name", EMBEDDED)
def test_embedding_calls_tell_how_many_texts_they_took(server, name):
    folder = captures.FIXTURES / ("otlp" if name in captures.NAMES else "frameworks") / name
    for head in sorted(folder.glob("*.json-headers")):
        post = captures.Post(head)
        if post.path.endswith("/v1/traces"):
            connection = server.connect()
            assert post.send(connection, server.port).status == 200
            connection.close()
    rows = server.sql("SELECT embed_batch AS n FROM spans WHERE embed_batch IS NOT NULL")
    assert sorted(row["n"] for row in rows) == EMBEDDED[name]
    metrics = server.settled()
    assert metrics.value("agent_embed_batch_size_count") == len(rows)
    assert metrics.value("agent_embed_batch_size_sum") == sum(EMBEDDED[name])
