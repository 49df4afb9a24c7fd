"""Disks that fail: each row of docs/storage.md, "When the disk fails", with the answer that it promises."""

import errno
import json
import os
import pathlib
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

import pytest

import faults as kit
from faults import Faults, OPEN, READ, SYNC, TRUNCATE, WRITE
from server import Fusebox, poll
from test_durability import Load, check_store
from wire import batch, check_refusal, span, span_id, trace_id

FAILED, INTEGRITY = 1, 4
LOG, FILE = "fusebox.db-wal", "fusebox.db"


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return kit.build(tmp_path_factory.mktemp("faults"))


@pytest.fixture
def failing(library, launch, tmp_path):
    """A server, and the faults that its disk may get."""
    faults = Faults(library, tmp_path)
    fusebox = launch(faults.environment())
    fusebox.faults = faults
    yield fusebox
    faults.clear()
    faults.move_clock(0)


def post(fusebox, count=3, **options):
    """A batch of a trace of its own: its trace id, and the answer."""
    trace = trace_id()
    return trace, fusebox.post(batch(*[span(trace, span_id(), **options) for _ in range(count)]))


def stored(fusebox):
    rows = fusebox.sql("SELECT trace_id, count(*) AS n FROM spans GROUP BY 1")
    return {bytes.fromhex(row["trace_id"]): row["n"] for row in rows}


def refused(fusebox):
    _, answer = post(fusebox)
    message = check_refusal(answer, 503)
    assert answer.headers["Retry-After"] == "1"
    return message


def takes_again(fusebox, seconds=30):
    """Posts until one is taken; gives its trace."""
    def attempt():
        trace, answer = post(fusebox)
        assert answer.status in (200, 503), answer
        return trace if answer.status == 200 else None
    return poll("the server takes spans again", attempt, seconds)


def reads_work(fusebox, acknowledged):
    """SQL, metrics and health answer whatever the disk does."""
    there = stored(fusebox)
    assert all(there.get(trace) == 3 for trace in acknowledged)
    assert fusebox.get("/-/healthy").status == 200
    return fusebox.metrics()


# S1, S2: full

@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_refuses_and_resumes_by_itself(failing, code):
    first, answer = post(failing)
    assert answer.status == 200
    failing.faults.set(WRITE, LOG, error=code)
    for _ in range(3):
        refused(failing)
    metrics = reads_work(failing, [first])
    assert failing.get("/-/ready").status == 503
    assert metrics.total("fusebox_spans_dropped_total") == 9
    failing.faults.clear()
    second = takes_again(failing)
    assert failing.get("/-/ready").status == 200
    assert stored(failing) == {first: 3, second: 3}
    failing.restart()
    assert stored(failing) == {first: 3, second: 3}


def test_a_disk_that_fills_at_any_point(failing):
    """ENOSPC after any number of writes: nothing that was acknowledged is lost, nothing is there in part."""
    acknowledged, refusals = [], 0
    for passes in range(100):
        failing.faults.set(WRITE, LOG, error=errno.ENOSPC, passes=passes % 7, failures=1 + passes % 3)
        trace, answer = post(failing)
        assert answer.status in (200, 503)
        acknowledged += [trace] if answer.status == 200 else []
        refusals += answer.status == 503
    failing.faults.clear()
    takes_again(failing)
    assert refusals > 10
    there = stored(failing)
    assert set(there.values()) == {3} and set(acknowledged) <= set(there)


def test_a_reserve_is_kept_for_making_room(launch, tmp_path):
    """On a disk that is nearly full nothing more is taken: checkpoints and deletions still have room."""
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", str(folder)], capture_output=True).returncode != 0:
        pytest.skip("no file system of its own can be mounted here")
    try:
        fusebox = launch(folder=folder)
        first, answer = post(fusebox)
        assert answer.status == 200
        filler = folder / "other"
        filler.write_bytes(bytes(40 << 20))
        assert "MiB left" in refused(fusebox)
        # The door, readiness, the status, the metrics and the log give one account of it.
        poll("readiness says no", lambda: fusebox.get("/-/ready").status == 503, 5)
        assert json.loads(fusebox.get("/api/status").body)["taking_spans"] is False
        for _ in range(5):
            refused(fusebox)
        metrics = reads_work(fusebox, [first])
        assert metrics.value("fusebox_disk_free_bytes") < 64 << 20
        assert metrics.value("fusebox_refusing_spans", reason="disk_full") == 1
        assert metrics.value("fusebox_commits_total", result="full") >= 1
        poll("the log says so", lambda: "spans are refused (disk_full)" in fusebox.stderr, 5)
        filler.unlink()
        second = takes_again(fusebox)
        poll("readiness says yes", lambda: fusebox.get("/-/ready").status == 200, 5)
        assert fusebox.metrics().total("fusebox_refusing_spans") == 0
        poll("the log says so", lambda: "spans are stored again" in fusebox.stderr, 5)
        assert fusebox.stderr.count("spans are refused") == 1
        # To the brim, in spite of the reserve.
        with open(filler, "wb", buffering=0) as brim:
            try:
                while True:
                    brim.write(bytes(1 << 12))
            except OSError:
                pass
        refused(fusebox)
        reads_work(fusebox, [first, second])
        filler.unlink()
        third = takes_again(fusebox)
        fusebox.stop()
        assert set(stored(fusebox)) == {first, second, third}
    finally:
        for server in [fusebox]:
            if server.is_running:
                server.stop()
        subprocess.run(["umount", str(folder)], check=True)


def test_a_limit_on_file_sizes_does_not_kill(launch):
    fusebox = launch()
    first, answer = post(fusebox)
    assert answer.status == 200
    limit = max(path.stat().st_size for path in fusebox.folder.glob("fusebox.db*")) + 16384
    resource.prlimit(fusebox.process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    for _ in range(20):
        _, answer = post(fusebox)
        if answer.status == 503:
            break
    assert answer.status == 503
    reads_work(fusebox, [first])
    resource.prlimit(fusebox.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    takes_again(fusebox)


# S3, S4: errors

@pytest.mark.parametrize("operation, name", [(SYNC, LOG), (WRITE, LOG)], ids=["fsync", "write"])
def test_one_error_latches_until_the_file_is_checked(failing, operation, name):
    """After a single failure, that the next call would succeed means nothing: no 200 before the whole file was checked."""
    first, answer = post(failing)
    assert answer.status == 200
    # The check cannot end well while the file cannot be opened anew.
    failing.faults.set(operation, name, error=errno.EIO, failures=1)
    failing.faults.set(OPEN, FILE, error=errno.EIO, rule=1)
    refused(failing)
    assert failing.faults.failed() == 1
    for _ in range(5):
        assert "the disk failed" in refused(failing)
    assert failing.get("/-/ready").status == 503
    failing.faults.clear(1)
    metrics = reads_work(failing, [first])
    second = takes_again(failing)
    assert failing.metrics().value("fusebox_storage_suspect") == 0
    assert metrics.total("fusebox_commits_total", result="error") >= 1
    assert set(stored(failing)) == {first, second}
    assert failing.get("/-/ready").status == 200
    failing.restart()
    assert set(stored(failing)) == {first, second}


def test_a_disk_that_stays_broken_keeps_refusing(failing):
    first, answer = post(failing)
    failing.faults.set(SYNC, LOG, error=errno.EIO)
    refused(failing)
    poll("the check has met the broken disk too", lambda: failing.faults.failed() > 1)
    for _ in range(3):
        refused(failing)
    assert reads_work(failing, [first]).value("fusebox_storage_suspect") == 1
    failing.faults.clear()
    takes_again(failing, 60)


@pytest.mark.parametrize("operation", [SYNC, WRITE], ids=["fsync", "write"])
def test_an_error_in_a_checkpoint_latches_too(failing, operation):
    failing.faults.set(operation, FILE, error=errno.EIO, failures=1)
    acknowledged = []
    filling = "x" * 60_000

    def fill():
        trace, answer = post(failing, attributes=[("filling", filling + str(random.random()))], name=str(random.random()))
        acknowledged.extend([trace] if answer.status == 200 else [])
        return answer.status == 503
    # Random text, so that the log reaches the length at which it is checkpointed.
    filling = random.Random(1).randbytes(400_000).hex()
    poll("a checkpoint has failed and the server refuses", fill, 60)
    assert failing.faults.failed() == 1
    reads_work(failing, acknowledged[-20:])
    takes_again(failing)


def test_errors_at_every_operation(library, binary, tmp_path):
    """The n-th write, sync, truncation or read fails, once or for good: whatever was acknowledged is there after a restart."""
    chance = random.Random(7)
    rounds = int(os.environ.get("FUSEBOX_FAULT_ROUNDS", "24"))
    for number in range(rounds):
        folder = tmp_path / f"sweep{number}"
        folder.mkdir()
        faults = Faults(library, folder)
        fusebox = Fusebox(binary, folder / "data", faults.environment()).start()
        operation = [SYNC, WRITE, TRUNCATE, READ][number % 4]
        once = number // 4 % 2 == 0
        faults.set(operation, [LOG, FILE][number // 8 % 2], error=errno.EIO, passes=chance.randrange(12), failures=1 if once else -1)
        acknowledged = []
        for _ in range(8):
            trace, answer = post(fusebox)
            assert answer.status in (200, 503), answer
            acknowledged += [trace] if answer.status == 200 else []
        assert fusebox.is_running
        fusebox.kill()
        faults.clear()
        fusebox.start()
        there = stored(fusebox)
        assert set(there.values()) <= {3}, f"round {number}"
        assert set(acknowledged) <= set(there), f"round {number}"
        takes_again(fusebox)
        fusebox.stop()


def test_a_short_write(failing):
    failing.faults.set(WRITE, LOG, short=100, failures=2)
    traces = [takes_again(failing) for _ in range(3)]
    assert set(traces) <= set(stored(failing))


def test_a_query_that_meets_a_read_error_says_so(failing, library, tmp_path):
    post(failing)
    failing.stop()
    done = failing.run("sql", "--data-dir", str(failing.folder), "SELECT count(*), max(name) FROM spans")
    assert done.returncode == 0
    failing.faults.set(READ, FILE, error=errno.EIO, passes=3)
    done = failing.run("sql", "--data-dir", str(failing.folder), "SELECT count(*), max(name) FROM spans")
    assert done.returncode in (FAILED, INTEGRITY) and done.stderr.startswith(b"fusebox: "), done


# S5: slow

@pytest.mark.parametrize("delay, seconds", [(0.05, 4), (0.5, 5)])
def test_a_slow_disk_costs_latency_and_not_memory(failing, delay, seconds):
    """Group commit widens; health and metrics answer at once; all that is refused is refused with 503."""
    failing.faults.set(SYNC, LOG, delay=delay)
    load = Load(failing.port, f"slow {delay}")
    poll("some load", lambda: load.acknowledged_spans > 0)
    started = time.monotonic()
    while time.monotonic() < started + seconds:
        asked = time.monotonic()
        assert failing.get("/-/healthy").status == 200
        assert time.monotonic() - asked < 1
    load.finish()
    assert set(load.statuses) <= {200, 503}
    assert failing.peak_resident_mebibytes() < 256
    check_store(failing, load.acknowledged, load.unanswered)


# S6: read-only

def test_a_disk_that_becomes_read_only(failing):
    first, answer = post(failing)
    assert answer.status == 200
    failing.faults.set(WRITE | TRUNCATE, LOG, error=errno.EROFS)
    failing.faults.set(WRITE | TRUNCATE, FILE, error=errno.EROFS, rule=1)
    refused(failing)
    reads_work(failing, [first])
    failing.faults.clear()
    takes_again(failing)


def test_a_read_only_folder_is_read_and_not_served(launch, tmp_path, binary):
    folder = tmp_path / "medium"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(folder)], capture_output=True).returncode != 0:
        pytest.skip("no file system of its own can be mounted here")
    try:
        fusebox = launch(folder=folder)
        trace, answer = post(fusebox)
        assert answer.status == 200
        fusebox.stop()
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        assert stored(fusebox) == {trace: 3}
        assert fusebox.run("verify", "--data-dir", str(folder)).returncode == 0
        done = fusebox.run("serve", "--data-dir", str(folder), "--http-port", "0")
        assert done.returncode == FAILED and b"Read-only" in done.stderr, done.stderr
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_folder_of_another_user_that_takes_no_files_is_read(launch, binary):
    """Without its log and index, which went when the server stopped, and which a reader cannot make there."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can become another user here")
    with tempfile.TemporaryDirectory() as parent:
        folder = pathlib.Path(parent) / "shared"
        os.chmod(parent, 0o755)
        folder.mkdir()
        fusebox = launch(folder=folder)
        trace, answer = post(fusebox)
        assert answer.status == 200
        fusebox.stop()
        program = pathlib.Path(parent) / "fusebox"
        shutil.copy(binary, program)
        for path in folder.iterdir():
            os.chmod(path, 0o755 if path.is_dir() else 0o644)
        os.chmod(folder, 0o555)
        # Without rights over what belongs to others, which root has.
        other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(program)]
        for arguments, codes in [
            (["sql", "SELECT count(*) FROM spans"], {0}), (["tools"], {0}), (["traces"], {0}), (["export", "-"], {0}), (["verify"], {0}),
            (["cost", "--since", "2020-01-01"], {0, 3}), (["gate", "--since", "2020-01-01"], {0, 3}),
        ]:
            done = subprocess.run(
                [*other, *arguments, "--data-dir", str(folder)], capture_output=True, timeout=60, env={**fusebox.environment, "HOME": "/"})
            assert done.returncode in codes and done.stderr == b"", (arguments, done)


# S8: files that are none

GARBAGE = {
    "random": lambda path: path.write_bytes(random.Random(3).randbytes(100_000)),
    "text": lambda path: path.write_text("precious notes\n" * 1000),
    "cut header": lambda path: path.write_bytes(b"SQLite format 3\0"),
    "another program": lambda path: another_program(path),
}


def another_program(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE notes (text)")
        connection.execute("INSERT INTO notes VALUES ('precious')")
    connection.close()


@pytest.mark.parametrize("name", GARBAGE)
def test_a_file_of_something_else_is_refused_and_never_overwritten(binary, tmp_path, name):
    folder = tmp_path / "data"
    folder.mkdir()
    path = folder / "fusebox.db"
    GARBAGE[name](path)
    before = path.read_bytes()
    server = Fusebox(binary, folder)
    for command in (["serve", "--http-port", "0"], ["sql", "SELECT 1"], ["verify"]):
        done = server.run(*command[:1], "--data-dir", str(folder), *command[1:])
        assert done.returncode in (FAILED, INTEGRITY), (command, done)
        assert done.stderr.startswith(b"fusebox: ") and b"\n\n" not in done.stderr, done.stderr
    assert path.read_bytes() == before


def test_an_empty_file_in_place_of_the_store_is_noticed(launch):
    fusebox = launch()
    assert post(fusebox)[1].status == 200
    fusebox.stop()
    (fusebox.folder / "fusebox.db").write_bytes(b"")
    done = fusebox.run("verify", "--data-dir", str(fusebox.folder))
    assert done.returncode in (FAILED, INTEGRITY)
    fusebox.start()
    poll("the log says so", lambda: "that were acknowledged" in fusebox.stderr)


# S9: the log

def test_a_damaged_log_is_reported(launch, binary, tmp_path):
    """SQLite cuts a log off at the first bad frame and says nothing; the mark beside the file knows how far it went."""
    fusebox = launch()
    traces = [post(fusebox)[0] for _ in range(30)]
    fusebox.kill()
    source = fusebox.folder
    log = (source / LOG).read_bytes()
    chance = random.Random(9)
    damages = {"missing": None, "empty": b"", "cut": log[:len(log) // 2], "cut by one": log[:-1]}
    rounds = int(os.environ.get("FUSEBOX_LOG_ROUNDS", "30"))
    for number in range(rounds):
        # Where the frames of acknowledged commits are: the last commits may be of counters alone.
        place = 32 + chance.randrange(len(log) // 2)
        damages[f"flip {number} at {place}"] = log[:place] + bytes([log[place] ^ 1 << chance.randrange(8)]) + log[place + 1:]
    for name, damaged in damages.items():
        folder = tmp_path / "damaged"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for path in source.glob("fusebox.*"):
            if not path.name.endswith("-shm"):
                shutil.copy(path, folder)
        if damaged is None:
            (folder / LOG).unlink()
        else:
            (folder / LOG).write_bytes(damaged)
        done = fusebox.run("verify", "--data-dir", str(folder))
        if done.returncode == 0:
            # What was damaged carried no span: then all are there.
            one = Fusebox(binary, folder)
            assert set(stored(one)) == set(traces), name
        else:
            assert done.returncode in (FAILED, INTEGRITY), (name, done)
            assert b"missing" in done.stdout or b"no such table" in done.stderr + done.stdout, (name, done)
    fusebox.start()
    assert set(stored(fusebox)) == set(traces)


def test_a_stale_index_of_the_log_does_no_harm(launch):
    fusebox = launch()
    traces = [post(fusebox)[0] for _ in range(10)]
    fusebox.kill()
    (fusebox.folder / "fusebox.db-shm").write_bytes(random.Random(4).randbytes(32768))
    fusebox.start()
    assert set(stored(fusebox)) == set(traces)


# S10, S11: other users of the file

HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(sys.argv[2])
if len(sys.argv) > 3: connection.execute(sys.argv[3]).fetchall()
print("held", flush=True)
sys.stdin.read()
"""


class Holder:
    """Another process with a transaction open on the data file."""

    def __init__(self, path, *statements):
        self.process = subprocess.Popen([sys.executable, "-c", HOLD, str(path), *statements], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"held\n"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def test_a_lock_that_another_process_holds(launch):
    """A short hold is waited for; a long one is answered with 503; readers never notice."""
    fusebox = launch()
    first, _ = post(fusebox)
    with Holder(fusebox.folder / FILE, "BEGIN IMMEDIATE"):
        started = time.monotonic()
        refused(fusebox)
        assert time.monotonic() - started < 15
        assert set(stored(fusebox)) == {first}
        assert fusebox.get("/-/healthy").status == 200
    second = takes_again(fusebox)
    assert set(stored(fusebox)) == {first, second}
    assert fusebox.metrics().total("fusebox_commits_total", result="busy") >= 1
    assert fusebox.metrics().value("fusebox_storage_suspect") == 0


def test_a_reader_that_stays_bounds_the_log(launch):
    """A read transaction keeps the log from starting over; it takes no more than its bound, and goes when the reader goes."""
    fusebox = launch()
    first, _ = post(fusebox)
    log = fusebox.folder / LOG
    filling = random.Random(2)
    with Holder(fusebox.folder / FILE, "BEGIN", "SELECT count(*) FROM segment"):
        def fill():
            _, answer = post(fusebox, attributes=[(f"filling{part}", filling.randbytes(500_000).hex()) for part in range(8)])
            assert answer.status in (200, 503)
            return answer.status == 503
        poll("the log is at its bound", fill, 120)
        assert "write-ahead log" in refused(fusebox)
        poll("the reason says for how long", lambda: " s; end long queries" in refused(fusebox), 10)
        poll("readiness says no", lambda: fusebox.get("/-/ready").status == 503, 5)
        assert fusebox.metrics().value("fusebox_refusing_spans", reason="log_full") == 1
        assert log.stat().st_size < (256 << 20) + (64 << 20)
        assert fusebox.metrics().value("fusebox_wal_size_bytes") > 256 << 20
        assert first in stored(fusebox)
    takes_again(fusebox)
    assert log.stat().st_size < 256 << 20


class OverlappingReaders:
    """Reads for ever: each transaction begins before the one before it ends, so there is none of SQLite's moments without a reader."""

    def __init__(self, path):
        self.path = path
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        connections = [sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, isolation_level=None) for _ in range(2)]
        while not self.stopping.is_set():
            for connection, other in (connections, reversed(connections)):
                connection.execute("BEGIN")
                connection.execute("SELECT count(*) FROM segment").fetchone()
                if other.in_transaction:
                    other.execute("COMMIT")
                self.stopping.wait(0.5)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()


def test_readers_that_overlap_for_ever_starve_nothing(launch):
    """No reader stays for long, and there is always one: the log stays short, and every export is answered 200."""
    fusebox = launch()
    log = fusebox.folder / LOG
    answers, stopping = [], threading.Event()

    def send(seed):
        filling = random.Random(seed)
        while not stopping.is_set():
            answers.append(post(fusebox, 1, attributes=[("filling", filling.randbytes(500_000).hex())])[1].status)

    def started_over():
        longest.append(log.stat().st_size)
        fusebox.get("/api/services")
        return fusebox.metrics().total("fusebox_checkpoints_total", mode="restart", result="ok") >= 2

    longest = []
    senders = [threading.Thread(target=send, args=[seed]) for seed in range(2)]
    with OverlappingReaders(fusebox.folder / FILE):
        for sender in senders:
            sender.start()
        try:
            poll("the log starts over twice", started_over, 240)
        finally:
            stopping.set()
            for sender in senders:
                sender.join()
    assert max(longest) < 128 << 20
    assert set(answers) == {200}
    assert fusebox.metrics().value("fusebox_checkpoint_hold_max_seconds") < 4
