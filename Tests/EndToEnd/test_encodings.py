"""What real agents sent, through every door: the rows must be the same."""

import gzip
import json

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import captures
import otlp_json
from doors import JSON, SERVICES, Grpc
from server import PROTOBUF
from wire import Bare, batch, chunked, span, trace_id

# When a span came in is its own for each server, and nothing else.
ROWS = "SELECT * FROM spans ORDER BY trace_id, span_id"


@pytest.mark.parametrize("name", captures.NAMES)
def test_captures_make_the_same_rows_through_every_door(launch, name):
    """Each captured body as it came, as JSON, and over gRPC. Every column of every row is compared, byte by byte."""
    posts = [post for post in captures.posts(name) if post.path == "/v1/traces"]
    by_protobuf, by_json, by_grpc = launch(), launch(), launch()
    door = Grpc(by_grpc)
    for post in posts:
        assert by_protobuf.post(post.plain_body).status == 200
        body = otlp_json.encode(ExportTraceServiceRequest.FromString(post.plain_body))
        answer = by_json.post(body, headers={"Content-Type": JSON})
        assert (answer.status, answer.body) == (200, b"{}"), answer
        assert door.call(post.plain_body) == b""
    door.close()
    rows = by_protobuf.sql(ROWS)
    assert len(rows) == len(captures.spans(name)) > 0
    for other in by_json, by_grpc:
        for left, right in zip(rows, other.sql(ROWS), strict=True):
            left, right = (
                {key: value for key, value in row.items() if key != "received_time_unix_nano"} for row in (left, right))
            # As texts: 1 and 1.0 are not the same value.
            assert {key: repr(value) for key, value in left.items()} == {key: repr(value) for key, value in right.items()}
    # Sent again through another door, a span is the same span: its content hash is that of its protobuf form.
    for post in posts:
        assert by_json.post(post.plain_body).status == 200
    metrics = by_json.metrics()
    assert metrics.value("fusebox_spans_accepted_total") == len(rows)
    assert metrics.value("fusebox_spans_duplicate_total", kind="conflict") == by_protobuf.metrics().value(
        "fusebox_spans_duplicate_total", kind="conflict")


# opentelemetry-proto's examples, in its spelling.
EXAMPLE_TRACE = {
    "resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "my.service"}}]},
        "scopeSpans": [{
            "scope": {"name": "my.library", "version": "1.0.0",
                      "attributes": [{"key": "my.scope.attribute", "value": {"stringValue": "some scope attribute"}}]},
            "spans": [{
                "traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "EEE19B7EC3C1B174", "parentSpanId": "EEE19B7EC3C1B173",
                "name": "I'm a server span", "startTimeUnixNano": "1544712660000000000", "endTimeUnixNano": "1544712661000000000",
                "kind": 2, "attributes": [{"key": "my.span.attr", "value": {"stringValue": "some value"}}]}]}]}],
}
EXAMPLE_LOGS = {
    "resourceLogs": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "my.service"}}]},
        "scopeLogs": [{
            "scope": {"name": "my.library", "version": "1.0.0"},
            "logRecords": [{
                "timeUnixNano": "1544712660300000000", "observedTimeUnixNano": "1544712660300000000", "severityNumber": 10,
                "severityText": "Information", "traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "EEE19B7EC3C1B174",
                "body": {"stringValue": "Example log record"},
                "attributes": [
                    {"key": "string.attribute", "value": {"stringValue": "some string"}},
                    {"key": "boolean.attribute", "value": {"boolValue": True}}, {"key": "int.attribute", "value": {"intValue": "10"}},
                    {"key": "double.attribute", "value": {"doubleValue": 637.704}},
                    {"key": "array.attribute", "value": {"arrayValue": {"values": [{"stringValue": "many"}, {"stringValue": "values"}]}}},
                    {"key": "map.attribute", "value": {"kvlistValue": {"values": [
                        {"key": "some.map.key", "value": {"stringValue": "some value"}}]}}}]}]}]}],
}
EXAMPLE_METRICS = {
    "resourceMetrics": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "my.service"}}]},
        "scopeMetrics": [{
            "scope": {"name": "my.library", "version": "1.0.0"},
            "metrics": [
                {"name": "my.counter", "unit": "1", "description": "I am a Counter", "sum": {
                    "aggregationTemporality": 1, "isMonotonic": True, "dataPoints": [{
                        "asDouble": 5, "startTimeUnixNano": "1544712660300000000", "timeUnixNano": "1544712660300000000",
                        "attributes": [{"key": "my.counter.attr", "value": {"stringValue": "some value"}}]}]}},
                {"name": "my.gauge", "unit": "1", "description": "I am a Gauge", "gauge": {"dataPoints": [{
                    "asDouble": 10, "timeUnixNano": "1544712660300000000",
                    "attributes": [{"key": "my.gauge.attr", "value": {"stringValue": "some value"}}]}]}},
                {"name": "my.histogram", "unit": "1", "description": "I am a Histogram", "histogram": {
                    "aggregationTemporality": 1, "dataPoints": [{
                        "startTimeUnixNano": "1544712660300000000", "timeUnixNano": "1544712660300000000", "count": "2", "sum": 2,
                        "bucketCounts": ["1", "1"], "explicitBounds": [1], "min": 0, "max": 2,
                        "attributes": [{"key": "my.histogram.attr", "value": {"stringValue": "some value"}}]}]}}]}]}],
}


@pytest.mark.parametrize("path, example", [("traces", EXAMPLE_TRACE), ("logs", EXAMPLE_LOGS), ("metrics", EXAMPLE_METRICS)])
def test_examples_of_the_protocol(shared, path, example):
    answer = shared.request("POST", f"/v1/{path}", json.dumps(example, indent=2).encode(), {"Content-Type": JSON})
    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (200, b"{}", JSON)
    if path == "traces":
        (row,) = shared.sql("SELECT * FROM spans WHERE trace_id = '5b8efff798038103d269b633813fc60c'")
        assert (row["span_id"], row["parent_span_id"], row["name"], row["duration_ns"], row["kind"], row["scope_name"]) == (
            "eee19b7ec3c1b174", "eee19b7ec3c1b173", "I'm a server span", 1_000_000_000, 2, "my.library")
        assert json.loads(row["attributes"]) == {"my.span.attr": "some value"}


def head(media_type, agent, *more):
    lines = ["POST /v1/traces HTTP/1.1", "Host: localhost:4318", f"User-Agent: {agent}", f"Content-Type: {media_type}", *more, "", ""]
    return "\r\n".join(lines).encode()


# How each language's exporter frames what it sends, from its source.
EXPORTERS = {
    "JavaScript, JSON": (JSON, "OTel-OTLP-Exporter-JavaScript/0.222.0", "chunked", None, ["Connection: keep-alive"]),
    "JavaScript, JSON, gzip": (JSON, "OTel-OTLP-Exporter-JavaScript/0.222.0", "chunked", "gzip", ["Connection: keep-alive"]),
    "JavaScript, protobuf": (PROTOBUF, "OTel-OTLP-Exporter-JavaScript/0.222.0", "chunked", None, ["Connection: keep-alive"]),
    "Go": (PROTOBUF, "OTel OTLP Exporter Go/1.45.0", "length", None, ["Accept-Encoding: gzip"]),
    "Go, gzip": (PROTOBUF, "OTel OTLP Exporter Go/1.45.0", "chunked", "gzip", ["Accept-Encoding: gzip"]),
    "Go, JSON": (JSON, "OTel OTLP Exporter Go/1.45.0", "length", None, ["Accept-Encoding: gzip"]),
    "Java": (PROTOBUF, "OTel-OTLP-Exporter-Java/1.65.0", "length", None, ["Connection: Keep-Alive", "Accept-Encoding: gzip, identity"]),
    "Java, gzip": (PROTOBUF, "OTel-OTLP-Exporter-Java/1.65.0", "chunked", "gzip", ["Connection: Keep-Alive"]),
    "Java, JSON": (JSON, "OTel-OTLP-Exporter-Java/1.65.0", "length", None, ["Connection: Keep-Alive"]),
    "Java, JDK client": (PROTOBUF, "OTel-OTLP-Exporter-Java/1.65.0", "length", None, [
        "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA"]),
    "Rust": (PROTOBUF, "OTel-OTLP-Exporter-Rust/0.32.0", "length", None, ["accept: */*"]),
    "Rust, JSON": (JSON, "OTel-OTLP-Exporter-Rust/0.32.0", "length", None, ["accept: */*"]),
    "Rust, zstd": (PROTOBUF, "OTel-OTLP-Exporter-Rust/0.32.0", "length", "zstd", ["accept: */*"]),
    "Swift": (PROTOBUF, "OTel-OTLP-Exporter-Swift/2.5.0", "length", None, ["Accept: */*", "Accept-Language: en-GB,en;q=0.9"]),
    "Swift on Apple, gzip": (PROTOBUF, "OTel-OTLP-Exporter-Swift/2.5.0", "length", "gzip", ["Accept: */*"]),
    "Swift on Apple, deflate": (PROTOBUF, "OTel-OTLP-Exporter-Swift/2.5.0", "length", "raw deflate", ["Accept: */*"]),
    "Swift, JSON": (JSON, "OTel-OTLP-Exporter-Swift/2.5.0", "length", None, ["Accept: */*"]),
}


def pack(body, compression):
    import zlib

    import zstandard
    if compression == "gzip":
        return gzip.compress(body)
    if compression == "zstd":
        return zstandard.compress(body)
    if compression == "raw deflate":
        packer = zlib.compressobj(wbits=-15)
        return packer.compress(body) + packer.flush()
    return body


@pytest.mark.parametrize("case", EXPORTERS)
def test_bodies_as_exporters_frame_them(shared, case):
    media_type, agent, framing, compression, more = EXPORTERS[case]
    trace = trace_id()
    body = batch(*[span(trace) for _ in range(40)])
    if media_type == JSON:
        body = otlp_json.encode(ExportTraceServiceRequest.FromString(body))
    body = pack(body, compression)
    if compression:
        more = [*more, f"Content-Encoding: {compression.split()[-1]}"]
    bare = Bare(shared.port)
    with bare:
        # Three over one connection, as they keep theirs, unless the server wants another one.
        for _ in range(3):
            if framing == "chunked":
                bare.send(head(media_type, agent, *more, "Transfer-Encoding: chunked") + chunked(body, 1000))
            else:
                bare.send(head(media_type, agent, *more, f"Content-Length: {len(body)}") + body)
            answer = bare.answer()
            assert (answer.status, answer.headers["Content-Type"]) == (200, media_type), answer
            assert answer.body == (b"{}" if media_type == JSON else b"")
            if answer.headers["Connection"] == "close":
                bare.close()
                bare.__init__(shared.port)
    assert shared.scalar("SELECT count(*) FROM spans WHERE trace_id = :trace", trace=trace.hex()) == 40
