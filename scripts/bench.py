#!/usr/bin/env python3
"""Measures the release build under load and in queries, and compares with what was measured before.

    make bench                         every section that takes less than a minute
    make bench ARGS="ingest single"    some of them
    make bench ARGS=all                also those that take minutes: agents, growth, overload, readers
    make bench ARGS="--record"         writes the result to bench/baseline.json

Ratios to bench/baseline.json are printed and never fail the run: wall time depends on the machine. What gates is counted in
instructions, by scripts/instructions.sh. Needs nothing but Python and a C compiler with zlib.
"""

import argparse
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "Tests/EndToEnd"))
import bench_agents  # noqa: E402
import bench_gateway  # noqa: E402
import bench_lists  # noqa: E402
import bench_questions  # noqa: E402
import bench_readers  # noqa: E402
import faults  # noqa: E402  the library that slows a disk down, which tests use too

BASELINE = ROOT / "bench/baseline.json"
RESULT = ROOT / ".build/bench.json"
TICKS = os.sysconf("SC_CLK_TCK")

# A figure's name, its unit, and whether more of it is better.
UNITS = {
    "spans_per_second": ("spans/s", True), "cpu_microseconds_per_span": ("µs/span", False), "p50_milliseconds": ("ms", False),
    "p99_milliseconds": ("ms", False), "bytes_per_span": ("B/span", False), "peak_resident_mebibytes": ("MiB", False),
    "seconds": ("s", False), "cpu_ratio": ("x", False), "refused_requests": ("", False),
    "added_p50_milliseconds": ("ms added to the first event, p50", False), "added_p99_milliseconds": ("ms, p99", False),
    "unpaced_added_p50_milliseconds": ("ms, p50 of a stub that sends without a pause", False),
    "throughput_ratio": ("of direct throughput", True), "fast_throughput_ratio": ("at 6,400 events a second", True),
    "cpu_microseconds_per_event": ("µs/event", False),
    "ingest_ratio": ("of the ingest without the gateway's work", True),
    "thousand_streams_mebibytes": ("MiB more with 1,000 streams", False),
    "lost_spans": ("lost", False), "recovery_seconds": ("s to recover", False), "slow_clients": ("slow clients", True),
    "log_mebibytes": ("MiB of log at most", False), "unanswered_questions": ("questions not answered", False),
    "longest_question_seconds": ("s the longest question", False),
    "kept_ratio": ("of the rate without agents", True), "agent_calls": ("calls of agents", True), "agent_answers": ("of them answered", True),
}


def processor_ticks():
    """Ticks that a virtual machine's host gave to others, and all ticks, of all processors together."""
    fields = [int(field) for field in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return fields[7], sum(fields)


class SlowClients:
    """Connections that announce a body and send a byte of it a second, in the place of those that are cut off new ones."""

    def __init__(self, port, count):
        self.port, self.count = port, count
        self.stopping = threading.Event()
        self.connections = []
        self.opened = 0
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()
        for connection in self.connections:
            connection.close()

    def _run(self):
        head = b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\nContent-Length: 100000\r\n\r\n"
        while not self.stopping.wait(1):
            alive = []
            for connection in self.connections:
                try:
                    connection.send(b"x")
                    alive.append(connection)
                except OSError:
                    connection.close()
            while len(alive) < self.count:
                try:
                    connection = socket.create_connection(("127.0.0.1", self.port), timeout=5)
                    connection.send(head)
                    connection.setblocking(False)
                except OSError:
                    break
                self.opened += 1
                alive.append(connection)
            self.connections = alive


class Server:
    """`fusebox serve` in a folder, with its defaults."""

    def __init__(self, binary, folder, environment=None):
        self.binary, self.folder = binary, folder
        self.environment = {**os.environ, **(environment or {})}

    def __enter__(self):
        self.process = subprocess.Popen([self.binary, "serve", "--data-dir", self.folder, "--http-port", "0"], env=self.environment,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in self.process.stdout:
            found = re.search(r"listens on http://127.0.0.1:(\d+)", line)
            if found:
                self.port = int(found[1])
                break
        else:
            sys.exit("bench: the server did not start")
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def is_ready(self):
        return self.get("/-/ready")[0] == 200

    def get(self, path, timeout=10):
        """The status and the text of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        connection.request("GET", path)
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response.status, text

    def rest(self):
        """Waits until what the load left to do is done: merging, which runs behind a burst, and the breakers' settle time."""
        unchanged, before, deadline = 0, None, time.monotonic() + 600
        while unchanged < 4 and time.monotonic() < deadline:
            time.sleep(1)
            now = re.findall(r"^(?:fusebox_merged_spans_total|fusebox_segments|fusebox_pending_observations) (.*)$",
                             self.get("/metrics", timeout=60)[1], re.M)
            unchanged = unchanged + 1 if now == before else 0
            before = now

    def cpu_seconds(self):
        """User and system time so far."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def peak_resident_mebibytes(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024

    def stored_bytes(self):
        return sum(path.stat().st_size for path in pathlib.Path(self.folder).glob("fusebox.db*") if not path.name.endswith("-shm"))


class Bench:
    def __init__(self, binary, scratch, spans):
        self.binary, self.scratch, self.spans = binary, pathlib.Path(scratch), spans
        self.results = {}
        self.load_binary = str(self.scratch / "load")
        sources = [str(ROOT / "Tests/Load" / name) for name in ("load.c", "payload.c")]
        subprocess.run([shutil.which("cc") or "clang", "-O2", "-pthread", "-o", self.load_binary, *sources, "-lz"], check=True)

    def folder(self, name):
        return str(self.scratch / name)

    def load(self, server, *arguments):
        """One run of the generator, with what it cost the server."""
        before, ticks = server.cpu_seconds(), processor_ticks()
        done = subprocess.run([self.load_binary, "-p", str(server.port), *map(str, arguments)], capture_output=True, text=True, check=True)
        stolen, total = (now - then for now, then in zip(processor_ticks(), ticks))
        if stolen * 50 > total:
            print(f"  the host gave {stolen / total:.0%} of the processors' time to others meanwhile: measure again", flush=True)
        result = json.loads(done.stdout)
        spans = max(1, result["acknowledged_spans"])
        result["cpu_microseconds_per_span"] = (server.cpu_seconds() - before) / spans * 1e6
        result["refused_requests"] = sum(count for status, count in result["statuses"].items() if status != "200")
        return result

    def note(self, name, figures, *names):
        kept = {figure: figures[figure] for figure in names or figures}
        self.results[name] = kept
        text = ", ".join(f"{value:,.3f} s" if figure == "seconds" and value < 0.1 else f"{value:,.2f} {UNITS[figure][0]}".replace(".00 ", " ") if figure != "p50_milliseconds" else f"p50 {value:.2f} ms"
                         for figure, value in kept.items())
        print(f"{name:28} {text.replace(' ms, ', ' ms, p99 ', 1) if 'p99_milliseconds' in kept else text}", flush=True)

    # Sections

    def ingest(self):
        """Durable ingest in the closed loop: -c 8 -b 100."""
        with Server(self.binary, self.folder("ingest")) as server:
            result = self.load(server, "-c", 8, "-b", 100, "-n", self.spans)
            result["peak_resident_mebibytes"] = server.peak_resident_mebibytes()
        # At its end the server folds the log into the file.
        result["bytes_per_span"] = server.stored_bytes() / result["acknowledged_spans"]
        self.note("ingest", result, "spans_per_second", "cpu_microseconds_per_span", "p50_milliseconds", "p99_milliseconds",
                  "bytes_per_span", "peak_resident_mebibytes")

    def simple(name, *arguments, share=1.0):
        def section(self):
            with Server(self.binary, self.folder(name)) as server:
                spans = int(self.spans * share)
                result = self.load(server, *arguments, "-n", spans)
            self.note(name, result, "spans_per_second", "cpu_microseconds_per_span", "p50_milliseconds", "p99_milliseconds")
        section.__doc__ = f"The generator with {' '.join(map(str, arguments))}."
        return section

    gzip = simple("gzip", "-c", 8, "-b", 100, "-z", share=0.5)
    small = simple("small", "-c", 64, "-b", 8, share=0.5)
    single = simple("single", "-c", 1, "-b", 100, share=0.1)
    connections = simple("connections", "-c", 32, "-b", 100, share=0.5)
    del simple

    def open_loop(self):
        """A fixed rate below the limit, latency from the time at which a request was due."""
        with Server(self.binary, self.folder("open")) as server:
            result = self.load(server, "-c", 32, "-b", 100, "-r", 50000, "-t", 10)
        self.note("open_loop", result, "spans_per_second", "cpu_microseconds_per_span", "p50_milliseconds", "p99_milliseconds")

    def memory(self):
        """Peak resident memory over 2.5 times the spans: 5 million unless told otherwise."""
        with Server(self.binary, self.folder("memory")) as server:
            result = self.load(server, "-c", 8, "-b", 100, "-n", int(self.spans * 2.5))
            result["peak_resident_mebibytes"] = server.peak_resident_mebibytes()
        self.note("memory", result, "peak_resident_mebibytes", "spans_per_second")

    QUERIES = {
        "count": "SELECT count(*) FROM spans",
        "by_tool": "SELECT tool_name, count(*), percentile(duration_ns, 95) FROM spans GROUP BY tool_name",
        "timeouts_by_tool": "SELECT tool_name, count(*) FROM timeouts GROUP BY tool_name",
        "tokens_by_model": "SELECT model, sum(tokens) FROM spans WHERE workflow_name = 'review_patch' AND tokens > 5000 GROUP BY model",
        "trace": "SELECT * FROM spans WHERE trace_id = :trace",
        "two_texts": "SELECT workflow_name, stage, count(*), percentile(duration_ns, 95) FROM spans GROUP BY workflow_name, stage",
        "tools": "SELECT * FROM tools",
        "tokens": "SELECT model, sum(tokens) FROM token_spans GROUP BY model",
        "costs": "SELECT * FROM costs",
        "traces": "SELECT * FROM traces ORDER BY start_time_unix_nano DESC LIMIT 20",
        "one_of_traces": "SELECT * FROM traces WHERE trace_id = :trace",
    }

    def queries(self):
        """The queries of docs/benchmarks.md over 2 million spans: each one process of `fusebox sql`, start included."""
        with Server(self.binary, self.folder("queries")) as server:
            self.load(server, "-c", 8, "-b", 100, "-n", self.spans)
            server.rest()
        (row,) = json.loads(self.sql("SELECT trace_id FROM spans LIMIT 1 OFFSET 1000"))
        for name, query in [("nothing", "SELECT 1"), *self.QUERIES.items()]:
            times = []
            for _ in range(5):
                start = time.monotonic()
                self.sql(query, f"--parameter=trace={row['trace_id']}")
                times.append(time.monotonic() - start)
            self.note(f"query_{name}", {"seconds": statistics.median(times)})

    def questions(self):
        """What people ask by POST /api/sql, over 2 million spans in the segments that merging left."""
        self.merged("question", "questions", self.spans, bench_questions)

    def lists(self):
        """The page's lists and Grafana's searches, over 5 million spans."""
        self.merged("list", "lists", 5_000_000, bench_lists)

    def merged(self, name, section, spans, questions):
        """Asks a server that starts over what merging left of so many spans."""
        with Server(self.binary, self.folder(section)) as server:
            self.load(server, "-c", 8, "-b", 100, "-n", spans)
            server.rest()
        with Server(self.binary, self.folder(section)) as server:
            for question, seconds in questions.measure(server):
                self.note(f"{name}_{question}", {"seconds": seconds})
            self.note(section, {"peak_resident_mebibytes": server.peak_resident_mebibytes()})

    def sql(self, query, *arguments):
        return subprocess.run([self.binary, "sql", "--data-dir", self.folder("queries"), "--format", "json", *arguments, query],
                              capture_output=True, text=True, check=True).stdout

    def growth(self):
        """Cost a span at ten times the spans, 20 million unless told otherwise, against at half of them, merging and all that follows
        included; then a start with all of them."""
        folder = self.folder("growth")
        half = self.spans // 2
        with Server(self.binary, folder) as server:
            self.load(server, "-c", 8, "-b", 100, "-n", half)
            server.rest()
            first = self.settled_load(server, half)
            self.load(server, "-c", 8, "-b", 100, "-n", self.spans * 10 - 2 * half)
            server.rest()
            last = self.settled_load(server, half)
            last["peak_resident_mebibytes"] = server.peak_resident_mebibytes()
        last["bytes_per_span"] = server.stored_bytes() / (self.spans * 10 + half)
        last["cpu_ratio"] = last["cpu_microseconds_per_span"] / first["cpu_microseconds_per_span"]
        self.note("growth", last, "cpu_ratio", "cpu_microseconds_per_span", "spans_per_second", "bytes_per_span", "peak_resident_mebibytes")
        start = time.monotonic()
        with Server(self.binary, folder) as server:
            while not server.is_ready():
                time.sleep(0.01)
            self.note("start_up", {"seconds": time.monotonic() - start})

    def settled_load(self, server, spans):
        """A load, and what it cost until nothing is left to do behind it."""
        before = server.cpu_seconds()
        result = self.load(server, "-c", 8, "-b", 100, "-n", spans)
        server.rest()
        result["cpu_microseconds_per_span"] = (server.cpu_seconds() - before) / spans * 1e6
        return result

    OVERLOAD_SLOW_CLIENTS = 200
    OVERLOAD_SYNC_SECONDS = 0.05

    def overload(self):
        """Four times what it can take, for five minutes, with an fsync of 50 ms and slow clients."""
        seconds = int(os.environ.get("FUSEBOX_OVERLOAD_S", "300"))
        faulty = faults.Faults(faults.build(self.scratch), self.scratch)
        faulty.set(faults.SYNC, "fusebox.db-wal", delay=self.OVERLOAD_SYNC_SECONDS)
        folder = self.folder("overload")
        with Server(self.binary, folder, faulty.environment()) as server:
            first = self.load(server, "-c", 8, "-b", 100, "-n", 500_000)
            with SlowClients(server.port, self.OVERLOAD_SLOW_CLIENTS) as slow:
                result = self.load(server, "-c", 256, "-b", 100, "-r", int(4 * first["spans_per_second"]), "-t", seconds, "-s", 2)
            started = time.monotonic()
            while not server.is_ready():
                time.sleep(0.01)
            after = self.load(server, "-c", 1, "-b", 100, "-n", 100, "-s", 3)
            result["recovery_seconds"] = time.monotonic() - started
            result["peak_resident_mebibytes"] = server.peak_resident_mebibytes()
            result["slow_clients"] = slow.opened
        unexpected = (set(result["statuses"]) | set(after["statuses"])) - {"200", "503"}
        if unexpected or set(after["statuses"]) != {"200"}:
            sys.exit(f"bench: under overload the server answered {result['statuses']}, after it {after['statuses']}")
        acknowledged = first["acknowledged_spans"] + result["acknowledged_spans"] + after["acknowledged_spans"]
        counted = subprocess.run([self.binary, "sql", "--data-dir", folder, "--format", "csv", "SELECT count(*) FROM spans"],
                                 capture_output=True, text=True, check=True).stdout
        result["lost_spans"] = max(0, acknowledged - int(counted.split()[1]))
        self.note("overload", result, "peak_resident_mebibytes", "spans_per_second", "refused_requests", "lost_spans",
                  "recovery_seconds", "slow_clients")

    def gateway(self):
        """What the gateway adds to a stub that streams 200 events, at 32 clients and at 1,000 streams."""
        result = bench_gateway.measure(lambda folder: Server(self.binary, folder), self.folder("gateway"))
        self.note("gateway", result)

    def gateway_ingest(self):
        """How fast spans of others are stored while the gateway works, against while the same streams go past it."""
        result = bench_gateway.ingest_beside(
            lambda folder: Server(self.binary, folder), self.folder("gateway_ingest"), self.load, max(1000, self.spans // 10))
        self.note("gateway_ingest", result, "ingest_ratio", "spans_per_second", "p99_milliseconds")

    def readers(self):
        """Ten minutes of two pollers of the API and one `fusebox sql` after another, beside 20 exports of 400 spans a second."""
        with Server(self.binary, self.folder("readers")) as server:
            result = bench_readers.measure(self.binary, server, self.load)
        self.note("readers", result, "spans_per_second", "refused_requests", "unanswered_questions", "log_mebibytes",
                  "longest_question_seconds", "p99_milliseconds")

    def agents(self):
        """Ingest in the closed loop alone and beside an agent that asks by MCP without a pause, in turns."""
        with Server(self.binary, self.folder("agents")) as server:
            result = bench_agents.measure(server, self.load, self.spans // 2)
        self.note("agents", result, "kept_ratio", "spans_per_second", "agent_calls", "agent_answers", "unanswered_questions")

    QUICK = ["ingest", "gzip", "small", "connections", "single", "open_loop", "memory", "queries", "questions", "gateway", "gateway_ingest"]
    ALL = [*QUICK, "lists", "agents", "growth", "overload", "readers"]


def compare(results):
    if not BASELINE.exists():
        return
    baseline = json.loads(BASELINE.read_text())
    print(f"\nratio to {BASELINE.relative_to(ROOT)} (above 1 is better)")
    for section, figures in results.items():
        for figure, value in figures.items():
            before = baseline.get(section, {}).get(figure)
            if before and value:
                ratio = value / before if UNITS[figure][1] else before / value
                print(f"{section:28} {figure:28} {ratio:5.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", choices=[*Bench.ALL, "all", []], help="what to measure")
    parser.add_argument("--binary", default=str(ROOT / ".build/release/fusebox"))
    parser.add_argument("--spans", type=int, default=2_000_000, help="how many spans make a section's load")
    parser.add_argument("--record", action="store_true", help="keep the result as the baseline")
    parser.add_argument("--folder", default=None, help="where the data folders are made; a disk, not memory")
    options = parser.parse_args()
    sections = Bench.ALL if "all" in options.sections else options.sections or Bench.QUICK
    if not os.access(options.binary, os.X_OK):
        sys.exit(f"bench: there is no {options.binary}; run: make release")
    scratch = tempfile.mkdtemp(prefix="fusebox-bench-", dir=options.folder)
    try:
        bench = Bench(options.binary, scratch, options.spans)
        for section in sections:
            getattr(bench, section)()
            for path in pathlib.Path(scratch).iterdir():
                if path.is_dir():
                    shutil.rmtree(path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(bench.results, indent=1) + "\n")
    compare(bench.results)
    if options.record:
        kept = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
        BASELINE.parent.mkdir(exist_ok=True)
        BASELINE.write_text(json.dumps(kept | bench.results, indent=1) + "\n")


if __name__ == "__main__":
    main()
