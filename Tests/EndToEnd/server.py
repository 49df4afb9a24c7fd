"""A `fusebox serve` process and what tests ask of it."""

import asyncio
import concurrent.futures
import http.client
import json
import os
import pathlib
import queue
import re
import signal
import subprocess
import threading
import time

from exposition import Metrics

PROTOBUF = "application/x-protobuf"


def poll(what, condition, seconds=20.0):
    """The first true value of `condition()`; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.02)


def run_to_its_end(coroutine):
    """What the coroutine returns, run in a thread of its own: a browser that other files of tests keep open has an event loop running in this one."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


class Answer:
    """One HTTP answer, read whole."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @classmethod
    def read(cls, connection):
        response = connection.getresponse()
        body = response.read()
        return cls(response.status, response.headers, body)

    def __repr__(self):
        return f"<{self.status} {dict(self.headers)} {self.body[:300]!r}>"


class Fusebox:
    """The server on a port of its own, in a given folder, with nothing of the caller's environment but PATH."""

    STOP_SECONDS = 10

    def __init__(self, binary, folder, environment=None, arguments=()):
        self.binary = str(binary)
        self.folder = pathlib.Path(folder)
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.folder / "home"), "LC_ALL": "C.UTF-8",
            "SWIFT_BACKTRACE": os.environ.get("SWIFT_BACKTRACE", "enable=no"), **(environment or {}),
        }
        self.arguments = list(arguments)
        self.process = None
        self.url = None
        self.port = None
        self._stderr = []

    # Life

    def start(self, seconds=30):
        self.process = subprocess.Popen(
            [self.binary, "serve", "--data-dir", str(self.folder), "--http-port", "0", *self.arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environment)
        self._stderr = []
        self.grpc_port = None
        self.gateway_port = None
        urls = queue.Queue()
        threading.Thread(target=self._read_output, args=(self.process.stdout, urls), daemon=True).start()
        self._error_reader = threading.Thread(target=self._read_errors, args=(self.process.stderr,), daemon=True)
        self._error_reader.start()
        try:
            self.url = urls.get(timeout=seconds)
        except queue.Empty:
            self.url = None
        if self.url is None:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the server did not say where it listens: {self.stderr}")
        self.port = int(self.url.rsplit(":", 1)[1])
        if "none" not in self.arguments:
            poll("gRPC listens", lambda: self.grpc_port, seconds)
        poll("ready", lambda: self.get("/-/ready").status == 200, seconds)
        return self

    def stop(self):
        """SIGTERM; the exit code must be 0, in time."""
        self.process.send_signal(signal.SIGTERM)
        self.expect_exit()

    def expect_exit(self):
        started = time.monotonic()
        try:
            code = self.process.wait(timeout=self.STOP_SECONDS)
        except subprocess.TimeoutExpired:
            threads = self._threads()
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"still running {self.STOP_SECONDS} s after SIGTERM: {threads} {self.stderr}") from None
        assert code == 0, f"exit code {code} after SIGTERM: {self.stderr}"
        return time.monotonic() - started

    def _threads(self):
        """What each thread waits in, as the kernel sees it."""
        threads = []
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            try:
                threads.append(f"{(task / 'comm').read_text().strip()}: {(task / 'wchan').read_text() or 'running'}")
            except OSError:
                continue
        return ", ".join(sorted(threads))

    def kill(self):
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    def restart(self):
        self.stop()
        return self.start()

    @property
    def is_running(self):
        return self.process is not None and self.process.poll() is None

    @property
    def stderr(self):
        if not self.is_running and self.process is not None:
            self._error_reader.join(timeout=5)
        return b"".join(self._stderr).decode(errors="replace")

    def _read_output(self, stream, urls):
        for line in stream:
            grpc = re.search(rb"^OTLP over gRPC: port (\d+)", line)
            if grpc:
                self.grpc_port = int(grpc[1])
            gateway = re.search(rb"^gateway: .*:(\d+)/v1", line)
            if gateway:
                self.gateway_port = int(gateway[1])
            found = re.search(rb"listens on (https?://\S+)", line)
            if found:
                urls.put(found[1].decode())
        urls.put(None)

    def _read_errors(self, stream):
        for line in stream:
            self._stderr.append(line)

    # HTTP

    def connect(self, timeout=60):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def request(self, method, path, body=None, headers=None, timeout=60):
        connection = self.connect(timeout)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            return Answer.read(connection)
        finally:
            connection.close()

    def get(self, path, headers=None):
        return self.request("GET", path, headers=headers)

    def post(self, body, path="/v1/traces", headers=None, timeout=60):
        return self.request("POST", path, body=body, headers={"Content-Type": PROTOBUF, **(headers or {})}, timeout=timeout)

    def metrics(self):
        answer = self.get("/metrics")
        assert answer.status == 200, answer
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4"), answer
        return Metrics(answer.body.decode())

    def settled(self, seconds=20):
        """The metrics once no breaker observation waits, as of all that is committed: beside a commit that hangs they are older ones."""
        def attempt():
            metrics = self.metrics()
            waiting = metrics.value("fusebox_pending_observations") + metrics.value("fusebox_service_graph_pending_spans")
            return metrics if waiting == 0 and metrics.value("fusebox_snapshot_age_seconds") == 0 else None
        return poll("pending observations at 0", attempt, seconds)

    # The command line

    def run(self, *arguments, **options):
        """A `fusebox` command in the server's environment."""
        options.setdefault("timeout", 60)
        return subprocess.run([self.binary, *arguments], capture_output=True, env=self.environment, **options)

    def sql(self, query, **parameters):
        """The rows of a query."""
        arguments = [f"--parameter={name}={value}" for name, value in parameters.items()]
        done = self.run("sql", "--data-dir", str(self.folder), "--format", "json", *arguments, query)
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    def scalar(self, query, **parameters):
        (row,) = self.sql(query, **parameters)
        (value,) = row.values()
        return value

    # The process

    def peak_resident_mebibytes(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024
