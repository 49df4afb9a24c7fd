"""A small HTTP proxy in front of the server that spoils the first answers, as networks and busy servers do."""

import http.client
import http.server
import threading


class Proxy:
    """Forwards posts to `port`. The first posts are treated as `faults` say, in order; all others pass.

    A fault is "lost" (forwarded, and the connection closed instead of an answer) or an HTTP status (answered with it, not
    forwarded; with `Retry-After: 1`).
    """

    def __init__(self, port, faults):
        self.bodies = []
        self.statuses = []
        faults = list(faults)
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                proxy.bodies.append(body)
                fault = faults.pop(0) if faults else None
                if isinstance(fault, int):
                    proxy.statuses.append(fault)
                    self.send_response(fault)
                    self.send_header("Retry-After", "1")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
                upstream.request("POST", self.path, body, dict(self.headers))
                answer = upstream.getresponse()
                content = answer.read()
                upstream.close()
                proxy.statuses.append(answer.status)
                if fault == "lost":
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name in ("Content-Type", "Retry-After"):
                    if answer.headers[name]:
                        self.send_header(name, answer.headers[name])
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
