"""The captured requests of Tests/Fixtures/otlp, their content by the official library, and what the agents counted themselves."""

import functools
import gzip
import json
import pathlib
import zlib

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from server import Answer

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "Fixtures"
NAMES = sorted(path.name for path in (FIXTURES / "otlp").iterdir() if path.is_dir())
HANDMADE = [name for name in NAMES if name.startswith("handmade")]

# How each agent that kept books of its own ran. The other knobs are the defaults.
KNOBS = {
    "handmade": {"BREAKER_COOLDOWN_S": "0.5"},
    "handmade-deflate": {"BREAKER_COOLDOWN_S": "0.1"},
    "handmade-gzip": {"BREAKER_COOLDOWN_S": "0.1"},
    "handmade-retries": {"BREAKER_COOLDOWN_S": "1.5"},
    "handmade-logical": {"BREAKER_COOLDOWN_S": "30", "BREAKER_STATE_AT": "start"},
}


class Post:
    """One captured request."""

    def __init__(self, path):
        head = json.loads(path.read_text())
        self.path = head["path"]
        self.headers = [(name, value) for name, value in head["headers"]]
        self.body = path.with_suffix(".bin").read_bytes()
        assert len(self.body) == head["body_bytes"], path

    @property
    def plain_body(self):
        encoding = dict((name.lower(), value) for name, value in self.headers).get("content-encoding")
        if encoding == "gzip":
            return gzip.decompress(self.body)
        if encoding == "deflate":
            return zlib.decompress(self.body)
        return self.body

    def send(self, connection, port):
        """Sends it over an open connection with the headers that the exporter sent, in their order and spelling."""
        connection.putrequest("POST", self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers:
            connection.putheader(name, f"127.0.0.1:{port}" if name.lower() == "host" else value)
        connection.endheaders(self.body)
        return Answer.read(connection)


@functools.cache
def posts(name):
    return [Post(path) for path in sorted((FIXTURES / "otlp" / name).glob("*.json-headers"))]


@functools.cache
def spans(name):
    """Every span of a folder by (trace id, span id), decoded with opentelemetry-proto."""
    found = {}
    for post in posts(name):
        if post.path != "/v1/traces":
            continue
        request = ExportTraceServiceRequest.FromString(post.plain_body)
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    found.setdefault((span.trace_id.hex(), span.span_id.hex()), span)
    return found


def truth(name):
    return json.loads((FIXTURES / "truth" / name / "truth.json").read_text())


def expected(name):
    """What the breaker semantics give for a folder, by tool; `None` where nobody worked it out."""
    path = FIXTURES / "truth" / name / "expected.json"
    return json.loads(path.read_text())["tools"] if path.exists() else None


def replay(fusebox, requests):
    """Posts over one connection, each of which must be taken."""
    connection = fusebox.connect()
    try:
        for post in requests:
            answer = post.send(connection, fusebox.port)
            assert answer.status == 200, answer
            assert answer.body == b"", answer
            assert answer.headers["Content-Type"] == "application/x-protobuf", answer
            assert answer.headers["Content-Length"] == "0", answer
    finally:
        connection.close()


def replay_all(fusebox, name):
    """Posts everything of a folder, whatever the signal."""
    connection = fusebox.connect()
    try:
        for post in posts(name):
            answer = post.send(connection, fusebox.port)
            assert answer.status == 200, answer
    finally:
        connection.close()
