"""What still runs: spans without an end, Logfire's pending spans, roots that have not come. A filter, and a mark in list and trace."""

import json
import re
import urllib.parse

import pytest

import wire
from server import poll
from test_page_life import SECOND, now


def open_span(trace, identity, name, start, parent=None, attributes=()):
    """A span that was sent while it ran: it has no end."""
    return wire.span(trace, identity, name, start=start, end=None, parent=parent, attributes=attributes)


def pending(trace, real, name, start, parent=None):
    """What Logfire sends when a span begins: another span, below the one that it stands for."""
    return wire.span(trace, wire.span_id(), name, start=start, end=start, parent=real,
                     attributes=[("logfire.span_type", "pending_span"), ("logfire.pending_parent_id", parent.hex() if parent else "0" * 16)])


def ask(fusebox, path, **query):
    found = fusebox.get(path + "?" + urllib.parse.urlencode(query))
    assert found.status == 200, found
    return json.loads(found.body)


@pytest.fixture
def store(launch):
    """Traces by what they are."""
    fusebox = launch()
    at = now(fusebox) - 120 * SECOND
    ids = {name: wire.trace_id() for name in ["done", "open", "pending", "came", "orphan"]}
    root = {name: wire.span_id() for name in ids}
    child = wire.span_id()
    spans = [
        wire.span(ids["done"], root["done"], "done", start=at, end=at + SECOND),
        wire.span(ids["open"], root["open"], "open run", start=at, end=at + 30 * SECOND), open_span(ids["open"], child, "open step", at + SECOND, root["open"]),
        pending(ids["pending"], root["pending"], "announced run", at), pending(ids["pending"], child, "announced step", at + SECOND, root["pending"]),
        wire.span(ids["pending"], name="finished step", parent=child, start=at + 2 * SECOND, end=at + 8 * SECOND),
        pending(ids["came"], root["came"], "came", at), wire.span(ids["came"], root["came"], "came", start=at, end=at + SECOND),
        wire.span(ids["orphan"], name="below nobody", parent=wire.span_id(), start=at, end=at + SECOND)]
    assert fusebox.post(wire.batch(*spans)).status == 200
    fusebox.ids = {name: trace.hex() for name, trace in ids.items()}
    fusebox.at, fusebox.root, fusebox.trace = at, root, ids
    return fusebox


def test_what_still_runs_is_found_and_counted(store):
    name = {trace: name for name, trace in store.ids.items()}
    counts = {name[one["trace_id"]]: (one["open_span_count"], one["has_root"]) for one in ask(store, "/api/traces")["traces"]}
    assert counts == {"done": (0, 1), "open": (1, 1), "pending": (2, 0), "came": (0, 1), "orphan": (0, 0)}
    found = lambda **query: {name[one["trace_id"]] for one in ask(store, "/api/traces", running="true", **query)["traces"]}
    assert found() == {"open", "pending", "orphan"}
    assert found(name="open run") == {"open"} and found(name="done") == set()
    assert found(**{"from": str(store.at)}) == {"open", "pending", "orphan"} and found(to=str(store.at)) == set()
    pages, cursor = [], {}
    while True:
        page = ask(store, "/api/traces", running="true", limit=1, **cursor)
        pages += [name[one["trace_id"]] for one in page["traces"]]
        if not page["next_cursor"]:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert sorted(pages) == ["open", "orphan", "pending"]
    assert sum(one["traces"] for one in ask(store, "/api/histogram", running="true")["buckets"]) == 3
    assert store.get("/api/traces?running=yes").status == 400
    listed = store.run("traces", "--data-dir", str(store.folder), "--running", "--format", "json")
    assert {name[one["trace_id"]] for one in json.loads(listed.stdout)} == {"open", "pending", "orphan"}


def test_what_has_ended_runs_no_more(store):
    span = wire.span(store.trace["pending"], store.root["pending"], "announced run", start=store.at, end=store.at + 20 * SECOND)
    assert store.post(wire.batch(span)).status == 200
    (left,) = [one for one in ask(store, "/api/traces", running="true")["traces"] if one["trace_id"] == store.ids["pending"]]
    assert left["open_span_count"] == 1 and left["has_root"] == 1


@pytest.mark.parametrize("width", [390, 1280])
def test_lists_and_traces_mark_what_runs(store, tab, width):
    page = tab(store, width).open("#/traces")
    page.tab.wait_for_selector("a.trace-row")
    marks = lambda: page.tab.evaluate("Object.fromEntries([...document.querySelectorAll('a.trace-row')].map((row) => [row.querySelector('b').textContent, row.querySelector('.flags').textContent.trim()]))")
    assert marks() == {"done": "ok", "open run": "running", "announced run": "running", "came": "ok", "below nobody": "no root"}
    runs = page.tab.locator("label.field").filter(has_text=re.compile("^Run")).locator("select")
    runs.select_option("running")
    poll("the filter", lambda: page.tab.locator("a.trace-row").count() == 3 and "running=true" in page.tab.url)
    runs.select_option("")
    poll("all of them", lambda: page.tab.locator("a.trace-row").count() == 5)
    page.check()
    rows = lambda: page.tab.evaluate("[...document.querySelectorAll('.fall-row')].map((row) => [row.querySelector('.text').textContent.trim(), row.getAttribute('aria-level'), Boolean(row.querySelector('.span-bar.runs')), row.querySelector('.after').textContent])")
    page.open(f"#/trace/{store.ids['pending']}")
    # The announcements stand for the spans that they announce.
    poll("its rows", lambda: rows() == [["announced run", "1", True, "not ended"], ["announced step", "2", True, "not ended"], ["finished step", "3", False, "6.00 s"]] or rows()[2][3] in ("6 s", "6.00 s") and [row[:3] for row in rows()] == [["announced run", "1", True], ["announced step", "2", True], ["finished step", "3", False]])
    assert "2 spans have not ended" in page.text() and "running" in page.text(".facts")
    page.open(f"#/trace/{store.ids['came']}")
    assert [row[0] for row in rows()] == ["came"] and page.tab.query_selector(".facts .badge.run") is None
    page.open(f"#/trace/{store.ids['open']}")
    assert [row[2] for row in rows()] == [False, True] and "1 span has not ended" in page.text()
    page.tab.wait_for_selector("[data-detail] dl")
    assert page.tab.evaluate("document.documentElement.scrollWidth") <= width
    page.check()
