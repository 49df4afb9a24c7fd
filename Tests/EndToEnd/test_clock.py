"""A wall clock that jumps: what was wrong for a moment costs nothing that lasts."""

import time

import pytest

import faults as kit
from faults import Faults
from server import poll
from wire import batch, span, span_id, trace_id

HOUR = 1 / 24
TIMEOUT = {"tool_name": "web", "stage": "http_tool", "timeout": True}


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return kit.build(tmp_path_factory.mktemp("faults"))


@pytest.fixture
def moving(library, launch, tmp_path):
    """A server that settles within two seconds, and whose clock moves."""
    faults = Faults(library, tmp_path)
    fusebox = launch(faults.environment() | {"BREAKER_SETTLE_S": "2"})
    fusebox.faults = faults
    yield fusebox
    faults.move_clock(0)


def call(fusebox, days=0.0, **attributes):
    now = time.time_ns() + int(days * 86400 * 10**9)
    answer = fusebox.post(batch(span(
        trace_id(), span_id(), start=now - 10**6, end=now, attributes=attributes.items())))
    assert answer.status == 200, answer


@pytest.mark.parametrize("clients_jump", [True, False])
@pytest.mark.parametrize("days", [HOUR, 400, -HOUR, -400])
def test_one_request_while_the_clock_is_wrong_stops_nothing(moving, days, clients_jump):
    call(moving, tool_name="other", stage="http_tool")
    moving.faults.move_clock(days)
    call(moving, days if clients_jump else 0, tool_name="other", stage="http_tool", breaker_state="open")
    moving.faults.move_clock(0)
    time.sleep(1.1)
    for _ in range(3):
        call(moving, **TIMEOUT)
    call(moving, tool_name="own", stage="http_tool", breaker_state="open")

    def opened():
        metrics = moving.metrics()
        return (metrics.total("agent_breaker_derived_opens_total", tool="web") == 1
                and metrics.total("agent_breaker_opens_total", tool="own") == 1
                and metrics.total("fusebox_pending_observations") == 0)
    poll("breakers settle", opened, 15)
    rows = moving.sql("SELECT max(abs(received_time_unix_nano - end_time_unix_nano)) AS lag FROM spans WHERE tool_name = 'web'")
    assert rows[0]["lag"] < 60 * 10**9
    moving.restart()
    assert opened()
    for _ in range(3):
        call(moving, tool_name="later", stage="http_tool", timeout=True)
    poll("and after a restart", lambda: moving.metrics().total("agent_breaker_derived_opens_total", tool="later") == 1, 15)


@pytest.mark.parametrize("days", [HOUR, 400, -400])
def test_a_clock_that_jumps_while_the_server_is_stopped_stops_nothing(moving, days):
    for _ in range(2):
        call(moving, **TIMEOUT)
    moving.stop()
    moving.faults.move_clock(days)
    moving.start()
    call(moving, days, **TIMEOUT)
    moving.stop()
    moving.faults.move_clock(0)
    moving.start()
    for _ in range(3):
        call(moving, tool_name="later", stage="http_tool", timeout=True)
    poll("breakers settle", lambda: moving.metrics().total("agent_breaker_derived_opens_total", tool="later") == 1, 15)
    assert moving.metrics().total("agent_breaker_derived_opens_total", tool="web") == 1


def test_logs_and_the_live_tail_go_by_the_clock_as_it_is(moving):
    moving.faults.move_clock(400)
    call(moving, 400, tool_name="ahead")
    moving.faults.move_clock(0)
    connection = moving.connect(timeout=10)
    connection.request("GET", "/api/tail")
    response = connection.getresponse()
    time.sleep(0.5)
    call(moving, tool_name="after")
    told = b""
    while b"after" not in told:
        told += response.read1(65536)
    connection.close()
    status = moving.get("/api/status")
    assert b'"received_time_unix_nano":"1' in status.body
