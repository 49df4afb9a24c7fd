"""Bits flip on the disk: after `fusebox verify` has found nothing, every query answers as before; and nothing crashes."""

import concurrent.futures
import os
import pathlib
import random
import subprocess
import tempfile
import time

import pytest

import captures
from server import Fusebox

FLIPS = int(os.environ.get("FUSEBOX_FLIPS", "500"))
OK, FAILED, INTEGRITY = 0, 1, 4
SERVE_EVERY = 20
# All that the file says: spans with everything, and what the derivations keep.
CONTENT = ["SELECT * FROM spans ORDER BY trace_id, span_id", "SELECT * FROM breaker_transitions", "SELECT * FROM counter ORDER BY id",
           "SELECT * FROM label_value ORDER BY 1, 2, 3", "SELECT * FROM derivation_state ORDER BY 1, 2"]


@pytest.fixture(scope="module")
def store(binary, tmp_path_factory):
    """A stopped server's folder: one file, every table of it filled."""
    server = Fusebox(binary, tmp_path_factory.mktemp("flips") / "data", {"BREAKER_SETTLE_S": "1"}).start()
    for run in ("handmade",):
        captures.replay(server, captures.posts(run))
    server.settled()
    server.stop()
    return server


def content(server, folder):
    return server.run("sql", "--data-dir", str(folder), "--format", "jsonl", ";".join(CONTENT))


def outcome(store, image, place, bit, number):
    """What became of one flip: `found`, `harmless`, or a description of what must not be."""
    with tempfile.TemporaryDirectory() as folder:
        flipped = bytearray(image)
        flipped[place] ^= 1 << bit
        (pathlib.Path(folder) / "fusebox.db").write_bytes(flipped)
        done = store.run("verify", "--data-dir", folder)
        where = f"bit {bit} of byte {place}"
        if done.returncode not in (OK, FAILED, INTEGRITY):
            return f"{where}: verify ended with {done.returncode}: {done.stderr}"
        asked = content(store, folder)
        if asked.returncode not in (OK, FAILED, INTEGRITY):
            return f"{where}: sql ended with {asked.returncode}: {asked.stderr}"
        if number % SERVE_EVERY == 0:
            served = serve(store, folder)
            if served is not None:
                return f"{where}: {served}"
        if done.returncode != OK:
            return "found"
        return "harmless" if asked.stdout == store.content else f"{where}: silently wrong"


def serve(store, folder):
    """A server over the damaged file ends well or answers; a signal is neither."""
    process = subprocess.Popen([store.binary, "serve", "--data-dir", folder, "--http-port", "0"], env=store.environment,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    for line in process.stdout:
        if b"listens on" in line:
            break
    process.terminate()
    process.stdout.close()
    code = process.wait(timeout=30)
    return None if code in (OK, FAILED, INTEGRITY) else f"the server ended with {code}"


def test_bit_flips(store, capsys):
    started = time.monotonic()
    image = (store.folder / "fusebox.db").read_bytes()
    done = content(store, store.folder)
    assert done.returncode == OK and done.stdout.count(b"\n") > 500
    store.content = done.stdout
    seed = os.environ.get("FUSEBOX_SEED", "2026")
    chance = random.Random(seed)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        flips = [(chance.randrange(len(image)), chance.randrange(8), number) for number in range(FLIPS)]
        outcomes = list(pool.map(lambda flip: outcome(store, image, *flip), flips))
    wrong = [one for one in outcomes if one not in ("found", "harmless")]
    assert not wrong, f"{len(wrong)} of {FLIPS}, seed {seed}: {wrong[:5]}"
    with capsys.disabled():
        print(f"\n{FLIPS} bit flips in {time.monotonic() - started:.0f} s: {outcomes.count('found')} found by verify, "
              f"{outcomes.count('harmless')} without effect, 0 silent, 0 crashes")


def test_garbage_pages(store):
    """Whole pages of something else."""
    image = (store.folder / "fusebox.db").read_bytes()
    chance = random.Random(5)
    for number in range(10):
        page = chance.randrange(len(image) // 4096)
        with tempfile.TemporaryDirectory() as folder:
            damaged = image[:page * 4096] + chance.randbytes(4096) + image[(page + 1) * 4096:]
            (pathlib.Path(folder) / "fusebox.db").write_bytes(damaged)
            done = store.run("verify", "--data-dir", folder)
            assert done.returncode in (FAILED, INTEGRITY), (page, done)
            assert serve(store, folder) is None
