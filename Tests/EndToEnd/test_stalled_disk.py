"""A disk that hangs in fsync: questions are answered, and health says what is the matter."""

import json
import threading
import time

import pytest

import faults as kit
from faults import Faults, SYNC
from server import poll
from wire import batch, span, span_id, trace_id


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return kit.build(tmp_path_factory.mktemp("faults"))


def timed(ask):
    start = time.monotonic()
    answer = ask()
    return answer, time.monotonic() - start


def test_questions_are_answered_while_an_fsync_hangs(library, launch, tmp_path):
    faults = Faults(library, tmp_path)
    fusebox = launch(faults.environment())

    def post():
        return fusebox.post(batch(span(trace_id(), span_id(), attributes=[("tool_name", "web"), ("stage", "http_tool")])))
    assert post().status == 200
    assert fusebox.metrics().total("agent_tool_calls_total", tool="web") == 1
    faults.set(SYNC, "fusebox.db-wal", delay=8.0)
    waiting = threading.Thread(target=post)
    waiting.start()
    began = time.monotonic()
    try:
        answer = poll("health says so", lambda: (a := fusebox.get("/-/ready")).status == 503 and a, 3)
        assert time.monotonic() - began < 1.5
        assert b"the disk does not answer" in answer.body
        for path in ["/metrics", "/api/status", "/api/breakers", "/-/healthy"]:
            answer, seconds = timed(lambda path=path: fusebox.get(path))
            assert answer.status == 200 and seconds < 2, (path, seconds)
        # Committed values only, and how old they are.
        assert fusebox.metrics().total("agent_tool_calls_total", tool="web") == 1
        status = json.loads(fusebox.get("/api/status").body)
        assert status["taking_spans"] is False and "does not answer" in status["refusing_because"]
    finally:
        faults.clear()
        waiting.join()
    poll("ready again", lambda: fusebox.get("/-/ready").status == 200, 20)
    metrics = fusebox.metrics()
    assert metrics.total("agent_tool_calls_total", tool="web") == 2
    assert metrics.total("fusebox_snapshot_age_seconds") == 0


def test_what_settles_shows_by_itself(launch):
    fusebox = launch({"BREAKER_SETTLE_S": "2"})
    now = time.time_ns()
    fusebox.post(batch(*[
        span(trace_id(), span_id(), start=now - 10**7 + n, end=now - 10**6 + n,
             attributes=[("tool_name", "web"), ("stage", "http_tool"), ("timeout", True)]) for n in range(3)]))
    began = time.monotonic()
    poll("settled", lambda: fusebox.metrics().total("agent_breaker_derived_opens_total", tool="web") == 1, 10)
    assert time.monotonic() - began < 2 + 1 + 1.5
