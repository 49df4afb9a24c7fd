"""What an OTLP receiver must do with 82 kinds of good, odd and hostile input, as one table, through every door that it applies to."""

import gzip
import json
import os
import socket
import threading
import zlib

import grpc
import pytest
import zstandard
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import otlp_json
from bare_grpc import BareGrpc
from doors import JSON, SERVICES, Grpc, Json, Protobuf
from server import PROTOBUF, poll
from stalling import SECONDS_MAX
from wire import (BASE_TIME, Bare, batch, check_refusal, chunked, data, fixed64, nested, number, post_head, span, span_id, trace_id,
                  varint)

MEBIBYTE = 1 << 20
LIMIT = 64 * MEBIBYTE
DOORS = {door.name: door for door in (Protobuf, Json, Grpc)}
EVERY = ("protobuf", "json", "grpc")
HTTP = ("protobuf", "json")
BINARY = ("protobuf", "grpc")
ROWS = []


def row(numbers, title, doors=EVERY):
    """Registers a check for rows of the table; it runs once for each door."""
    def register(check):
        for door in doors:
            ROWS.append(pytest.param(check, door, numbers, id=f"{'+'.join(map(str, numbers))}-{title}-{door}"))
        return check
    return register


class At:
    """A server, and the door to it."""

    def __init__(self, request, fusebox, door):
        self.request = request
        self.fusebox = fusebox
        self.door = DOORS[door](fusebox)

    def launched(self, **environment):
        """The same door of a server of its own."""
        return At(self.request, self.request.getfixturevalue("launch")(environment), self.door.name)

    def stored(self, trace):
        return self.fusebox.sql(
            "SELECT * FROM spans WHERE trace_id = :trace ORDER BY start_time_unix_nano, span_id", trace=trace.hex())

    def count(self):
        return self.fusebox.scalar("SELECT count(*) FROM spans")

    def take(self, *spans, rejected=0, resource=None):
        return self.taken(self.door.send_batch(batch(*spans, resource=resource)), rejected)

    @staticmethod
    def taken(outcome, rejected=0):
        assert (outcome.status, outcome.rejected) == (200, rejected), outcome
        assert bool(outcome.message) == bool(rejected), outcome
        return outcome

    def refuse(self, body, status, headers=None):
        """A body as it stands, which must be refused whole."""
        before = self.count()
        outcome = self.door.send(body, headers)
        assert outcome.status == status, outcome
        assert outcome.message
        assert self.count() == before
        return outcome

    def members(self, members, spans=1):
        """An OTLP/JSON request whose only span has these members and a good rest, and its trace id."""
        trace = trace_id()
        text = f'{{"traceId":"{trace.hex()}","spanId":"{span_id().hex()}","endTimeUnixNano":"{BASE_TIME}",{members}}}'
        return trace, self.json_spans(text)

    @staticmethod
    def json_spans(*spans):
        return f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{",".join(spans)}]}}]}}]}}'.encode()


@pytest.mark.parametrize("check, door, numbers", ROWS)
def test_row(request, shared, check, door, numbers):
    check(At(request, shared, door))
    # Whatever it was, others are served as before.
    assert shared.is_running, shared.stderr
    assert shared.post(batch(span())).status == 200


def test_the_table_is_whole():
    assert {number for param in ROWS for number in param.values[2]} == set(range(1, 83))


# Methods, paths, media types


@row([1, 2, 3], "other methods", HTTP)
def _(at):
    for method in "GET", "PUT", "DELETE", "OPTIONS", "PATCH":
        answer = at.fusebox.request(method, "/v1/traces", headers={"Content-Type": at.door.media_type})
        check_refusal(answer, 405, at.door.name)
        assert answer.headers["Allow"] == "POST"
    assert at.fusebox.request("HEAD", "/v1/traces").status == 405


@row([4, 5], "preflight", HTTP)
def _(at):
    at = at.launched(FUSEBOX_CORS_ORIGINS="https://app.example.com")
    ask = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST",
           "Access-Control-Request-Headers": "content-type,authorization"}
    answer = at.fusebox.request("OPTIONS", "/v1/traces", headers=ask)
    assert answer.status == 204 and answer.body == b"", answer
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert answer.headers["Access-Control-Allow-Headers"] == "content-type,authorization"
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    for headers, status in ({"Origin": "https://app.example.com"}, 200), ({"Origin": "https://evil.example.com"}, 403):
        answer = at.door.post(at.door.body(batch(span())), headers)
        assert answer.status == status, answer
        marked = answer.headers["Access-Control-Allow-Origin"]
        assert marked == (headers["Origin"] if status == 200 else None)
    refused = at.door.post(b"\xff", {"Origin": "https://app.example.com"})
    assert (refused.status, refused.headers["Access-Control-Allow-Origin"]) == (400, "https://app.example.com")
    foreign = at.fusebox.request("OPTIONS", "/v1/traces", headers={**ask, "Origin": "https://evil.example.com"})
    assert foreign.status == 403 and foreign.headers["Access-Control-Allow-Origin"] is None


@row([6, 7], "other media types", HTTP)
def _(at):
    body = at.door.body(batch(span()))
    for media_type in None, "text/plain", "application/x-www-form-urlencoded":
        check_refusal(at.fusebox.request("POST", "/v1/traces", body, {"Content-Type": media_type} if media_type else {}), 415, "json")


@row([8], "spellings of the media type", HTTP)
def _(at):
    for media_type in at.door.media_type + "; charset=utf-8", at.door.media_type.upper():
        answer = at.fusebox.request("POST", "/v1/traces", at.door.body(batch(span())), {"Content-Type": media_type})
        assert answer.status == 200
        assert answer.headers["Content-Type"] == at.door.media_type


@row([9], "gRPC at the HTTP port", ["grpc"])
def _(at):
    answer = at.fusebox.request("POST", "/v1/traces", b"", {"Content-Type": "application/grpc"})
    assert "http/protobuf" in check_refusal(answer, 415, "json")
    door = Grpc(at.fusebox, at.fusebox.port)
    with pytest.raises(grpc.RpcError) as raised:
        door.call(batch(span()), timeout=10)
    door.close()
    assert raised.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert "http/protobuf" in raised.value.details()
    poll("the log says so", lambda: "HTTP port" in at.fusebox.stderr and "http/protobuf" in at.fusebox.stderr)


@row([10], "other paths", HTTP)
def _(at):
    for path in "/", "/v1/trace", "/v1/traces/", "/v2/traces":
        answer = at.door.post(at.door.body(batch(span())), path=path)
        assert "/v1/traces" in check_refusal(answer, 404, at.door.name)
        assert answer.headers["Location"] is None


@row([10], "other methods", ["grpc"])
def _(at):
    with pytest.raises(grpc.RpcError) as raised:
        at.door.call(b"", path="/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export")
    assert (raised.value.code(), "profiles are not stored here" in raised.value.details()) == (grpc.StatusCode.UNIMPLEMENTED, True)
    for path in "/opentelemetry.proto.collector.trace.v1.TraceService/Import", "/grpc.health.v1.Health/Check", "/x":
        with pytest.raises(grpc.RpcError) as raised:
            at.door.call(b"", path=path)
        assert raised.value.code() == grpc.StatusCode.UNIMPLEMENTED


@row([11], "other signals", HTTP)
def _(at):
    for path in "/v1/metrics", "/v1/logs", "/v1development/profiles":
        answer = at.door.post(b"{}" if at.door.name == "json" else b"", path=path)
        assert (answer.status, answer.body) == (200, b"{}" if at.door.name == "json" else b"")


@row([11], "other signals", ["grpc"])
def _(at):
    for path in SERVICES.values():
        assert at.door.call(b"", path=path) == b""


# Bodies


@row([12, 13], "empty requests")
def _(at):
    at.taken(at.door.send(b"{}" if at.door.name == "json" else b""))
    if at.door.name == "protobuf":
        assert at.door.post(b"").body == b""
    if at.door.name == "json":
        assert at.door.post(b"{}").body == b"{}"


@row([14, 15, 16], "no object", ["json"])
def _(at):
    whole = otlp_json.encode(ExportTraceServiceRequest.FromString(batch(span())))
    for body in b"", b"null", b"[]", b'"x"', b"1", b"{", whole[:-1], whole[:len(whole) // 2], b"{}x", whole + b"}":
        at.refuse(body, 400)


@row([17, 18], "the other encoding", HTTP)
def _(at):
    other = Json(at.fusebox) if at.door.name == "protobuf" else Protobuf(at.fusebox)
    at.refuse(other.body(batch(span())), 400)


@row([17, 19, 20, 21, 22, 23, 24], "bytes that are no protobuf", BINARY)
def _(at):
    for body in (b"\xff\xff\xff", b"\x0a\x10\x61", b"\x08" + b"\xff" * 10 + b"\x01", b"\x98\x06" + b"\xff" * 10 + b"\x01", b"\x02\x00",
                 b"\x0a" + varint(1 << 63), b"\x0a" + varint(-1), b"\x9b\x06\x08\x01", json.dumps({"resourceSpans": []}).encode()):
        at.refuse(body, 400)


@row([25], "unknown fields", BINARY)
def _(at):
    trace = trace_id()
    unknown = number(99, 5) + varint(99 << 3 | 3) + number(1, 1) + varint(99 << 3 | 4)
    at.taken(at.door.send(batch(span(trace, extra=unknown)) + unknown))
    assert len(at.stored(trace)) == 1


@row([26], "another wire type", BINARY)
def _(at):
    at.refuse(b"\x08\x01", 400)


@row([27], "malformed text", BINARY)
def _(at):
    trace = trace_id()
    at.take(span(trace, name=b"a\xffb"))
    assert at.stored(trace)[0]["name"] == "a\ufffdb"


@row([27], "malformed text", ["json"])
def _(at):
    for name, stored in (b"a\xffb", "a\ufffdb"), (rb"a\ud800b", "a\ufffdb"), (rb"\ud83d\ude00", "\U0001f600"):
        trace, body = at.members('"name":"NAME"')
        at.taken(at.door.send(body.replace(b"NAME", name)))
        assert at.stored(trace)[0]["name"] == stored


# Identifiers


@row([28, 29, 30, 31], "bad ids")
def _(at):
    good = (b"\1" * 16, b"\1" * 8)
    for ids in ((b"\1" * 15, good[1]), (b"\1" * 17, good[1]), (bytes(16), good[1]), (b"", good[1]), (good[0], b"\1" * 7),
                (good[0], b"\1" * 9), (good[0], bytes(8)), (good[0], b"")):
        trace = trace_id()
        before = at.count()
        at.take(span(*ids), span(trace), rejected=1)
        assert at.count() == before + 1


@row([32], "a bad parent")
def _(at):
    trace = trace_id()
    at.take(span(trace, parent=b"\1" * 4))
    assert [found["parent_span_id"] for found in at.stored(trace)] == [None]


@row([33, 34], "bad spans among good ones, and alone")
def _(at):
    trace = trace_id()
    at.take(*[span(trace) for _ in range(511)], span(b"\1" * 15), rejected=1)
    assert len(at.stored(trace)) == 511
    at.take(*[span(bytes(16))] * 7, rejected=7)


@row([35, 36, 37], "hexadecimal", ["json"])
def _(at):
    for identity in "AAECAwQFBgcICQoLDA0ODw==", "0g" * 16:
        body = at.json_spans(f'{{"traceId":"{identity}","spanId":"{span_id().hex()}"}}')
        at.taken(at.door.send(body), 1)
    trace = bytes.fromhex("ab" * 8) + trace_id()[:8]
    mixed = "".join(letter.upper() if index % 2 else letter for index, letter in enumerate(trace.hex()))
    at.taken(at.door.send(at.json_spans(f'{{"traceId":"{mixed}","spanId":"{span_id().hex().upper()}"}}')))
    assert len(at.stored(trace)) == 1


# JSON's own


@row([38, 39], "names of enumerations", ["json"])
def _(at):
    trace, body = at.members('"kind":"SPAN_KIND_SERVER","status":{"code":"STATUS_CODE_ERROR"}')
    at.taken(at.door.send(body))
    (found,) = at.stored(trace)
    assert (found["kind"], found["status_code"]) == (2, 2)
    at.refuse(at.members('"kind":"NOPE"')[1], 400)


@row([40, 41], "spellings and unknown names", ["json"])
def _(at):
    trace = trace_id()
    body = json.dumps({"resource_spans": [{"x": 1, "resource": {"attributes": [
        {"key": "service.name", "value": {"string_value": "snake", "x": {}}, "x": []}], "x": None}, "scope_spans": [{"x": [[{}]], "spans": [{
            "trace_id": trace.hex(), "span_id": span_id().hex(), "start_time_unix_nano": "1", "end_time_unix_nano": 2, "x": "y",
            "events": [{"x": 1, "time_unix_nano": "5", "name": "e"}], "status": {"x": True}}]}]}], "x": 1.5e300}).encode()
    at.taken(at.door.send(body))
    (found,) = at.stored(trace)
    assert (found["service_name"], found["end_time_unix_nano"]) == ("snake", 2)


@row([42, 43], "times", ["json"])
def _(at):
    trace, body = at.members('"startTimeUnixNano":1544712660000000001')
    at.taken(at.door.send(body))
    assert at.stored(trace)[0]["start_time_unix_nano"] == 1544712660000000001
    for time in "1.5", '"abc"', "-1", str(1 << 64), f'"{1 << 64}"', "true", "{}":
        at.refuse(at.members(f'"startTimeUnixNano":{time}')[1], 400)


def attribute_member(value):
    return f'"attributes":[{{"key":"k","value":{value}}}]'


@row([44], "integers", ["json"])
def _(at):
    trace, body = at.members(attribute_member('{"intValue":"9223372036854775807"}'))
    at.taken(at.door.send(body))
    assert json.loads(at.stored(trace)[0]["attributes"]) == {"k": (1 << 63) - 1}
    at.refuse(at.members(attribute_member('{"intValue":"9223372036854775808"}'))[1], 400)


@row([45], "numbers that are none")
def _(at):
    for value in float("nan"), float("inf"), float("-inf"):
        trace = trace_id()
        at.take(span(trace, attributes=[("k", value), ("after", 1)]))
        assert json.loads(at.stored(trace)[0]["attributes"])["after"] == 1


@row([46, 47], "base64 and arrays", ["json"])
def _(at):
    for value in '{"bytesValue":"***"}', '{"bytesValue":"a"}', '{"bytesValue":5}':
        at.refuse(at.members(attribute_member(value))[1], 400)
    for value in '{"bytesValue":"-_8"}', '{"bytesValue":"+/8="}', '{"bytesValue":"+_8"}':
        at.taken(at.door.send(at.members(attribute_member(value))[1]))
    at.refuse(at.members('"attributes":{"k":"v"}')[1], 400)


@row([48], "a key twice", ["json"])
def _(at):
    trace = trace_id()
    first, second = (f'{{"traceId":"{trace.hex()}","spanId":"{span_id().hex()}"}}' for _ in range(2))
    at.taken(at.door.send(f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{first}],"spans":[{second}]}}]}}]}}'.encode()))
    assert len(at.stored(trace)) == 2


@row([49], "nested values", BINARY)
def _(at):
    trace = trace_id()
    at.take(span(trace, attributes=[("deep", nested(45))]))
    at.refuse(batch(span(attributes=[("deep", nested(10_000))])), 400)


@row([49, 50], "nested values and brackets", ["json"])
def _(at):
    def deep(depth):
        return attribute_member('{"arrayValue":{"values":[' * depth + '{"stringValue":"leaf"}' + "]}}" * depth)
    trace, body = at.members(deep(45))
    at.taken(at.door.send(body))
    value = json.loads(at.stored(trace)[0]["attributes"])["k"]
    for _ in range(45):
        (value,) = value
    assert value == "leaf"
    at.refuse(at.members(deep(10_000))[1], 400)
    at.refuse(b"[" * 100_000, 400)
    at.refuse(b'{"x":' + b"[" * 100_000, 400)
    at.refuse(b'{"x":' * 100_000, 400)


# Values


@row([51, 52], "empty values and keys, keys twice")
def _(at):
    trace = trace_id()
    at.take(span(trace, attributes=[("none", b""), ("", "empty key"), ("twice", "first"), ("twice", "second"), ("after", 1)]
                 + ([("index", number(8, 3))] if at.door.name != "json" else [])))
    attributes = json.loads(at.stored(trace)[0]["attributes"])
    assert attributes["after"] == 1 and attributes["none"] is None and attributes["twice"] in ("first", "second")
    if at.door.name == "json":
        trace, body = at.members(attribute_member('{"stringValueStrindex":3}'))
        at.taken(at.door.send(body))
        assert json.loads(at.stored(trace)[0]["attributes"]) == {"k": None}


@row([53, 54], "odd times")
def _(at):
    for start, end in (BASE_TIME, BASE_TIME - 1), (0, BASE_TIME), (0, 0):
        trace = trace_id()
        at.take(span(trace, start=start, end=end))
        assert len(at.stored(trace)) == 1
    at.take(span(start=(1 << 64) - 1, end=(1 << 64) - 1), span(), rejected=1)


@row([55], "kind and status out of range")
def _(at):
    trace = trace_id()
    at.take(span(trace, extra=number(6, 99) + data(15, number(3, 7))))
    (found,) = at.stored(trace)
    assert (found["kind"], found["status_code"]) == (99, 7)


@row([56], "a great many spans")
def _(at):
    at = at.launched()
    count = 1_000_000 if at.door.name != "json" else 600_000
    import random
    ids = random.Random(7).randbytes(count * 23)
    if at.door.name == "json":
        entries = ",".join(f'{{"traceId":"{ids[index:index + 16].hex()}","spanId":"01{ids[index + 16:index + 23].hex()}"}}'
                           for index in range(0, len(ids), 23))
        body = f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{entries}]}}]}}]}}'.encode()
    else:
        body = data(1, data(2, b"".join(b"\x12\x1c\x0a\x10" + ids[index:index + 16] + b"\x12\x08\x01" + ids[index + 16:index + 23]
                                        for index in range(0, len(ids), 23))))
    assert len(body) < LIMIT
    outcome = at.door.send(body)
    assert outcome.status in (200, 503), outcome
    assert at.count() == (count if outcome.status == 200 else 0)
    assert at.fusebox.peak_resident_mebibytes() < 1100


# Sizes and compression


@row([57], "a body over the limit by its own account", HTTP)
def _(at):
    with Bare(at.fusebox.port, timeout=10) as bare:
        bare.send(post_head(LIMIT + 1).replace(PROTOBUF.encode(), at.door.media_type.encode()))
        check_refusal(bare.answer(), 413, at.door.name)
        assert bare.is_closed(10)


@row([57], "a message over the limit by its own account", ["grpc"])
def _(at):
    with BareGrpc(at.fusebox.grpc_port) as bare:
        status, trailers = bare.call(b"\0" + (LIMIT + 1).to_bytes(4, "big"), ends=False)
    assert (status, "grpc-status-details-bin" in trailers) == ("8", False), trailers


@row([58], "chunks past the limit", HTTP)
def _(at):
    at = at.launched(FUSEBOX_REQUEST_BYTES_MAX="65536")
    with Bare(at.fusebox.port) as bare:
        bare.send(post_head(headers=["Transfer-Encoding: chunked"]).replace(PROTOBUF.encode(), at.door.media_type.encode()))
        for _ in range(8):
            if not bare.send_quietly(b"4000\r\n" + b" " * 0x4000 + b"\r\n"):
                break
        check_refusal(bare.answer(), 413, at.door.name)
        assert bare.is_closed(10)


@row([58, 59], "a large message, plain and compressed", ["grpc"])
def _(at):
    at = at.launched()
    zeros = bytes(LIMIT + 1)
    for compression in grpc.Compression.NoCompression, grpc.Compression.Gzip:
        outcome = at.door.send(zeros, compression=compression)
        assert (outcome.status, outcome.retry_after) == (413, None), outcome
    assert at.fusebox.peak_resident_mebibytes() < 400


@row([59], "a bomb", HTTP)
def _(at):
    at = at.launched()
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(MEBIBYTE)) for _ in range(1024)) + packer.flush()
    at.refuse(bomb, 413, {"Content-Encoding": "gzip"})
    assert at.fusebox.peak_resident_mebibytes() < 400


def damaged(packed):
    return packed[:10], packed[:-12], packed[:-8] + b"\0\0\0\0" + packed[-4:], packed + b"junk"


@row([60, 61, 62], "damaged compression", HTTP)
def _(at):
    body = at.door.body(batch(span()))
    packed = gzip.compress(body)
    for broken in (*damaged(packed), body):
        at.refuse(broken, 400, {"Content-Encoding": "gzip"})
    at.refuse(packed, 400)


@row([60, 61, 62, 63, 65], "compression and its damage", ["grpc"])
def _(at):
    def call(body, encoding, flag):
        with BareGrpc(at.fusebox.grpc_port) as bare:
            return bare.call(bytes([flag]) + len(body).to_bytes(4, "big") + body, {"grpc-encoding": encoding} if encoding else {})[0]
    trace = trace_id()
    body = batch(span(trace))
    packed = gzip.compress(body)
    for broken in (*damaged(packed), body):
        assert call(broken, "gzip", 1) == "3"
    assert call(packed, "gzip", 0) == "3"
    assert call(packed, None, 1) == "13"
    assert call(body, "br", 0) == "12"
    assert at.stored(trace) == []
    assert call(gzip.compress(body[:9]) + gzip.compress(body[9:]), "gzip", 1) == "0"
    assert call(body, "gzip", 0) == "0"
    assert call(zstandard.compress(body), "zstd", 1) == "0"
    assert len(at.stored(trace)) == 1


def raw_deflate(body):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


@row([63, 64, 66], "compressions", HTTP)
def _(at):
    for encoding, pack in (("gzip", gzip.compress), ("GZIP", gzip.compress), ("identity", bytes), ("deflate", zlib.compress),
                           ("gzip", lambda body: gzip.compress(body[:9]) + gzip.compress(body[9:])), ("deflate", raw_deflate),
                           ("zstd", zstandard.compress)):
        trace = trace_id()
        at.taken(at.door.send(pack(at.door.body(batch(span(trace)))), {"Content-Encoding": encoding}))
        assert len(at.stored(trace)) == 1
    at.refuse(gzip.compress(gzip.compress(at.door.body(batch(span())))), 400, {"Content-Encoding": "gzip, gzip"})


@row([65], "other compressions", HTTP)
def _(at):
    answer = at.door.post(at.door.body(batch(span())), {"Content-Encoding": "br"})
    check_refusal(answer, 415, at.door.name)
    assert "gzip" in answer.headers["Accept-Encoding"]


# HTTP


@row([67, 71], "clients that stall", ["protobuf"])
def _(at):
    stallers = at.request.getfixturevalue("stallers")
    for case in "body that never comes", "header that drips":
        poll(f"{case}: closed", lambda: stallers[case].closed_after is not None, SECONDS_MAX)
    assert stallers["body that never comes"].answer.startswith(b"HTTP/1.1 408")
    assert stallers["header that drips"].closed_after < 20


@row([68, 69], "framing", HTTP)
def _(at):
    for head in (post_head(5, headers=["Transfer-Encoding: chunked"]), post_head(-5), post_head(5, headers=["Content-Length: 6"]),
                 post_head(headers=["Transfer-Encoding: chunked"]) + b"zz\r\n"):
        with Bare(at.fusebox.port) as bare:
            bare.send(head.replace(PROTOBUF.encode(), at.door.media_type.encode()) + b"abcde")
            assert bare.answer().status == 400
            assert bare.is_closed(10)


@row([70], "long headers", HTTP)
def _(at):
    answer = at.door.post(at.door.body(batch(span())), {"X-Filler": "x" * (17 << 10)})
    check_refusal(answer, 431, at.door.name)


@row([70], "long metadata", ["grpc"])
def _(at):
    with pytest.raises(grpc.RpcError):
        at.door.call(batch(span()), [("x-filler", "x" * (17 << 10))])


@row([72], "side by side")
def _(at):
    trace = trace_id()
    outcomes = []

    def send():
        outcomes.extend(at.door.send_batch(batch(span(trace))) for _ in range(10))
    threads = [threading.Thread(target=send) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [outcome.status for outcome in outcomes] == [200] * 300
    assert len(at.stored(trace)) == 300


@row([73, 74], "sent twice, child first")
def _(at):
    trace, root = trace_id(), span_id()
    body = at.door.body(batch(span(trace, parent=root), span(trace, parent=span_id())))
    at.taken(at.door.send(body))
    at.taken(at.door.send(body))
    at.take(span(trace, root))
    assert len(at.stored(trace)) == 3


# Refusals


@row([75], "a full disk", HTTP)
def _(at):
    pytest.importorskip("resource")
    at = at.launched()
    import resource
    trace = trace_id()
    size = max(path.stat().st_size for path in at.fusebox.folder.iterdir() if path.is_file())
    limits = resource.prlimit(at.fusebox.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(at.fusebox.process.pid, resource.RLIMIT_FSIZE, (size, limits[1]))
    # Nothing that compresses, and more of it than the log has room for.
    outcomes = [at.door.send_batch(batch(span(trace, attributes=[("filler", os.urandom(400_000).hex())]))) for _ in range(6)]
    assert outcomes[-1].status == 503 and outcomes[-1].retry_after == "1", outcomes
    resource.prlimit(at.fusebox.process.pid, resource.RLIMIT_FSIZE, limits)
    taken = sum(outcome.status == 200 for outcome in outcomes)
    assert len(at.stored(trace)) == taken
    # It goes on by itself, once it has looked through the file.
    body = at.door.body(batch(span(trace)))

    def taken_again():
        outcome = at.door.send(body)
        assert outcome.status in (200, 503), outcome
        return outcome.status == 200

    poll("spans are taken again", taken_again)
    assert len(at.stored(trace)) == taken + 1


@row([76], "no room")
def _(at):
    at = at.launched(FUSEBOX_INFLIGHT_BYTES_MAX=str(MEBIBYTE))
    with Bare(at.fusebox.port) as slow:
        slow.send(post_head(2 * MEBIBYTE) + bytes(MEBIBYTE + 1))
        poll("it is under way", lambda: at.fusebox.metrics().value("fusebox_saturation_ratio", cause="bytes") > 1)
        outcome = at.door.send_batch(batch(span()))
        assert (outcome.status, outcome.retry_after) == (503, "1"), outcome
        assert at.fusebox.metrics().total("fusebox_admission_refusals_total") == 1
        assert b"saturation bytes 100 %" in at.fusebox.get("/-/ready").body
    poll("it is gone", lambda: at.fusebox.metrics().value("fusebox_ingest_inflight_requests") == 0)
    at.take(span())


@row([77], "tokens")
def _(at):
    made = at.fusebox.run("token").stdout.decode().split()
    token, digest = made[1], made[3]
    reading = at.fusebox.run("token").stdout.decode().split()
    # Reading is open in this server, so that the kit can look; its token is set to tell the roles apart in test_security.
    at = at.launched(FUSEBOX_INGEST_TOKENS=digest)
    body = at.door.body(batch(span()))
    for headers in {}, {"Authorization": "Bearer wrong"}, {"Authorization": token}, {"Authorization": "Bearer " + reading[1]}:
        outcome = at.door.send(body, headers)
        assert outcome.status == 401, outcome
    if at.door.name != "grpc":
        assert at.door.post(body).headers["WWW-Authenticate"].startswith("Bearer")
    at.taken(at.door.send(body, {"Authorization": "Bearer " + token}))
    at.taken(at.door.send(body, {"authorization": "bearer " + token}))


@row([78], "clients that leave", HTTP)
def _(at):
    trace = trace_id()
    body = at.door.body(batch(span(trace)))
    head = post_head(len(body)).replace(PROTOBUF.encode(), at.door.media_type.encode())
    bare = Bare(at.fusebox.port)
    bare.send(head + body[:-3])
    bare.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    bare.close()
    bare = Bare(at.fusebox.port)
    bare.send(head + body)
    bare.close()
    poll("the batch of a client that left", lambda: len(at.stored(trace)) == 1)
    at.taken(at.door.send(body))
    assert len(at.stored(trace)) == 1


@row([78], "clients that leave", ["grpc"])
def _(at):
    trace = trace_id()
    body = batch(span(trace))
    with BareGrpc(at.fusebox.grpc_port) as bare:
        bare.begin(b"\0" + len(body).to_bytes(4, "big") + body[:-3])
    poll("no call left over", lambda: at.fusebox.metrics().value("fusebox_ingest_inflight_requests") == 0)
    assert at.stored(trace) == []
    at.taken(at.door.send(body))


@row([79, 80], "long values, many attributes, no service")
def _(at):
    trace = trace_id()
    at.take(span(trace, attributes=[("long", "x" * (10 * MEBIBYTE)), ("after", 1)]), resource=[("service.name", 7)])
    (found,) = at.stored(trace)
    assert found["service_name"] == "unknown_service"
    assert 0 < len(json.loads(found["attributes"])["long"]) <= 10 * MEBIBYTE
    trace = trace_id()
    at.take(span(trace, attributes=[(f"key{index}", index) for index in range(10_000)]), resource=[])
    (found,) = at.stored(trace)
    assert found["service_name"] == "unknown_service" and json.loads(found["attributes"])["key0"] == 0


HOSTILE = 'a"b\\c\nd;\'); DROP TABLE segment; --}\0e{x="1"} 1\r\x1b[31m\u202e'


@row([81], "hostile names")
def _(at):
    trace = trace_id()
    at.take(span(trace, name=HOSTILE, attributes=[("tool_name", HOSTILE), (HOSTILE, HOSTILE)]), resource=[("service.name", HOSTILE)])
    (found,) = at.stored(trace)
    assert (found["name"], found["tool_name"], found["service_name"]) == (HOSTILE,) * 3
    assert json.loads(found["attributes"])[HOSTILE] == HOSTILE
    assert [labels for labels, _ in at.fusebox.metrics().rows("agent_tool_calls_total") if labels["tool"].startswith('a"b')]


@row([82], "tokens as they come")
def _(at):
    for value, want in ("12", 12), (12.0, 12), (-5, None), (1e400, None), ("1e400", None):
        trace = trace_id()
        at.take(span(trace, attributes=[("tokens", value)]))
        assert at.stored(trace)[0]["tokens"] == want
    if at.door.name == "json":
        trace, body = at.members('"attributes":[{"key":"tokens","value":{"doubleValue":1e400}}]')
        at.taken(at.door.send(body))
        assert at.stored(trace)[0]["tokens"] is None
