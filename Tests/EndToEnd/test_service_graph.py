"""The service graph as Grafana's tab and Jaeger's dependencies ask for it, from spans of several services in any order."""

import json
import random

import pytest

import wire
from server import poll

SECOND = 1_000_000_000
START = wire.BASE_TIME // SECOND * SECOND
QUICK = {"BREAKER_SETTLE_S": "0.2"}


def kind(value):
    return wire.number(6, value)


FAILED = wire.data(15, wire.number(3, 2))


def spans_of_a_shop():
    """Requests as (resource, span): a front that calls a shop, which calls a database, a queue, a model, and a worker that reads the queue."""
    trace = wire.trace_id()
    front, outgoing, incoming, statement, message, model, call, work = (wire.span_id() for _ in range(8))
    made = []

    def add(service, identity, parent, span_kind, milliseconds, *attributes, failed=False):
        made.append((service, wire.span(
            trace, identity, parent=parent, start=START, end=START + milliseconds * 1_000_000, attributes=attributes, extra=kind(span_kind) + (FAILED if failed else b""))))

    add("front", front, None, 2, 400)
    add("front", outgoing, front, 3, 300)
    add("shop", incoming, outgoing, 2, 200, failed=True)
    add("shop", statement, incoming, 3, 20, ("db.system.name", "postgresql"), ("db.namespace", "orders"))
    add("shop", message, incoming, 4, 5, ("messaging.system", "kafka"), ("messaging.destination.name", "sold"))
    # A framework's span around the client's: one call of the provider.
    add("shop", model, incoming, 1, 90, ("gen_ai.operation.name", "chat"), ("gen_ai.provider.name", "openai"), ("gen_ai.request.model", "m"))
    add("shop", call, model, 3, 80, ("gen_ai.operation.name", "chat"), ("gen_ai.provider.name", "openai"), ("gen_ai.request.model", "m"))
    add("worker", work, message, 5, 60)
    return made


EDGES = {
    ("user", "front", "virtual_node"): (1, 0, .4, .4), ("front", "shop", ""): (1, 1, .3, .2), ("shop", "orders", "database"): (1, 0, .02, .02),
    ("shop", "worker", "messaging_system"): (1, 0, .005, .06), ("shop", "openai", "virtual_node"): (1, 0, .08, .08),
}


def graph(metrics):
    found = {}
    prefix = "traces_service_graph_request_"
    for labels, value in metrics.rows(prefix + "total"):
        assert set(labels) == {"client", "server", "connection_type"}
        client, server = (metrics.value(f"{prefix}{side}_seconds_sum", **labels) for side in ("client", "server"))
        assert metrics.value(prefix + "client_seconds_count", **labels) == metrics.value(prefix + "server_seconds_count", **labels) == value
        found[labels["client"], labels["server"], labels["connection_type"]] = (
            value, metrics.value(prefix + "failed_total", **labels), client, server)
    return found


def times(edges, count):
    return {edge: tuple(pytest.approx(value * count) for value in values) for edge, values in edges.items()}


def send(server, spans):
    for service, span in spans:
        assert server.post(wire.batch(span, resource=[("service.name", service)])).status == 200


def dependencies(server, path="/jaeger/api/dependencies", **query):
    answer = server.get(f"{path}?endTs={START // 10**6 + 1000}&lookback=10000")
    assert answer.status == 200, answer
    return {(edge["parent"], edge["child"]): edge["callCount"] for edge in json.loads(answer.body)["data"]}


def test_every_door_tells_the_same_requests(launch):
    """In any order of arrival, sent again, over a stop and over a kill."""
    server = launch(QUICK)
    choice = random.Random(3)
    count = 0
    for life in range(3):
        for _ in range(4):
            spans = spans_of_a_shop()
            choice.shuffle(spans)
            send(server, spans)
            send(server, choice.sample(spans, 4))
            count += 1
        if life == 1:
            server.kill()
            server.start()
        assert graph(server.settled()) == times(EDGES, count)
        assert dependencies(server) == {edge[:2]: count for edge in EDGES}
        server.restart()
    assert graph(server.settled()) == times(EDGES, count)
    # What is deleted stays counted.
    server.stop()
    done = server.run("prune", "--data-dir", str(server.folder), "--before", str(START + 3600 * SECOND), "--yes")
    assert done.returncode == 0, done
    server.start()
    assert graph(server.settled()) == times(EDGES, count)


def test_a_side_that_answers_late_counts_beside_the_name_that_stood_for_it(launch):
    server = launch(QUICK)
    trace, call = wire.trace_id(), wire.span_id()
    send(server, [("agent", wire.span(
        trace, call, parent=wire.span_id(), extra=kind(3), attributes=[("gen_ai.operation.name", "chat"), ("gen_ai.provider.name", "vllm"), ("gen_ai.request.model", "m")]))])
    assert list(graph(server.settled())) == [("agent", "vllm", "virtual_node")]
    send(server, [("model-server", wire.span(trace, parent=call, extra=kind(2)))])
    assert {edge: values[0] for edge, values in graph(server.settled()).items()} == {("agent", "vllm", "virtual_node"): 1, ("agent", "model-server", ""): 1}
    # In the store it is known who answered.
    assert dependencies(server) == {("agent", "model-server"): 1}


def test_edges_are_bounded_and_the_rest_says_so(launch):
    server = launch(QUICK)
    spans = [wire.span(extra=kind(3), attributes=[("db.system", "redis"), ("db.name", f"db{number}")]) for number in range(450)]
    assert server.post(wire.batch(*spans, resource=[("service.name", "wide")])).status == 200
    metrics = server.settled()
    found = graph(metrics)
    assert len(found) == 401 and found["__overflow__", "__overflow__", ""][0] == 50
    assert metrics.value("fusebox_label_overflow_total", label="edge") == 50
    assert sum(values[0] for values in found.values()) == 450


# Grafana, public/app/plugins/datasource/tempo: graphTransform.ts and datasource.ts name what the tab asks for.
ASKED = ["traces_service_graph_request_total", "traces_service_graph_request_failed_total", "traces_service_graph_request_server_seconds_sum",
         "traces_service_graph_request_server_seconds_bucket", "traces_service_graph_request_client_seconds_sum"]


def test_the_families_have_the_names_that_grafana_asks_for(launch):
    server = launch(QUICK)
    send(server, spans_of_a_shop())
    metrics = server.settled()
    for name in ASKED:
        for labels, _ in metrics.rows(name):
            assert {"client", "server", "connection_type"} <= set(labels)
        assert metrics.rows(name), name
    poll("the graph is settled", lambda: metrics.value("fusebox_service_graph_pending_spans") == 0)
