"""A trace on the page: zoom, minimap, the critical path at every door, the graph of steps."""

import json
import re

import pytest

import wire
from server import poll
from test_page_running import pending

MILLISECOND = 10**6


@pytest.fixture(scope="module")
def agent(shared):
    """A run of an agent: two rounds of a model and a tool, two searches at once, and a note that is written after the answer."""
    trace = wire.trace_id()
    ids = {name: wire.span_id() for name in ["agent", "chat 1", "search", "lookup", "chat 2", "search 2", "note"]}
    span = lambda key, name, start, end, parent=None, **more: wire.span(
        trace, ids[key], name, parent=ids[parent] if parent else None, start=wire.BASE_TIME + start * MILLISECOND,
        end=wire.BASE_TIME + end * MILLISECOND, **more)
    failed = wire.data(15, wire.number(3, 2))
    spans = [
        span("agent", "agent run", 0, 1000), span("chat 1", "chat", 100, 400, "agent"), span("search", "search", 400, 600, "agent", extra=failed),
        span("lookup", "lookup", 400, 450, "agent"), span("chat 2", "chat", 600, 800, "agent"), span("search 2", "search", 800, 900, "agent"),
        span("note", "write note", 900, 1200, "agent")]
    assert shared.post(wire.batch(*spans)).status == 200
    return shared, trace.hex(), {name: one.hex() for name, one in ids.items()}


# Milliseconds of the path that are each span's own: the note outlives the run, lookup was waited for by nobody.
PATH = {"agent": 100, "chat 1": 300, "search": 200, "chat 2": 200, "search 2": 100, "note": 300}


def test_the_critical_path_is_the_same_at_every_door(agent, tab):
    fusebox, trace, ids = agent
    names = {one: name for name, one in ids.items()}
    path = json.loads(fusebox.get(f"/api/traces/{trace}").body)["critical_path"]
    assert {names[one["span_id"]]: one["duration_ns"] // MILLISECOND for one in path["spans"]} == PATH
    assert path["duration_ns"] == 1200 * MILLISECOND and path["uncovered_ns"] == 0
    text = fusebox.run("trace", trace, "--data-dir", str(fusebox.folder), "--width", "100").stdout.decode().splitlines()[1:]
    assert [re.findall(r"(\d+)%", line) for line in text] == [["8"], ["25"], ["17"], [], ["17"], ["8"], ["25"]]
    page = tab(fusebox).open(f"#/trace/{trace}")
    marked = page.tab.evaluate("""() => [...document.querySelectorAll('.fall-row')].filter((row) => row.querySelector('.on-path')).map((row) => row.id.slice(5))""")
    assert {names[one] for one in marked} == set(PATH)
    for name, own in PATH.items():
        page.tab.click(f"#span-{ids[name]} .label .text")
        page.tab.wait_for_selector(f"[data-detail][data-span='{ids[name]}'] .brief")
        assert f"{round(own / 12)} % of the trace" in page.text("[data-detail] .brief"), name
    page.tab.click("[data-path]")
    assert page.tab.locator(".on-path").count() == 0 and "path=off" in page.tab.url
    page.tab.reload()
    page.tab.wait_for_selector(".fall-row")
    assert page.tab.locator(".on-path").count() == 0
    page.check()


def told(fusebox, trace):
    """What the API and the terminal say of each span's part: nanoseconds, and percent in the order of reading."""
    path = json.loads(fusebox.get(f"/api/traces/{trace.hex()}").body)["critical_path"]
    lines = fusebox.run("trace", trace.hex(), "--data-dir", str(fusebox.folder), "--width", "100").stdout.decode().splitlines()[1:]
    return [(one["span_id"], one["kind"], one["segments"]) for one in path["spans"]], [re.findall(r"(\d+)%", line) for line in lines]


def test_what_still_runs_is_waited_for_to_the_end(shared, tab):
    trace, agent, call = wire.trace_id(), wire.span_id(), wire.span_id()
    assert shared.post(wire.batch(pending(trace, agent, "agent", wire.BASE_TIME), wire.span(trace, call, "call", parent=agent, start=wire.BASE_TIME + 1000, end=wire.BASE_TIME + 4000))).status == 200
    spans, percents = told(shared, trace)
    assert [segments for _, _, segments in spans] == [[[0, 1000]], [[1000, 3000]]] and spans[1][0] == call.hex()
    assert sorted(percents) == [["25"], ["75"]]
    page = tab(shared).open(f"#/trace/{trace.hex()}")
    assert page.tab.locator(".fall-row:has(.on-path)").count() == 2
    # Once the span itself has come, it is the one that was waited for.
    assert shared.post(wire.batch(wire.span(trace, agent, "agent", start=wire.BASE_TIME, end=wire.BASE_TIME + 4000))).status == 200
    assert [one[0] for one in told(shared, trace)[0]] == [agent.hex(), call.hex()]


def test_two_sides_of_a_call_that_share_an_id_have_their_own_parts(shared, tab):
    trace, one = wire.trace_id(), wire.span_id()
    side = lambda name, kind, start, end: wire.span(trace, one, name, start=wire.BASE_TIME + start, end=wire.BASE_TIME + end, extra=wire.number(6, kind))
    assert shared.post(wire.batch(side("calls", 3, 0, 1000), side("called", 2, 200, 800))).status == 200
    spans, percents = told(shared, trace)
    assert spans == [(one.hex(), 3, [[0, 200], [800, 200]]), (one.hex(), 2, [[200, 600]])] and percents == [["40"], ["60"]]
    page = tab(shared).open(f"#/trace/{trace.hex()}")
    assert page.tab.evaluate("[...document.querySelectorAll('.fall-row')].map((row) => row.querySelectorAll('.on-path').length)") == [2, 1]


def shown_part(page):
    """The part of the trace that is shown, in milliseconds, as the address has it."""
    found = re.search(r"zoom=(\d+)-(\d+)", page.tab.evaluate("location.hash"))
    return tuple(round(int(one) / MILLISECOND) for one in found.groups()) if found else None


def visible(page):
    return set(page.tab.evaluate("[...document.querySelectorAll('.span-bar')].filter((bar) => !bar.hidden).map((bar) => bar.dataset.span)"))


def test_keys_zoom_and_move_and_the_link_keeps_the_part(agent, tab):
    fusebox, trace, ids = agent
    page = tab(fusebox).open(f"#/trace/{trace}")
    page.tab.focus("[role=tree]")
    page.tab.keyboard.press("+")
    poll("zoomed in", lambda: shown_part(page) == (300, 900))
    page.tab.keyboard.press("Shift+ArrowRight")
    poll("moved", lambda: shown_part(page) == (450, 1050))
    assert visible(page) == {ids[name] for name in ["agent", "search", "lookup", "chat 2", "search 2", "note"]}
    page.tab.keyboard.press("-")
    page.tab.keyboard.press("0")
    poll("all again", lambda: shown_part(page) is None)
    page.tab.focus(".minimap")
    page.tab.keyboard.press("+")
    page.tab.keyboard.press("End")
    poll("the end", lambda: shown_part(page) == (600, 1200))
    page.tab.keyboard.press("ArrowLeft")
    poll("a tenth back", lambda: shown_part(page) == (540, 1140))
    assert page.tab.get_attribute(".minimap", "aria-valuetext") == "540 ms to 1.14 s of 1.2 s"
    address = page.tab.url
    page.open(address.split("/", 3)[3])
    assert page.tab.get_attribute(".minimap", "aria-valuenow") == "45" and ids["chat 1"] not in visible(page)
    # Going to a span that lies outside brings it into view.
    page.tab.click(f"#span-{ids['chat 1']} .label .text")
    assert ids["chat 1"] in visible(page)
    page.tab.focus("[role=tree]")
    page.tab.keyboard.press("z")
    poll("the span fills it", lambda: shown_part(page) == (85, 415))
    page.check()


def test_dragging_in_the_minimap_and_on_the_axis_zooms(agent, tab):
    fusebox, trace, _ = agent
    page = tab(fusebox).open(f"#/trace/{trace}")

    def drag(selector, first, last):
        box = page.tab.locator(selector).bounding_box()
        page.tab.mouse.move(box["x"] + first * box["width"], box["y"] + box["height"] / 2)
        page.tab.mouse.down()
        page.tab.mouse.move(box["x"] + (first + last) / 2 * box["width"], box["y"] + box["height"] / 2)
        page.tab.mouse.move(box["x"] + last * box["width"], box["y"] + box["height"] / 2)
        page.tab.mouse.up()

    near = lambda found, wanted, slack: found is not None and all(abs(one - other) <= slack for one, other in zip(found, wanted))
    drag(".minimap", 0.25, 0.75)
    poll("the brush", lambda: near(shown_part(page), (300, 900), 6))
    bar = page.tab.locator(".fall-row >> nth=0").locator(".span-bar").bounding_box()
    lane = page.tab.locator(".fall-row >> nth=0").locator(".lanebox").bounding_box()
    assert bar["x"] <= lane["x"] and bar["x"] + bar["width"] >= lane["x"] + lane["width"]
    drag(".minimap", 0.5, 0.6)
    poll("the part moves", lambda: near(shown_part(page), (420, 1020), 12))
    drag(".ruler", 0.0, 0.5)
    poll("the axis", lambda: near(shown_part(page), (420, 720), 15))
    labels = page.tab.locator(".ruler .marks span").all_inner_texts()
    assert len(labels) == len(set(labels)) >= 2
    page.tab.click("[data-whole]")
    poll("the whole trace", lambda: shown_part(page) is None)
    page.check()


@pytest.mark.parametrize("width", [390, 1280])
def test_the_axis_stands_above_the_bars_and_cuts_no_label(agent, tab, width):
    fusebox, trace, _ = agent
    page = tab(fusebox, width).open(f"#/trace/{trace}")
    axis, lane, small = (page.tab.locator(name).first.bounding_box() for name in [".ruler", ".lanebox", ".minimap"])
    assert abs(axis["x"] - lane["x"]) <= 2 and abs(axis["width"] - lane["width"]) <= 3 and abs(small["x"] - lane["x"]) <= 2 and abs(small["width"] - lane["width"]) <= 3
    ends = page.tab.evaluate("[...document.querySelectorAll('.ruler .marks span')].map((one) => one.getBoundingClientRect().right)")
    assert len(ends) >= 2 and max(ends) <= axis["x"] + axis["width"] + 1


def test_zoom_of_a_long_trace_goes_down_to_microseconds(shared, tab):
    trace, root = wire.trace_id(), wire.span_id()
    spans = [wire.span(trace, root, "root", start=wire.BASE_TIME, end=wire.BASE_TIME + 3600 * 10**9)]
    spans += [wire.span(trace, name=f"step {index}", parent=root, start=wire.BASE_TIME + index * 10**9, end=wire.BASE_TIME + index * 10**9 + 5000) for index in range(300)]
    assert shared.post(wire.batch(*spans)).status == 200
    page = tab(shared).open(f"#/trace/{trace.hex()}?zoom=299000000000-299000010000")
    page.tab.focus("[role=tree]")
    page.tab.keyboard.press("End")
    page.tab.wait_for_selector(".fall-row.selected:has-text('step 299')")
    bar = page.tab.locator(".fall-row.selected .span-bar").bounding_box()
    lane = page.tab.locator(".fall-row.selected .lanebox").bounding_box()
    assert abs(bar["width"] / lane["width"] - 0.5) < 0.02
    labels = page.tab.locator(".ruler .marks span").all_inner_texts()
    assert len(labels) == len(set(labels)) and all(label.startswith("4 min 59.00000") for label in labels)
    page.tab.focus("[role=tree]")
    for _ in range(20):
        page.tab.keyboard.press("+")
    page.check()


@pytest.mark.parametrize("width", [390, 1280, 2560])
def test_steps_are_counted_with_what_came_after_what(agent, tab, width):
    fusebox, trace, ids = agent
    page = tab(fusebox, width).open(f"#/trace/{trace}")
    if page.tab.get_attribute("details.steps", "open") is None:
        page.tab.click("details.steps > summary")
    rows = page.tab.locator(".step")
    assert [row.get_attribute("aria-label") for row in rows.all()] == [
        "agent run: 1 span, 1 s together; then chat 1 time", "chat: 2 spans, 500 ms together; then search 2 times, lookup 1 time",
        "search: 2 spans, 1 failure, 300 ms together; then chat 1 time, write note 1 time", "lookup: 1 span, 50 ms together",
        "write note: 1 span, 300 ms together"]
    page.tab.wait_for_selector(".arc", state="attached")
    assert page.tab.locator(".arcs:not(.back) .arc").count() == 4 and page.tab.locator(".arcs.back .arc").count() == 1
    rows.nth(2).focus()
    selected = lambda: page.tab.get_attribute(".fall-row.selected", "id")
    page.tab.keyboard.press("Enter")
    assert selected() == f"span-{ids['search']}" and rows.nth(2).get_attribute("aria-current") == "true"
    page.tab.keyboard.press("Enter")
    assert selected() == f"span-{ids['search 2']}"
    page.tab.keyboard.press("ArrowDown")
    assert page.tab.evaluate("document.activeElement.textContent").startswith("lookup")
    assert page.tab.evaluate("document.documentElement.scrollWidth") <= width
    page.check()
