"""The page in a real Chromium, with what captured agents and the demo sent."""

import json
import pathlib
import urllib.parse

import pytest

import captures
import wire
from server import Fusebox, poll

ACCESSIBILITY = (pathlib.Path(__file__).parent / "accessibility.js").read_text()
PLACES = {
    "overview": "#/overview?range=all",
    "fuses": "#/fuses?range=all",
    "gateway": "#/gateway",
    "traces": "#/traces?range=all",
    "sessions": "#/sessions?range=all",
    "session": "#/session?id=s-4",
    "users": "#/users?range=all",
    "evals": "#/evals",
    "runs": "#/evals?view=runs",
    "judge": "#/judge?range=all",
    "compare": "#/compare?a.span=all&b.span=all",
    "gates": "#/gates?range=all",
    "sql": "#/sql?q=" + urllib.parse.quote("SELECT tool_name, calls, timeouts FROM tools ORDER BY calls DESC"),
}
SHOWS = {
    "overview": ["Timeouts", "Breaker opens", "Cooldown", "Workflow p95", "weather_api", "Loop contract"],
    "fuses": ["weather_api", "web_search", "Reported", "Derived", "The fuse table"],
    "gateway": ["No gateway yet"],
    "traces": ["workflow trip_planner", "support_triage"],
    "sessions": ["s-1", "s-4"],
    "session": ["weather? run 4", "mock answer", "weather_api"],
    "users": ["No users", "user.id"],
    "evals": ["No evals joined yet", "fusebox eval import"],
    "runs": ["No runs", "--run-id"],
    "judge": ["Save, next", "left"],
    "compare": ["weather_api", "Workflows"],
    "gates": ["p95_latency_ms", "timeouts"],
    "sql": ["rows in", "weather_api", "Tables"],
}
# The tests' own server is older than an hour of data in no case that matters: captures lie in the past.
NAME = "handmade"


@pytest.fixture(scope="module")
def agents(binary, tmp_path_factory):
    """A server with what every captured agent sent."""
    server = Fusebox(binary, tmp_path_factory.mktemp("page") / "data", {"BREAKER_SETTLE_S": "1", "P95_LATENCY_MS_MAX": "4500"}).start()
    for name in captures.NAMES:
        captures.replay_all(server, name)
    server.settled()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def empty(binary, tmp_path_factory):
    server = Fusebox(binary, tmp_path_factory.mktemp("empty") / "data").start()
    yield server
    server.stop()


def longest_trace():
    by_trace = {}
    for (trace, _), span in captures.spans(NAME).items():
        by_trace.setdefault(trace, []).append(span)
    return max(by_trace.items(), key=lambda item: len(item[1]))


def traces_listed(page):
    """Ids of the traces in the list, all read at one moment."""
    return page.tab.evaluate("[...document.querySelectorAll('a.trace-row')].map((link) => link.hash.split('/').pop())")


# Every page


@pytest.mark.parametrize("width, theme", [(360, "light"), (1280, "dark"), (3840, "light")])
@pytest.mark.parametrize("name", PLACES)
def test_a_page_shows_what_agents_sent(agents, tab, name, width, theme):
    page = tab(agents, width, theme).open(PLACES[name])
    for text in SHOWS[name]:
        page.tab.get_by_text(text).first.wait_for(state="attached")
    assert page.tab.evaluate("document.documentElement.scrollWidth") <= width
    page.check()


@pytest.mark.parametrize("name", PLACES)
def test_a_page_of_an_empty_store_says_what_to_do(empty, tab, name):
    page = tab(empty).open(PLACES[name] if name != "session" else "#/sessions")
    assert len(page.text()) > 40
    assert "NaN" not in page.text() and "undefined" not in page.text() and "null" not in page.text()
    page.check()


def test_the_page_comes_from_the_binary_alone_and_forbids_inline_code(agents):
    answer = agents.get("/")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy
    assert "unsafe-inline" not in policy and "unsafe-eval" not in policy
    assert agents.request("GET", "/", headers={"If-None-Match": answer.headers["ETag"]}).status == 304
    files = [path for path in (pathlib.Path(__file__).resolve().parents[2] / "Sources/WebPage/Files").iterdir()]
    assert sum(path.stat().st_size for path in files) < 400_000
    for path in files:
        served = agents.get("/" if path.name == "index.html" else f"/{path.name}")
        assert served.status == 200 and served.body == path.read_bytes(), path.name
        assert "http://" not in served.body.decode().replace("http://www.w3.org/2000/svg", "").replace("http/protobuf", ""), path.name


# The waterfall


def test_bars_of_the_waterfall_are_the_spans_times(agents, tab):
    trace, spans = longest_trace()
    page = tab(agents).open(f"#/trace/{trace}")
    start = min(span.start_time_unix_nano for span in spans)
    length = max(span.end_time_unix_nano for span in spans) - start
    bars = page.tab.evaluate("""() => [...document.querySelectorAll("[data-span]:not([data-detail])")].map((bar) => {
        const own = bar.getBoundingClientRect(), lane = bar.parentElement.getBoundingClientRect();
        return { id: bar.dataset.span, start: Number(bar.dataset.startNs), duration: Number(bar.dataset.durationNs),
                 left: (own.left - lane.left) / lane.width, width: own.width / lane.width, lane: lane.width };
    })""")
    found = {bar["id"]: bar for bar in bars}
    assert len(found) == len(bars) == len(spans)
    for span in spans:
        bar = found[span.span_id.hex()]
        assert bar["start"] == span.start_time_unix_nano - start
        assert bar["duration"] == span.end_time_unix_nano - span.start_time_unix_nano
        pixel = 1 / bar["lane"]
        assert abs(bar["left"] - bar["start"] / length) < pixel
        assert abs(bar["width"] - max(bar["duration"] / length, 2 * pixel)) < 1.5 * pixel
    page.check()


def test_both_sides_of_a_call_that_share_an_id_are_drawn(launch, tab):
    """The called side is a row of its own under the calling one, with a detail of its own."""
    fusebox = launch()
    trace, shared = wire.trace_id(), wire.span_id()
    sides = [wire.span(trace, shared, name="called", start=wire.BASE_TIME + 1_000_000, extra=wire.number(6, 2)),
             wire.span(trace, shared, name="calls", start=wire.BASE_TIME, extra=wire.number(6, 3)),
             wire.span(trace, wire.span_id(), name="inside", parent=shared, start=wire.BASE_TIME + 2_000_000)]
    assert fusebox.post(wire.batch(*sides)).status == 200
    page = tab(fusebox).open(f"#/trace/{trace.hex()}")
    rows = page.tab.evaluate("""() => [...document.querySelectorAll('[role=treeitem]')].map(
        (row) => [row.querySelector('.text').textContent.trim(), Number(row.getAttribute('aria-level')), row.id])""")
    assert [row[:2] for row in rows] == [["calls", 1], ["called", 2], ["inside", 3]], rows
    assert len({row[2] for row in rows}) == 3
    page.tab.locator('[role=treeitem]').nth(1).click()
    page.tab.wait_for_function("document.querySelector('h2').textContent.trim() === 'called'")
    page.check()


def test_a_trace_of_5000_spans_keeps_few_rows_in_the_document(agents, tab):
    trace, root = wire.trace_id(), wire.span_id()
    spans = [wire.span(trace, root, "root", end=wire.BASE_TIME + 10**10)]
    spans += [wire.span(trace, name=f"step {index}", parent=root, start=wire.BASE_TIME + index * 10**6, end=wire.BASE_TIME + (index + 3) * 10**6) for index in range(4999)]
    assert agents.post(wire.batch(*spans)).status == 200
    page = tab(agents).open(f"#/trace/{trace.hex()}")
    assert "5,000 spans" in page.text()
    rows = lambda: page.tab.locator(".fall-row").count()
    assert 10 < rows() < 100
    page.tab.focus("[role=tree]")
    page.tab.keyboard.press("End")
    page.tab.wait_for_selector(".fall-row.selected:has-text('step 4998')")
    assert rows() < 100
    page.check()


def test_a_narrow_waterfall_keeps_names_and_times_apart(agents, tab):
    page = tab(agents, 360).open(f"#/trace/{longest_trace()[0]}")
    overlaps = page.tab.evaluate("""() => [...document.querySelectorAll(".fall-row")].filter((row) => {
        const lane = row.querySelector(".lanebox"), label = row.querySelector(".label").getBoundingClientRect();
        return getComputedStyle(lane).overflow !== "hidden" || lane.getBoundingClientRect().left < label.right - 1;
    }).length""")
    assert overlaps == 0
    page.check()


def test_tools_whose_breaker_never_opened_are_named_below_the_board(agents, tab):
    page = tab(agents).open("#/fuses?range=all")
    board = {row.split("\n")[0] for row in page.tab.locator(".fuse .name").all_inner_texts()}
    quiet = {row.split("\n")[0] for row in page.tab.locator(".quiet-fuses li").all_inner_texts()}
    assert {"weather_api", "crm_lookup"} <= board and "vector" in quiet
    breakers = json.loads(agents.get("/api/breakers").body)
    opened = {one["tool_name"] for one in breakers["breakers"] if any(one[machine] and one[machine]["opens"] for machine in ["reported", "derived"])}
    assert opened <= board
    assert board | quiet == {one["tool_name"] for one in breakers["breakers"]}


def test_keys_move_through_the_waterfall(agents, tab):
    trace, spans = longest_trace()
    page = tab(agents).open(f"#/trace/{trace}")
    page.tab.focus("[role=tree]")
    selected = lambda: page.tab.get_attribute(".fall-row.selected", "id")
    root = selected()
    page.tab.keyboard.press("ArrowDown")
    below = selected()
    assert below != root
    assert page.tab.get_attribute("[role=tree]", "aria-activedescendant") == below
    assert f"span={below.removeprefix('span-')}" in page.tab.url
    page.tab.keyboard.press("ArrowUp")
    page.tab.keyboard.press("ArrowLeft")
    assert page.tab.locator(".fall-row").count() == 1
    assert page.tab.get_attribute(f"#{root}", "aria-expanded") == "false"
    page.tab.keyboard.press("ArrowRight")
    assert page.tab.locator(".fall-row").count() == len(spans)
    page.tab.keyboard.press("Enter")
    assert page.tab.evaluate("document.activeElement.hasAttribute('data-detail')")
    page.tab.keyboard.press("Escape")
    assert page.tab.evaluate("document.activeElement.getAttribute('role')") == "tree"


def test_a_link_to_a_span_shows_its_attributes(agents, tab):
    (trace, identity), span = next((key, span) for key, span in captures.spans(NAME).items() if span.attributes)
    page = tab(agents).open(f"#/trace/{trace}?span={identity}")
    page.tab.wait_for_selector("[data-detail] summary")
    detail = page.text("[data-detail]")
    assert span.name in detail
    for attribute in span.attributes:
        assert attribute.key in detail
    assert page.tab.get_attribute(".fall-row.selected", "id") == f"span-{identity}"


# Filters, live tail, SQL


def test_a_filter_finds_what_sql_finds_and_its_address_says_it(agents, tab):
    expected = {row["trace_id"] for row in agents.sql(
        "SELECT DISTINCT trace_id FROM spans WHERE tool_name = 'crm_lookup' AND outcome = 'timeout'")}
    page = tab(agents).open("#/traces?range=all")
    page.tab.select_option("label:has-text('Tool') select", "crm_lookup")
    page.tab.wait_for_url("**tool=crm_lookup**")
    page.tab.select_option("label:has-text('Outcome') select", "timeout")
    page.tab.wait_for_url("**outcome=timeout**")
    listed = lambda: set(traces_listed(page))
    poll("the list", lambda: listed() == expected)
    address = page.tab.url
    page.tab.goto("about:blank")
    page.tab.goto(address)
    page.tab.wait_for_selector("a.trace-row")
    assert listed() == expected
    page.check()


@pytest.mark.parametrize(("name", "lists"), [("trace", "traces"), ("session", "sessions"), ("user", "users")])
def test_an_address_that_names_nothing_says_so_and_leads_on(agents, tab, name, lists):
    page = tab(agents).open(f"#/{name}")
    assert f"The address does not say which {name}." in page.text()
    page.tab.get_by_role("link", name=f"To the {lists}").click()
    page.tab.wait_for_selector(f"#main[data-page={lists}]:not([aria-busy])")
    page.check()


def test_a_trace_is_found_by_either_form_of_its_address(agents, tab):
    (row,) = agents.sql("SELECT trace_id FROM spans LIMIT 1")
    for place in (f"#/trace/{row['trace_id']}", f"#/trace?id={row['trace_id']}"):
        page = tab(agents).open(place)
        assert row["trace_id"] in page.text(".facts")
        page.check()


def test_older_traces_follow_without_gaps(agents, tab):
    page = tab(agents).open("#/traces?range=all")
    while page.tab.get_by_role("button", name="Older traces").count():
        before = page.tab.locator("a.trace-row").count()
        page.tab.get_by_role("button", name="Older traces").click()
        poll("more rows", lambda: page.tab.locator("a.trace-row").count() > before)
    links = traces_listed(page)
    assert len(links) == len(set(links))
    assert set(links) == {row["trace_id"] for row in agents.sql("SELECT DISTINCT trace_id FROM spans")}


def test_a_span_that_comes_in_shows_in_the_live_tail(agents, tab):
    page = tab(agents).open("#/traces?live=1")
    page.tab.get_by_text("Connected").wait_for()
    trace = wire.trace_id()
    assert agents.post(wire.batch(wire.span(trace, name="just now <b>here</b>"))).status == 200
    # Two seconds are the promise.
    page.tab.get_by_text("just now <b>here</b>").wait_for(timeout=2000)
    page.tab.get_by_text("just now <b>here</b>").click()
    page.tab.wait_for_url(f"**/#/trace/{trace.hex()}*")
    page.check()


def test_sql_shows_the_rows_and_a_chart(agents, tab):
    query = "SELECT tool_name, sum(calls) AS calls FROM tools GROUP BY 1 ORDER BY 2 DESC LIMIT 3"
    page = tab(agents).open("#/sql")
    page.tab.fill("textarea", query)
    page.tab.keyboard.press("Control+Enter")
    page.tab.wait_for_selector(".result-table")
    rows = [row.all_inner_texts() for row in [line.locator("td") for line in page.tab.locator(".result-table tbody tr").all()]]
    assert rows == [[row["tool_name"], str(row["calls"])] for row in agents.sql(query)]
    assert page.tab.locator("[role=img] rect.barmark").count() == 3
    assert urllib.parse.unquote_plus(page.tab.url).endswith(query)
    page.tab.fill("textarea", "DELETE FROM segment")
    page.tab.get_by_role("button", name="Run").click()
    page.tab.wait_for_selector("[role=alert]")
    assert "only read" in page.text("[role=alert]")


def test_the_loop_contract_says_what_sql_says(agents, tab):
    rows = agents.sql("SELECT service_name, instance_id, runs, workflows_at_once, host_workflows_at_once FROM contract")
    page = tab(agents).open("#/overview?range=all")
    card = page.tab.get_by_role("region", name="The loop contract of each process")
    card.wait_for()
    shown = [line.split("\t") for line in card.locator("tbody").inner_text().replace("\n\t", "\t").split("\n") if "\t" in line]
    assert len(shown) == len(rows) > 5
    assert [[int(cell) for cell in line[-9:-6]] for line in shown] == [[row["runs"], row["workflows_at_once"], row["host_workflows_at_once"]] for row in rows]


def test_the_overview_says_what_sql_and_metrics_say(agents, tab):
    data = json.loads(agents.get("/api/overview").body)
    totals = data["totals"]
    assert totals["spans"] == agents.scalar("SELECT count(*) FROM spans")
    assert totals["timeouts"] == agents.scalar("SELECT count(*) FROM timeouts")
    assert totals["tokens"] == agents.scalar("SELECT sum(tokens) FROM token_spans")
    metrics = agents.settled()
    assert totals["reported_opens"] == metrics.total("agent_breaker_opens_total")
    page = tab(agents).open("#/overview?range=all")
    assert str(totals["timeouts"]) in page.text(".stats")


def test_theme_and_keys(agents, tab):
    page = tab(agents, theme="dark").open("#/overview")
    theme = lambda: page.tab.get_attribute("html", "data-theme")
    assert theme() == "dark"
    page.tab.get_by_role("button", name="Light theme").click()
    assert theme() == "light"
    page.tab.reload()
    page.tab.wait_for_selector("#main[data-page]")
    assert theme() == "light"
    page.tab.keyboard.press("g")
    page.tab.keyboard.press("f")
    page.tab.wait_for_selector("h1:has-text('Fuse board')")


# Hostile spans

CARRIERS = [
    "<script>{0}</script>", "<img src=x onerror={0}>", "<svg onload={0}>", "\"><script>{0}</script>", "'><img src=x onerror={0}>",
    "<iframe srcdoc='<script>parent.{0}</script>'>", "javascript:{0}", "<a href='javascript:{0}'>x</a>", "</title><script>{0}</script>",
    "</textarea><script>{0}</script>", "<details open ontoggle={0}>", "<body onload={0}>", "<input autofocus onfocus={0}>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror={0}>", "${{{0}}}", "{{{{{0}}}}}", "<video><source onerror={0}>",
    "<object data='javascript:{0}'>", "<template><script>{0}</script></template>", "<style>@import 'javascript:{0}'</style>",
    "\u202e<script>{0}</script>", "<x style='animation-name:x' onanimationstart={0}>", "<!--><script>{0}</script>-->",
    "<marquee onstart={0}>", "`-{0}-`",
]
CODES = ["window.broken=1", "alert(1)", "window.broken=document.domain", "fetch('/broken')", "eval('window.broken=1')",
         "top.window.broken=1", "self['broken']=1", "setTimeout('window.broken=1')"]
PAYLOADS = [carrier.format(code) for carrier in CARRIERS for code in CODES]


def test_200_payloads_through_8_fields_execute_nothing(agents, tab):
    assert len(PAYLOADS) == 200
    trace, root = wire.trace_id(), wire.span_id()
    spans = [wire.span(trace, root, PAYLOADS[0], end=wire.BASE_TIME + 10**9)]
    for index, payload in enumerate(PAYLOADS):
        event = wire.data(11, wire.fixed64(1, wire.BASE_TIME) + wire.data(2, payload) + wire.data(3, wire.attribute(payload, payload)))
        status = wire.data(15, wire.data(2, payload) + wire.number(3, 2))
        spans.append(wire.span(
            trace, name=payload, parent=root, start=wire.BASE_TIME + index * 10**6,
            attributes=[("tool_name", payload), ("session.id", payload), ("workflow_name", payload), (payload, payload),
                        ("stage", "llm"), ("gen_ai.completion.0.content", payload)],
            extra=event + status))
    assert agents.post(wire.batch(*spans, resource=[("service.name", PAYLOADS[3])])).status == 200
    page = tab(agents)
    found = lambda: page.tab.evaluate("window.broken")
    foreign = lambda: page.tab.evaluate(
        "[...document.querySelectorAll('#main script, #main iframe, #main object, #main img, #main video, #main marquee, #main style, "
        "#main form:not(.judge, .own-range), #main template, #main math')].map((one) => one.outerHTML).concat([...document.querySelectorAll('*')]"
        ".filter((one) => [...one.attributes].some((attribute) => attribute.name.startsWith('on') || /^\\s*javascript:/i.test(attribute.value) && attribute.name === 'href')).map((one) => one.outerHTML))")

    def check():
        assert found() is None
        assert foreign() == []
        assert not page.problems, page.problems

    page.open(f"#/trace/{trace.hex()}")
    page.tab.focus("[role=tree]")
    for _ in PAYLOADS:
        page.tab.keyboard.press("ArrowDown")
    page.tab.wait_for_selector("[data-detail] summary")
    check()
    for place in ["#/overview?range=all", "#/fuses?range=all", "#/traces?range=all", "#/sessions?range=all", "#/compare?a.span=all&b.span=all",
                  "#/sql?q=" + urllib.parse.quote(f"SELECT name, status_message, attributes, events FROM spans WHERE trace_id = '{trace.hex()}'")]:
        page.open(place)
        check()
    for payload in PAYLOADS[::8]:
        page.open("#/session?" + urllib.parse.urlencode({"id": payload}))
        assert payload.replace("\u202e", "") in page.text().replace("\u202e", "")
        check()
        page.open("#/traces?" + urllib.parse.urlencode({"range": "all", "q": payload, "tool": payload, "service": PAYLOADS[3]}))
        check()


# Without a mouse, without sight


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", [*PLACES, "trace"])
def test_names_labels_and_contrast(agents, tab, name, theme):
    place = PLACES.get(name) or f"#/trace/{longest_trace()[0]}"
    page = tab(agents, theme=theme).open(place)
    if name == "trace":
        page.tab.wait_for_selector("[data-detail] summary")
    assert page.tab.evaluate(ACCESSIBILITY) == []


@pytest.mark.parametrize("name", ["overview", "traces", "sql"])
def test_tab_goes_through_the_page_in_its_order_and_shows_where_it_is(agents, tab, name):
    page = tab(agents).open(PLACES[name])
    steps = []
    for _ in range(25):
        page.tab.keyboard.press("Tab")
        steps.append(page.tab.evaluate("""() => {
            const all = [...document.querySelectorAll('*')], at = document.activeElement, style = getComputedStyle(at);
            return { place: all.indexOf(at), name: at.localName + ' ' + at.textContent.slice(0, 20), body: at === document.body,
                     outline: parseFloat(style.outlineWidth) > 0 && style.outlineStyle !== 'none' };
        }"""))
    steps = [step for step in steps if not step["body"]]
    assert steps[0]["name"].startswith("a Skip to content")
    places = [step["place"] for step in steps]
    wraps = sum(later < earlier for earlier, later in zip(places, places[1:]))
    assert wraps <= 1, steps
    assert all(step["outline"] for step in steps), [step for step in steps if not step["outline"]]


def test_the_skip_link_goes_to_the_content(agents, tab):
    page = tab(agents).open(PLACES["overview"])
    page.tab.keyboard.press("Tab")
    page.tab.keyboard.press("Enter")
    assert page.tab.evaluate("document.activeElement.id") == "main"
