"""The gateway in front of model servers, against a stand-in that misbehaves as real ones do."""

import concurrent.futures
import errno
import hashlib
import http.client
import json
import shutil
import socket
import ssl
import time

import pytest

import faults
import model_server as does
from certificates import Authority
from faults import Faults
from model_server import ModelServer
from server import poll
from test_security import Secured

SECRET = "a prompt that nobody stores"


@pytest.fixture
def backend():
    server = ModelServer()
    yield server
    server.close()


class Gateway:
    """A server with a gateway, and its clients."""

    def __init__(self, fusebox):
        self.fusebox = fusebox
        self.port = poll("the gateway listens", lambda: fusebox.gateway_port)

    def open(self, path="/v1/chat/completions", headers=None, timeout=20, **request):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        body = {"model": "m", "messages": [{"role": "user", "content": SECRET}], **request}
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", **(headers or {})})
        return connection

    def ask(self, *arguments, **request):
        connection = self.open(*arguments, **request)
        try:
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def stream(self, **request):
        return self.ask(stream=True, **request)

    def code(self, **request):
        status, _, body = self.stream(**request)
        return status, None if status == 200 else json.loads(body)["error"]["code"]

    def get(self, path, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", path, headers=headers or {})
        response = connection.getresponse()
        return response.status, response.read()

    def status(self):
        return json.loads(self.get("/-/status")[1])

    def backend(self):
        return self.status()["backends"][0]

    def spans(self, count, query="SELECT * FROM spans ORDER BY start_time_unix_nano"):
        def found():
            rows = self.fusebox.sql(query)
            return rows if len(rows) >= count else None
        return poll(f"{count} spans", found)

    def calls(self, count):
        return self.spans(count, "SELECT * FROM spans WHERE operation IS NOT NULL")


@pytest.fixture
def gateway(launch, tmp_path, backend):
    """Starts a server whose model `m` is served by the stand-in."""

    def start(backends=None, breaker=None, models=None, environment=None, arguments=(), top=None, **model):
        model.setdefault("fuses", {"first_token_s": 5})
        own = backends or [{}]
        model["backends"] = [{"name": f"b{index}", "url": backend.url, "kind": "vllm", **one} for index, one in enumerate(own)]
        folder = tmp_path / "gateway"
        folder.mkdir(exist_ok=True)
        section = {"port": 0, "models": {"m": model, **(models or {})}, **(top or {})}
        (folder / "fusebox.yaml").write_text(json.dumps({"gateway": section, "breaker": breaker or {}}))
        return Gateway(launch(environment, arguments, folder))

    return start


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def attributes(span):
    return json.loads(span["attributes"])


def events(body):
    return [line[6:] for line in body.decode().split("\n") if line.startswith("data: ")]


# What passes


def test_a_streamed_answer_passes_and_its_tokens_are_told(gateway, backend):
    stand = gateway()
    status, headers, body = stand.stream()
    assert status == 200 and headers["Content-Type"] == "text/event-stream"
    assert headers["x-fusebox-backend"] == "b0" and len(headers["x-fusebox-trace-id"]) == 32
    # The counts were asked for on the client's behalf, and taken out again.
    assert backend.asked[0].request["stream_options"] == {"include_usage": True}
    assert events(body)[-1] == "[DONE]" and b"usage" not in body and len(events(body)) == 6
    server, call, attempt = sorted(stand.spans(3), key=lambda span: (span["kind"] != 2, "gen_ai.operation.name" not in span["attributes"]))
    assert (server["name"], call["name"], attempt["name"]) == ("POST /v1/chat/completions", "chat m", "POST")
    told = attributes(call)
    assert told["gen_ai.usage.input_tokens"] == 7 and told["gen_ai.usage.output_tokens"] == 3
    assert told["breaker_state"] == "closed" and told["breaker.id"] == "b0" and told["timeout"] is False
    assert told["gen_ai.response.finish_reasons"] == ["stop"] and 0 < told["gen_ai.response.time_to_first_chunk"] < 5
    assert call["parent_span_id"] == server["span_id"] and attempt["parent_span_id"] == call["span_id"]
    assert headers["x-fusebox-trace-id"] == call["trace_id"]
    # Prompts are not stored.
    assert not any(SECRET in json.dumps(span) for span in stand.spans(3))


def test_a_client_that_asks_for_counts_gets_every_byte(gateway, backend):
    stand = gateway()
    _, _, body = stand.stream(stream_options={"include_usage": True})
    assert json.loads(events(body)[-2])["usage"]["completion_tokens"] == 3


def test_a_whole_answer_and_completions_and_embeddings_pass(gateway, backend):
    stand = gateway()
    status, headers, body = stand.ask()
    assert status == 200 and json.loads(body)["usage"]["completion_tokens"] == 3
    assert int(headers["Content-Length"]) == len(body)
    assert stand.ask("/v1/completions", prompt="p")[0] == 200
    assert stand.ask("/v1/embeddings", input=["p"])[0] == 200
    assert [asked.path for asked in backend.asked] == ["/v1/chat/completions", "/v1/completions", "/v1/embeddings"]
    # Each event loop keeps connections of its own; there are two.
    assert len({asked.handler.client_address for asked in backend.asked}) <= 2
    told = [attributes(span) for span in stand.calls(3)]
    assert sorted(one["gen_ai.operation.name"] for one in told) == ["chat", "embeddings", "text_completion"]
    assert all(one["gen_ai.usage.input_tokens"] == 7 for one in told)


def test_a_gap_between_tokens_is_a_gap_at_the_client(gateway, backend):
    backend.behave(does.stream(count=4, gap=0.3))
    connection = gateway().open(stream=True)
    response = connection.getresponse()
    times = []
    while line := response.readline():
        if b'"content": "' in line:
            times.append(time.monotonic())
    gaps = [after - before for before, after in zip(times, times[1:])]
    assert len(gaps) == 3 and all(0.15 < gap < 0.9 for gap in gaps), gaps


def test_the_clients_trace_goes_on_and_its_workflow_and_step_are_told(gateway, backend):
    stand = gateway()
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    stand.stream(headers={"traceparent": f"00-{trace}-{parent}-01", "baggage": "workflow_name=nightly,step_id=plan%201"})
    spans = {span["span_id"]: span for span in stand.spans(3)}
    assert all(span["trace_id"] == trace for span in spans.values())
    (server,) = [span for span in spans.values() if span["parent_span_id"] == parent]
    sent = backend.asked[0].headers["traceparent"].split("-")
    assert sent[1] == trace and spans[sent[2]]["name"] == "POST"
    (call,) = stand.calls(1)
    assert (call["workflow_name"], call["step_id"]) == ("nightly", "plan 1")
    assert "baggage" not in {name.lower() for name in backend.asked[0].headers}


def test_models_are_listed_and_unknown_ones_refused(gateway, backend):
    stand = gateway(models={"*": {"backends": [{"name": "rest", "url": backend.url, "upstream_model": "loaded"}], "fuses": {"first_token_s": "none"}}})
    status, body = stand.get("/v1/models")
    assert status == 200 and [model["id"] for model in json.loads(body)["data"]] == ["m"]
    assert stand.stream(model="anything")[0] == 200
    assert backend.asked[0].request["model"] == "loaded"


def test_a_model_that_nobody_serves_is_refused(gateway, backend):
    stand = gateway()
    assert stand.code(model="x") == (404, "fusebox_unknown_model")
    (server,) = stand.spans(1)
    assert attributes(server)["error.type"] == "fusebox_unknown_model" and not backend.asked


def test_who_shows_no_token_gets_nothing_and_the_token_stays_here(gateway, backend, tmp_path):
    token = "a token for the gateway"
    digest = "sha256:" + hashlib.sha256(token.encode()).hexdigest()
    stand = gateway(environment={"FUSEBOX_INGEST_TOKENS": digest})
    status, _, body = stand.stream()
    assert status == 401 and json.loads(body)["error"]["code"] == "fusebox_access"
    assert not backend.asked
    assert stand.stream(headers={"Authorization": f"Bearer {token}"})[0] == 200
    assert "Authorization" not in backend.asked[0].headers


# The queue


def test_four_clients_on_one_slot_wait_in_order_and_a_fifth_with_a_short_deadline_is_refused_in_time(gateway, backend):
    backend.behave(does.stream(count=3, gap=0.2))
    stand = gateway()
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = []
        for index in range(4):
            answers.append(pool.submit(stand.stream, user=f"u{index}"))
            poll("it arrived", lambda: stand.status()["running"] + stand.status()["models"][0]["waiting"] == index + 1)
        metrics = stand.fusebox.metrics()
        assert metrics.value("fusebox_gateway_queue_depth", model="m") == 3
        started = time.monotonic()
        late = pool.submit(stand.code, headers={"x-stainless-timeout": "0.3"})
        assert late.result() == (503, "fusebox_queue_timeout") and 0.25 < time.monotonic() - started < 3
        assert [answer.result()[0] for answer in answers] == [200] * 4
    assert backend.most == 1
    assert [asked.request["user"] for asked in backend.asked] == ["u0", "u1", "u2", "u3"]
    waits = [attributes(span)["queue_wait_ms"] for span in stand.calls(5) if "queue_wait_ms" in attributes(span)]
    assert max(waits) > 900


def test_a_full_queue_refuses_at_once_with_how_long_to_wait(gateway, backend):
    backend.behave(does.stream(count=5, gap=0.2))
    stand = gateway(queue={"depth": 1})
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        running = [pool.submit(stand.stream) for _ in range(2)]
        poll("both arrived", lambda: stand.status()["models"][0]["waiting"] == 1)
        started = time.monotonic()
        status, headers, body = stand.stream()
        assert time.monotonic() - started < 0.9
        assert status == 503 and json.loads(body)["error"]["code"] == "fusebox_queue_full"
        assert 1 <= int(headers["Retry-After"]) <= 60 and headers["x-should-retry"] == "true"
        assert [one.result()[0] for one in running] == [200, 200]
    assert len(backend.asked) == 2


def test_who_leaves_the_queue_costs_the_backend_nothing(gateway, backend):
    backend.behave(does.stream(count=3, gap=0.2))
    stand = gateway()
    first = stand.open(stream=True)
    poll("the first runs", lambda: backend.asked)
    waiting = stand.open(stream=True, user="gone")
    poll("the second waits", lambda: stand.status()["models"][0]["waiting"] == 1)
    waiting.close()
    poll("it left", lambda: stand.status()["models"][0]["waiting"] == 0)
    first.getresponse().read()
    assert stand.stream()[0] == 200
    assert [asked.request.get("user") for asked in backend.asked] == [None, None]
    assert stand.fusebox.metrics().value("fusebox_gateway_cancelled_total", model="m", phase="queue") == 1


@pytest.mark.parametrize("behaviour", [does.stream(count=100, gap=0.05), does.headers_only, does.silent])
def test_who_leaves_a_running_call_frees_its_slot_at_once(gateway, backend, behaviour):
    backend.behave(behaviour)
    stand = gateway()
    leaving = stand.open(stream=True)
    poll("it runs", lambda: backend.asked)
    if behaviour not in (does.headers_only, does.silent):
        leaving.getresponse().readline()
    time.sleep(0.1)
    leaving.close()
    left = time.monotonic()
    poll("the slot is free", lambda: stand.backend()["running"] == 0)
    poll("the backend knows", lambda: backend.asked[0].client_left)
    assert time.monotonic() - left < 2
    (call,) = stand.calls(1)
    assert attributes(call)["error.type"] == "cancelled" and stand.backend()["failures_in_a_row"] == 0
    (server,) = stand.spans(1, "SELECT * FROM spans WHERE kind = 2")
    assert attributes(server)["http.response.status_code"] == 499


def test_a_llama_server_that_works_on_for_who_left_gets_no_call_before_it_is_done(gateway, backend):
    backend.behave(does.headers_only, does.stream())
    stand = gateway(backends=[{"kind": "llama_cpp"}], fuses={"first_token_s": 1})
    leaving = stand.open(stream=True)
    poll("it runs", lambda: backend.asked)
    backend.busy_until = time.monotonic() + 2.5
    leaving.close()
    assert stand.stream()[0] == 200
    assert backend.asked[1].at >= backend.busy_until
    # Asked more often, llama.cpp would not notice that the client left.
    gaps = [after - before for before, after in zip(backend.polled, backend.polled[1:])]
    assert backend.polled and all(gap > 1.1 for gap in gaps)
    # After its first token a call ends at once.
    backend.behave(does.stream(count=100, gap=0.05))
    leaving = stand.open(stream=True)
    leaving.getresponse().readline()
    leaving.close()
    left = time.monotonic()
    poll("the slot is free", lambda: stand.backend()["running"] == 0)
    assert time.monotonic() - left < 1


def test_backends_of_a_group_take_turns(gateway, backend):
    backend.behave(does.stream(count=3, gap=0.05))
    stand = gateway(
        backends=[{"group": "gpu", "max_concurrent": 2}],
        models={"e": {"backends": [{"name": "embed", "url": backend.url, "group": "gpu"}], "fuses": {"first_token_s": "none"}}})
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        done = [pool.submit(stand.ask, model=model) for model in "memmeem" * 2]
        assert all(one.result()[0] == 200 for one in done)
    assert backend.together == {frozenset("m"), frozenset("e")}


def test_a_backend_that_fails_when_its_clients_leave_is_left_to_finish_for_nobody(gateway, backend):
    backend.behave(does.stream(count=10, gap=0.1), does.stream())
    stand = gateway(backends=[{"on_client_gone": "drain"}])
    leaving = stand.open(stream=True)
    leaving.getresponse().readline()
    leaving.close()
    # Its slot is taken until it is done.
    assert stand.stream()[0] == 200
    assert backend.asked[0].client_left is None and backend.most == 1
    assert sorted(attributes(call).get("error.type", "good") for call in stand.calls(2)) == ["cancelled", "good"]


def test_limits_are_of_what_is_asked_of_a_model_alone(gateway, backend):
    backend.behave(does.stream(count=100, gap=0.05))
    stand = gateway(queue={"depth": 0})
    running = stand.open(stream=True)
    poll("it runs", lambda: stand.status()["running"] == 1)
    assert stand.code()[1] == "fusebox_queue_full"
    assert stand.get("/v1/models")[0] == 200 and stand.get("/-/healthy")[0] == 200 and stand.get("/favicon.ico")[0] == 404
    running.close()


# Health and saturation


def test_the_health_of_a_backend_is_evidence_with_an_age_and_calls_take_the_place_of_questions(gateway, backend):
    stand = gateway()
    poll("it is ready", lambda: stand.backend()["health"]["state"] == "ready")
    assert stand.get("/-/ready") == (200, b"m: ready\n")
    asked = backend.questions.count("/health")
    until = time.monotonic() + 6
    while time.monotonic() < until:
        assert stand.stream()[0] == 200
    assert backend.questions.count("/health") == asked and stand.backend()["health"]["evidence_s"] < 3
    # No completions of ours: each is a client's.
    assert len(backend.asked) == len([call for call in stand.calls(len(backend.asked))])
    backend.close()
    poll("its silence is seen", lambda: stand.backend()["health"]["state"] == "silent")
    assert stand.get("/-/ready")[0] == 503
    # A model that is down is no reason to send no spans.
    ready = stand.fusebox.get("/-/ready")
    assert ready.status == 200 and b"\ngateway m: not ready\n" in ready.body, ready
    assert stand.fusebox.metrics().value("fusebox_gateway_backend_state", backend="b0", state="silent") == 1


def test_a_queue_more_than_half_full_is_told_as_saturation(gateway, backend):
    backend.behave(does.stream(count=100, gap=0.05))
    stand = gateway(queue={"depth": 3})
    clients = []
    for count in range(3):
        clients.append(stand.open(stream=True))
        poll("it arrived", lambda: stand.status()["running"] + stand.status()["models"][0]["waiting"] == count + 1)
    assert stand.status()["models"][0]["saturated"] == ["queue"]
    assert b"saturated: queue" in stand.get("/-/ready")[1]
    assert b"\ngateway m: ready, saturated: queue\n" in stand.fusebox.get("/-/ready").body
    metrics = stand.fusebox.metrics()
    assert metrics.value("fusebox_gateway_saturated", model="m", cause="queue") == 1
    assert metrics.value("fusebox_gateway_saturated", model="m", cause="errors") == 0
    for client in clients:
        client.close()
    poll("it is over", lambda: stand.status()["models"][0]["saturated"] == [])


def test_a_model_whose_calls_fail_often_is_told_as_saturated_and_lets_fewer_wait(gateway, backend):
    backend.behave(does.ends_without_done)
    stand = gateway(breaker={"threshold": 1000}, queue={"depth": 2})
    for _ in range(12):
        stand.stream()
    assert stand.status()["models"][0]["saturated"] == ["errors"]
    backend.behave(does.stream(count=100, gap=0.05))
    clients = []
    for count in range(2):
        clients.append(stand.open(stream=True))
        poll("it arrived", lambda: stand.status()["running"] + stand.status()["models"][0]["waiting"] == count + 1)
    assert stand.code()[1] == "fusebox_queue_full"
    for client in clients:
        client.close()


def test_calls_that_go_past_the_gateway_are_seen(gateway, backend):
    backend.metrics = "# HELP x\nvllm:num_requests_running{model_name=\"m\"} 2.0\nvllm:num_requests_waiting{model_name=\"m\"} 1.0\n"
    stand = gateway()
    poll("they are seen", lambda: stand.backend()["foreign_calls"] == 3, 40)
    assert stand.status()["models"][0]["saturated"] == ["bypass"]


def test_the_slots_of_a_llama_server_are_those_that_it_tells_of(gateway, backend):
    backend.props = {"total_slots": 3}
    stand = gateway(backends=[{"kind": "llama_cpp", "max_concurrent": "auto"}])
    poll("they are known", lambda: stand.backend()["slots"] == 3)


# Fuses and the breaker


@pytest.mark.parametrize("behaviour", [does.silent, does.headers_only, does.comments_only, does.roles_only])
def test_a_backend_that_gives_no_token_trips_the_first_token_fuse(gateway, backend, behaviour):
    backend.behave(behaviour)
    stand = gateway(fuses={"first_token_s": 0.4})
    started = time.monotonic()
    status, headers, body = stand.stream()
    assert 0.35 < time.monotonic() - started < 4
    assert status == 504 and json.loads(body)["error"]["code"] == "fusebox_first_token_timeout"
    assert headers["x-should-retry"] == "false"
    assert len(backend.asked) == 1
    (call,) = stand.calls(1)
    assert attributes(call)["timeout"] is True and stand.backend()["failures_in_a_row"] == 1


def test_a_longer_prompt_has_longer(gateway, backend):
    backend.behave(does.stream(before=0.6))
    stand = gateway(fuses={"first_token_s": 0.3, "first_token_s_per_1k_tokens": 1})
    assert stand.code() == (504, "fusebox_first_token_timeout")
    assert stand.stream(messages=[{"role": "user", "content": "long " * 1600}])[0] == 200


def test_once_a_token_came_only_the_gap_counts_however_long_it_takes(gateway, backend):
    backend.behave(does.stream(count=10, gap=0.2))
    stand = gateway(fuses={"first_token_s": 0.4, "gap_s": 0.6})
    status, _, body = stand.stream()
    assert status == 200 and events(body)[-1] == "[DONE]"


def test_a_first_token_that_takes_longer_than_any_gap_may_is_no_gap(gateway, backend):
    backend.behave(does.stream(count=3, before=0.9))
    stand = gateway(fuses={"first_token_s": 5, "gap_s": 0.3})
    status, _, body = stand.stream()
    assert status == 200 and events(body)[-1] == "[DONE]"


@pytest.mark.parametrize("behaviour, code", [
    (does.stalls, "fusebox_gap_timeout"), (does.killed, "fusebox_stream_broken"), (does.ends_without_done, "fusebox_stream_broken"),
    (does.tells_an_error, "fusebox_stream_broken")])
def test_a_stream_that_breaks_off_ends_in_an_error_event_and_no_done(gateway, backend, behaviour, code):
    backend.behave(behaviour)
    stand = gateway(fuses={"first_token_s": 5, "gap_s": 0.5})
    status, _, body = stand.stream()
    assert status == 200
    assert json.loads(events(body)[-1])["error"]["code"] == code and "[DONE]" not in events(body)
    assert len(backend.asked) == 1, "a stream that began is never repeated"
    assert stand.backend()["failures_in_a_row"] == 1


def test_three_failures_open_the_breaker_and_after_the_cooldown_exactly_one_probe_goes(gateway, backend):
    backend.behave(does.headers_only)
    stand = gateway(backends=[{"max_concurrent": 4}], fuses={"first_token_s": 1}, breaker={"cooldown_s": 3})
    for _ in range(3):
        assert stand.code() == (504, "fusebox_first_token_timeout")
    started = time.monotonic()
    status, headers, body = stand.stream()
    assert status == 503 and json.loads(body)["error"]["code"] == "fusebox_breaker_open"
    assert 1 <= int(headers["Retry-After"]) <= 4 and time.monotonic() - started < 0.9
    assert len(backend.asked) == 3
    poll("the cooldown is over", lambda: stand.backend()["cooldown_s"] == 0)
    backend.behave(does.stream(count=2, gap=0.1, before=0.2), does.stream())
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(stand.stream) for _ in range(4)]
        poll("the probe goes", lambda: len(backend.asked) == 4)
        assert stand.backend()["breaker"] == "half_open" and len(backend.asked) == 4
        assert [answer.result()[0] for answer in answers] == [200] * 4
    assert stand.backend()["breaker"] == "closed"
    metrics = stand.fusebox.metrics()
    assert metrics.value("fusebox_gateway_breaker_opens_total", backend="b0") == 1
    assert metrics.value("fusebox_gateway_rejections_total", model="m", reason="breaker_open") == 1
    # Who reads the spans sees the same.
    settled = stand.fusebox.settled(30)
    assert settled.value("agent_breaker_opens_total", tool="llm") == 1
    assert settled.value("agent_breaker_closes_total", tool="llm") == 1
    assert settled.value("agent_breaker_rejections_total", tool="llm") == 1


def test_a_probe_that_fails_opens_it_again(gateway, backend):
    backend.behave(does.headers_only)
    stand = gateway(fuses={"first_token_s": 0.2}, breaker={"cooldown_s": 0.5, "threshold": 1})
    assert stand.code()[0] == 504
    poll("the cooldown is over", lambda: stand.backend()["cooldown_s"] == 0)
    assert stand.code()[0] == 504
    assert stand.code() == (503, "fusebox_breaker_open")
    assert stand.backend()["breaker_opens"] == 2


# Failures


def test_a_server_error_before_the_answer_is_repeated_and_then_passed_on(gateway, backend):
    backend.behave(does.status(500), does.stream())
    stand = gateway(retry={"max": 1, "backoff_s": 0.05})
    assert stand.stream()[0] == 200
    assert len(backend.asked) == 2
    backend.behave(does.status(500))
    status, _, body = stand.stream()
    assert status == 500 and json.loads(body)["error"]["message"] == "says 500"
    assert len(backend.asked) == 4
    attempts = stand.spans(4, "SELECT * FROM spans WHERE name = 'POST' ORDER BY start_time_unix_nano")
    assert [attributes(span).get("http.request.resend_count") for span in attempts] == [None, 1, None, 1]


def test_server_errors_in_a_row_open_the_breaker_as_timeouts_do(gateway, backend):
    backend.behave(does.status(500))
    stand = gateway(retry={"max": 0})
    assert [stand.stream()[0] for _ in range(3)] == [500] * 3
    assert stand.code() == (503, "fusebox_breaker_open") and len(backend.asked) == 3


def test_a_backend_that_answers_nothing_holds_up_nobody_elses_calls(gateway, backend):
    # It takes connections, and that is all: neither calls nor questions about its health have an answer.
    with socket.create_server(("127.0.0.1", 0), backlog=64) as dead:
        url = f"http://127.0.0.1:{dead.getsockname()[1]}"
        stand = gateway(models={"dead": {"backends": [{"name": "dead", "url": url, "max_concurrent": 8}], "fuses": {"first_token_s": 20}}})
        waiting = [stand.open(model="dead", stream=True) for _ in range(8)]
        poll("they wait for it", lambda: stand.status()["backends"][1]["running"] == 8)
        for _ in range(20):
            assert stand.stream()[0] == 200
        poll("the other one's health is known", lambda: stand.backend()["health"]["state"] == "ready")
        assert stand.status()["backends"][1]["running"] == 8
        for connection in waiting:
            connection.close()


def test_nobody_there_is_said_and_not_waited_for(gateway):
    port = free_port()
    stand = gateway(backends=[{"url": f"http://127.0.0.1:{port}"}], retry={"max": 0})
    started = time.monotonic()
    assert stand.code() == (502, "fusebox_upstream_failed")
    assert time.monotonic() - started < 3


def test_another_backend_takes_over_before_the_first_byte(gateway, backend):
    backend.behave(does.stream())
    port = free_port()
    stand = gateway(backends=[{"url": f"http://127.0.0.1:{port}"}, {}])
    status, headers, _ = stand.stream()
    assert status == 200 and headers["x-fusebox-backend"] == "b1"


@pytest.mark.parametrize("answer", [
    does.status(429, None, Retry_After="1"), does.status(503, {"error": "server busy, please try again."}),
    does.status(503, {"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}})])
def test_a_busy_or_loading_backend_is_waited_for_and_not_blamed(gateway, backend, answer):
    backend.behave(answer, does.stream())
    stand = gateway()
    started = time.monotonic()
    assert stand.stream()[0] == 200
    assert 0.8 < time.monotonic() - started < 6
    assert stand.backend()["failures_in_a_row"] == 0


@pytest.mark.parametrize("code", [400, 401, 404, 422])
def test_a_request_at_fault_is_told_so_in_the_backends_own_words(gateway, backend, code):
    backend.behave(does.status(code, {"error": {"message": "yours", "type": "invalid_request_error"}}))
    stand = gateway()
    for _ in range(4):
        status, _, body = stand.stream()
        assert status == code and json.loads(body)["error"]["message"] == "yours"
    assert len(backend.asked) == 4 and stand.backend()["failures_in_a_row"] == 0


def test_a_kept_connection_that_the_backend_closed_costs_nothing(gateway, backend):
    def hangs_up(asked):
        does.stream()(asked)
        asked.hang_up()

    backend.behave(hangs_up)
    stand = gateway(retry={"max": 0})
    for _ in range(20):
        assert stand.stream()[0] == 200
    assert len(backend.asked) == 20 and stand.backend()["failures_in_a_row"] == 0


# Clients


def test_a_slow_reader_is_not_read_ahead_of_and_the_backend_is_not_blamed(gateway, backend):
    size, count = 256 << 10, 200

    def floods(asked):
        asked.head()
        for _ in range(count):
            asked.token("y" * size)
        asked.end()

    backend.behave(floods)
    stand = gateway(fuses={"first_token_s": 5, "gap_s": 1})
    connection = stand.open(stream=True)
    response = connection.getresponse()
    response.read(1000)
    before = stand.fusebox.peak_resident_mebibytes()
    time.sleep(2.5)
    assert backend.asked[0].sent < size * count / 3
    body = response.read()
    assert body.endswith(b"data: [DONE]\n\n") and len(body) > size * count
    assert stand.fusebox.peak_resident_mebibytes() - before < 40


def test_half_a_body_reaches_no_backend_and_a_broken_one_is_refused(gateway, backend):
    stand = gateway()
    half = socket.create_connection(("127.0.0.1", stand.port))
    half.sendall(b'POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"model"')
    time.sleep(0.2)
    half.close()
    connection = http.client.HTTPConnection("127.0.0.1", stand.port, timeout=10)
    for body in ["", "[]", "{", '{"model": 3}']:
        connection.request("POST", "/v1/chat/completions", body)
        response = connection.getresponse()
        assert response.status == 400 and json.loads(response.read())["error"]["code"] == "fusebox_invalid_request"
    assert not backend.asked
    assert stand.stream()[0] == 200


def test_many_clients_at_once_all_get_answers_and_spans(gateway, backend):
    stand = gateway(backends=[{"max_concurrent": 8}], queue={"depth": 1000})
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: stand.stream()[0], range(200)))
    assert answers == [200] * 200 and backend.most <= 8
    stand.calls(200)
    assert stand.fusebox.metrics().value("fusebox_gateway_tokens_total", model="m", type="output") == 600


def test_a_call_that_is_under_way_when_the_server_stops_is_finished_and_told(gateway, backend):
    backend.behave(does.stream(count=5, gap=0.2))
    stand = gateway()
    connection = stand.open(stream=True)
    poll("it runs", lambda: backend.asked)
    stand.fusebox.process.terminate()
    assert events(connection.getresponse().read())[-1] == "[DONE]"
    stand.fusebox.expect_exit()
    assert stand.fusebox.scalar("SELECT count(*) AS n FROM spans") == 3


# The store, and the wire


def test_a_store_that_takes_nothing_refuses_first_and_the_backend_hears_nothing(gateway, backend, tmp_path):
    disk = Faults(faults.build(tmp_path), tmp_path)
    stand = gateway(environment=disk.environment())
    assert stand.stream()[0] == 200
    stand.spans(3)
    disk.set(faults.WRITE | faults.SYNC | faults.TRUNCATE | faults.OPEN, "fusebox.db-wal", error=errno.EIO)
    stand.stream()
    poll("the disk is suspect", lambda: stand.code() == (503, "fusebox_store_full"))
    heard = len(backend.asked)
    assert stand.code() == (503, "fusebox_store_full") and len(backend.asked) == heard
    disk.clear()
    poll("it takes calls again", lambda: stand.stream()[0] == 200)
    # What was told while the disk failed was kept.
    assert len(stand.calls(len(backend.asked))) == len(backend.asked)


def test_what_must_not_be_stored_is_redacted_in_its_spans_too(gateway, backend):
    stand = gateway(environment={"FUSEBOX_REDACT_KEYS": "workflow_name"})
    stand.stream(headers={"x-fusebox-workflow": "secret", "x-fusebox-step": "plan"})
    (call,) = stand.calls(1)
    assert "secret" not in json.dumps(call) and call["step_id"] == "plan"


def test_with_tls_it_speaks_nothing_else(binary, backend, tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    (tmp_path / "data").mkdir()
    authority = Authority(tmp_path, "authority")
    certificate, key = authority.issue("server", 1)
    section = {"port": 0, "models": {"m": {"backends": [{"name": "b", "url": backend.url}], "fuses": {"first_token_s": 5}}}}
    (tmp_path / "data" / "fusebox.yaml").write_text(json.dumps({"gateway": section}))
    server = Secured(binary, tmp_path / "data", {
        "FUSEBOX_TLS_CERTIFICATE": str(certificate), "FUSEBOX_TLS_PRIVATE_KEY": str(key)})
    server.context = ssl.create_default_context(cafile=authority.certificate)
    server.start()
    try:
        port = poll("the gateway listens", lambda: server.gateway_port)
        secured = http.client.HTTPSConnection("localhost", port, context=server.context, timeout=20)
        secured.request("POST", "/v1/chat/completions", json.dumps({"model": "m", "messages": [], "stream": True}))
        assert events(secured.getresponse().read())[-1] == "[DONE]"
        plain = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            plain.request("GET", "/v1/models")
            plain.getresponse()
    finally:
        server.stop()


# The operator


def test_the_status_is_shown_in_the_terminal(gateway, backend):
    stand = gateway()
    stand.stream()
    done = stand.fusebox.run("gateway", "status", "--url", f"http://127.0.0.1:{stand.port}")
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode()
    assert "b0" in text and "vllm" in text and "0/1" in text and "closed" in text and "calls under way: 0" in text


def test_a_configuration_that_cannot_be_used_is_refused_with_its_line(gateway, backend, tmp_path):
    stand = gateway()
    path = tmp_path / "bad.yaml"
    path.write_text("gateway:\n  models:\n    m:\n      backends:\n        - {name: b, url: http://h}\n      fuses:\n        first_tokn_s: 1\n")
    done = stand.fusebox.run("config", "check", "--config", str(path))
    assert done.returncode == 2 and b"(line 7): there is no setting 'gateway.models.m.fuses.first_tokn_s'" in done.stderr
