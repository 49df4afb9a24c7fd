"""A 200 is kept: whatever kills the server, every acknowledged trace is there, whole, and counted once."""

import os
import random
import signal
import subprocess
import threading
import time

from server import poll
from wire import Bare, batch, data, number, post_head, span, span_id, trace_id

SETTLE_SECONDS = "0.5"
KILL_ROUNDS = int(os.environ.get("FUSEBOX_KILL_ROUNDS", "5"))
KILLS_PER_FOLDER = 10
TERM_ROUNDS = int(os.environ.get("FUSEBOX_TERM_ROUNDS", "3"))
CLIENTS = 6
TRACES_PER_BATCH = 4
TOOLS = ["web_search", "crm", "vector_store"]


class Load:
    """Clients that post batches of whole traces as fast as they are answered, and remember what was acknowledged."""

    def __init__(self, port, seed):
        self.port = port
        self.lock = threading.Lock()
        # Spans by trace, of traces that got their 200, and of those that got no answer.
        self.acknowledged = {}
        self.unanswered = {}
        self.statuses = {}
        self.stopping = threading.Event()
        self.failures = []
        self.threads = [threading.Thread(target=self._run, args=(random.Random(f"{seed}/{client}"), client), daemon=True)
                        for client in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def finish(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(timeout=30)
            assert not thread.is_alive(), "a client hangs"
        assert not self.failures, self.failures[0]

    @property
    def acknowledged_spans(self):
        with self.lock:
            return sum(len(spans) for spans in self.acknowledged.values())

    def _run(self, chance, client):
        try:
            while not self.stopping.is_set():
                try:
                    with Bare(self.port) as bare:
                        while not self.stopping.is_set():
                            if not self._post(bare, chance, client):
                                break
                except (ConnectionRefusedError, ConnectionResetError):
                    # Dead, or dying while we connected.
                    return
        except BaseException as error:
            self.failures.append(error)

    def _post(self, bare, chance, client):
        """One batch; says whether the connection goes on."""
        traces = {trace_id(): [] for _ in range(chance.randint(1, 2 * TRACES_PER_BATCH))}
        spans = []
        for trace, identities in traces.items():
            root = span_id()
            identities.append(root)
            spans.append(span(trace, root, name="run", attributes=[("workflow_name", "load"), ("step_id", f"step {client}")]))
            for index in range(chance.randint(0, 12)):
                identity = span_id()
                identities.append(identity)
                spans.append(self._call(trace, identity, root, chance, index))
        chance.shuffle(spans)
        body = batch(*spans, resource=[("service.name", "load"), ("service.instance.id", str(client))])
        answer = None
        try:
            bare.send(post_head(len(body)) + body)
            answer = bare.answer()
        except (OSError, AssertionError):
            pass
        with self.lock:
            status = answer.status if answer else None
            self.statuses[status] = self.statuses.get(status, 0) + 1
            if status == 200:
                assert answer.body == b"", answer
                self.acknowledged.update(traces)
            elif status is None:
                self.unanswered.update(traces)
            else:
                assert status == 503, answer
        return answer is not None and answer.headers["Connection"] != "close"

    @staticmethod
    def _call(trace, identity, parent, chance, index):
        attributes = [("tool_name", chance.choice(TOOLS)), ("step_id", f"call {index}"), ("retry.attempt", 1)]
        extra = b""
        if chance.random() < 0.2:
            attributes.append(("error.type", "TimeoutError"))
            extra = data(15, number(3, 2))
        if chance.random() < 0.3:
            attributes.append(("tokens", chance.randint(1, 500)))
        if chance.random() < 0.5:
            attributes.append(("breaker_state", chance.choice(["closed", "open", "half_open"])))
        return span(trace, identity, name="call", parent=parent, attributes=attributes, extra=extra)


def check_store(fusebox, acknowledged, unanswered):
    """Every acknowledged trace whole, no batch in halves, and the counters in step with the spans. Gives the number of spans."""
    assert fusebox.sql("PRAGMA integrity_check") == [{"integrity_check": "ok"}]
    stored = {}
    for row in fusebox.sql("SELECT trace_id, group_concat(span_id) AS spans, count(*) AS n FROM spans GROUP BY trace_id"):
        identities = row["spans"].split(",")
        assert len(identities) == row["n"]
        stored[bytes.fromhex(row["trace_id"])] = sorted(identities)
    lost = [trace.hex() for trace, spans in acknowledged.items() if stored.get(trace) != sorted(one.hex() for one in spans)]
    assert not lost, f"{len(lost)} acknowledged traces are not there whole: {lost[:3]}"
    # What got no answer is there or not, and never in part: a request is committed as one.
    for trace, spans in unanswered.items():
        assert trace not in stored or stored[trace] == sorted(one.hex() for one in spans), trace.hex()
    assert stored.keys() <= acknowledged.keys() | unanswered.keys()
    check_counters(fusebox)
    return sum(len(spans) for spans in stored.values())


def check_counters(fusebox):
    metrics = fusebox.settled()
    (want,) = fusebox.sql(
        "SELECT count(*) AS spans, sum(outcome IS NOT NULL) AS calls, sum(outcome = 'ok') AS ok, sum(outcome = 'timeout') AS timeouts, "
        "coalesce(sum(tokens), 0) AS tokens, sum(parent_span_id IS NULL) AS runs FROM spans")
    got = {
        "spans": metrics.value("fusebox_stored_spans"),
        "calls": metrics.total("agent_tool_calls_total"),
        "ok": metrics.total("agent_tool_calls_total", outcome="ok"),
        "timeouts": metrics.total("agent_tool_timeouts_total"),
        "tokens": metrics.total("agent_tokens_total"),
        "runs": metrics.total("agent_workflow_runs_total"),
    }
    assert got == {name: value or 0 for name, value in want.items()}
    assert metrics.total("agent_tool_call_duration_seconds_count") == got["calls"]
    assert metrics.total("agent_workflow_duration_seconds_count") == got["runs"]


def test_kill_under_load(launch, capsys):
    chance = random.Random(int(os.environ.get("FUSEBOX_SEED", "2026")))
    started = time.monotonic()
    rounds = 0
    traces = spans = unanswered_traces = stored_spans = 0
    while rounds < KILL_ROUNDS:
        # A new folder now and then: everything that it holds is checked after each kill, and the counters when all has settled.
        fusebox = launch({"BREAKER_SETTLE_S": SETTLE_SECONDS})
        acknowledged, unanswered = {}, {}
        for _ in range(min(KILLS_PER_FOLDER, KILL_ROUNDS - rounds)):
            load = Load(fusebox.port, rounds)
            if rounds % 4:
                poll("the first answer", lambda: load.statuses)
            # At a random moment, from the first requests of a server to steady load.
            threading.Event().wait(chance.uniform(0, 0.4))
            fusebox.kill()
            load.finish()
            acknowledged.update(load.acknowledged)
            unanswered.update(load.unanswered)
            fusebox.start()
            stored = check_store(fusebox, acknowledged, unanswered)
            rounds += 1
        fusebox.stop()
        assert acknowledged
        traces += len(acknowledged)
        spans += sum(map(len, acknowledged.values()))
        unanswered_traces += len(unanswered)
        stored_spans += stored
    with capsys.disabled():
        print(f"\n{rounds} kills in {time.monotonic() - started:.0f} s: {traces} traces of {spans} spans acknowledged, 0 lost; "
              f"{unanswered_traces} traces without an answer; {stored_spans} spans stored")


def test_sigterm_under_load(launch):
    fusebox = launch({"BREAKER_SETTLE_S": SETTLE_SECONDS})
    for round_number in range(TERM_ROUNDS):
        before = fusebox.scalar("SELECT count(*) FROM spans")
        load = Load(fusebox.port, f"term {round_number}")
        poll("some load", lambda: load.acknowledged_spans > 500)
        fusebox.stop()
        load.finish()
        # Nobody is told what did not happen, and nothing happens that nobody was told of, but for lost answers.
        stored = fusebox.scalar("SELECT count(*) FROM spans") - before
        unanswered = sum(len(spans) for spans in load.unanswered.values())
        assert load.acknowledged_spans <= stored <= load.acknowledged_spans + unanswered
        assert fusebox.sql("PRAGMA integrity_check") == [{"integrity_check": "ok"}]
        fusebox.start()
        check_counters(fusebox)
        if not load.unanswered:
            assert stored == load.acknowledged_spans
        shown = fusebox.sql("SELECT trace_id, count(*) AS n FROM spans GROUP BY trace_id")
        by_trace = {bytes.fromhex(row["trace_id"]): row["n"] for row in shown}
        assert all(by_trace.get(trace) == len(spans) for trace, spans in load.acknowledged.items())


def test_sigterm_lets_a_slow_client_finish_or_cuts_it_off(fusebox):
    """A request that never ends does not hold the server up."""
    with Bare(fusebox.port) as bare:
        bare.send(post_head(1000) + b"abc")
        poll("the request is there", lambda: fusebox.metrics().value("fusebox_ingest_inflight_requests") == 1)
        fusebox.stop()


def test_sigterm_with_idle_connections(fusebox):
    idle = [Bare(fusebox.port) for _ in range(20)]
    for bare in idle[:10]:
        bare.send(post_head(0))
        assert bare.answer().status == 200
    started = time.monotonic()
    fusebox.stop()
    assert time.monotonic() - started < 5
    for bare in idle:
        bare.close()


def test_sigterm_with_idle_grpc_connections(fusebox):
    """Those that never said a word, and one that says no more after its greeting."""
    idle = [Bare(fusebox.grpc_port) for _ in range(5)]
    idle[-1].send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
    assert idle[-1].socket.recv(9)
    started = time.monotonic()
    fusebox.stop()
    assert time.monotonic() - started < 5
    for bare in idle:
        bare.close()


def test_sigint_ends_it_too(fusebox):
    fusebox.process.send_signal(signal.SIGINT)
    fusebox.expect_exit()


def test_stopped_server_leaves_one_file(launch):
    """After a clean end the log is folded into the database: the file can be copied as it is."""
    fusebox = launch()
    trace = trace_id()
    assert fusebox.post(batch(span(trace))).status == 200
    fusebox.stop()
    logs = [path for path in fusebox.folder.iterdir() if path.name.endswith("-wal") and path.stat().st_size > 0]
    assert not logs
    assert fusebox.scalar("SELECT count(*) FROM spans") == 1


def test_sql_beside_a_busy_server(launch):
    """Readers see whole commits and never an error."""
    fusebox = launch()
    load = Load(fusebox.port, "busy")
    poll("some load", lambda: load.acknowledged_spans > 100)
    seen = 0
    for _ in range(15):
        acknowledged = load.acknowledged_spans
        (row,) = fusebox.sql("SELECT count(*) AS n, count(DISTINCT trace_id || span_id) AS d FROM spans")
        assert row["n"] == row["d"] >= max(seen, acknowledged)
        seen = row["n"]
    load.finish()
    assert fusebox.scalar("SELECT count(*) FROM spans") == load.acknowledged_spans


def test_a_sigterm_at_the_moment_of_listening_ends_the_server(binary, tmp_path):
    """It was lost now and then: signals were ignored some moments before anybody listened for them."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    for number in range(20):
        process = subprocess.Popen([str(binary), "serve", "--data-dir", str(tmp_path / f"data{number}"), "--http-port", "0"],
                                   env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for line in process.stdout:
            if b"listens on" in line:
                break
        process.terminate()
        process.stdout.close()
        try:
            assert process.wait(timeout=10) == 0
        finally:
            process.kill()
            process.wait()
