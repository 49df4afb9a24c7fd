"""What is longer than an answer may be is cut, and every door says so."""

import json

import pytest

import wire
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from server import Fusebox

# Spans of one trace that are shown.
SPANS = 50_000
TRACE = bytes([7] * 16)


@pytest.fixture(scope="module")
def large(binary, tmp_path_factory):
    """A server with a trace of more spans than are shown, and more services than a list has."""
    server = Fusebox(binary, tmp_path_factory.mktemp("large") / "data").start()
    for start in range(0, SPANS + 100, 10_020):
        spans = [wire.span(TRACE, (start + place + 1).to_bytes(8, "big"), "s") for place in range(10_020)]
        assert server.post(wire.batch(*spans)).status == 200
    for start in range(0, 1010, 101):
        body = b"".join(wire.batch(wire.span(), resource=[("service.name", f"service-{start + place:04}")]) for place in range(101))
        assert server.post(body).status == 200
    yield server
    server.stop()


@pytest.fixture(scope="module")
def count(large):
    total = large.scalar("SELECT count(*) FROM spans WHERE trace_id = :t", t=TRACE.hex())
    assert total > SPANS
    return total


def test_the_drawn_trace_says_how_many_spans_there_are(large, count):
    done = large.run("trace", "--data-dir", str(large.folder), TRACE.hex(), timeout=120)
    assert done.returncode == 0, done.stderr
    assert f"the first {SPANS} of {count} spans" in done.stdout.decode().split("\n")[0]


def test_the_api_says_so(large, count):
    answer = large.get(f"/api/traces/{TRACE.hex()}")
    found = json.loads(answer.body)
    assert found["truncated"] and found["span_count"] == count and len(found["spans"]) == SPANS
    assert f"spans after {SPANS}" in answer.headers["Fusebox-Truncated"]


def test_tempo_says_so(large, count):
    first = large.get(f"/tempo/api/traces/{TRACE.hex()}")
    assert first.status == 200 and f"after {SPANS}" in first.headers["Fusebox-Truncated"]
    second = json.loads(large.get(f"/tempo/api/v2/traces/{TRACE.hex()}").body)
    assert second["status"] == "PARTIAL" and second["message"].startswith(f"the first {SPANS} of {count} spans")
    # The protobuf that Grafana asks for has them all.
    whole = large.get(f"/tempo/api/traces/{TRACE.hex()}", {"Accept": "application/protobuf"})
    assert "Fusebox-Truncated" not in whole.headers
    assert sum(len(scope.spans) for resource in TracesData.FromString(whole.body).resource_spans for scope in resource.scope_spans) == count


def test_jaeger_says_so(large, count):
    (trace,) = json.loads(large.get(f"/jaeger/api/traces/{TRACE.hex()}").body)["data"]
    assert len(trace["spans"]) == SPANS
    (warning,) = trace["warnings"]
    assert warning.startswith(f"the first {SPANS} of {count} spans")
    assert f"after {SPANS}" in large.get(f"/jaeger/api/v3/traces/{TRACE.hex()}").headers["Fusebox-Truncated"]


def test_a_list_says_that_there_is_more(large):
    answer = large.get("/api/services")
    assert len(json.loads(answer.body)) == 1000 and answer.headers["Fusebox-Truncated"] == "services after 1000"
    assert "Fusebox-Truncated" not in large.get("/api/tools").headers
