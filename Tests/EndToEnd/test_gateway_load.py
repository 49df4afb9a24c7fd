"""Very many calls through the gateway: all at once, and one after another. Few in `make test`; in the night FUSEBOX_GATEWAY_STREAMS and
FUSEBOX_GATEWAY_REQUESTS are a thousand and a hundred thousand."""

import asyncio
import collections
import json
import os
import pathlib
import re
import resource
import socket
import subprocess
import sys
import time

import pytest

from server import poll, run_to_its_end
from test_gateway import Gateway, free_port

STREAMS = int(os.environ.get("FUSEBOX_GATEWAY_STREAMS", "200"))
REQUESTS = int(os.environ.get("FUSEBOX_GATEWAY_REQUESTS", "3000"))
CLIENTS = 32
STUB = pathlib.Path(__file__).resolve().parent / "stream_stub.py"
LAST = b"data: [DONE]\n\n\r\n0\r\n\r\n"


class Loaded(Gateway):
    def resident_mebibytes(self):
        status = pathlib.Path(f"/proc/{self.fusebox.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024

    def count(self, condition):
        return self.fusebox.scalar(f"SELECT count(*) AS n FROM spans WHERE {condition}")


@pytest.fixture
def stand(launch, tmp_path):
    """A server whose models are served by the stub: `m` by one that takes all that come, `broken` by one of few slots."""
    # A stream is two descriptors of the gateway's, one of the stub's and one of ours.
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
    port = free_port()
    stub = subprocess.Popen([sys.executable, str(STUB), str(port)], stdout=subprocess.PIPE)
    assert stub.stdout.readline() == b"listens\n"
    url = f"http://127.0.0.1:{port}"
    folder = tmp_path / "gateway"
    folder.mkdir()
    queue = {"depth": 2000, "timeout_s": 120}
    models = {
        "m": {"backends": [{"name": "stub", "url": url, "max_concurrent": max(STREAMS, CLIENTS)}], "fuses": {"first_token_s": 60}, "queue": queue},
        "broken": {"backends": [{"name": "broken", "url": url, "max_concurrent": 4}], "fuses": {"first_token_s": 60}, "queue": queue}}
    (folder / "fusebox.yaml").write_text(json.dumps({"gateway": {"port": 0, "models": models}, "breaker": {"threshold": 1000}}))
    yield Loaded(launch(None, (), folder))
    stub.kill()
    stub.wait()
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def request(user, model="m", stream=True):
    body = json.dumps({"model": model, "stream": stream, "user": user, "messages": [{"role": "user", "content": "x" * 200}]}).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    return head + body


async def connect(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    writer.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return reader, writer


async def head(reader):
    text = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 120)
    return int(text.split(b" ", 2)[1]), re.search(rb"content-length: (\d+)", text.lower())


def test_every_one_of_very_many_streams_at_once_ends_well_and_is_told(stand):
    resting = stand.fusebox.peak_resident_mebibytes()

    async def one(gap):
        reader, writer = await connect(stand.port)
        writer.write(request(f"20 {gap}"))
        status, _ = await head(reader)
        body = await asyncio.wait_for(reader.readuntil(LAST), 300)
        writer.close()
        return status, body.count(b'"w "')

    async def all_of_them():
        # Long enough that the first one still runs when the last one begins.
        gap = max(0.1, STREAMS / 2000)
        running = asyncio.gather(*(one(gap) for _ in range(STREAMS)))
        most = 0
        while not running.done() and most < STREAMS:
            await asyncio.sleep(0.05)
            most = max(most, await asyncio.to_thread(lambda: stand.status()["running"]))
        return await running, most

    answers, most = run_to_its_end(all_of_them())
    assert collections.Counter(answers) == {(200, 20): STREAMS} and most == STREAMS
    grown = stand.fusebox.peak_resident_mebibytes() - resting
    print(f"{STREAMS} streams at once: {grown:.1f} MiB more")
    assert grown < 20 + STREAMS * 0.1
    poll("all are told", lambda: stand.count("operation IS NOT NULL") == STREAMS, 60)
    assert stand.count("kind = 2") == STREAMS and stand.backend()["running"] == 0


def test_memory_grows_with_what_is_stored_alone_over_very_many_requests_of_all_kinds_and_each_has_an_answer_and_a_span(stand):
    """Streams, whole answers, failures, clients that leave, that read slowly, and that send half a body."""
    answers = collections.Counter()

    async def ask(index, connection):
        """One request on a connection; says whether the connection may be used again."""
        reader, writer = connection
        if index % 100 == 99:
            # Half a body is no request.
            writer.write(request("1 0")[:-50])
            await writer.drain()
            answers["half"] += 1
            return False
        if index % 50 == 49:
            writer.write(request("1000 0.01"))
            await asyncio.wait_for(reader.readuntil(b'"w "'), 120)
            answers["left"] += 1
            return False
        if index % 25 == 24:
            writer.write(request("fails", model="broken"))
        elif index % 25 == 12:
            writer.write(request("3 0", model="nobody's"))
        elif index % 25 == 20:
            # Failures in a row would open its breaker.
            writer.write(request("8 0", model="broken"))
        else:
            writer.write(request("200 0" if index % 500 == 3 else "8 0", stream=index % 5 != 0))
        status, length = await head(reader)
        if length:
            await reader.readexactly(int(length[1]))
        elif index % 500 == 3:
            # A slow reader.
            while not (await asyncio.wait_for(reader.readuntil(b"\n"), 120)).endswith(b"[DONE]\n"):
                await asyncio.sleep(0.002)
            await reader.readuntil(b"0\r\n\r\n")
        else:
            await asyncio.wait_for(reader.readuntil(LAST), 120)
        answers[status] += 1
        return True

    async def client(indexes):
        connection = await connect(stand.port)
        for index in indexes:
            if not await ask(index, connection):
                connection[1].close()
                connection = await connect(stand.port)
        connection[1].close()

    async def round_of(first, last):
        await asyncio.gather(*(client(range(first + number, last, CLIENTS)) for number in range(CLIENTS)))

    started = time.monotonic()
    quarter = REQUESTS // 4
    run_to_its_end(round_of(0, quarter))
    sizes = [stand.resident_mebibytes()]
    for number in range(1, 4):
        run_to_its_end(round_of(number * quarter, (number + 1) * quarter))
        sizes.append(stand.resident_mebibytes())
    total = 4 * quarter
    seconds = time.monotonic() - started
    print(f"{total} requests in {seconds:.0f} s, {total / seconds:.0f} a second; resident: {', '.join(f'{size:.0f}' for size in sizes)} MiB; {dict(answers)}")
    assert sum(answers.values()) == total and set(answers) == {200, 404, 500, "left", "half"}
    # Every one that was a request is told, whatever became of it.
    asked = total - answers["half"]
    poll("all are told", lambda: stand.count("kind = 2") == asked, 120)
    told = {kind: {} for kind in ("server", "call")}
    for row in stand.fusebox.sql("SELECT kind, error_type, count(*) AS n FROM spans WHERE kind = 2 OR operation IS NOT NULL GROUP BY 1, 2"):
        told["server" if row["kind"] == 2 else "call"][row["error_type"]] = row["n"]
    calls = {None: answers[200], "500": answers[500], "cancelled": answers["left"]}
    assert told == {"server": {**calls, "fusebox_unknown_model": answers[404]}, "call": calls}
    poll("nothing is under way", lambda: stand.status()["running"] == 0)
    # The store itself remembers up to 200,000 spans of runs that may stall and 131,072 that wait for the other side of their call: the spans
    # of this test alone, imported where no gateway runs, are 0.8 KiB each until then.
    spans = stand.fusebox.scalar("SELECT count(*) AS n FROM spans") * 3 / 4
    assert sizes[-1] - sizes[0] < 30 + spans / 1024
