"""Bad, odd and hostile requests, each with the answer that it must get. Other clients must not notice any of them."""

import gzip
import json
import random
import socket
import threading
import zlib

import pytest
import zstandard
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from server import PROTOBUF, poll
from wire import (BASE_TIME, Bare, batch, check_refusal, chunked, data, fixed64, nested, number, post_head, span, span_id,
                  trace_id, varint)

MEBIBYTE = 1 << 20
LIMIT = 64 * MEBIBYTE


def stored(fusebox, trace):
    return fusebox.sql("SELECT * FROM spans WHERE trace_id = :trace ORDER BY start_time_unix_nano, span_id", trace=trace.hex())


def take(fusebox, *spans, resource=None, rejected=0, headers=None):
    """Posts a batch that must be taken, with so many spans refused."""
    answer = fusebox.post(batch(*spans, resource=resource), headers=headers)
    check_taken(answer, rejected)
    return answer


def check_taken(answer, rejected=0):
    assert answer is not None, "the connection was closed without an answer"
    assert answer.status == 200, answer
    assert answer.headers["Content-Type"] == PROTOBUF, answer
    response = ExportTraceServiceResponse.FromString(answer.body)
    assert response.partial_success.rejected_spans == rejected, answer
    if rejected:
        assert response.partial_success.error_message
    else:
        assert answer.body == b"", answer


def good():
    """A trace id and a batch with one span of it."""
    trace = trace_id()
    return trace, batch(span(trace))


@pytest.fixture(autouse=True)
def serves_on(request):
    """After each test the server takes spans as before."""
    servers = [request.getfixturevalue(name) for name in ("shared", "fusebox") if name in request.fixturenames]
    yield
    for server in servers:
        assert server.is_running, server.stderr
        check_taken(server.post(good()[1]))


# Paths, methods, media types


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/v1/traces", "/v1/metrics", "/v1/logs"])
def test_other_methods(shared, method, path):
    answer = shared.request(method, path, headers={"Content-Type": PROTOBUF})
    assert answer.status == 405, answer
    assert answer.headers["Allow"] == "POST"
    if method != "HEAD":
        check_refusal(answer, 405)
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_get_without_media_type(shared):
    assert "POST" in check_refusal(shared.get("/v1/traces"), 405, "json")


def test_post_to_metrics_page(shared):
    answer = shared.post(b"", "/metrics")
    check_refusal(answer, 405)
    assert answer.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("media_type", [
    None, "text/plain", "application/x-www-form-urlencoded", "application/octet-stream", "application/grpc", "application/grpc+proto", "", "nonsense",
])
def test_media_types_that_are_not_taken(shared, media_type):
    trace, body = good()
    answer = shared.request("POST", "/v1/traces", body, {} if media_type is None else {"Content-Type": media_type})
    message = check_refusal(answer, 415, "json")
    if media_type and media_type.lower().startswith("application/grpc"):
        assert "http/protobuf" in message
    assert stored(shared, trace) == []


@pytest.mark.parametrize("media_type", [
    PROTOBUF, "APPLICATION/X-PROTOBUF", "application/x-protobuf; charset=utf-8", " application/x-protobuf ;v=1",
])
def test_spellings_of_protobuf(shared, media_type):
    trace, body = good()
    answer = shared.request("POST", "/v1/traces", body, {"Content-Type": media_type})
    check_taken(answer)
    assert len(stored(shared, trace)) == 1


def test_http2_preface(shared):
    with Bare(shared.port) as bare:
        bare.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\0\0\0\4\0\0\0\0\0")
        assert bare.is_closed(15)


@pytest.mark.parametrize("path", [
    "/", "/v1/trace", "/v1/traces/", "/v2/traces", "/V1/TRACES", "//v1/traces", "/v1", "/v1/traces/../traces", "/v1%2ftraces",
])
def test_other_paths(shared, path):
    trace, body = good()
    answer = shared.post(body, path)
    assert "/v1/traces" in check_refusal(answer, 404)
    assert answer.headers["Location"] is None
    assert stored(shared, trace) == []


@pytest.mark.parametrize("path", ["/metrics", "/-/healthy", "/", "/api/status", "/nothing"])
def test_an_answer_to_head_is_a_head_alone(shared, path):
    """A client that keeps its connection would take a body for the next answer."""
    with socket.create_connection(("127.0.0.1", shared.port), timeout=30) as connection:
        for method, more in ("HEAD", ""), ("GET", "Connection: close\r\n"):
            connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n".encode())
        received = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    first, _, rest = received.partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 ") and rest.startswith(b"HTTP/1.1 "), rest[:100]
    assert first.split(b"\r\n")[0] == rest.split(b"\r\n")[0]


def test_query_in_path(shared):
    trace, body = good()
    check_taken(shared.post(body, "/v1/traces?tenant=blue"))
    assert len(stored(shared, trace)) == 1


def test_a_whole_url_in_place_of_a_path(shared):
    """As proxies send it; a server must take it (RFC 9112 3.2.2)."""
    for suffix in ("", "?tenant=blue"):
        trace, body = good()
        check_taken(shared.post(body, f"http://localhost:{shared.port}/v1/traces{suffix}"))
        assert len(stored(shared, trace)) == 1
    assert shared.get(f"http://localhost:{shared.port}/-/ready").status == 200


@pytest.mark.parametrize("path", ["/v1/metrics", "/v1/logs", "/v1development/profiles"])
def test_signals_without_a_store(shared, path):
    answer = shared.post(b"", path)
    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (200, b"", PROTOBUF)


def test_profiles_are_refused_with_words_and_counted(shared):
    count = lambda: shared.metrics().value("fusebox_records_dropped_total", signal="profiles")
    before = count()
    # ResourceProfiles, ScopeProfiles, two profiles.
    answer = shared.post(data(1, data(2, data(2, b"") + data(2, b""))), "/v1development/profiles")
    partial = ExportTraceServiceResponse.FromString(answer.body).partial_success
    assert (answer.status, partial.rejected_spans, count() - before) == (200, 2, 2)
    assert "profiles are not stored here" in partial.error_message
    body = {"resourceProfiles": [{"scopeProfiles": [{"profiles": [{"profileId": "AAAAAAAAAAAAAAAAAAAAAQ=="}, {}]}, {"profiles": [{}]}, {}]}, {}]}
    answer = shared.request("POST", "/v1development/profiles", json.dumps(body).encode(), {"Content-Type": "application/json"})
    partial = json.loads(answer.body)["partialSuccess"]
    assert (answer.status, partial["rejectedProfiles"], count() - before) == (200, "3", 5)
    assert "profiles are not stored here" in partial["errorMessage"]


# Protobuf


def test_empty_body(shared):
    answer = shared.post(b"")
    assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "0")


MALFORMED = {
    "json": json.dumps({"resourceSpans": []}).encode(),
    "random": b"\xff\xff\xff",
    "truncated length": b"\x0a\x10\x61",
    "varint of 11 bytes": b"\x08" + b"\xff" * 10 + b"\x01",
    "varint of 10 bytes past 64 bits": b"\x98\x06" + b"\xff" * 9 + b"\x7f",
    "field number 0": b"\x02\x00",
    "length of 2^63": b"\x0a" + varint(1 << 63),
    "length of -1": b"\x0a" + varint(-1),
    "length of 2^31": b"\x0a" + varint(1 << 31) + b"abc",
    "unterminated group": b"\x9b\x06\x08\x01",
    "end of a group without one": b"\x9c\x06",
    "group ended by another": b"\x9b\x06\x08\x01\xa4\x06",
    "wire type 6": b"\x0e\x00",
    "wire type 7": b"\x0f\x00",
    "known field as varint": b"\x08\x01",
    "known field as fixed64": b"\x09" + bytes(8),
    "known field as fixed32": b"\x0d" + bytes(4),
    "span name as varint": batch(span(extra=number(5, 1))),
    "start time as varint": batch(span(start=None, extra=number(7, 1))),
    "truncated fixed64": batch(span(extra=b"\x39\x00\x00")),
    "span cut short": batch(span())[:-3],
    "value nested 10 000 deep": batch(span(attributes=[("deep", nested(10_000))])),
    "group nested 10 000 deep": b"\x9b\x06" * 10_000 + b"\x9c\x06" * 10_000,
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed(shared, case):
    before = shared.scalar("SELECT count(*) FROM spans")
    check_refusal(shared.post(MALFORMED[case]), 400)
    assert shared.scalar("SELECT count(*) FROM spans") == before


def test_good_spans_before_the_damage_are_not_stored(shared):
    trace, body = good()
    check_refusal(shared.post(body + b"\xff\xff\xff"), 400)
    assert stored(shared, trace) == []


UNKNOWN_FIELDS = {
    "varint": number(99, 5),
    "fixed64": fixed64(99, 5),
    "fixed32": varint(99 << 3 | 5) + bytes(4),
    "bytes": data(99, b"\xff" * 20),
    "group": varint(99 << 3 | 3) + number(1, 1) + data(2, "x") + varint(99 << 3 | 4),
    "group in a group": varint(99 << 3 | 3) + varint(98 << 3 | 3) + varint(98 << 3 | 4) + varint(99 << 3 | 4),
    "highest field number": number((1 << 29) - 1, 1),
}


@pytest.mark.parametrize("case", UNKNOWN_FIELDS)
def test_unknown_fields(shared, case):
    field = UNKNOWN_FIELDS[case]
    trace = trace_id()
    body = batch(span(trace, extra=field)) + field
    check_taken(shared.post(body))
    assert len(stored(shared, trace)) == 1


def test_malformed_text_is_mended(shared):
    trace = trace_id()
    take(shared, span(trace, name=b"a\xffb", attributes=[("key", data(1, b"\xc3(")), (b"k\xfe", "v")]))
    (row,) = stored(shared, trace)
    assert row["name"] == "a\ufffdb"
    assert json.loads(row["attributes"]) == {"key": "\ufffd(", "k\ufffd": "v"}


BAD_IDS = {
    "trace id of 15 bytes": (b"\1" * 15, b"\1" * 8),
    "trace id of 17 bytes": (b"\1" * 17, b"\1" * 8),
    "trace id all zero": (bytes(16), b"\1" * 8),
    "trace id empty": (b"", b"\1" * 8),
    "span id of 7 bytes": (b"\1" * 16, b"\1" * 7),
    "span id of 9 bytes": (b"\1" * 16, b"\1" * 9),
    "span id all zero": (b"\1" * 16, bytes(8)),
    "span id empty": (b"\1" * 16, b""),
}


@pytest.mark.parametrize("case", BAD_IDS)
def test_bad_ids(shared, case):
    trace = trace_id()
    before = shared.scalar("SELECT count(*) FROM spans")
    take(shared, span(*BAD_IDS[case]), span(trace), rejected=1)
    assert len(stored(shared, trace)) == 1
    assert shared.scalar("SELECT count(*) FROM spans") == before + 1


def test_missing_ids(shared):
    take(shared, data(5, "no ids at all"), data(1, trace_id()), data(2, span_id()), rejected=3)


@pytest.mark.parametrize("parent", [b"\1" * 4, b"\1" * 9, bytes(8), b""])
def test_odd_parents(shared, parent):
    trace = trace_id()
    take(shared, span(trace, parent=parent))
    assert [row["parent_span_id"] for row in stored(shared, trace)] == [None]


def test_span_that_is_its_own_parent(shared):
    trace, identity = trace_id(), span_id()
    take(shared, span(trace, identity, parent=identity))
    assert [row["parent_span_id"] for row in stored(shared, trace)] == [None]


def test_one_bad_span_of_many(shared):
    trace = trace_id()
    spans = [span(trace) for _ in range(511)]
    spans.insert(200, span(b"\1" * 15))
    take(shared, *spans, rejected=1)
    assert len(stored(shared, trace)) == 511


def test_only_bad_spans(shared):
    before = shared.metrics().value("fusebox_spans_rejected_total", reason="invalid")
    take(shared, *[span(bytes(16))] * 7, rejected=7)
    assert shared.metrics().value("fusebox_spans_rejected_total", reason="invalid") == before + 7


def test_value_nested_45_deep(shared):
    trace = trace_id()
    take(shared, span(trace, attributes=[("deep", nested(45))]))
    (row,) = stored(shared, trace)
    value = json.loads(row["attributes"])["deep"]
    for _ in range(45):
        (value,) = value
    assert value == "leaf"


def test_odd_attributes(shared):
    trace = trace_id()
    take(shared, span(trace, attributes=[
        ("none", b""), ("", "empty key"), ("twice", "first"), ("twice", "second"), ("index", number(8, 3)), ("after", 1)]))
    (row,) = stored(shared, trace)
    attributes = json.loads(row["attributes"])
    assert attributes["after"] == 1
    assert attributes["none"] is None
    assert attributes["index"] is None
    assert attributes["twice"] in ("first", "second")


@pytest.mark.parametrize("start, end, duration", [
    (BASE_TIME, BASE_TIME - 1, 0),
    (0, BASE_TIME, None), (None, BASE_TIME, None),
    (BASE_TIME, 0, None), (0, 0, None), (None, None, None),
])
def test_odd_times(shared, start, end, duration):
    trace = trace_id()
    take(shared, span(trace, start=start, end=end))
    (row,) = stored(shared, trace)
    assert (row["start_time_unix_nano"] or 0, row["end_time_unix_nano"] or 0) == (start or 0, end or 0)
    if end != BASE_TIME:
        assert row["duration_ns"] == duration


@pytest.mark.parametrize("time", [(1 << 64) - 1, 1 << 63])
def test_times_after_2262(shared, time):
    trace = trace_id()
    take(shared, span(trace, end=time), span(trace, start=time, end=time), span(trace), rejected=2)
    assert len(stored(shared, trace)) == 1


def test_last_moment(shared):
    trace = trace_id()
    last = (1 << 63) - 1
    take(shared, span(trace, start=last, end=last), span(trace, start=1, end=last))
    assert [row["end_time_unix_nano"] for row in stored(shared, trace)] == [last, last]


def test_kind_and_status_out_of_range(shared):
    trace = trace_id()
    take(shared, span(trace, extra=number(6, 99) + data(15, number(3, 7))))
    (row,) = stored(shared, trace)
    assert (row["kind"], row["status_code"]) == (99, 7)


def test_event_and_link_with_bad_parts(shared):
    trace = trace_id()
    link = data(13, data(1, b"\1" * 3) + data(2, b"\1" * 8))
    good_link = data(13, data(1, b"\2" * 16) + data(2, b"\2" * 8))
    take(shared, span(trace, extra=data(11, fixed64(1, (1 << 64) - 1) + data(2, "late")) + link + good_link))
    (row,) = stored(shared, trace)
    assert len(json.loads(row["events"])) == 1
    assert [item["trace_id"] for item in json.loads(row["links"])] == ["02" * 16]


def test_long_value_and_many_attributes(shared):
    trace = trace_id()
    take(shared, span(trace, attributes=[("long", "x" * (10 * MEBIBYTE)), ("after", 1)]))
    (row,) = stored(shared, trace)
    attributes = json.loads(row["attributes"])
    assert attributes["after"] == 1
    assert 0 < len(attributes["long"]) <= 10 * MEBIBYTE

    trace = trace_id()
    take(shared, span(trace, attributes=[(f"key{index}", index) for index in range(10_000)]))
    (row,) = stored(shared, trace)
    attributes = json.loads(row["attributes"])
    assert attributes["key0"] == 0
    assert len(attributes) <= 10_000


@pytest.mark.parametrize("resource", [
    [], [("service.name", "")], [("service.name", 7)], [("service.name", b"")], [("service.name", nested(2))],
])
def test_no_service_name(shared, resource):
    trace = trace_id()
    take(shared, span(trace), resource=resource)
    assert [row["service_name"] for row in stored(shared, trace)] == ["unknown_service"]


HOSTILE = 'a"b\\c\nd;\'); DROP TABLE segment; --}\0e{x="1"} 1\r\x1b[31m\u202e'


def test_hostile_names(shared):
    trace = trace_id()
    take(shared, span(trace, name=HOSTILE, attributes=[("tool_name", HOSTILE), ("workflow_name", HOSTILE), (HOSTILE, HOSTILE)]),
         resource=[("service.name", HOSTILE)])
    (row,) = stored(shared, trace)
    assert (row["name"], row["tool_name"], row["workflow_name"], row["service_name"]) == (HOSTILE,) * 4
    assert json.loads(row["attributes"])[HOSTILE] == HOSTILE
    # The exposition stays well formed: the reader is strict.
    labels = [labels for labels, value in shared.metrics().rows("agent_tool_calls_total") if labels["tool"].startswith('a"b')]
    assert labels
    assert all(label["tool"].startswith('a"b\\c') and "DROP TABLE" in label["tool"] for label in labels)


@pytest.mark.parametrize("value, want", [
    ("12", 12), (12.0, 12), (12, 12), (0, 0), ((1 << 63) - 1, (1 << 63) - 1),
    (-5, None), ("-5", None), (1e400, None), ("1e400", None), (float("nan"), None), (1.5, None), ("twelve", None), ("", None),
    (True, None), (1e300, None), (str(1 << 63), None), (b"", None),
])
def test_tokens(shared, value, want):
    trace = trace_id()
    take(shared, span(trace, attributes=[("tokens", value)]))
    (row,) = stored(shared, trace)
    assert row["tokens"] == want


@pytest.mark.parametrize("value, want", [
    (True, 1), (False, 0), (1, 1), (0, 0), ("true", 1), ("FALSE", 0), ("True", 1), (2, None), ("yes please", None), (1.5, None),
])
def test_cache_hit(shared, value, want):
    trace = trace_id()
    take(shared, span(trace, attributes=[("cache_hit", value)]))
    (row,) = stored(shared, trace)
    assert row["cache_hit"] == want


def test_same_batch_twice(shared):
    trace = trace_id()
    body = batch(*[span(trace) for _ in range(20)])
    before = shared.metrics().value("fusebox_spans_duplicate_total", kind="identical")
    check_taken(shared.post(body))
    check_taken(shared.post(body))
    assert len(stored(shared, trace)) == 20
    assert shared.metrics().value("fusebox_spans_duplicate_total", kind="identical") == before + 20


def test_same_span_twice_in_one_batch(shared):
    trace, identity = trace_id(), span_id()
    take(shared, span(trace, identity), span(trace, identity), span(trace, identity, name="another"), rejected=1)
    assert [row["name"] for row in stored(shared, trace)] == ["work"]


def test_child_before_parent(shared):
    trace, root = trace_id(), span_id()
    take(shared, span(trace, parent=root), span(trace, parent=span_id()))
    take(shared, span(trace, root))
    rows = stored(shared, trace)
    assert sorted(row["parent_span_id"] is None for row in rows) == [False, False, True]


def test_a_million_spans(launch):
    fusebox = launch()
    spans = random.Random(7).randbytes(1_000_000 * 23)
    entries = []
    for at in range(0, len(spans), 23):
        # 16 + 7 random bytes; the eighth keeps the span id from being zero.
        entries.append(b"\x12\x1c\x0a\x10" + spans[at:at + 16] + b"\x12\x08\x01" + spans[at + 16:at + 23])
    body = data(1, data(2, b"".join(entries)))
    assert len(body) < LIMIT
    answer = fusebox.post(body, timeout=120)
    assert answer.status in (200, 503), answer
    rows = fusebox.scalar("SELECT count(*) FROM spans")
    if answer.status == 503:
        check_refusal(answer, 503)
        assert answer.headers["Retry-After"] == "1"
        assert rows == 0
    else:
        check_taken(answer)
        assert rows == 1_000_000
    assert fusebox.peak_resident_mebibytes() < 1024


# Sizes and encodings of bodies


def test_announced_body_over_the_limit_is_refused_unread(shared):
    with Bare(shared.port, timeout=10) as bare:
        bare.send(post_head(LIMIT + 1))
        # Nothing of the body was sent.
        check_refusal(bare.answer(), 413)
        assert bare.is_closed(10)


def test_body_at_the_limit(fusebox):
    trace = trace_id()
    body = batch(span(trace))
    filler = LIMIT - len(body) - 6
    body += varint(99 << 3 | 2) + varint(filler)
    body += bytes(LIMIT - len(body))
    assert len(body) == LIMIT
    check_taken(fusebox.post(body))
    assert len(stored(fusebox, trace)) == 1


def send_endless_chunks(bare, total):
    chunk = b"10000\r\n" + bytes(65536) + b"\r\n"
    for _ in range(total // 65536):
        if not bare.send_quietly(chunk):
            return


def test_chunks_past_the_limit(fusebox):
    with Bare(fusebox.port) as bare:
        bare.send(post_head(headers=["Transfer-Encoding: chunked"]))
        sender = threading.Thread(target=send_endless_chunks, args=(bare, 4 * LIMIT), daemon=True)
        sender.start()
        check_refusal(bare.answer(), 413)
        assert bare.is_closed(10)
        sender.join(timeout=30)
    assert fusebox.peak_resident_mebibytes() < 400


def test_smaller_limit(launch):
    fusebox = launch(arguments=["--request-bytes-max", "4096"])
    body = batch(span(attributes=[("filler", "x" * 8000)]))
    check_refusal(fusebox.post(body), 413)
    check_refusal(fusebox.post(gzip.compress(body), headers={"Content-Encoding": "gzip"}), 413)
    with Bare(fusebox.port) as bare:
        bare.send(post_head(headers=["Transfer-Encoding: chunked"]) + chunked(body, 1000))
        check_refusal(bare.answer(), 413)
    check_taken(fusebox.post(good()[1]))


def raw_deflate(body):
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(body) + compressor.flush()


COMPRESSIONS = {
    "identity": ("identity", lambda body: body),
    "gzip": ("gzip", gzip.compress),
    "GZIP": ("GZIP", gzip.compress),
    "gzip members": ("gzip", lambda body: gzip.compress(body[:9]) + gzip.compress(b"") + gzip.compress(body[9:])),
    "zlib": ("deflate", zlib.compress),
    "zlib, best": ("deflate", lambda body: zlib.compress(body, 9)),
    "zlib, fastest": ("deflate", lambda body: zlib.compress(body, 1)),
    "raw deflate": ("deflate", raw_deflate),
    "zstd": ("zstd", zstandard.compress),
    "zstd frames": ("zstd", lambda body: zstandard.compress(body[:9]) + zstandard.compress(body[9:])),
}


@pytest.mark.parametrize("case", COMPRESSIONS)
@pytest.mark.parametrize("in_chunks", [False, True], ids=["length", "chunked"])
def test_compressions(shared, case, in_chunks):
    encoding, compress = COMPRESSIONS[case]
    trace = trace_id()
    body = compress(batch(*[span(trace, attributes=[("text", "lorem ipsum " * 20)]) for _ in range(50)]))
    header = f"Content-Encoding: {encoding}"
    with Bare(shared.port) as bare:
        if in_chunks:
            bare.send(post_head(headers=[header, "Transfer-Encoding: chunked"]) + chunked(body, 777))
        else:
            bare.send(post_head(len(body), headers=[header]) + body)
        check_taken(bare.answer())
    assert len(stored(shared, trace)) == 50


@pytest.mark.parametrize("encoding", ["br", "compress", "gzip, gzip", "snappy", "lz4"])
def test_encodings_that_are_not_taken(shared, encoding):
    trace, body = good()
    answer = shared.post(gzip.compress(body), headers={"Content-Encoding": encoding})
    check_refusal(answer, 400 if encoding == "gzip, gzip" else 415)
    if answer.status == 415:
        assert "gzip" in answer.headers["Accept-Encoding"]
    assert stored(shared, trace) == []


PACKED = gzip.compress(good()[1])
DAMAGED = {
    "gzip header only": ("gzip", PACKED[:10]),
    "gzip cut short": ("gzip", PACKED[:-12]),
    "gzip without trailer": ("gzip", PACKED[:-8]),
    "gzip with half a trailer": ("gzip", PACKED[:-4]),
    "gzip with a bad checksum": ("gzip", PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:]),
    "gzip with a bad length": ("gzip", PACKED[:-4] + b"\0\0\0\0"),
    "gzip with junk behind": ("gzip", PACKED + b"junk"),
    "gzip with a second member cut short": ("gzip", PACKED + PACKED[:20]),
    "gzip that is none": ("gzip", good()[1]),
    "gzip without the header field": (None, PACKED),
    "deflate that is none": ("deflate", b"\xff" * 30),
    "deflate cut short": ("deflate", zlib.compress(good()[1])[:-6]),
    "deflate with a bad checksum": ("deflate", zlib.compress(good()[1])[:-4] + b"\0\0\0\0"),
    "raw deflate cut short": ("deflate", raw_deflate(good()[1])[:-6]),
    "zstd that is none": ("zstd", b"\xff" * 30),
    "zstd cut short": ("zstd", zstandard.compress(good()[1])[:-5]),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_compression(shared, case):
    encoding, body = DAMAGED[case]
    before = shared.scalar("SELECT count(*) FROM spans")
    answer = shared.post(body, headers={"Content-Encoding": encoding} if encoding else {})
    check_refusal(answer, 400)
    assert shared.scalar("SELECT count(*) FROM spans") == before


def gzip_bomb(size):
    compressor = zlib.compressobj(9, wbits=31)
    zeros = bytes(MEBIBYTE)
    return b"".join(compressor.compress(zeros) for _ in range(size // MEBIBYTE)) + compressor.flush()


def zstd_bomb(size):
    compressor = zstandard.ZstdCompressor().compressobj()
    zeros = bytes(MEBIBYTE)
    return b"".join(compressor.compress(zeros) for _ in range(size // MEBIBYTE)) + compressor.flush()


def test_bombs(launch):
    fusebox = launch()
    bombs = {"gzip": gzip_bomb(1 << 30), "zstd": zstd_bomb(1 << 30), "deflate": zlib.compress(bytes(LIMIT + 1), 9)}
    for encoding, bomb in bombs.items():
        assert len(bomb) < 2 * MEBIBYTE
        check_refusal(fusebox.post(bomb, headers={"Content-Encoding": encoding}), 413)
    assert fusebox.peak_resident_mebibytes() < 400
    check_taken(fusebox.post(good()[1]))


def test_bombs_side_by_side(launch):
    fusebox = launch()
    bomb = gzip_bomb(1 << 30)
    answers = []

    def send():
        answers.append(fusebox.post(bomb, headers={"Content-Encoding": "gzip"}))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    for answer in answers:
        assert answer.status in (413, 503), answer
        check_refusal(answer, answer.status)
    assert fusebox.peak_resident_mebibytes() < 1024


# HTTP itself


def test_chunked_bodies(shared):
    trace = trace_id()
    body = batch(*[span(trace) for _ in range(30)])
    for size in 1, 7, 4096:
        with Bare(shared.port) as bare:
            bare.send(post_head(headers=["Transfer-Encoding: chunked"]) + chunked(body, size))
            check_taken(bare.answer())
    with Bare(shared.port) as bare:
        # Extensions and a trailer.
        bare.send(post_head(headers=["Transfer-Encoding: chunked", "Trailer: X-Check"]))
        bare.send(b"%x;name=value\r\n%s\r\n0\r\nX-Check: 1\r\n\r\n" % (len(body), body))
        check_taken(bare.answer())
    assert len(stored(shared, trace)) == 30


def test_keep_alive(shared):
    traces = [trace_id() for _ in range(50)]
    with Bare(shared.port) as bare:
        for trace in traces:
            body = batch(span(trace))
            bare.send(post_head(len(body)) + body)
            check_taken(bare.answer())
    assert all(len(stored(shared, trace)) == 1 for trace in traces[::10])


def test_keep_alive_after_refusals(shared):
    trace, body = good()
    with Bare(shared.port) as bare:
        for broken in b"\xff\xff\xff", b"\x08\x01":
            bare.send(post_head(len(broken)) + broken)
            check_refusal(bare.answer(), 400)
        bare.send(post_head(len(body), path="/nowhere") + body)
        check_refusal(bare.answer(), 404)
        bare.send(b"GET /v1/traces HTTP/1.1\r\nHost: localhost\r\n\r\n")
        check_refusal(bare.answer(), 405, "json")
        bare.send(post_head(len(body), headers=["Content-Encoding: br"]) + body)
        check_refusal(bare.answer(), 415)
        bare.send(post_head(len(body)) + body)
        check_taken(bare.answer())
    assert len(stored(shared, trace)) == 1


def test_connection_close(shared):
    _, body = good()
    with Bare(shared.port) as bare:
        bare.send(post_head(len(body), headers=["Connection: close"]) + body)
        check_taken(bare.answer())
        assert bare.is_closed(10)


def test_pipelined_posts(shared):
    trace = trace_id()
    bodies = [batch(span(trace)) for _ in range(30)]
    with Bare(shared.port) as bare:
        bare.send(b"".join(post_head(len(body)) + body for body in bodies))
        for _ in bodies:
            check_taken(bare.answer())
    assert len(stored(shared, trace)) == 30


def test_parallel_clients(shared):
    trace = trace_id()
    failures = []

    def client():
        try:
            with Bare(shared.port) as bare:
                for _ in range(20):
                    body = batch(span(trace), span(trace))
                    bare.send(post_head(len(body)) + body)
                    check_taken(bare.answer())
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=client) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]
    assert len(stored(shared, trace)) == 30 * 20 * 2


def test_expect_continue(shared):
    trace, body = good()
    with Bare(shared.port, timeout=5) as bare:
        bare.send(post_head(len(body), headers=["Expect: 100-continue"]))
        interim = bare.answer()
        assert interim.status == 100, interim
        bare.send(body)
        check_taken(bare.answer())
    assert len(stored(shared, trace)) == 1


def test_expect_continue_of_too_much(shared):
    with Bare(shared.port) as bare:
        bare.send(post_head(LIMIT + 1, headers=["Expect: 100-continue"]))
        answer = bare.answer()
        if answer.status == 100:
            answer = bare.answer()
        check_refusal(answer, 413)


def test_upgrade_to_http2_is_passed_over(shared):
    trace, body = good()
    with Bare(shared.port) as bare:
        bare.send(post_head(len(body), headers=["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"]))
        bare.send(body)
        check_taken(bare.answer())
    assert len(stored(shared, trace)) == 1


BROKEN_HTTP = {
    "length and chunks": post_head(5, headers=["Transfer-Encoding: chunked"]) + b"0\r\n\r\n",
    "chunks and length": post_head(headers=["Transfer-Encoding: chunked", "Content-Length: 5"]) + b"0\r\n\r\n",
    "negative length": post_head(-5),
    "length that is not a number": post_head("abc"),
    "length with a sign": post_head("+5") + b"abcde",
    "two lengths": post_head(5, headers=["Content-Length: 6"]) + b"abcdef",
    "list of lengths": post_head("5, 6") + b"abcdef",
    "length past 64 bits": post_head(1 << 70),
    "chunk size that is not a number": post_head(headers=["Transfer-Encoding: chunked"]) + b"zz\r\nabc\r\n0\r\n\r\n",
    "negative chunk size": post_head(headers=["Transfer-Encoding: chunked"]) + b"-1\r\nabc\r\n0\r\n\r\n",
    "chunk size past 64 bits": post_head(headers=["Transfer-Encoding: chunked"]) + b"f" * 17 + b"\r\nabc",
    "chunk longer than its size": post_head(headers=["Transfer-Encoding: chunked"]) + b"2\r\nabcdef\r\n0\r\n\r\n",
    "header without a colon": b"POST /v1/traces HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n",
    "space before a colon": b"POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\nabcde",
    "no HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 tls client hello\r\n\r\n",
}


@pytest.mark.parametrize("case", BROKEN_HTTP)
def test_broken_http(shared, case):
    before = shared.scalar("SELECT count(*) FROM spans")
    with Bare(shared.port) as bare:
        bare.send(BROKEN_HTTP[case])
        answer = bare.answer()
        assert answer is not None, "closed without an answer"
        assert answer.status == 400, answer
        assert bare.is_closed(10)
    assert shared.scalar("SELECT count(*) FROM spans") == before


@pytest.mark.parametrize("first", ["length", "chunks"])
def test_no_request_is_smuggled(shared, first):
    trace, hidden = good()
    hidden = post_head(len(hidden)) + hidden
    lines = [f"Content-Length: {len(hidden) + 5}", "Transfer-Encoding: chunked"]
    if first == "chunks":
        lines.reverse()
    with Bare(shared.port) as bare:
        bare.send(post_head(headers=lines) + b"0\r\n\r\n" + hidden)
        assert bare.answer().status == 400
        assert bare.is_closed(10)
    assert stored(shared, trace) == []


@pytest.mark.parametrize("kibibytes", [17, 40, 100])
def test_headers_over_the_limit(shared, kibibytes):
    trace, body = good()
    with Bare(shared.port) as bare:
        bare.send_quietly(post_head(len(body), headers=["X-Filler: " + "x" * (kibibytes << 10)]) + body)
        check_refusal(bare.answer(), 431)
        assert bare.is_closed(10)
    assert stored(shared, trace) == []


def test_many_headers_over_the_limit(shared):
    _, body = good()
    with Bare(shared.port) as bare:
        bare.send_quietly(post_head(len(body), headers=[f"X-{index}: yyyyyyyyyy" for index in range(2000)]) + body)
        check_refusal(bare.answer(), 431)


def test_headers_within_the_limit(shared):
    _, body = good()
    check_taken(shared.post(body, headers={"authorization": "Bearer " + "x" * 12_000}))


def test_clients_that_leave(shared):
    trace, body = good()
    leavers = []
    for cut in (0, 1, len(body) // 2, len(body) - 1):
        bare = Bare(shared.port)
        bare.send(post_head(len(body)) + body[:cut])
        leavers.append(bare)
    chunks = Bare(shared.port)
    chunks.send(post_head(headers=["Transfer-Encoding: chunked"]) + b"5\r\nab")
    leavers.append(chunks)
    packed = gzip.compress(body)
    half = Bare(shared.port)
    half.send(post_head(len(packed), headers=["Content-Encoding: gzip"]) + packed[:20])
    leavers.append(half)
    for bare in leavers:
        bare.close()
    reset = Bare(shared.port)
    reset.send(post_head(len(body)) + body[:5])
    reset.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    reset.close()
    assert stored(shared, trace) == []

    # Leaves before the answer: stored, and sending again changes nothing.
    bare = Bare(shared.port)
    bare.send(post_head(len(body)) + body)
    bare.close()
    poll("the batch of a client that left", lambda: len(stored(shared, trace)) == 1)
    check_taken(shared.post(body))
    assert len(stored(shared, trace)) == 1
    poll("no request left over", lambda: shared.metrics().value("fusebox_ingest_inflight_requests") == 0)


def test_half_closed_client_gets_its_answer(shared):
    trace, body = good()
    with Bare(shared.port) as bare:
        bare.send(post_head(len(body)) + body)
        bare.socket.shutdown(socket.SHUT_WR)
        check_taken(bare.answer())
    assert len(stored(shared, trace)) == 1
