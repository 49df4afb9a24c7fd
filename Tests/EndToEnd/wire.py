"""Protobuf bytes by hand, good and bad, and HTTP over a bare socket."""

import json
import secrets
import socket
import struct

from google.rpc.status_pb2 import Status

from server import Answer, PROTOBUF

# Protobuf


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field, value):
    return varint(field << 3) + varint(value)


def fixed64(field, value):
    return varint(field << 3 | 1) + struct.pack("<Q", value)


def data(field, value):
    if isinstance(value, str):
        value = value.encode()
    return varint(field << 3 | 2) + varint(len(value)) + value


def text_value(value):
    return data(1, value)


def attribute(key, value):
    """A KeyValue; `value` is a str, bool, int, float, or the bytes of an AnyValue."""
    if isinstance(value, str):
        value = text_value(value)
    elif isinstance(value, bool):
        value = number(2, int(value))
    elif isinstance(value, int):
        value = number(3, value)
    elif isinstance(value, float):
        value = varint(4 << 3 | 1) + struct.pack("<d", value)
    return data(1, key) + data(2, value)


BASE_TIME = 1_795_000_000_000_000_000


def trace_id():
    return secrets.token_bytes(16)


def span_id():
    return secrets.token_bytes(8)


def span(trace=None, identity=None, name="work", start=BASE_TIME, end=BASE_TIME + 5_000_000, parent=None, attributes=(), extra=b""):
    """A Span. `attributes` are pairs; `None` leaves a time out; `extra` is appended as it stands."""
    out = data(1, trace_id() if trace is None else trace) + data(2, span_id() if identity is None else identity)
    if parent is not None:
        out += data(4, parent)
    out += data(5, name)
    if start is not None:
        out += fixed64(7, start)
    if end is not None:
        out += fixed64(8, end)
    for key, value in attributes:
        out += data(9, attribute(key, value))
    return out + extra


def batch(*spans, resource=None):
    """An ExportTraceServiceRequest of encoded spans; `resource` are the pairs of its resource, with a service name unless given."""
    if resource is None:
        resource = [("service.name", "wire")]
    head = data(1, b"".join(data(1, attribute(key, value)) for key, value in resource))
    return data(1, head + data(2, data(1, data(1, "tests")) + b"".join(data(2, encoded) for encoded in spans)))


def nested(depth, value=text_value("leaf")):
    """An AnyValue with `depth` arrays around a value."""
    for _ in range(depth):
        value = data(5, data(1, value))
    return value


# Answers

# What a google.rpc.Status may say for an HTTP status.
CODES = {400: {3}, 404: {5}, 405: {12}, 413: {8}, 415: {3}, 431: {3, 8}, 503: {14}}


def check_refusal(answer, status, encoding="protobuf"):
    """A refusal with a `google.rpc.Status` in the encoding of the request, which says why."""
    assert answer.status == status, answer
    if encoding == "protobuf":
        assert answer.headers["Content-Type"] == PROTOBUF, answer
        found = Status.FromString(answer.body)
        code, message = found.code, found.message
    else:
        assert answer.headers["Content-Type"] == "application/json", answer
        found = json.loads(answer.body)
        code, message = found["code"], found["message"]
    assert code in CODES[status], answer
    assert message, answer
    return message


# HTTP


class Bare:
    """A socket to the server: sends bytes as they stand and reads answers one by one."""

    def __init__(self, port, timeout=30):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, text):
        self.socket.sendall(text.encode("latin-1") if isinstance(text, str) else text)

    def send_quietly(self, text):
        """Sends to a peer that may have closed; says whether all was taken."""
        try:
            self.send(text)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def _fill(self):
        received = self.socket.recv(65536)
        self.buffer += received
        return bool(received)

    def answer(self):
        """The next answer; `None` when the connection ends before one."""
        try:
            while b"\r\n\r\n" not in self.buffer:
                if not self._fill():
                    assert not self.buffer, self.buffer
                    return None
            head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
            lines = head.decode("latin-1").split("\r\n")
            version, status, *_ = lines[0].split(" ")
            assert version == "HTTP/1.1", lines
            headers = Headers(line.split(":", 1) for line in lines[1:])
            length = int(headers["Content-Length"] or 0)
            assert headers["Transfer-Encoding"] is None, headers
            while len(self.buffer) < length:
                assert self._fill(), f"the connection ended within a body: {head}"
        except ConnectionResetError:
            return None
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return Answer(int(status), headers, body)

    def is_closed(self, timeout):
        """Whether the server closes within the time; what it sends before is thrown away."""
        self.socket.settimeout(timeout)
        try:
            while self._fill():
                pass
            return True
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False


class Headers(dict):
    """Header fields by name, in any case."""

    def __init__(self, pairs):
        super().__init__((name.strip().lower(), value.strip()) for name, value in pairs)

    def __getitem__(self, name):
        return self.get(name.lower())


def post_head(length=None, path="/v1/traces", headers=()):
    """The head of a POST up to and including the empty line."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Type: {PROTOBUF}"]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join([*lines, *headers, "", ""]).encode()


def chunked(body, size):
    """A body in chunks, and the last one."""
    out = b"".join(b"%x\r\n%s\r\n" % (len(body[at:at + size]), body[at:at + size]) for at in range(0, len(body), size))
    return out + b"0\r\n\r\n"
