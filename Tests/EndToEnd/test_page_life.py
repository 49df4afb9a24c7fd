"""The page over time: it wakes up, refreshes in place, survives its server, is signed in to, and takes judgements."""

import json
import urllib.parse

import pytest

import wire
from server import poll
from test_page import PAYLOADS
from test_security import made_token

SECOND = 10**9


def now(fusebox):
    return int(json.loads(fusebox.get("/api/status").body)["now_unix_nano"])


def run(fusebox, name="run", start=None, attributes=(), **more):
    """A run of a workflow that began a moment ago, or at `start`; gives its trace id."""
    trace, root = wire.trace_id(), wire.span_id()
    start = start or now(fusebox) - 60 * SECOND
    span = wire.span(trace, root, name, start=start, end=start + SECOND, attributes=[("workflow_name", "flow"), *attributes], **more)
    assert fusebox.post(wire.batch(span)).status == 200
    return trace.hex()


@pytest.mark.parametrize("name", ["overview", "fuses", "traces", "sessions"])
def test_an_empty_page_wakes_up_by_itself(launch, tab, name):
    fusebox = launch()
    page = tab(fusebox).open(f"#/{name}")
    page.tab.get_by_text("No spans yet").wait_for()
    run(fusebox, attributes=[("session.id", "s-1")])
    page.tab.get_by_text("No spans yet").wait_for(state="detached", timeout=15_000)
    page.check()


def test_focus_selection_and_what_is_open_survive_ten_refreshes(launch, tab):
    fusebox = launch()
    run(fusebox)
    page = tab(fusebox)
    page.tab.clock.install()
    page.open("#/overview?range=all")
    page.tab.wait_for_selector("a.stat")
    page.tab.focus("a.stat >> nth=0")
    page.tab.evaluate("() => { const range = document.createRange(); range.selectNodeContents(document.querySelector('.stat .label')); getSelection().addRange(range); window.kept = document.querySelector('.stat'); }")
    for _ in range(10):
        with page.tab.expect_response(lambda answer: "/api/overview" in answer.url):
            page.tab.clock.run_for(10_000)
    poll("the refresh", lambda: page.tab.evaluate("window.kept === document.querySelector('.stat') && window.kept.isConnected"))
    assert page.tab.evaluate("document.activeElement.matches('a.stat')")
    assert page.tab.evaluate("getSelection().toString()") == "Timeouts"


def test_charts_stay_when_the_server_stops_and_the_page_comes_back_by_itself(launch, tab):
    fusebox = launch()
    run(fusebox)
    page = tab(fusebox)
    page.tab.clock.install()
    page.open("#/overview?range=1h")
    page.tab.wait_for_selector(".chart svg")
    charts = page.tab.locator(".chart").count()
    fusebox.stop()
    page.tab.clock.run_for(10_000)
    page.tab.wait_for_selector("[role=alert]:has-text('does not answer')")
    assert page.tab.locator(".chart").count() == charts > 3


def test_an_axis_spans_the_chosen_time_to_now(launch, tab):
    fusebox = launch()
    run(fusebox, start=now(fusebox) - 40 * 60 * SECOND)
    page = tab(fusebox).open("#/overview?range=1h")
    page.tab.wait_for_selector(".chart[data-from]")
    first, last, clock = page.tab.evaluate("() => { const one = document.querySelector('.chart[data-from]'); return [Number(one.dataset.from), Number(one.dataset.to), Date.now()]; }")
    assert abs(last - clock) < 180_000 and abs((last - first) - 3_600_000) < 240_000


def test_failed_runs_lead_to_the_failed_runs(launch, tab):
    fusebox = launch()
    error = wire.data(15, wire.number(3, 2))
    failed = run(fusebox, "failed", extra=error)
    trace, root = wire.trace_id(), wire.span_id()
    start = now(fusebox) - 30 * SECOND
    fine = wire.span(trace, root, "fine", start=start, end=start + SECOND, attributes=[("workflow_name", "flow")])
    child = wire.span(trace, wire.span_id(), "child", parent=root, start=start, end=start + 1, extra=error)
    assert fusebox.post(wire.batch(fine, child)).status == 200
    page = tab(fusebox).open("#/overview?range=all")
    page.tab.get_by_text("Failed runs").click()
    page.tab.wait_for_selector("a.trace-row")
    links = page.tab.evaluate("[...document.querySelectorAll('a.trace-row')].map((link) => link.hash.split('/').pop())")
    assert links == [failed]


# Finding


def test_rows_are_one_line_and_are_sorted_filtered_and_found_by_prefix(launch, tab):
    fusebox = launch()
    ids = [run(fusebox, f"run {index}", attributes=[("city", f"city {index % 2}"), ("input.value", f"question {index}"), ("output.value", "answer")]) for index in range(6)]
    page = tab(fusebox, 1280).open("#/traces?range=all")
    page.tab.wait_for_selector("a.trace-row")
    heights = page.tab.evaluate("[...document.querySelectorAll('a.trace-row')].map((row) => row.getBoundingClientRect().height)")
    assert len(heights) == 6 and max(heights) < 40, heights
    assert "question 1" in page.text(".rows") and "answer" in page.text(".rows")
    page.tab.get_by_role("button", name="Trace", exact=True).click()
    names = page.tab.evaluate("[...document.querySelectorAll('a.trace-row b')].map((one) => one.textContent)")
    assert names == sorted(names)
    page.tab.fill("[data-attribute]", "city=city 1")
    page.tab.press("[data-attribute]", "Enter")
    poll("the filter", lambda: page.tab.locator("a.trace-row").count() == 3)
    page.tab.get_by_role("button", name="Clear filters").click()
    poll("all again", lambda: page.tab.locator("a.trace-row").count() == 6)
    page.open("#/traces?range=all&attribute=" + urllib.parse.quote("city!=city 1"))
    poll("those without", lambda: page.tab.locator("a.trace-row").count() == 3)
    page.tab.fill("[data-search]", ids[2][:10])
    page.tab.press("[data-search]", "Enter")
    page.tab.wait_for_url(f"**/#/trace/{ids[2]}*")
    page.check()
    found = lambda text: [one["trace_id"] for one in json.loads(fusebox.get(f"/api/ids/{text}").body)]
    assert found(ids[0]) == found("0x" + ids[0].upper()) == found(ids[0][:12]) == [ids[0]]
    assert fusebox.get("/api/ids/xyz").status == 400
    buckets = json.loads(fusebox.get("/api/histogram?attribute=city%3Dcity%201").body)["buckets"]
    assert sum(one["traces"] for one in buckets) == 3


@pytest.mark.parametrize("width", [390, 1280, 2560])
def test_long_names_break_no_page(launch, tab, width):
    fusebox = launch()
    trace = run(fusebox, "n" * 500, attributes=[("tool_name", "t" * 500), ("session.id", "s" * 300)])
    other = wire.span(wire.trace_id(), name="x", start=now(fusebox) - SECOND, end=now(fusebox), attributes=[("tool_name", "u" * 500)])
    assert fusebox.post(wire.batch(other, resource=[("service.name", "v" * 500)])).status == 200
    for place in ["#/overview?range=all", f"#/trace/{trace}", "#/traces?range=all", "#/sessions?range=all", "#/fuses?range=all", "#/gates?range=all"]:
        page = tab(fusebox, width).open(place)
        assert page.tab.evaluate("document.documentElement.scrollWidth") <= width, place


def test_a_deep_trace_keeps_its_names(launch, tab):
    fusebox = launch()
    trace = wire.trace_id()
    ids = [wire.span_id() for _ in range(40)]
    start = now(fusebox) - SECOND
    spans = [wire.span(trace, one, f"level {index}", parent=ids[index - 1] if index else None, start=start + index, end=start + 1000) for index, one in enumerate(ids)]
    assert fusebox.post(wire.batch(*spans)).status == 200
    page = tab(fusebox, 1280).open(f"#/trace/{trace.hex()}")
    page.tab.focus("[role=tree]")
    page.tab.keyboard.press("End")
    page.tab.wait_for_selector(".fall-row.selected:has-text('level 39')")
    assert page.tab.evaluate("(() => { const text = document.querySelector('.fall-row.selected .text'); return text.scrollWidth <= text.clientWidth && text.clientWidth > 40; })()")


# A door


def test_a_browser_signs_in_with_a_read_token(launch, tab):
    plain = launch()
    (read, read_digest), (ingest, ingest_digest) = made_token(plain), made_token(plain)
    fusebox = launch_with_tokens(launch, read_digest, ingest_digest, read)
    sent = fusebox.run("demo", "--endpoint", fusebox.url, "--token", ingest)
    assert sent.returncode == 0, sent.stderr
    page = tab(fusebox)
    page.tab.goto(f"{fusebox.url}/#/traces?range=all")
    page.tab.wait_for_selector("form.signin")
    page.tab.fill("form.signin input", ingest)
    page.tab.keyboard.press("Enter")
    page.tab.wait_for_selector("form.signin [role=alert]")
    page.tab.fill("form.signin input", read)
    page.tab.keyboard.press("Enter")
    page.tab.wait_for_selector("a.trace-row")
    cookie = next(one for one in page.tab.context.cookies() if one["name"] == "fusebox-session")
    assert cookie["httpOnly"] and cookie["sameSite"] == "Strict" and read not in cookie["value"]
    page.tab.goto(f"{fusebox.url}/#/traces?live=1")
    page.tab.get_by_text("Connected").wait_for()
    page.tab.get_by_role("button", name="Sign out").click()
    page.tab.wait_for_selector("form.signin")
    answer = lambda token: fusebox.request("POST", "/api/sign-in", json.dumps({"token": token}).encode(), {"Content-Type": "application/json"}).status
    statuses = [answer("wrong") for _ in range(15)]
    assert statuses[0] == 403 and statuses[-1] == 429, statuses
    assert fusebox.request("POST", "/api/sign-in", b"{}", {"Content-Type": "text/plain"}).status == 415


def launch_with_tokens(launch, read, ingest, token):
    """A server that asks for tokens; its own questions bring the one for reading."""
    fusebox = launch({"FUSEBOX_READ_TOKENS": read, "FUSEBOX_INGEST_TOKENS": ingest})
    assert fusebox.get("/api/status").status == 401
    assert fusebox.get("/").status == 200
    assert fusebox.request("GET", "/api/status", headers={"Authorization": f"Bearer {token}"}).status == 200
    return fusebox


# Judging


def test_people_and_programs_judge(launch, tab):
    fusebox = launch()
    trace = run(fusebox, "judged")
    send = lambda body, kind="application/json": fusebox.request("POST", "/api/evals", body, {"Content-Type": kind})
    answer = send(json.dumps([{"name": "faithfulness", "trace_id": trace, "score": 0.25}]).encode())
    assert answer.status == 200 and json.loads(answer.body) == {"evals": 1, "skipped": 0}
    assert send(b"nothing").status == 400 and send(b"[]").status == 400 and send(b"{}", "text/plain").status == 415
    page = tab(fusebox).open(f"#/trace/{trace}")
    page.tab.wait_for_selector("[data-detail] details.judging")
    page.tab.click("details.judging summary")
    page.tab.fill("form.judge input[type=number]", "0.75")
    page.tab.fill("form.judge textarea", "says <b>too</b> little")
    page.tab.click("form.judge button[type=submit]")
    page.tab.get_by_text("Saved.").wait_for()
    rows = fusebox.sql("SELECT name, score, explanation, annotator_kind FROM evals ORDER BY score")
    assert [(row["name"], row["score"]) for row in rows] == [("faithfulness", 0.25), ("quality", 0.75)]
    assert rows[1]["explanation"] == "says <b>too</b> little" and rows[1]["annotator_kind"] == "HUMAN"
    page.open("#/evals?name=quality")
    page.tab.get_by_text("says <b>too</b> little").wait_for()
    page.check()


def test_payloads_in_messages_execute_nothing(launch, tab):
    """The fields that conversations are made of: roles, names, texts, reasoning, tool calls and their arguments, results, images, errors."""
    fusebox = launch()
    trace, root = wire.trace_id(), wire.span_id()
    spans = [wire.span(trace, root, "root", end=wire.BASE_TIME + 10**9)]
    for index, payload in enumerate(PAYLOADS):
        parts = [{"type": "text", "content": payload}, {"type": "reasoning", "content": payload}, {"type": "uri", "uri": payload, "mime_type": payload},
                 {"type": "blob", "mime_type": payload, "content": payload}, {"type": payload, "x": payload},
                 {"type": "tool_call_response", "id": payload, "response": payload}]
        answer = [{"type": "tool_call", "id": payload, "name": payload, "arguments": {payload: payload}}]
        attributes = [("gen_ai.operation.name", "chat"), ("gen_ai.input.messages", json.dumps([{"role": payload, "name": payload, "parts": parts}, {"role": "user", "parts": [{"type": "text", "content": payload}]}])),
                      ("gen_ai.output.messages", json.dumps([{"role": "assistant", "parts": answer, "finish_reason": payload}])),
                      ("gen_ai.tool.definitions", json.dumps([{"name": payload, "description": payload, "parameters": {payload: payload}}])), ("error.type", payload), ("session.id", "s")]
        status = wire.data(15, wire.data(2, payload) + wire.number(3, 2))
        spans.append(wire.span(trace, name=payload, parent=root, start=wire.BASE_TIME + index * 10**6, attributes=attributes, extra=status))
    assert fusebox.post(wire.batch(*spans)).status == 200
    page = tab(fusebox)
    for place in [f"#/trace/{trace.hex()}?view=conversation", "#/session?id=s", f"#/trace/{trace.hex()}", "#/traces?range=all"]:
        page.open(place)
        if "session" in place or "view" in place:
            page.tab.wait_for_selector(".message")
            assert page.tab.locator(".message").count() > 300
            page.tab.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
            page.tab.evaluate("for (const one of document.querySelectorAll('button.tiny')) one.click()")
        assert page.tab.evaluate("window.broken") is None
        bad = page.tab.evaluate("""[...document.querySelectorAll('#main script, #main iframe, #main object, #main video, #main marquee, #main style, #main math, #main template')].map((one) => one.outerHTML)
            .concat([...document.querySelectorAll('*')].filter((one) => [...one.attributes].some((attribute) => attribute.name.startsWith('on') || attribute.name === 'href' && /^\\s*(javascript|data):/i.test(attribute.value))).map((one) => one.outerHTML))""")
        assert bad == []
        assert [problem for problem in page.problems if "Failed to load" not in problem and "ERR_INVALID_URL" not in problem and "clipboard" not in problem.lower()] == []


def test_over_an_engine_the_page_opens_where_there_is_something_to_see(launch, tab):
    fusebox = launch()
    run(fusebox, "the run")
    page = tab(fusebox, 1280)

    def answer(route):
        status = json.loads(fusebox.get("/api/status").body)
        route.fulfill(json={**status, "engine": "fleet"})

    page.tab.route("**/api/status", answer)
    page.open("")
    page.tab.wait_for_selector("a.trace-row")
    assert page.tab.evaluate("location.hash") == "#/traces"
    names = page.tab.evaluate("[...document.querySelectorAll('#nav a')].map((one) => one.textContent)")
    assert names == ["Overview", "Traces", "Sessions", "Users", "Compare", "Gates", "SQL"]
    assert "of the engine fleet" in page.text("#store")
    page.check()

    def unknown(route):
        data = json.loads(fusebox.get("/api/overview").body)
        for one in [data["totals"], *data["buckets"]]:
            one.update({name: None for name in one if "opens" in name or "cooldown" in name})
        route.fulfill(json=data)

    # What nobody knows is not shown as none.
    page.tab.route("**/api/overview*", unknown)
    page.open("#/overview")
    page.tab.wait_for_selector(".stats")
    assert "Workflow p95" in page.text("#main") and "Breaker" not in page.text("#main") and "Cooldown" not in page.text("#main")
    page.check()
