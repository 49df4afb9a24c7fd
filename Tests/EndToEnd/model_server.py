"""A stand-in for a model server, which answers as a test tells it to, and remembers what it was asked."""

import http.server
import json
import select
import socket
import struct
import threading
import time


class ModelServer:
    """Answers each request by `behaviour(answer)`; a list of behaviours is used up one a request, the last one for ever."""

    def __init__(self, behaviour=None, port=0):
        self.behaviours = [behaviour or stream()]
        self.asked = []
        # What `GET /slots` says, and when it was asked.
        self.busy_until = 0
        self.polled = []
        self.questions = []
        self.props = {}
        self.metrics = ""
        self.running = []
        self.most = 0
        self.together = set()
        self.lock = threading.Lock()
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                owner._serve(self)

            def do_GET(self):
                if self.path == "/slots":
                    owner.polled.append(time.monotonic())
                owner.questions.append(self.path)
                slots = [{"id": 0, "is_processing": time.monotonic() < owner.busy_until}]
                text = owner.metrics if self.path == "/metrics" else json.dumps(owner.props if self.path == "/props" else slots)
                data = text.encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def behave(self, *behaviours):
        with self.lock:
            self.behaviours = list(behaviours)

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def _serve(self, handler):
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        answer = Asked(self, handler, json.loads(body), body)
        with self.lock:
            behaviour = self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]
            self.asked.append(answer)
            self.running.append(answer)
            self.most = max(self.most, len(self.running))
            self.together.add(frozenset(one.request["model"] for one in self.running))
        try:
            behaviour(answer)
        except (BrokenPipeError, ConnectionResetError):
            answer.client_left = time.monotonic()
            handler.close_connection = True
        finally:
            self.over(answer)

    def over(self, answer):
        """Said before the last byte of an answer: who has it may ask again at once."""
        with self.lock:
            if answer in self.running:
                self.running.remove(answer)


class Asked:
    """One request, and what is said to it."""

    def __init__(self, server, handler, request, body):
        self.server = server
        self.handler = handler
        self.request = request
        self.body = body
        self.path = handler.path
        self.headers = dict(handler.headers.items())
        self.at = time.monotonic()
        self.client_left = None
        self.sent = 0

    def head(self, status=200, content_type="text/event-stream", length=None, **headers):
        self.handler.send_response(status)
        self.handler.send_header("Content-Type", content_type)
        if length is None:
            self.handler.send_header("Transfer-Encoding", "chunked")
        else:
            self.handler.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.end_headers()

    def chunk(self, data):
        if isinstance(data, str):
            data = data.encode()
        self.handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.handler.wfile.flush()
        self.sent += len(data)

    def event(self, **value):
        self.chunk("data: " + json.dumps(value) + "\n\n")

    def token(self, text="x", **delta):
        self.event(id="chatcmpl-1", model="loaded.gguf", choices=[{"index": 0, "finish_reason": None, "delta": {"content": text, **delta}}])

    def role(self):
        self.event(id="chatcmpl-1", model="loaded.gguf", choices=[{"index": 0, "delta": {"role": "assistant", "content": None}}])

    def end(self, tokens=None):
        self.event(id="chatcmpl-1", model="loaded.gguf", choices=[{"index": 0, "finish_reason": "stop", "delta": {}}])
        if tokens is not None and (self.request.get("stream_options") or {}).get("include_usage"):
            self.event(id="chatcmpl-1", choices=[], usage={"prompt_tokens": 7, "completion_tokens": tokens, "total_tokens": 7 + tokens})
        self.chunk("data: [DONE]\n\n")
        self.last_chunk()

    def last_chunk(self):
        self.server.over(self)
        self.handler.wfile.write(b"0\r\n\r\n")
        self.handler.wfile.flush()

    def whole(self, value, status=200, **headers):
        data = json.dumps(value).encode()
        self.server.over(self)
        self.head(status, "application/json", len(data), **headers)
        self.handler.wfile.write(data)
        self.handler.wfile.flush()

    def wait(self, seconds):
        """Waits, unless the client goes away."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            readable, _, _ = select.select([self.handler.connection], [], [], min(0.02, seconds))
            if readable and not self.handler.connection.recv(1, socket.MSG_PEEK):
                raise BrokenPipeError

    def reset(self):
        """Ends the connection as a killed process does."""
        self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.handler.connection.close()
        self.handler.close_connection = True

    def hang_up(self):
        """Ends the connection without a word."""
        self.handler.close_connection = True


# Behaviours


def stream(count=3, gap=0.0, before=0.0):
    """A good streamed answer, or a whole one to who did not ask for a stream."""

    def behaviour(asked):
        if not asked.request.get("stream"):
            asked.wait(before + gap * count)
            return asked.whole({
                "id": "chatcmpl-2", "model": "loaded.gguf",
                "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "x" * count}}],
                "usage": {"prompt_tokens": 7, "completion_tokens": count, "total_tokens": 7 + count}})
        asked.head()
        asked.wait(before)
        asked.role()
        for index in range(count):
            if index:
                asked.wait(gap)
            asked.token(str(index))
        asked.end(count)

    return behaviour


def status(code, value=None, **headers):
    return lambda asked: asked.whole(value or {"error": {"message": f"says {code}", "type": "server_error", "code": code}}, code, **headers)


def silent(asked):
    """Takes the request and says nothing."""
    asked.wait(30)


def headers_only(asked):
    asked.head()
    asked.wait(30)


def comments_only(asked):
    asked.head()
    for _ in range(300):
        asked.chunk(": keepalive 1/1\n\n")
        asked.wait(0.1)


def roles_only(asked):
    asked.head()
    for _ in range(300):
        asked.role()
        asked.wait(0.1)


def stalls(asked):
    """Some tokens, then only pings."""
    asked.head()
    asked.token("a")
    asked.token("b")
    for _ in range(300):
        asked.chunk(":\n\n")
        asked.wait(0.1)


def killed(asked):
    asked.head()
    asked.token("a")
    asked.wait(0.1)
    asked.handler.wfile.write(b"20\r\ndata: {\"choi")
    asked.handler.wfile.flush()
    asked.wait(0.1)
    asked.reset()


def ends_without_done(asked):
    asked.head()
    asked.token("a")
    asked.last_chunk()


def tells_an_error(asked):
    asked.head()
    asked.token("a")
    asked.event(error={"message": "no memory", "code": 500})
    asked.last_chunk()


def resets(asked):
    asked.reset()


# Other dialects


def ollama(count=3, end=True, error=None, split=False):
    """Ollama's own form: an object a line, which it streams unless it is told not to."""

    def line(asked, **value):
        return (json.dumps({"model": asked.request["model"], "created_at": "2026-11-29T10:00:00Z", **value}, ensure_ascii=False) + "\n").encode()

    def part(asked, text, **more):
        if asked.path == "/api/generate":
            return line(asked, response=text, done=False, **more)
        return line(asked, message={"role": "assistant", "content": text}, done=False, **more)

    last = {
        "done": True, "done_reason": "stop", "total_duration": 4883583458, "load_duration": 1334875, "prompt_eval_count": 26,
        "prompt_eval_duration": 342546000, "eval_count": count, "eval_duration": 4535599000}

    def behaviour(asked):
        text = "é" * count
        if asked.request.get("stream") is False:
            content = {"response": text} if asked.path == "/api/generate" else {"message": {"role": "assistant", "content": text}}
            return asked.whole({"model": asked.request["model"], **content, **last})
        asked.head(content_type="application/x-ndjson")
        for _ in range(count):
            data = part(asked, "é")
            if split:
                # In the middle of a character.
                middle = data.index("é".encode()) + 1
                asked.chunk(data[:middle])
                asked.wait(0.02)
                data = data[middle:]
            asked.chunk(data)
        if error:
            asked.chunk(json.dumps({"error": error}) + "\n")
        elif end:
            asked.chunk(line(asked, message={"role": "assistant", "content": ""}, **last))
        asked.last_chunk()

    return behaviour


def messages(count=3, end=True):
    """Anthropic's form."""

    def event(asked, kind, **value):
        asked.chunk(f"event: {kind}\ndata: {json.dumps({'type': kind, **value})}\n\n")

    def behaviour(asked):
        usage = {"input_tokens": 25, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 2, "output_tokens": 1}
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "stop_reason": None, "usage": usage}
        if not asked.request.get("stream"):
            return asked.whole({
                **message, "content": [{"type": "text", "text": "x" * count}], "stop_reason": "end_turn",
                "usage": {**usage, "output_tokens": count}})
        asked.head()
        event(asked, "message_start", message={**message, "content": []})
        event(asked, "content_block_start", index=0, content_block={"type": "text", "text": ""})
        event(asked, "ping")
        for _ in range(count):
            event(asked, "content_block_delta", index=0, delta={"type": "text_delta", "text": "x"})
        if end:
            event(asked, "content_block_stop", index=0)
            event(asked, "message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": count})
            event(asked, "message_stop")
        asked.last_chunk()

    return behaviour
