"""Model servers that the gateway starts and looks after: stand-ins that live and die as they are told."""

import concurrent.futures
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import pytest

from server import poll
from test_gateway import Gateway, attributes, events

HERE = pathlib.Path(__file__).resolve().parent
PROCESS = str(HERE / "model_process.py")


def lives(pid):
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


class Supervised(Gateway):
    """A gateway with processes of its own."""

    def process(self, index=0):
        return self.status()["backends"][index]["process"]

    def ready(self, seconds=30):
        return poll("the process is ready", lambda: self.process()["state"] == "ready" and self.process(), seconds)

    def command(self, verb, name):
        done = self.fusebox.run("gateway", verb, name, "--url", f"http://127.0.0.1:{self.port}")
        assert done.returncode == 0, done.stderr
        return done.stdout.decode()

    def logs(self, event=None):
        rows = self.fusebox.sql("SELECT * FROM logs ORDER BY time_unix_nano")
        return [row for row in rows if event is None or row["event_name"] == f"fusebox.gateway.backend.{event}"]


@pytest.fixture
def supervise(launch, tmp_path):
    """Starts a server whose model `m` is served by a process of the gateway's; none of them is left afterwards."""
    folder = tmp_path / "gateway"
    folder.mkdir()
    stands = []

    def start(behaviour="good", kind="vllm", breaker=None, top=None, command=None, arguments=(), environment=None, **backend):
        model = {key: backend.pop(key) for key in ("queue", "fuses", "retry") if key in backend}
        model.setdefault("fuses", {"first_token_s": 5})
        command = command or [sys.executable, PROCESS, "{port}", behaviour, str(folder)]
        model["backends"] = [{"name": "b0", "kind": kind, "command": command, "stop_timeout_s": 1, **backend}]
        section = {"port": 0, "headroom_ratio": 0, "models": {"m": model}, **(top or {})}
        (folder / "fusebox.yaml").write_text(json.dumps({"gateway": section, "breaker": breaker or {}}))
        stand = Supervised(launch(environment, arguments, folder))
        stands.append(stand)
        return stand

    start.folder = folder
    yield start
    for stand in stands:
        if stand.fusebox.is_running:
            stand.fusebox.process.send_signal(signal.SIGINT)
            stand.fusebox.expect_exit()
    for record in (folder / "gateway").glob("*.json"):
        os.killpg(json.loads(record.read_text())["pid"], signal.SIGKILL)


def started(folder):
    """The pids of all that were started, in order."""
    return [int(line.split()[0]) for line in (folder / "starts").read_text().splitlines()]


# Its start


def test_a_server_is_started_on_a_port_of_its_own_and_serves_once_it_is_ready(supervise):
    stand = supervise()
    # Who comes before it is ready waits.
    assert stand.stream()[0] == 200
    process = stand.ready()
    assert process["port"] not in (0, stand.port) and lives(process["pid"])
    assert stand.status()["backends"][0]["breaker"] == "closed"
    assert [row["event_name"].rsplit(".", 1)[1] for row in poll("told", lambda: len(stand.logs()) >= 2 and stand.logs())] == ["starting", "ready"]
    (call,) = stand.calls(1)
    assert attributes(call)["server.port"] == process["port"]
    text = stand.fusebox.run("gateway", "status", "--url", f"http://127.0.0.1:{stand.port}").stdout.decode()
    assert "ready" in text and str(process["pid"]) in text


def test_however_many_ask_for_it_a_model_is_loaded_once(supervise):
    stand = supervise("loads_slowly", max_concurrent=8, queue={"depth": 100})
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        assert [answer[0] for answer in pool.map(lambda _: stand.stream(), range(20))] == [200] * 20
    assert len(started(supervise.folder)) == 1


def test_a_start_that_shows_progress_is_given_time_and_one_that_does_not_is_ended_and_tried_again(supervise):
    stand = supervise("loads_slowly", start_timeout_s=2)
    assert stand.ready()["restarts"] == 0


def test_a_start_without_progress_is_ended_and_tried_again(supervise):
    stand = supervise("loads_in_silence", start_timeout_s=1)
    poll("a second one is started", lambda: stand.process()["restarts"] >= 1)
    assert stand.process()["last_reason"] == "start_timeout"
    first = started(supervise.folder)[0]
    assert not lives(first)


def test_a_process_that_dies_while_loading_is_tried_again_with_growing_pauses(supervise):
    stand = supervise("dies_twice_while_loading")
    assert stand.stream()[0] == 200
    assert stand.process()["restarts"] == 2
    times = [float(line.split()[1]) for line in (supervise.folder / "starts").read_text().splitlines()]
    assert times[1] - times[0] > 0.45 and times[2] - times[1] > 0.9


def test_who_waits_for_a_server_that_never_starts_is_told_so_at_once_and_its_last_words_are_kept(supervise):
    stand = supervise("dies_while_loading")
    poll("it is given up for now", lambda: stand.process()["state"] == "failed", 60)
    began = time.monotonic()
    status, headers, body = stand.stream()
    assert time.monotonic() - began < 5
    error = json.loads(body)["error"]
    assert status == 503 and error["code"] == "fusebox_backend_failed" and "exited with 3" in error["message"]
    assert headers["x-should-retry"] == "false"
    assert "cannot read the model" in [row["body"] for row in poll("its words are kept", lambda: stand.logs("output"))]


def test_a_port_that_somebody_else_took_is_seen_and_another_one_given_out(supervise):
    stand = supervise("port_is_taken_once")
    process = stand.ready(60)
    assert process["restarts"] == 1 and process["last_reason"] == "port_conflict"
    assert stand.stream()[0] == 200


def test_no_start_without_memory_and_who_waits_is_told_so(supervise):
    stand = supervise(memory_bytes=1 << 49)
    poll("it is not started", lambda: stand.process()["lacks_memory"])
    assert stand.code() == (503, "fusebox_backend_failed")
    assert not (supervise.folder / "starts").exists()


def test_a_gateway_that_cannot_listen_starts_nothing(binary, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        model = {"backends": [{"name": "b", "command": [sys.executable, PROCESS, "{port}", "good", str(tmp_path)]}], "fuses": {"first_token_s": 5}}
        section = {"port": taken.getsockname()[1], "headroom_ratio": 0, "models": {"m": model}}
        (tmp_path / "fusebox.yaml").write_text(json.dumps({"gateway": section}))
        done = subprocess.run(
            [binary, "serve", "--data-dir", tmp_path, "--http-port", "0", "--grpc-port", "none"], capture_output=True, timeout=60)
    assert done.returncode != 0 and b"is taken" in done.stderr
    assert not (tmp_path / "starts").exists()


# Its end


def test_a_process_that_was_ended_is_replaced_at_once_without_anybody_asking_and_its_breaker_is_a_new_one(supervise):
    stand = supervise(breaker={"cooldown_s": 600, "threshold": 1})
    assert stand.stream()[0] == 200
    first = stand.ready()["pid"]
    os.kill(first, signal.SIGKILL)
    second = poll("another one is ready", lambda: (stand.process()["pid"] or first) != first and stand.ready())
    assert not lives(first) and second["last_reason"] == "exited" and "signal 9" in second["last_words"]
    assert stand.stream()[0] == 200 and stand.backend()["breaker"] == "closed"
    assert stand.fusebox.metrics().value("fusebox_gateway_backend_ends_total", backend="b0", reason="exited") == 1


def test_only_requests_whose_first_byte_was_out_fail_when_the_process_is_killed_and_the_port_in_front_never_moves(supervise):
    stand = supervise("streams", max_concurrent=4, queue={"depth": 64, "timeout_s": 30})
    stand.ready()
    over = time.monotonic() + 12
    outcomes = []

    def ask():
        while time.monotonic() < over:
            status, _, body = stand.stream()
            if status != 200:
                outcomes.append(f"{status} {body[:200]}")
            elif events(body)[-1] == "[DONE]":
                outcomes.append("good")
            else:
                outcomes.append(json.loads(events(body)[-1])["error"]["code"])

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        asking = [pool.submit(ask) for _ in range(6)]
        kills = 0
        while time.monotonic() < over - 1:
            process = stand.process()
            if process["state"] == "ready":
                os.kill(process["pid"], signal.SIGKILL)
                kills += 1
            time.sleep(0.9)
        for one in asking:
            one.result()
    assert kills >= 5 and "good" in outcomes
    # Whatever failed had its first token.
    assert set(outcomes) <= {"good", "fusebox_stream_broken"}, outcomes
    assert not [pid for pid in started(supervise.folder)[:-1] if lives(pid)]


@pytest.mark.parametrize("behaviour", ["ignores_sigterm", "child_holds_the_port"])
def test_its_predecessor_is_gone_with_all_that_it_started_before_a_successor_starts(supervise, behaviour):
    stand = supervise(behaviour)
    first = stand.ready()["pid"]
    group = [int(path.name) for path in pathlib.Path("/proc").iterdir() if path.name.isdigit() and _group(path) == first]
    stand.command("restart", "b0")
    second = poll("another one is ready", lambda: (stand.process()["pid"] or first) != first and stand.ready())
    assert second["last_reason"] == "asked" and not [pid for pid in group if lives(pid)]
    times = [row["time_unix_nano"] for row in stand.logs() if row["event_name"].endswith((".ended", ".starting"))]
    assert times == sorted(times) and len(started(supervise.folder)) == 2
    assert stand.stream()[0] == 200


def _group(path):
    try:
        return int((path / "stat").read_text().rsplit(")", 1)[1].split()[2])
    except OSError:
        return None


def test_a_stopped_process_is_noticed_ended_and_replaced(supervise):
    stand = supervise()
    first = stand.ready()["pid"]
    os.kill(first, signal.SIGSTOP)
    second = poll("another one is ready", lambda: (stand.process()["pid"] or first) != first and stand.ready(), 40)
    assert second["last_reason"] == "unresponsive" and not lives(first)
    assert stand.stream()[0] == 200


def test_a_decoder_that_hangs_behind_good_health_is_noticed_by_its_slots_ended_and_replaced(supervise):
    stand = supervise("hangs_behind_good_health", kind="llama_cpp", stall_s=3, fuses={"first_token_s": 60})
    first = stand.ready()["pid"]
    # It is served by the successor.
    status, _, body = stand.stream(timeout=60)
    assert status == 502 or events(body)[-1] == "[DONE]"
    process = stand.ready(60)
    assert process["pid"] != first and process["last_reason"] == "stalled" and not lives(first)
    assert stand.stream()[0] == 200


def test_a_decoder_that_hangs_behind_good_health_and_tells_of_no_slots_is_asked_for_a_token(supervise):
    stand = supervise("hangs_behind_good_health", fuses={"first_token_s": 0.5}, breaker={"threshold": 2, "cooldown_s": 600})
    first = stand.ready()["pid"]
    assert [stand.code()[0] for _ in range(2)] == [504, 504]
    second = poll("another one is ready", lambda: (stand.process()["pid"] or first) != first and stand.ready(), 40)
    assert second["last_reason"] == "hung" and stand.backend()["breaker"] == "closed"
    assert stand.stream()[0] == 200


# The operator, and restarts of the gateway


def test_it_is_stopped_until_it_is_started_again(supervise):
    stand = supervise()
    first = stand.ready()["pid"]
    stand.command("stop", "b0")
    poll("it is stopped", lambda: stand.process()["state"] == "stopped")
    assert not lives(first)
    status, _, body = stand.stream()
    assert status == 503 and "was stopped" in json.loads(body)["error"]["message"]
    stand.command("start", "b0")
    assert stand.ready()["pid"] != first and stand.stream()[0] == 200
    done = stand.fusebox.run("gateway", "restart", "nobody", "--url", f"http://127.0.0.1:{stand.port}")
    assert done.returncode == 1 and b"no backend 'nobody'" in done.stderr


def test_a_restart_of_the_gateway_adopts_its_processes_so_that_an_upgrade_unloads_no_model(supervise):
    stand = supervise()
    process = stand.ready()
    stand.fusebox.restart()
    stand.port = poll("the gateway listens", lambda: stand.fusebox.gateway_port)
    again = stand.ready()
    assert (again["pid"], again["port"]) == (process["pid"], process["port"])
    assert stand.stream()[0] == 200 and len(started(supervise.folder)) == 1
    # One that was adopted is looked after like any other.
    os.kill(process["pid"], signal.SIGKILL)
    poll("another one is ready", lambda: (stand.process()["pid"] or process["pid"]) != process["pid"] and stand.ready())
    # The end by a kill leaves it too.
    before = stand.ready()["pid"]
    stand.fusebox.kill()
    stand.fusebox.start()
    stand.port = poll("the gateway listens", lambda: stand.fusebox.gateway_port)
    assert stand.ready()["pid"] == before
    # Ctrl-C at a terminal takes it along.
    stand.fusebox.process.send_signal(signal.SIGINT)
    stand.fusebox.expect_exit()
    assert not lives(before)


def test_a_process_that_is_configured_no_more_is_ended_at_the_next_start(supervise):
    stand = supervise()
    first = stand.ready()["pid"]
    stand.fusebox.stop()
    assert lives(first)
    stand = supervise(top={"max_concurrency": 3}, stop_timeout_s=2)
    assert stand.ready()["pid"] == first
    stand.fusebox.stop()
    stand = supervise("streams")
    second = stand.ready()["pid"]
    assert second != first and not lives(first)
    # Nor one of a backend that runs by itself now.
    stand.fusebox.stop()
    assert lives(second)
    folder = supervise.folder
    model = {"backends": [{"name": "b0", "url": "http://127.0.0.1:9"}], "fuses": {"first_token_s": 5}}
    (folder / "fusebox.yaml").write_text(json.dumps({"gateway": {"port": 0, "models": {"m": model}}}))
    stand.fusebox.start()
    poll("it is ended", lambda: not lives(second))


# GPUs


@pytest.fixture
def driver(tmp_path):
    """A folder with an `nvidia-smi` that prints what stands in its files."""
    folder = tmp_path / "driver"
    folder.mkdir()
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ncase $1 in --query-gpu=*) . {folder}/gpus ;; *) cat {folder}/apps ;; esac\n")
    program.chmod(0o755)
    (folder / "gpus").write_text("echo '0, 34, 1024, 24576'; echo '1, [N/A], 0, 24576'\n")
    (folder / "apps").write_text("1, 7\n")
    return folder


def test_memory_and_work_of_gpus_are_told_where_the_driver_tells_them(supervise, driver):
    stand = supervise(environment={"PATH": f"{driver}:{os.environ['PATH']}"})
    pid = stand.ready()["pid"]
    (driver / "apps").write_text(f"{pid}, 512\n{pid}, 8\n1, 7\n")

    def told():
        metrics = stand.fusebox.metrics()
        return metrics if metrics.rows("fusebox_gateway_gpu_memory_bytes") else None

    metrics = poll("the driver is asked", told)
    assert metrics.value("fusebox_gateway_gpu_utilization_ratio", gpu="0") == 0.34
    assert metrics.value("fusebox_gateway_gpu_memory_used_bytes", gpu="0") == 1024 << 20
    assert metrics.value("fusebox_gateway_gpu_memory_bytes", gpu="1") == 24576 << 20
    assert metrics.value("fusebox_gateway_process_gpu_memory_bytes", backend="b0") == 520 << 20
    # What is not known has no line, and no zero.
    assert len(metrics.rows("fusebox_gateway_gpu_utilization_ratio")) == 1


@pytest.mark.parametrize("trouble", ["exit 9\n", "sleep 30\n", "echo 'NVIDIA-SMI has failed'; exit 0\n"])
def test_without_a_driver_that_tells_them_gpus_have_no_series_and_nobody_waits(supervise, driver, trouble):
    (driver / "gpus").write_text(f"echo >> {driver}/asked; {trouble}")
    stand = supervise(environment={"PATH": f"{driver}:{os.environ['PATH']}"})
    stand.ready()
    stand.fusebox.metrics()
    poll("the driver is asked", (driver / "asked").exists)
    started = time.monotonic()
    metrics = stand.fusebox.metrics()
    assert time.monotonic() - started < 2 and not metrics.rows("fusebox_gateway_gpu_memory_bytes")
    assert not metrics.rows("fusebox_gateway_process_gpu_memory_bytes")
    assert stand.stream()[0] == 200
