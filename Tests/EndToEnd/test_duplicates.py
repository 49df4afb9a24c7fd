"""A second span of the same ids: the same again, the other side of a call, or something else. None is lost in silence."""

import json

import pytest

from doors import Grpc, Json, Protobuf
from wire import BASE_TIME, batch, number, span, span_id, trace_id

CLIENT, SERVER, INTERNAL = 3, 2, 1


def kind(value):
    return number(6, value)


@pytest.mark.parametrize("make", [Protobuf, Json, Grpc])
def test_what_differs_from_what_is_stored_is_told(launch, make):
    fusebox = launch()
    door = make(fusebox)
    trace, identity = trace_id(), span_id()
    running = span(trace, identity, name="work", end=0)
    ended = span(trace, identity, name="work", attributes=[("done", "yes")])
    first = door.send_batch(batch(running))
    assert (first.status, first.rejected) == (200, 0), first
    # The same again is acknowledged in silence,
    again = door.send_batch(batch(running))
    assert (again.status, again.rejected, again.message) == (200, 0, ""), again
    # another one is not stored and told, with how many there are,
    other = door.send_batch(batch(ended, span(trace_id(), span_id()), running))
    assert (other.status, other.rejected) == (200, 1), other
    assert "1 whose ids are stored already with other contents" in other.message and "first were kept" in other.message
    # within one request as well.
    twice = span_id()
    inside = door.send_batch(batch(span(trace, twice, name="a"), span(trace, twice, name="b")))
    assert (inside.status, inside.rejected) == (200, 1), inside
    if hasattr(door, "close"):
        door.close()
    metrics = fusebox.metrics()
    assert metrics.value("fusebox_spans_duplicate_total", kind="conflict") == 2
    assert metrics.value("fusebox_spans_duplicate_total", kind="identical") == 2
    assert metrics.value("fusebox_spans_received_total") == (
        metrics.value("fusebox_spans_accepted_total") + metrics.total("fusebox_spans_rejected_total")
        + metrics.total("fusebox_spans_duplicate_total") + metrics.total("fusebox_spans_dropped_total"))
    assert fusebox.scalar("SELECT count(*) FROM spans") == 3


@pytest.mark.parametrize("together", [True, False])
def test_both_sides_of_a_call_that_share_an_id_are_kept(launch, together):
    """As Zipkin and Envoy send them. Every door shows both, and a restart changes nothing."""
    fusebox = launch()
    trace, root, shared, below = trace_id(), span_id(), span_id(), span_id()
    spans = [
        span(trace, root, name="root", start=BASE_TIME, end=BASE_TIME + 9_000_000),
        span(trace, shared, name="called", parent=root, start=BASE_TIME + 2_000_000, end=BASE_TIME + 6_000_000, extra=kind(SERVER)),
        span(trace, shared, name="calls", parent=root, start=BASE_TIME + 1_000_000, end=BASE_TIME + 8_000_000, extra=kind(CLIENT)),
        span(trace, below, name="inside", parent=shared, start=BASE_TIME + 3_000_000, end=BASE_TIME + 4_000_000, extra=kind(INTERNAL)),
    ]
    door = Protobuf(fusebox)
    for _ in range(2):
        for body in [batch(*spans)] if together else [batch(one) for one in spans]:
            answer = door.send(body)
            assert (answer.status, answer.rejected) == (200, 0), answer
        fusebox.restart()
    assert fusebox.scalar("SELECT count(*) FROM spans") == 4
    hexadecimal = trace.hex()
    names = {"root", "called", "calls", "inside"}
    answer = json.loads(fusebox.get(f"/api/traces/{hexadecimal}").body)
    assert {one["name"] for one in answer["spans"]} == names
    for wanted, name in (SERVER, "called"), (CLIENT, "calls"):
        assert json.loads(fusebox.get(f"/api/traces/{hexadecimal}/spans/{shared.hex()}?kind={wanted}").body)["name"] == name
    drawing = fusebox.run("trace", "--data-dir", str(fusebox.folder), hexadecimal).stdout.decode().splitlines()
    order = [next(name for name in names if f"{name} " in line) for line in drawing[1:]]
    # The called side hangs under the calling one, and what it did under it.
    assert order == ["root", "calls", "called", "inside"], drawing
    assert fusebox.get(f"/jaeger/api/traces/{hexadecimal}").body.decode().count('"spanID":"' + shared.hex()) >= 2
    exported = fusebox.run("export", "--data-dir", str(fusebox.folder)).stdout.decode()
    assert exported.count(shared.hex()) == 3


def test_a_span_whose_parent_is_its_own_id_is_shown(launch):
    """Some bridges give the called side its own id as the parent."""
    fusebox = launch()
    trace, shared = trace_id(), span_id()
    spans = [span(trace, shared, name="calls", extra=kind(CLIENT)), span(trace, shared, name="called", parent=shared, extra=kind(SERVER))]
    assert Protobuf(fusebox).send(batch(*spans)).rejected == 0
    drawing = fusebox.run("trace", "--data-dir", str(fusebox.folder), trace.hex()).stdout.decode()
    assert "2 spans" in drawing and "calls" in drawing and "called" in drawing
