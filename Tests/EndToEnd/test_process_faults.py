"""Processes that start twice, die often, run out of files or memory, and clocks that jump."""

import os
import pathlib
import re
import socket
import threading
import time

import pytest

import faults as kit
from faults import Faults, SYNC
from server import PROTOBUF, Fusebox, poll
from test_durability import Load, check_counters, check_store
from test_storage_faults import post, stored, takes_again
from wire import BASE_TIME, batch, span, span_id, trace_id

FAILED = 1
LOG = "fusebox.db-wal"
# Each span a run of a workflow, as the counters count them.
WORK = [("tool_name", "hammer"), ("workflow_name", "load")]


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return kit.build(tmp_path_factory.mktemp("faults"))


def cpu_seconds(fusebox):
    fields = pathlib.Path(f"/proc/{fusebox.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def open_files(fusebox):
    return len(os.listdir(f"/proc/{fusebox.process.pid}/fd"))


def switches(fusebox):
    """How often the server's threads have gone to sleep and been woken."""
    tasks = pathlib.Path(f"/proc/{fusebox.process.pid}/task").glob("*/status")
    return sum(int(re.search(r"\nvoluntary_ctxt_switches:\s+(\d+)", task.read_text())[1]) for task in tasks)


def test_an_idle_server_rests(launch):
    """Two threads that wake each other for nothing make tens of thousands of these a second, however busy the machine is."""
    fusebox = launch()
    assert post(fusebox)[1].status == 200
    before = switches(fusebox)
    threading.Event().wait(4)
    assert switches(fusebox) - before < 4000


# P5: restarts

def test_a_storm_of_restarts(launch):
    """Started and killed over and over, without a pause: each start is quick, and leaves nothing behind that the next one minds."""
    fusebox = launch()
    cycles = int(os.environ.get("FUSEBOX_RESTARTS", "20"))
    traces, waits = [], []
    for _ in range(cycles):
        trace, answer = post(fusebox, attributes=WORK)
        assert answer.status == 200
        traces.append(trace)
        fusebox.kill()
        started = time.monotonic()
        fusebox.start()
        waits.append(time.monotonic() - started)
    assert set(stored(fusebox)) == set(traces)
    assert sorted(waits)[-1] < 5, waits
    assert (fusebox.folder / LOG).stat().st_size < 64 << 20
    check_counters(fusebox)


# P6: two servers

def test_a_second_server_names_the_first(launch):
    fusebox = launch()
    trace, _ = post(fusebox)
    done = fusebox.run("serve", "--data-dir", str(fusebox.folder), "--http-port", "0")
    assert done.returncode == FAILED
    assert f"in use by another fusebox (process {fusebox.process.pid})".encode() in done.stderr
    assert stored(fusebox) == {trace: 3}


# P7: memory

def test_memory_stays_within_its_budget_when_the_disk_cannot_follow(library, launch, tmp_path):
    """More comes than a slow disk takes: what does not fit is refused with 503, and memory stays bounded."""
    faults = Faults(library, tmp_path)
    fusebox = launch(faults.environment())
    faults.set(SYNC, LOG, delay=0.2)
    loads = [Load(fusebox.port, f"memory {number}") for number in range(6)]
    poll("some load", lambda: all(load.acknowledged_spans for load in loads))
    poll("a while", lambda: sum(load.acknowledged_spans for load in loads) > 5000, 60)
    for load in loads:
        load.finish()
    faults.clear()
    assert all(set(load.statuses) <= {200, 503} for load in loads)
    assert fusebox.peak_resident_mebibytes() < 256
    acknowledged = {trace: spans for load in loads for trace, spans in load.acknowledged.items()}
    unanswered = {trace: spans for load in loads for trace, spans in load.unanswered.items()}
    check_store(fusebox, acknowledged, unanswered)


# P8: files

def test_running_out_of_files(binary, tmp_path):
    """With few descriptors, connections past what the store leaves are closed at once; open ones are served, and spans are stored.

    The limit is there from the start, as an operator sets it. The store's own descriptors are never given away: the runtime below us
    ends a process that cannot open a file.
    """
    limit = 120
    limited = tmp_path / "limited"
    limited.write_text(f'#!/bin/sh\nulimit -n {limit}\nexec "{binary}" "$@"\n')
    limited.chmod(0o755)
    fusebox = Fusebox(limited, tmp_path / "data").start()
    try:
        kept = fusebox.connect()
        kept.request("GET", "/-/healthy")
        assert kept.getresponse().read() is not None
        most, sockets = 0, []
        for _ in range(200):
            sockets.append(socket.create_connection(("127.0.0.1", fusebox.port)))
            most = max(most, open_files(fusebox))

        def refused():
            nonlocal most
            most = max(most, open_files(fusebox))
            return sum(is_closed(one) for one in sockets) > 200 - limit
        poll("connections are refused", refused)
        assert most < limit - 16, "connections took files that the store may need"
        before = cpu_seconds(fusebox)
        for _ in range(20):
            kept.request("POST", "/v1/traces", batch(span()), {"Content-Type": PROTOBUF})
            assert kept.getresponse().read() == b""
        assert cpu_seconds(fusebox) - before < 1, "the server spins"
        for one in sockets:
            one.close()
        kept.close()

        def answers():
            try:
                return fusebox.get("/-/healthy").status == 200
            except OSError:
                return False
        poll("new connections are served again", answers)
        assert post(fusebox)[1].status == 200
        assert fusebox.scalar("SELECT count(*) FROM spans") >= 21
    finally:
        fusebox.stop()


def is_closed(one):
    """Whether the other side has closed a connection on which nothing is expected."""
    one.setblocking(False)
    try:
        return one.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


# P9: clocks

DAYS = [400, -400, 36500, -7300, 1, -1]


@pytest.mark.parametrize("days", DAYS)
def test_a_clock_that_jumps(library, launch, tmp_path, days):
    """Nothing is lost, nothing is dropped as too old, and counters stay in step, across a jump, a restart and the way back."""
    faults = Faults(library, tmp_path)
    fusebox = launch(faults.environment())
    traces = [post(fusebox, attributes=WORK)[0] for _ in range(3)]
    faults.move_clock(days)
    traces += [post(fusebox, attributes=WORK)[0] for _ in range(3)]
    # Work that the server does now and then comes round.
    poll("ticks", lambda: fusebox.metrics().value("fusebox_stored_spans") == 18)
    fusebox.restart()
    traces += [post(fusebox, attributes=WORK)[0] for _ in range(3)]
    faults.move_clock(0)
    traces += [post(fusebox, attributes=WORK)[0] for _ in range(3)]
    fusebox.restart()
    assert set(stored(fusebox)) == set(traces)
    assert fusebox.metrics().total("fusebox_spans_rejected_total") == 0
    check_counters(fusebox)
    faults.move_clock(0)


TIMES = {
    "no times": (None, None), "zero": (0, 0), "end before start": (BASE_TIME, BASE_TIME - 10**9), "far future": (2**62, 2**62 + 5),
    "at the end of time": (2**63 - 2, 2**63 - 1), "past the end of time": (2**63, 2**63 + 10),
}


@pytest.mark.parametrize("name", TIMES)
def test_spans_of_impossible_times(launch, name):
    """They are stored or reported as rejected, and what is stored is not harmed."""
    fusebox = launch()
    start, end = TIMES[name]
    trace = trace_id()
    answer = fusebox.post(batch(span(trace, start=start, end=end), span(trace)))
    assert answer.status == 200
    rejected = fusebox.metrics().total("fusebox_spans_rejected_total")
    assert fusebox.scalar("SELECT count(*) FROM spans") == 2 - rejected
    assert (answer.body == b"") == (rejected == 0)
    fusebox.restart()
    assert fusebox.scalar("SELECT count(*) FROM spans") == 2 - rejected
    assert fusebox.run("verify", "--data-dir", str(fusebox.folder)).returncode == 0
