"""Metrics that clients send, as strict readers of /metrics see them: bounded, and told when they are not shown."""

import json
import pathlib
import random
import socket
import subprocess
import threading
import time

from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest, ExportMetricsServiceResponse
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

import captures
import doors
from server import poll
from test_operating import free_port, query, scrape
from test_prometheus import OPENMETRICS, need

JSON = {"Content-Type": "application/json"}


def value(found):
    if isinstance(found, bool):
        return {"boolValue": found}
    if isinstance(found, int):
        return {"intValue": str(found)}
    if isinstance(found, list):
        return {"arrayValue": {"values": [value(one) for one in found]}}
    return {"stringValue": found}


def attributes(pairs):
    return [{"key": key, "value": value(found)} for key, found in pairs.items()]


def point(number, pairs=(), at=None, **more):
    nanoseconds = time.time_ns() if at is None else at
    return {"asInt": str(number), "timeUnixNano": str(nanoseconds), "attributes": attributes(dict(pairs)), **more}


def gauge(name, *points, **more):
    return {"name": name, "gauge": {"dataPoints": list(points)}, **more}


def counter(name, *points, temporality=2):
    return {"name": name, "sum": {"isMonotonic": True, "aggregationTemporality": temporality, "dataPoints": list(points)}}


def histogram(name, bounds, counts, pairs=(), **more):
    data = {"count": str(sum(counts)), "sum": 1, "timeUnixNano": str(time.time_ns()), "explicitBounds": bounds,
            "bucketCounts": [str(count) for count in counts], "attributes": attributes(dict(pairs)), **more}
    return {"name": name, "histogram": {"aggregationTemporality": 2, "dataPoints": [data]}}


def request(*metrics, resource=(("service.name", "svc"),), scope="lib"):
    return {"resourceMetrics": [{"resource": {"attributes": attributes(dict(resource))},
                                 "scopeMetrics": [{"scope": {"name": scope}, "metrics": list(metrics)}]}]}


def send(fusebox, *metrics, **more):
    """What the answer's partial_success says: how many points were rejected, and why."""
    answer = fusebox.request("POST", "/v1/metrics", json.dumps(request(*metrics, **more)).encode(), JSON)
    assert answer.status == 200, answer
    partial = json.loads(answer.body).get("partialSuccess", {})
    return int(partial.get("rejectedDataPoints", 0)), partial.get("errorMessage", "")


def shown(fusebox, prefix=""):
    """Samples of clients whose names begin so, by name and labels, on which both formats' strict readers agree."""
    text = fusebox.get("/metrics").body.decode()
    openmetrics = fusebox.get("/metrics", headers={"Accept": OPENMETRICS + ";version=1.0.0"}).body.decode()
    found = []
    for families in parse_text(text), parse_openmetrics(openmetrics):
        found.append({(sample.name, frozenset(sample.labels.items())): sample.value
                      for family in families for sample in family.samples
                      if sample.name.startswith(prefix) and not sample.name.startswith(("fusebox_", "process_"))})
    plain, strict = found
    # OpenMetrics has no count without a sum. NaN is not equal to itself.
    assert {(key, str(number)) for key, number in plain.items()} >= {(key, str(number)) for key, number in strict.items()}
    assert all(name.endswith(("_count", "_sum")) for name, _ in plain.keys() - strict.keys())
    return plain


def test_a_point_that_is_refused_is_told_at_every_door(fusebox):
    now = time.time_ns()
    body = request(counter("told", point(2, at=now)), gauge("told", point(1)), counter("told", point(1, at=now - 10)),
                   counter("agent.tokens", point(1)), gauge("agent_framework.x", point(1)),
                   {"name": "s", "summary": {"dataPoints": [{"count": "1"}]}})
    binary = json_format.Parse(json.dumps(body), ExportMetricsServiceRequest()).SerializeToString()
    door = doors.Grpc(fusebox)
    answers = [
        json_format.Parse(fusebox.request("POST", "/v1/metrics", json.dumps(body).encode(), JSON).body, ExportMetricsServiceResponse()),
        ExportMetricsServiceResponse.FromString(fusebox.post(binary, "/v1/metrics").body),
        ExportMetricsServiceResponse.FromString(door.call(binary, path=doors.SERVICES["metrics"])),
    ]
    door.close()
    for answer in answers:
        assert answer.partial_success.rejected_data_points == 4
        message = answer.partial_success.error_message
        for reason in ["1 of metrics without a name or with one of Fusebox's own", "1 that would look like another", "1 older", "1 of summaries"]:
            assert reason in message
    metrics = fusebox.metrics()
    assert metrics.by("fusebox_client_points_dropped_total", "reason") == {
        "name": 3, "conflict": 3, "late": 3, "unsupported": 3, "full": 0, "too_large": 0, "too_many": 0, "duplicate": 0, "invalid": 0}
    assert metrics.value("fusebox_client_points_total") == 6
    assert metrics.value("agent_framework_x", job="svc") == 1


def test_no_client_gets_into_a_family_of_fuseboxs_own(fusebox):
    captures.replay(fusebox, captures.posts("handmade"))
    own = fusebox.settled().types
    assert len(own) > 80
    before = shown(fusebox, "agent_")
    rejected, message = send(fusebox, *[gauge(name, point(10**9)) for name in own])
    assert (rejected, message) == (len(own), f"points refused: {len(own)} of metrics without a name or with one of Fusebox's own")
    send(fusebox, *[counter(name.removesuffix("_total"), point(10**9)) for name in own], *[histogram(name, [1], [10**9, 1]) for name in own])
    after = fusebox.metrics().types
    assert {name: after[name] for name in own} == own
    assert {key: value for key, value in shown(fusebox, "agent_").items() if key in before} == before


def test_of_a_request_that_cannot_be_read_nothing_is_shown(fusebox):
    good = json_format.Parse(json.dumps(request(gauge("half", point(1)))), ExportMetricsServiceRequest()).SerializeToString()
    assert fusebox.post(good + b"\x0a\x10\x61", "/v1/metrics").status == 400
    assert not shown(fusebox, "half")


def test_what_strict_readers_refuse_is_never_there(fusebox):
    send(fusebox, gauge("reqs.started", point(4)), counter("reqs.started", point(3)))
    send(fusebox, histogram("lat", [1], [2, 1]), gauge("lat.count", point(9)), gauge("lat_sum", point(8)))
    send(fusebox, histogram("inf", [1.0, 2.0, "Infinity"], [5, 2, 3, 0]), histogram("equal", [1, 1, 2], [1, 2, 3, 4]))
    send(fusebox, histogram("negative", [-5, 5], [1, 2, 3]), gauge("температура", point(20, {"город": "A"}), point(21, {"город": "B"}), unit="°C"))
    found = shown(fusebox)
    assert found["inf_bucket", frozenset({("job", "svc"), ("otel_scope_name", "lib"), ("le", "+Inf")})] == 10
    assert found["equal_bucket", frozenset({("job", "svc"), ("otel_scope_name", "lib"), ("le", "1.0")})] == 3
    assert sum(name.startswith("U__") for name, _ in found) == 2
    # promtool also has opinions on names, which are the clients' own; it says them only of what it can read.
    done = subprocess.run([need("promtool"), "check", "metrics"], input=fusebox.get("/metrics").body, capture_output=True, timeout=60)
    assert b"pars" not in done.stderr, done.stderr.decode()


def test_random_clients_make_what_strict_readers_take(fusebox):
    dice = random.Random(8)
    names = ["x", "x.total", "x_created", "x.count", "x_sum", "x_bucket", "y", "y_info", "é", "a.b", "a_b", "9", "...", "\u2028", "z" * 1024]
    texts = ["", "a", 'A\n"\\', "é", "e\u0301", "\u0301", "1", "\u0000", "\r\n", " # {", "}"]
    keys = ["k", "k.", "le", "quantile", "job", "instance", "__name__", "otel.scope.name", "é", "-", "9"]
    numbers = [0, 1, -1, 0.1, 1e300, -1e300, "Infinity", "-Infinity", "NaN", 5e-324]
    sent = 0
    for _ in range(25):
        metrics = []
        for _ in range(dice.randrange(1, 8)):
            pairs = {dice.choice(keys): dice.choice([*texts, 1, True, ["a", 1]]) for _ in range(dice.randrange(3))}
            name, count = dice.choice(names), dice.randrange(5)
            kind = dice.randrange(4)
            if kind == 0:
                metrics.append(gauge(name, {"asDouble": dice.choice(numbers), "attributes": attributes(pairs)}, description=dice.choice(texts)))
            elif kind == 1:
                metrics.append(counter(name, {"asDouble": dice.choice(numbers), "attributes": attributes(pairs)}, temporality=dice.randrange(3)))
            elif kind == 2:
                bounds = [dice.choice(numbers) for _ in range(count)]
                metrics.append(histogram(name, bounds, [dice.randrange(3) for _ in range(count + 1)], pairs, sum=dice.choice(numbers)))
            else:
                metrics.append({"name": name, "exponentialHistogram": {"aggregationTemporality": 1 + dice.randrange(2), "dataPoints": [{
                    "scale": dice.choice([-2**31, -1, 0, 3, 20, 2**31 - 1]), "zeroCount": "1", "sum": dice.choice(numbers),
                    "positive": {"offset": dice.choice([-2**31, 0, 2**31 - 1]), "bucketCounts": ["1"] * count},
                    "attributes": attributes(pairs)}]}})
        sent += len(metrics)
        send(fusebox, *metrics, scope=dice.choice(texts))
        shown(fusebox)
    metrics = fusebox.metrics()
    assert metrics.value("fusebox_client_points_total") + metrics.total("fusebox_client_points_dropped_total") == sent
    assert metrics.value("fusebox_client_series") > 20


def test_a_scrape_takes_bounded_memory_whatever_clients_send(fusebox):
    """400 histograms of 512 bounds and long labels, 20 MiB of requests, would be hundreds of megabytes of text."""
    pairs = {f"k{index}": "v" * 100 for index in range(8)}
    refused = 0
    for index in range(400):
        refused += send(fusebox, histogram("flood", list(range(512)), [1] * 513, {**pairs, "i": str(index)}))[0]
    metrics = fusebox.metrics()
    assert metrics.value("fusebox_client_exposition_bytes") <= 16 << 20
    assert metrics.value("fusebox_client_exposition_lines") <= 100_000
    assert refused == 0 and metrics.value("fusebox_client_series_removed_total", reason="displaced") > 300
    before = memory(fusebox)
    peak = []
    done = threading.Event()

    def watch():
        while not done.wait(0.02):
            peak.append(memory(fusebox))

    watcher = threading.Thread(target=watch)
    watcher.start()
    # Scrapers that read slowly, eight at once: each holds a piece of the text, not all of it.
    connections = [fusebox.connect() for _ in range(8)]
    for connection in connections:
        connection.request("GET", "/metrics")
    answers = [connection.getresponse() for connection in connections]
    firsts = [answer.read(1000) for answer in answers]
    time.sleep(1)
    sizes = [len(first) + len(answer.read()) for first, answer in zip(firsts, answers)]
    done.set()
    watcher.join()
    for connection in connections:
        connection.close()
    assert all(size <= (17 << 20) for size in sizes)
    assert max(peak) - before < 96 << 20, (before >> 20, max(peak) >> 20)


def test_a_long_answer_has_its_length_for_http_1_0(fusebox):
    for index in range(60):
        send(fusebox, histogram("flood", list(range(512)), [1] * 513, {"i": str(index)}))
    for method in "GET", "HEAD":
        with socket.create_connection(("127.0.0.1", fusebox.port), timeout=30) as connection:
            connection.sendall(f"{method} /metrics HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            received = b"".join(iter(lambda: connection.recv(1 << 16), b""))
        head, _, body = received.partition(b"\r\n\r\n")
        fields = {name.lower(): value for name, _, value in (line.partition(b": ") for line in head.split(b"\r\n")[1:])}
        assert b"transfer-encoding" not in fields
        assert int(fields[b"content-length"]) > 2 << 20
        assert len(body) == (int(fields[b"content-length"]) if method == "GET" else 0)


def memory(fusebox):
    """Resident bytes."""
    for line in pathlib.Path(f"/proc/{fusebox.process.pid}/status").read_text().split("\n"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) << 10
    raise AssertionError("no VmRSS")


def test_pods_that_come_and_go_do_not_keep_a_new_service_out(fusebox):
    for first in range(0, 10_500, 500):
        body = {"resourceMetrics": [
            request(counter("jobs", point(1)), resource=(("service.name", "svc"), ("service.instance.id", f"pod-{pod}")))["resourceMetrics"][0]
            for pod in range(first, first + 500)]}
        answer = fusebox.request("POST", "/v1/metrics", json.dumps(body).encode(), JSON)
        assert (answer.status, answer.body) == (200, b"{}")
    assert send(fusebox, gauge("fresh", point(1))) == (0, "")
    metrics = fusebox.metrics()
    assert metrics.value("fresh") == 1
    assert metrics.total("jobs_total") == 9_999
    assert metrics.value("fusebox_client_series_removed_total", reason="displaced") == 501


def test_silent_series_expire(launch):
    fusebox = launch({"FUSEBOX_CLIENT_METRICS_EXPIRY_S": "1"})
    send(fusebox, gauge("short", point(1)), counter("summed", point(1), temporality=1))
    assert len(shown(fusebox, "short")) == 1
    # One answer at a time: the series may go between two.
    poll("the series is gone", lambda: b"\nshort" not in fusebox.get("/metrics").body)
    assert not shown(fusebox, "short")
    assert len(shown(fusebox, "summed_total")) == 1


def test_prometheus_keeps_clients_jobs_and_an_ended_series_is_stale(fusebox, tmp_path):
    resource = (("service.name", "shop"), ("service.instance.id", "one"))
    send(fusebox, counter("kept", point(3)), resource=resource)
    port = free_port()
    prometheus = scrape(tmp_path, fusebox, port)
    try:
        (row,) = poll("a scrape", lambda: query(port, "kept_total"), 30)
        assert (row["metric"]["job"], row["metric"]["instance"]) == ("shop", "one")
        (row,) = query(port, "fusebox_client_series")
        assert (row["metric"]["job"], row["metric"]["instance"]) == ("fusebox", f"127.0.0.1:{fusebox.port}")
        send(fusebox, counter("kept", {"flags": 1, "timeUnixNano": str(time.time_ns())}), resource=resource)
        poll("the series is stale", lambda: query(port, "up") and not query(port, "kept_total"), 30)
    finally:
        prometheus.terminate()
        prometheus.wait()
