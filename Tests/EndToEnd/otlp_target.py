"""A receiver of OTLP over HTTP that answers as a test says, and remembers what came."""

import gzip
import http.server
import threading

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse


def partial(rejected, message):
    """The body of a partial success."""
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = rejected
    answer.partial_success.error_message = message
    return answer.SerializeToString()


class Target:
    """`behave(spans, headers)` gives what is done with a request: a status, or (status, headers, body), or "half" of an answer, or "hang up".

    What was answered with 200 counts as taken.
    """

    def __init__(self, behave=lambda spans, headers: 200, port=0):
        self.behave = behave
        self.lock = threading.Lock()
        self.taken = []
        self.records = []
        self.requests = []
        target = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers["Content-Encoding"] == "gzip":
                    body = gzip.decompress(body)
                spans, records = [], []
                if self.path.endswith("/v1/traces"):
                    spans = [span for resource in ExportTraceServiceRequest.FromString(body).resource_spans
                             for scope in resource.scope_spans for span in scope.spans]
                else:
                    records = [record for resource in ExportLogsServiceRequest.FromString(body).resource_logs
                               for scope in resource.scope_logs for record in scope.log_records]
                move = target.behave(spans, self.headers)
                with target.lock:
                    target.requests.append((self.path, dict(self.headers), body, move))
                if move == "hang up":
                    self.close_connection = True
                    return
                if move == "half":
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 100\r\n\r\nabc")
                    self.close_connection = True
                    return
                status, headers, answer = (move, {}, b"") if isinstance(move, int) else move
                if status == 200 and headers.get("Content-Type") != "text/html":
                    with target.lock:
                        target.taken += [(span.trace_id, span.span_id) for span in spans]
                        target.records += records
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
