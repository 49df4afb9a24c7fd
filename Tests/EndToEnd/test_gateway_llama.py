"""The gateway in front of a real llama.cpp server that it starts."""

import concurrent.futures
import json
import os
import pathlib
import signal
import sys
import time
import urllib.request

import pytest

import llama_model
from server import poll
from test_gateway import attributes, events
from test_gateway_processes import lives, supervise  # noqa: F401

pytest.importorskip("xllamacpp", reason="without the package xllamacpp there is no real llama.cpp server to test with")

SERVER = str(pathlib.Path(__file__).resolve().parent / "llama_server.py")


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """A model that answers at once, and one that takes its time over each token."""
    folder = tmp_path_factory.mktemp("models")
    return {
        "quick": llama_model.write(folder / "quick.gguf"),
        "slow": llama_model.write(folder / "slow.gguf", width=512, layers=8, heads=8, hidden=1536, context=8192)}


@pytest.fixture
def llama(supervise, models):  # noqa: F811
    def start(model="quick", parallel=1, context=2048, **options):
        command = [sys.executable, SERVER, "-m", str(models[model]), "--port", "{port}", "--parallel", str(parallel), "-c", str(context)]
        options.setdefault("fuses", {"first_token_s": 60})
        options.setdefault("max_concurrent", "auto")
        options.setdefault("queue", {"depth": 64, "timeout_s": 60})
        stand = supervise(command=command, kind="llama_cpp", **options)
        stand.ready(60)
        return stand

    return start


def ask(stand, tokens=8, content="hello", **request):
    return stand.stream(
        max_tokens=tokens, ignore_eos=True, cache_prompt=False, timeout=90, messages=[{"role": "user", "content": content}], **request)


def test_tokens_of_the_spans_are_the_servers_usage_and_slots_are_those_it_tells_of(llama):
    stand = llama(parallel=3)
    poll("its slots are known", lambda: stand.backend()["slots"] == 3)
    _, _, body = ask(stand, stream_options={"include_usage": True})
    usage = json.loads(events(body)[-2])["usage"]
    status, _, whole = stand.ask(max_tokens=5, ignore_eos=True, messages=[{"role": "user", "content": "once"}])
    assert status == 200
    ask(stand)
    calls = [attributes(call) for call in stand.calls(3)]
    told = [(call["gen_ai.usage.input_tokens"], call["gen_ai.usage.output_tokens"]) for call in calls]
    second = json.loads(whole)["usage"]
    assert told == [
        (usage["prompt_tokens"], 8), (second["prompt_tokens"], second["completion_tokens"]), (usage["prompt_tokens"], 8)]
    assert usage["completion_tokens"] == 8
    assert all(call["gen_ai.provider.name"] == "llama_cpp" and call["timeout"] is False for call in calls)


def test_anthropics_messages_go_to_it_too(llama):
    stand = llama()
    # The likeliest token each time: by chance the first may be half a character, and then llama.cpp leaves out message_start and its usage.
    status, _, body = stand.ask(
        "/v1/messages", stream=True, max_tokens=6, temperature=0, messages=[{"role": "user", "content": "hello"}])
    assert status == 200 and b"message_stop" in body
    usage = {}
    for event in map(json.loads, events(body)):
        usage |= event.get("message", event).get("usage", {})
    told = attributes(stand.calls(1)[0])
    assert 0 < told["gen_ai.usage.output_tokens"] == usage["output_tokens"] <= 6
    assert 0 < told["gen_ai.usage.input_tokens"] == usage["input_tokens"] + usage["cache_read_input_tokens"]


def test_twenty_kills_under_load_fail_only_requests_whose_first_byte_was_out(llama):
    stand = llama(parallel=2)
    poll("its slots are known", lambda: stand.backend()["slots"] == 2)
    outcomes, over = [], []

    def keep_asking():
        while not over:
            status, _, body = ask(stand, tokens=60)
            last = events(body)[-1] if status == 200 else body.decode()
            outcomes.append("good" if last == "[DONE]" else json.loads(last)["error"]["code"])

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(keep_asking) for _ in range(4)]
        pids = []
        try:
            for _ in range(20):
                process = stand.ready(60)
                pids.append(process["pid"])
                # Each process answers somebody: a request that is under way at the end of one after another is given up in the end.
                known = len(outcomes)
                poll("one is answered", lambda: len(outcomes) > known, seconds=60)
                time.sleep(0.15)
                os.kill(process["pid"], signal.SIGKILL)
                poll("its end is seen", lambda: stand.process()["pid"] != process["pid"])
        finally:
            over.append(True)
        for one in asking:
            one.result()
    assert len(set(pids)) == 20 and not [pid for pid in pids if lives(pid)]
    assert set(outcomes) <= {"good", "fusebox_stream_broken"}, outcomes
    assert outcomes.count("good") >= 4
    assert stand.process()["restarts"] == 20


def test_a_stopped_server_is_noticed_ended_and_replaced_while_clients_wait(llama):
    stand = llama()
    first = stand.ready()["pid"]
    os.kill(first, signal.SIGSTOP)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: ask(stand)[0], range(3)))
    assert answers == [200] * 3
    assert stand.process()["pid"] != first and stand.process()["last_reason"] == "unresponsive" and not lives(first)


def test_four_clients_on_one_slot_wait_in_order_and_a_fifth_with_a_short_deadline_is_refused_in_time(llama):
    stand = llama("slow")
    ended = []

    def one(name):
        status, _, body = ask(stand, tokens=30)
        ended.append(name)
        return status, events(body)[-1]

    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        answers = []
        for index in range(4):
            answers.append(pool.submit(one, index))
            poll("it arrived", lambda: stand.status()["running"] + stand.status()["models"][0]["waiting"] == index + 1)
        started = time.monotonic()
        assert stand.code(headers={"x-stainless-timeout": "0.2"}) == (503, "fusebox_queue_timeout")
        assert time.monotonic() - started < 5
        assert [answer.result() for answer in answers] == [(200, "[DONE]")] * 4
    assert ended == [0, 1, 2, 3]


def test_a_client_that_leaves_during_its_prompt_frees_the_slot(llama):
    stand = llama("slow", context=8192)
    # Some seconds of work on any machine.
    leaving = stand.open(stream=True, max_tokens=50, messages=[{"role": "user", "content": "long words of a prompt " * 300}])
    poll("it runs", lambda: stand.backend()["running"] == 1)
    time.sleep(0.5)
    leaving.close()
    # A second without other requests until llama.cpp looks, its batch, and our question after it.
    poll("the slot is free", lambda: stand.backend()["running"] == 0)
    assert ask(stand)[0] == 200
    # It counts what it worked on: of the abandoned one, of some six thousand tokens, not the most.
    with urllib.request.urlopen(f"http://127.0.0.1:{stand.process()['port']}/metrics") as answer:
        (line,) = [line for line in answer.read().decode().splitlines() if line.startswith("llamacpp:prompt_tokens_total ")]
    assert 0 < float(line.split()[1]) < 4000
    assert "cancelled" in [attributes(call).get("error.type") for call in stand.calls(2)]
    assert stand.backend()["failures_in_a_row"] == 0
