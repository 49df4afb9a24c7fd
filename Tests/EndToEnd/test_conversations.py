"""Conversations of real frameworks: each message once, in order, with its role, in the API, on the page and in the terminal."""

import json

import pytest

import captures
import wire
from server import Fusebox, poll
from test_frameworks import FOLDER

# Folders whose instrumentation sends what was said, and one question of each with its answer and the tools called in between.
QUESTION = "PLAN[get_weather; get_weather+search_docs]"
ANSWER = "Final answer: sunny in Oslo."
CALLS = ["get_weather", "get_weather", "search_docs"]
RESULTS = ["17 degrees in Oslo", "17 degrees in Oslo", "three documents about weather in Oslo"]
TOLD = ["anthropic", "autogen", "langfuse", "langsmith", "mlflow", "openai_agents", "openai_agents_logfire", "openlit", "pydantic_ai"]


@pytest.fixture(scope="module")
def talks(binary, tmp_path_factory):
    """A server with what these frameworks sent."""
    server = Fusebox(binary, tmp_path_factory.mktemp("talks") / "data", {"BREAKER_SETTLE_S": "1"}).start()
    for name in TOLD + ["litellm_proxy", "vercel_ai", "crewai", "smolagents"]:
        for path in sorted((FOLDER / name).glob("*.json-headers")):
            connection = server.connect()
            assert captures.Post(path).send(connection, server.port).status == 200
            connection.close()
    server.settled()
    yield server
    server.stop()


def conversation(server, trace):
    return json.loads(server.get(f"/api/traces/{trace}/messages").body)


def texts(message):
    return [part["text"] for part in message["parts"] if part["type"] == "text"]


def said_in(parts):
    for part in parts:
        if part["type"] == "text":
            yield part["text"]


def asked(server):
    """The traces in which an agent was asked the question, with their conversations."""
    for row in server.sql("SELECT DISTINCT trace_id FROM spans"):
        found = conversation(server, row["trace_id"])
        words = [text for item in found["items"] if item["kind"] == "message" and item["role"] == "user" for text in texts(item)]
        if any(QUESTION in text for text in words):
            yield row["trace_id"], found


@pytest.fixture(scope="module")
def answered(talks):
    """Conversations with the question, by trace."""
    return dict(asked(talks))


def test_each_message_of_a_run_stands_there_once_and_in_order(talks, answered):
    whole = 0
    for trace, found in answered.items():
        messages = [item for item in found["items"] if item["kind"] == "message"]
        questions = [one for one in messages if one["role"] == "user" and any(QUESTION in text for text in texts(one))]
        assert len(questions) == 1, trace
        calls = [part for one in messages for part in one["parts"] if part["type"] == "tool_call"]
        ids = [part.get("id") for part in calls if part.get("id")]
        assert len(ids) == len(set(ids)), (trace, ids)
        results = [part for one in messages for part in one["parts"] if part["type"] == "tool_result"]
        told = [part["call_id"] for part in results if part.get("call_id")]
        assert len(told) == len(set(told)), (trace, told)
        assert all(one["role"] in ("system", "user", "assistant", "tool") for one in messages if one["role"] != "tool-call")
        if [part["name"] for part in calls] != CALLS:
            continue
        whole += 1
        assert [json.loads(part["arguments"]) for part in calls] == [{"city": "Oslo"}, {"city": "Oslo"}, {"query": "weather in Oslo"}]
        assert [" ".join(said_in(part["content"])) for part in results] == RESULTS, trace
        assert texts(messages[-1])[0].strip() == ANSWER and messages[-1]["role"] == "assistant" and messages[-1]["is_answer"]
        roles = [one["role"] for one in messages if one["role"] != "system"]
        assert roles[0] == "user" and roles[1] == "assistant" and roles[2] == "tool", roles
        # Each call leads to the tool's own span.
        assert all(part["run"]["name"] == part["name"] for part in calls), trace
    assert whole >= len(TOLD), sorted(answered)


def test_a_failed_turn_says_why(talks):
    failures = []
    for row in talks.sql("SELECT DISTINCT trace_id FROM spans WHERE service_name LIKE '%litellm%' OR scope_name = 'litellm'"):
        failures += [item for item in conversation(talks, row["trace_id"])["items"] if item["kind"] == "failure"]
    assert {one["error"]["type"] for one in failures} >= {"RateLimitError", "Timeout"}
    assert any("Rate limit reached" in (one["error"]["message"] or "") for one in failures)


def test_a_session_shows_each_message_of_its_traces_once(talks):
    sessions = [row["session_id"] for row in talks.sql("SELECT DISTINCT session_id FROM spans WHERE session_id IS NOT NULL")]
    assert sessions
    for session in sessions[:5]:
        answer = talks.get(f"/api/session/messages?id={session}")
        assert answer.status == 200
        items = json.loads(answer.body)["items"]
        places = [(item["trace_id"], item.get("span_id")) for item in items]
        assert len(places) == len(items)
    assert talks.get("/api/session/messages?id=nobody").status == 404
    assert talks.get("/api/session/messages").status == 400
    assert talks.get("/api/traces/00000000000000000000000000000bad/messages").status == 404


def test_the_page_shows_a_conversation_as_messages(talks, answered, tab):
    trace = next(trace for trace, found in answered.items() if [part["name"] for item in found["items"] if item["kind"] == "message" for part in item["parts"] if part["type"] == "tool_call"] == CALLS)
    page = tab(talks).open(f"#/trace/{trace}?view=conversation")
    page.tab.wait_for_selector(".message.assistant")
    roles = page.tab.evaluate("[...document.querySelectorAll('.talk > .message')].map((one) => one.dataset.role)")
    expected = [item["role"] for item in answered[trace]["items"] if item["kind"] == "message"]
    assert roles == expected
    assert page.tab.locator(".tool-call").count() == 3
    assert page.text(".talk").count(ANSWER) == 1
    page.check()


# Long, hostile and precious values


def call(messages, answer=None, **more):
    attributes = [("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "m"), ("gen_ai.input.messages", json.dumps(messages)), *more.items()]
    if answer is not None:
        attributes.append(("gen_ai.output.messages", json.dumps([{"role": "assistant", "parts": answer}])))
    return attributes


def test_a_prompt_of_200_kb_leaves_the_panel_short(launch, tab):
    fusebox = launch()
    trace, span = wire.trace_id(), wire.span_id()
    long = "\n".join(f"line {index} of a prompt that goes on and on" for index in range(5000))
    assert len(long) > 200_000
    picture = "iVBORw0KGgo" + "A" * 400_000
    parts = [{"type": "text", "content": long}, {"type": "blob", "mime_type": "image/png", "content": picture}]
    assert fusebox.post(wire.batch(wire.span(trace, span, "chat m", attributes=call([{"role": "user", "parts": parts}], [{"type": "text", "content": "short"}])))).status == 200
    page = tab(fusebox).open(f"#/trace/{trace.hex()}")
    page.tab.wait_for_selector("[data-detail] .message.assistant")
    assert page.tab.evaluate("document.querySelector('[data-detail]').scrollHeight") < 2000
    page.tab.locator("[data-detail] .message.user button:has-text('Show all')").click()
    assert page.tab.evaluate("document.querySelector('[data-detail]').scrollHeight") < 2500
    assert "line 4999 " in page.text("[data-detail] .message.user")


def test_digits_are_shown_as_they_were_sent(launch, tab):
    fusebox = launch()
    trace, span = wire.trace_id(), wire.span_id()
    arguments = '{"id": 9007199254740993, "x": [1.10]}'
    answer = [{"type": "tool_call", "id": "c1", "name": "f", "arguments": arguments}]
    attributes = call([{"role": "user", "parts": [{"type": "text", "content": "q"}]}], answer) + [("text", arguments), ("big", 9007199254740993)]
    assert fusebox.post(wire.batch(wire.span(trace, span, "chat m", attributes=attributes))).status == 200
    page = tab(fusebox).open(f"#/trace/{trace.hex()}")
    page.tab.wait_for_selector("[data-detail] .tool-call")
    detail = page.text("[data-detail]")
    assert detail.count("9007199254740993") >= 3, detail
    assert "1.10" in detail and "9007199254740992" not in detail


def test_markdown_becomes_elements_and_markup_stays_text(launch, tab):
    fusebox = launch()
    trace, span = wire.trace_id(), wire.span_id()
    source = "# Head\n\n**bold** and `code`\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```py\nprint('<b>')\n```\n\n- one\n- two\n\n[x](javascript:alert(1)) [y](https://a.example/) ![z](https://b.example/z.png) <img src=x onerror=alert(1)>"
    assert fusebox.post(wire.batch(wire.span(trace, span, "chat m", attributes=call([{"role": "user", "parts": [{"type": "text", "content": "שלום 123"}]}], [{"type": "text", "content": source}])))).status == 200
    page = tab(fusebox).open(f"#/trace/{trace.hex()}")
    page.tab.wait_for_selector("[data-detail] .message.assistant table")
    page.tab.locator("[data-detail] .message.assistant button:has-text('Show all')").click()
    found = page.tab.evaluate("""() => { const body = document.querySelector('[data-detail] .message.assistant .body'); return {
        strong: body.querySelector('strong').textContent, cells: [...body.querySelectorAll('td')].map((one) => one.textContent),
        code: body.querySelector('pre').textContent, items: body.querySelectorAll('li').length, images: body.querySelectorAll('img').length,
        links: [...body.querySelectorAll('a')].map((one) => one.getAttribute('href')), text: body.textContent }; }""")
    assert found["strong"] == "bold" and found["cells"] == ["1", "2"] and "print('<b>')" in found["code"] and found["items"] == 2
    assert found["images"] == 0 and found["links"] == ["https://a.example/", "https://b.example/z.png"]
    assert "<img src=x onerror=alert(1)>" in found["text"] and "javascript:alert(1)" in found["text"]
    assert page.tab.evaluate("getComputedStyle(document.querySelector('[data-detail] .message.user [dir=auto]')).direction") == "rtl"
    page.check()


def test_find_in_a_trace_looks_at_everything_and_counts(launch, tab):
    fusebox = launch()
    trace, root, child = wire.trace_id(), wire.span_id(), wire.span_id()
    spans = [wire.span(trace, root, "root", end=wire.BASE_TIME + 10**9), wire.span(trace, child, "hidden", parent=root, attributes=[("city", "Reykjavik \"north\"")])]
    spans += [wire.span(trace, name=f"step {index}", parent=root, start=wire.BASE_TIME + index) for index in range(30)]
    assert fusebox.post(wire.batch(*spans)).status == 200
    find = lambda text: json.loads(fusebox.get(f"/api/traces/{trace.hex()}/find?q={text}").body)["span_ids"]
    assert find("reykjavik") == find(child.hex()) == find("%22north") == [child.hex()]
    assert find("nowhere") == []
    page = tab(fusebox).open(f"#/trace/{trace.hex()}")
    page.tab.fill("[data-search]", "reykjavik")
    poll("what is found", lambda: page.text("[data-found]").startswith("1 of 32"))
    page.tab.keyboard.press("Enter")
    page.tab.wait_for_selector(f".fall-row.selected#span-{child.hex()}")
    page.tab.get_by_role("button", name="Only these").click()
    assert page.tab.locator(".fall-row").count() == 2
    page.tab.fill("[data-search]", "nowhere")
    poll("that nothing is", lambda: page.text("[data-found]") == "Nothing found")
    page.check()
