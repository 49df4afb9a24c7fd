"""What the gateway costs: a stub that streams 200 events, asked directly and through the gateway in turns. A section of scripts/bench.py.

`bench_gateway.py stub PORT` is the stub, `bench_gateway.py clients PORT COUNT GAP` are clients that ask until they are ended.
"""

import asyncio
import json
import pathlib
import re
import resource
import socket
import statistics
import subprocess
import sys
import time

EVENTS = 200
EVENT = b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","model":"stub","choices":[{"index":0,"delta":{"content":"word "},"finish_reason":null}]}\n\n'
LAST = (b'data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
        b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":200,"total_tokens":207}}\n\ndata: [DONE]\n\n')
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


async def serve(reader, writer):
    """Answers requests with `EVENTS` events, `gap` seconds apart, as the request's `user` says."""
    writer.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = re.search(rb"content-length: (\d+)", head.lower())
            if length is None:
                # The gateway asks for its health.
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                continue
            gap = float(json.loads(await reader.readexactly(int(length[1])))["user"])
            writer.write(HEAD)
            for _ in range(EVENTS):
                writer.write(chunk(EVENT))
                await writer.drain()
                if gap:
                    await asyncio.sleep(gap)
            writer.write(chunk(LAST) + b"0\r\n\r\n")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def stub(port):
    server = await asyncio.start_server(serve, "127.0.0.1", port, backlog=2048)
    async with server:
        await server.serve_forever()


async def ask(reader, writer, gap):
    """One streamed answer: seconds to the first event and to the end."""
    body = json.dumps({"model": "m", "stream": True, "user": str(gap), "messages": [{"role": "user", "content": "x" * 200}]}).encode()
    started = time.perf_counter()
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    text = await reader.readuntil(b"word ")
    first = time.perf_counter() - started
    if b"200 OK" not in text:
        sys.exit(f"bench: a stream was refused: {text[:300]}")
    await reader.readuntil(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    return first, time.perf_counter() - started


async def clients(port, count, streams, gap):
    """`count` clients, each with a connection of its own, ask for `streams` answers each; seconds to their first events, and of all."""
    async def one():
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        writer.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        firsts = [(await ask(reader, writer, gap))[0] for _ in range(streams)]
        writer.close()
        return firsts

    started = time.perf_counter()
    firsts = [first for own in await asyncio.gather(*(one() for _ in range(count))) for first in own]
    return firsts, time.perf_counter() - started


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def measure(make_server, folder, rounds=10):
    """The figures, from a server that `make_server` starts in a folder that has its configuration.

    The stub paces its events where throughput is measured, as model servers do: what is measured is then the way, and not the stub.
    """
    # A thousand streams are two thousand descriptors of the gateway's.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    stub_port, port = free_port(), free_port()
    model = {
        "backends": [{"name": "stub", "url": f"http://127.0.0.1:{stub_port}", "max_concurrent": 2000}],
        "fuses": {"first_token_s": 60}, "queue": {"depth": 2000}}
    pathlib.Path(folder).mkdir(exist_ok=True)
    (pathlib.Path(folder) / "fusebox.yaml").write_text(json.dumps({"gateway": {"port": port, "models": {"m": model}}}))
    process = subprocess.Popen([sys.executable, __file__, "stub", str(stub_port)])
    try:
        with make_server(str(folder)) as server:
            for one in (stub_port, port):
                wait_for(one)
            firsts, seconds = {stub_port: [], port: []}, {stub_port: [], port: []}
            # In turns, so that what else the machine does falls on both.
            for _ in range(rounds):
                for one in (stub_port, port):
                    firsts[one] += asyncio.run(clients(one, 1, 40, 0))[0]
            for _ in range(max(1, rounds // 3)):
                for one in (stub_port, port):
                    seconds[one].append(asyncio.run(clients(one, 32, 4, 0.005))[1])
            before = server.cpu_seconds()
            asyncio.run(clients(port, 32, 8, 0))
            events = 32 * 8 * EVENTS
            cpu = server.cpu_seconds() - before
            resident = server.peak_resident_mebibytes()
            asyncio.run(clients(port, 1000, 1, 0.25))
            p50 = [statistics.median(firsts[one]) * 1000 for one in (port, stub_port)]
            p99 = [statistics.quantiles(firsts[one], n=100)[98] * 1000 for one in (port, stub_port)]
            return {
                "added_p50_milliseconds": p50[0] - p50[1], "added_p99_milliseconds": p99[0] - p99[1],
                "throughput_ratio": statistics.median(seconds[stub_port]) / statistics.median(seconds[port]),
                "cpu_microseconds_per_event": cpu / events * 1e6, "thousand_streams_mebibytes": server.peak_resident_mebibytes() - resident}
    finally:
        process.terminate()
        process.wait()


def ingest_beside(make_server, folder, load, spans, rounds=5):
    """How fast others' spans are stored while 32 streams of 20 events a second go through the gateway, against while they go past it.

    Both times the same clients and the same stub work on this machine, so that only the gateway's own work is the difference.
    """
    stub_port, port = free_port(), free_port()
    model = {"backends": [{"name": "stub", "url": f"http://127.0.0.1:{stub_port}", "max_concurrent": 64}], "fuses": {"first_token_s": 60}}
    pathlib.Path(folder).mkdir(exist_ok=True)
    (pathlib.Path(folder) / "fusebox.yaml").write_text(json.dumps({"gateway": {"port": port, "models": {"m": model}}}))
    stub_process = subprocess.Popen([sys.executable, __file__, "stub", str(stub_port)])
    try:
        with make_server(str(folder)) as server:
            for one in (stub_port, port):
                wait_for(one)
            load(server, "-c", 8, "-b", 100, "-n", spans)
            results = {stub_port: [], port: []}
            for _ in range(rounds):
                for one in (stub_port, port):
                    asking = subprocess.Popen([sys.executable, __file__, "clients", str(one), "32", "0.05"])
                    time.sleep(1)
                    results[one].append(load(server, "-c", 8, "-b", 100, "-n", spans))
                    asking.kill()
                    asking.wait()

            def median(one, figure):
                return statistics.median(result[figure] for result in results[one])

            return {
                "ingest_ratio": median(port, "spans_per_second") / median(stub_port, "spans_per_second"),
                "spans_per_second": median(port, "spans_per_second"), "p99_milliseconds": median(port, "p99_milliseconds")}
    finally:
        stub_process.terminate()
        stub_process.wait()


def wait_for(port):
    for _ in range(200):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"bench: nobody listens at port {port}")


if __name__ == "__main__":
    if sys.argv[1] == "stub":
        asyncio.run(stub(int(sys.argv[2])))
    else:
        asyncio.run(clients(int(sys.argv[2]), int(sys.argv[3]), 1_000_000, float(sys.argv[4])))
