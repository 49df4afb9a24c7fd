"""The gateway on Ollama's and Anthropic's paths, against stand-ins that answer in their forms."""

import hashlib
import json

import pytest

import model_server as does
from test_gateway import attributes, backend, gateway  # noqa: F401


def lines(body):
    return [json.loads(line) for line in body.decode().splitlines() if line]


@pytest.mark.parametrize("path, operation, split", [
    ("/api/chat", "chat", False), ("/api/chat", "chat", True), ("/api/generate", "text_completion", False)])
def test_ollamas_lines_pass_as_they_come_and_their_tokens_are_told(gateway, backend, path, operation, split):  # noqa: F811
    backend.behave(does.ollama(split=split))
    stand = gateway(backends=[{"kind": "ollama"}])
    # It streams though nobody asked for it.
    status, headers, body = stand.ask(path)
    assert status == 200 and headers["Content-Type"] == "application/x-ndjson"
    assert [line["done"] for line in lines(body)] == [False] * 3 + [True] and "é" in body.decode()
    assert backend.asked[0].path == path and "stream_options" not in backend.asked[0].request
    told = attributes(stand.calls(1)[0])
    assert told["gen_ai.operation.name"] == operation and told["gen_ai.provider.name"] == "ollama"
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (26, 3)
    assert told["gen_ai.response.finish_reasons"] == ["stop"] and told["gen_ai.response.time_to_first_chunk"] >= 0


def test_ollamas_whole_answers_are_told_too(gateway, backend):  # noqa: F811
    backend.behave(does.ollama())
    stand = gateway(backends=[{"kind": "ollama"}])
    status, _, body = stand.ask("/api/generate", stream=False, prompt="p")
    assert status == 200 and json.loads(body)["response"] == "ééé"
    told = attributes(stand.calls(1)[0])
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (26, 3)


def test_who_waits_at_a_busy_ollama_is_not_told_so_before_its_time(gateway, backend):  # noqa: F811
    backend.behave(does.status(503, {"error": "server busy, please try again.  maximum pending requests exceeded"}), does.ollama())
    stand = gateway(backends=[{"kind": "ollama"}])
    assert stand.ask("/api/chat")[0] == 200 and len(backend.asked) == 2


@pytest.mark.parametrize("behaviour, code", [
    (does.ollama(end=False), "fusebox_stream_broken"), (does.ollama(error="no memory"), "fusebox_stream_broken")])
def test_an_ollama_stream_that_breaks_ends_in_ollamas_own_error(gateway, backend, behaviour, code):  # noqa: F811
    backend.behave(behaviour)
    stand = gateway(backends=[{"kind": "ollama"}])
    status, _, body = stand.ask("/api/chat")
    assert status == 200 and code in lines(body)[-1]["error"]
    assert stand.backend()["failures_in_a_row"] == 1


def test_refusals_are_in_the_form_of_the_path(gateway, backend):  # noqa: F811
    backend.behave(does.headers_only)
    stand = gateway(fuses={"first_token_s": 0.3})
    status, _, body = stand.ask("/api/chat")
    assert status == 504 and "fusebox_first_token_timeout" in json.loads(body)["error"]
    status, _, body = stand.ask("/v1/messages", stream=True)
    error = json.loads(body)
    assert status == 504 and error["type"] == "error" and error["error"]["type"] == "timeout_error"
    status, _, body = stand.ask("/v1/messages", model="x")
    assert status == 404 and json.loads(body)["error"]["type"] == "not_found_error"


def test_anthropics_messages_pass_and_their_tokens_are_told(gateway, backend):  # noqa: F811
    backend.behave(does.messages())
    stand = gateway()
    status, headers, body = stand.ask("/v1/messages", stream=True, headers={"x-api-key": "sk", "anthropic-version": "2023-06-01"})
    assert status == 200 and body.endswith(b"event: message_stop\ndata: {\"type\": \"message_stop\"}\n\n")
    # Without tokens of our own, theirs goes on.
    assert backend.asked[0].headers["x-api-key"] == "sk" and backend.asked[0].headers["anthropic-version"] == "2023-06-01"
    assert stand.ask("/v1/messages")[0] == 200
    for told in [attributes(call) for call in stand.calls(2)]:
        assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (32, 3)
        assert told["gen_ai.usage.cache_read.input_tokens"] == 5 and told["gen_ai.response.finish_reasons"] == ["end_turn"]
        assert told["gen_ai.response.id"] == "msg_1"


def test_a_stream_of_messages_without_its_end_is_broken(gateway, backend):  # noqa: F811
    backend.behave(does.messages(end=False))
    stand = gateway()
    status, _, body = stand.ask("/v1/messages", stream=True)
    last = body.decode().strip().split("\n\n")[-1]
    assert status == 200 and last.startswith("event: error\n")
    assert json.loads(last.split("data: ")[1])["type"] == "error"


def test_anthropics_clients_show_our_token_in_their_own_field(gateway, backend):  # noqa: F811
    backend.behave(does.messages())
    token = "a token for the gateway"
    digest = "sha256:" + hashlib.sha256(token.encode()).hexdigest()
    stand = gateway(environment={"FUSEBOX_INGEST_TOKENS": digest})
    assert stand.ask("/v1/messages", headers={"x-api-key": "another"})[0] == 401
    assert stand.ask("/v1/messages", headers={"x-api-key": token})[0] == 200
    assert "x-api-key" not in {name.lower() for name in backend.asked[0].headers}
