"""Power goes off: every acknowledged trace is there, whole, in whatever state the disk was left."""

import json
import os
import pathlib
import random
import subprocess
import tempfile
import time

import pytest

import faults as kit
from faults import Faults
from replay import Disk
from server import Fusebox
from wire import batch, span, span_id, trace_id

STATES = int(os.environ.get("FUSEBOX_POWER_STATES", "1000"))
# Every so many states, the program itself checks the file, and every so many more it serves from it.
VERIFY_EVERY, SERVE_EVERY = 25, 200
PYTHON = "/usr/bin/python3"

# A process that tells what is in each folder that it is given: the extension in it recovers the log as the server would.
READER = """
import json, sqlite3, sys
for folder in sys.stdin:
    try:
        connection = sqlite3.connect(folder.strip() + "/fusebox.db")
        connection.enable_load_extension(True)
        connection.load_extension(sys.argv[1])
        rows = connection.execute("SELECT trace_id, count(*), count(DISTINCT span_id) FROM spans GROUP BY trace_id").fetchall()
        ok = connection.execute("PRAGMA quick_check").fetchall() == [("ok",)]
        connection.close()
        print(json.dumps({"ok": ok, "rows": rows}), flush=True)
    except sqlite3.Error as error:
        print(json.dumps({"error": str(error)}), flush=True)
"""


class Recording:
    """A server under load, what it wrote, and at which point of the record each trace had been acknowledged."""

    def __init__(self, binary, folder, library):
        self.folder = pathlib.Path(folder)
        self.record = self.folder / "record"
        self.data = self.folder / "data"
        self.data.mkdir()
        self.faults = Faults(library, self.folder)
        self.server = Fusebox(binary, self.data, self.faults.environment(self.record, self.data))
        # Spans by trace, and the length of the record when the answer had come.
        self.acknowledged = []
        self.unanswered = {}

    def run(self, requests, chance, filling=0):
        for _ in range(requests):
            trace = trace_id()
            count = chance.randint(1, 30)
            attributes = [("tool_name", "hammer"), ("breaker_state", chance.choice(["open", "closed"]))]
            if filling:
                attributes.append(("filling", chance.randbytes(filling // 2).hex()))
            answer = self.server.post(batch(*[span(trace, span_id(), attributes=attributes) for _ in range(count)]))
            assert answer.status == 200
            self.acknowledged.append((self.record.stat().st_size, trace.hex(), count))

    @property
    def first_point(self):
        return self.acknowledged[0][0]


@pytest.fixture(scope="module")
def recordings(binary, tmp_path_factory):
    """Two: short lives with clean and violent ends, each end folding the log; and one long life with checkpoints beside the load."""
    folder = tmp_path_factory.mktemp("power")
    library = kit.build(folder)
    made = []
    for name in ("lives", "checkpoints"):
        (folder / name).mkdir()
        recording = Recording(binary, folder / name, library)
        chance = random.Random(name)
        if name == "lives":
            for life in range(8):
                recording.server.start()
                recording.run(40, chance)
                recording.server.kill() if life % 2 else recording.server.stop()
        else:
            recording.server.start()
            recording.run(150, chance, filling=300_000)
            recording.server.stop()
        made.append(recording)
    return made


def points(recording, count, chance):
    """Ends of entries, in order, more of them where unsynced writes are."""
    size = recording.record.stat().st_size
    return sorted(chance.randrange(recording.first_point, size + 1) for _ in range(count))


class Reader:
    """Tells what is in a folder, by READER."""

    def __init__(self, binary):
        self.process = subprocess.Popen([PYTHON, "-c", READER, str(binary.parent / "libFuseboxSQLite.so")], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def read(self, folder):
        self.process.stdin.write(folder + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        assert self.process.wait() == 0
        self.process.stdout.close()


def empty(folder):
    for path in pathlib.Path(folder).iterdir():
        path.unlink()


def test_the_method_finds_a_loss(recordings, binary, tmp_path):
    """On a disk that only says that it synced, acknowledged traces are lost, and this is seen."""
    if not pathlib.Path(PYTHON).exists():
        pytest.skip("there is no system Python here")
    recording = recordings[0]
    disk = Disk(recording.record, trusts_syncs=False)
    reader = Reader(binary)
    chance = random.Random(1)
    losses = 0
    for point in points(recording, 20, chance):
        disk.advance(point)
        empty(tmp_path)
        disk.state(tmp_path, chance)
        found = reader.read(str(tmp_path))
        there = {trace for trace, _, _ in found.get("rows", [])}
        losses += any(trace not in there for length, trace, _ in recording.acknowledged if length <= point)
    reader.close()
    assert losses >= 10


@pytest.mark.parametrize("number, share", [(0, 0.85), (1, 0.15)], ids=["lives", "checkpoints"])
def test_power_loss(recordings, binary, capsys, number, share):
    if not pathlib.Path(PYTHON).exists():
        pytest.skip("there is no system Python here")
    recording = recordings[number]
    seed = os.environ.get("FUSEBOX_SEED", "2026")
    chance = random.Random(f"{seed}/{number}")
    started = time.monotonic()
    disk = Disk(recording.record)
    reader = Reader(binary)
    states = max(1, int(STATES * share))
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    checked = 0
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        for state, point in enumerate(points(recording, states, chance)):
            disk.advance(point)
            where = f"state {state} at byte {point} of the record, seed {seed}"
            empty(folder)
            disk.state(folder, chance)
            expected = {trace: count for length, trace, count in recording.acknowledged if length <= point}
            everything = {trace: count for _, trace, count in recording.acknowledged}
            # The program first, so that it is the one who recovers.
            if state % VERIFY_EVERY == 0:
                done = subprocess.run([binary, "verify", "--data-dir", folder], capture_output=True, text=True)
                assert done.returncode == 0, (where, done.stdout, done.stderr)
            if state % SERVE_EVERY == 1:
                server = Fusebox(binary, folder).start()
                server.kill()
            found = reader.read(folder)
            assert found.get("ok"), (where, found)
            there = {trace: rows for trace, rows, distinct in found["rows"] if rows == distinct}
            lost = {trace for trace in expected if there.get(trace) != expected[trace]}
            assert not lost, f"{where}: {len(lost)} of {len(expected)} acknowledged traces are lost"
            assert all(everything.get(trace) == count for trace, count in there.items()), f"{where}: a request in part"
            checked += len(expected)
    reader.close()
    with capsys.disabled():
        print(f"\n{states} states after a loss of power in {time.monotonic() - started:.0f} s: "
              f"{checked} acknowledged traces looked for, 0 lost")
