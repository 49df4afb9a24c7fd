"""What the gateway costs: a stub that streams 200 events, asked directly and through the gateway in turns. Sections of scripts/bench.py.

`bench_gateway.py PORT COUNT GAP` are clients that ask until they are ended.
"""

import asyncio
import contextlib
import json
import pathlib
import resource
import socket
import statistics
import subprocess
import sys
import time

STUB = pathlib.Path(__file__).resolve().parent.parent / "Tests/EndToEnd/stream_stub.py"
EVENTS = 200
# Seconds between two events of a stream: 32 streams of 50 tokens a second are what a busy graphics card gives; four times that; and for
# the first event, 5,000 a second.
GAP, FAST_GAP, FIRST_GAP = 0.02, 0.005, 0.0002


async def ask(reader, writer, gap):
    """One streamed answer: seconds to the first event and to the end."""
    body = json.dumps({"model": "m", "stream": True, "user": f"{EVENTS} {gap}", "messages": [{"role": "user", "content": "x" * 200}]}).encode()
    started = time.perf_counter()
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    text = await reader.readuntil(b'"content":"w "')
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


@contextlib.contextmanager
def stand(make_server, folder, max_concurrent, **settings):
    """A stub, and a server that has it behind its gateway: the server, the stub's port and the gateway's."""
    stub_port, port = free_port(), free_port()
    model = {
        "backends": [{"name": "stub", "url": f"http://127.0.0.1:{stub_port}", "max_concurrent": max_concurrent}],
        "fuses": {"first_token_s": 60}, **settings}
    pathlib.Path(folder).mkdir(exist_ok=True)
    (pathlib.Path(folder) / "fusebox.yaml").write_text(json.dumps({"gateway": {"port": port, "models": {"m": model}}}))
    stub = subprocess.Popen([sys.executable, STUB, str(stub_port)], stdout=subprocess.DEVNULL)
    try:
        with make_server(str(folder)) as server:
            for one in (stub_port, port):
                wait_for(one)
            yield server, stub_port, port
    finally:
        stub.terminate()
        stub.wait()


def measure(make_server, folder, rounds=10):
    """The figures, from a server that `make_server` starts in a folder that has its configuration.

    The stub paces its events, as model servers do: what is measured is then the way, and not how stub, gateway and clients share the
    processors. The same is measured of a stub that is paced less, or not at all.
    """
    # A thousand streams are two thousand descriptors of the gateway's.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with stand(make_server, folder, max_concurrent=2000, queue={"depth": 2000}) as (server, stub_port, port):
        in_turns = (stub_port, port)

        # In turns, so that what else the machine does falls on both.
        def firsts(gap):
            found = {stub_port: [], port: []}
            for _ in range(rounds):
                for one in in_turns:
                    found[one] += asyncio.run(clients(one, 1, 30, gap))[0]
            return found

        def throughput_ratio(gap, streams):
            found = {stub_port: [], port: []}
            for _ in range(max(1, rounds // 3)):
                for one in in_turns:
                    found[one].append(asyncio.run(clients(one, 32, streams, gap))[1])
            return statistics.median(found[stub_port]) / statistics.median(found[port])

        paced, unpaced = firsts(FIRST_GAP), firsts(0)
        figures = {
            "added_p50_milliseconds": added(paced, in_turns, statistics.median),
            "added_p99_milliseconds": added(paced, in_turns, lambda times: statistics.quantiles(times, n=100)[98]),
            "unpaced_added_p50_milliseconds": added(unpaced, in_turns, statistics.median),
            "throughput_ratio": throughput_ratio(GAP, 2), "fast_throughput_ratio": throughput_ratio(FAST_GAP, 4)}
        before = server.cpu_seconds()
        asyncio.run(clients(port, 32, 8, 0))
        figures["cpu_microseconds_per_event"] = (server.cpu_seconds() - before) / (32 * 8 * EVENTS) * 1e6
        resident = server.peak_resident_mebibytes()
        asyncio.run(clients(port, 1000, 1, 0.25))
        figures["thousand_streams_mebibytes"] = server.peak_resident_mebibytes() - resident
        return figures


def added(times, in_turns, figure):
    """How much more a figure of times is through the gateway than directly, in milliseconds."""
    direct, through = (figure(times[one]) for one in in_turns)
    return (through - direct) * 1000


def ingest_beside(make_server, folder, load, spans, rounds=5):
    """How fast others' spans are stored while 32 streams of 20 events a second go through the gateway, against while they go past it.

    Both times the same clients and the same stub work on this machine, so that only the gateway's own work is the difference.
    """
    with stand(make_server, folder, max_concurrent=64) as (server, stub_port, port):
        load(server, "-c", 8, "-b", 100, "-n", spans)
        results = {stub_port: [], port: []}
        for _ in range(rounds):
            for one in (stub_port, port):
                asking = subprocess.Popen([sys.executable, __file__, str(one), "32", "0.05"])
                time.sleep(1)
                results[one].append(load(server, "-c", 8, "-b", 100, "-n", spans))
                asking.kill()
                asking.wait()

        def median(one, figure):
            return statistics.median(result[figure] for result in results[one])

        return {
            "ingest_ratio": median(port, "spans_per_second") / median(stub_port, "spans_per_second"),
            "spans_per_second": median(port, "spans_per_second"), "p99_milliseconds": median(port, "p99_milliseconds")}


def wait_for(port):
    for _ in range(200):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"bench: nobody listens at port {port}")


if __name__ == "__main__":
    asyncio.run(clients(int(sys.argv[1]), int(sys.argv[2]), 1_000_000, float(sys.argv[3])))
