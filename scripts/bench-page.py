#!/usr/bin/env python3
"""Measures the page in Chromium: how long a large trace, the overview and a new span take until they are seen.

    scripts/bench-page.py [BINARY] [--spans N] [--rounds N]

Wall times are from the address to the drawn page, in a new profile, the browser's own start of it included. The page's share is the CPU time of its
scripts, styles and layout, as Chromium counts them. Needs Chromium and the packages of Tests/EndToEnd/requirements.txt.
"""

import argparse
import pathlib
import statistics
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "Tests/EndToEnd"))
import wire  # noqa: E402
from browser import READY, chromium_path  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402
from server import Fusebox  # noqa: E402

arguments = argparse.ArgumentParser()
arguments.add_argument("binary", nargs="?", default=ROOT / ".build/release/fusebox")
arguments.add_argument("--spans", type=int, default=5000)
arguments.add_argument("--rounds", type=int, default=7)
options = arguments.parse_args()


def large_trace(spans):
    """A trace of a root, steps and calls, and its id."""
    trace, root = wire.trace_id(), wire.span_id()
    found = [wire.span(trace, root, "workflow large", end=wire.BASE_TIME + 10**10, attributes=[("workflow_name", "large")])]
    step = root
    for index in range(spans - 1):
        start = wire.BASE_TIME + index * 10**6
        own = wire.span_id()
        found.append(wire.span(trace, own, f"step {index}", parent=root if index % 10 == 0 else step, start=start, end=start + 3 * 10**6, attributes=[
            ("tool_name", f"tool_{index % 7}"), ("tokens", index), ("gen_ai.request.model", "model-small"), ("http.request.method", "GET")]))
        if index % 10 == 0:
            step = own
    return trace.hex(), found


def measure(browser, server, place):
    """Seconds until the page is drawn, and those of them that the page's own work took."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    session = context.new_cdp_session(tab)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    began = time.monotonic()
    tab.goto(f"{server.url}/{place}")
    tab.wait_for_selector(READY)
    took = time.monotonic() - began
    metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    context.close()
    return took, sum(metrics[name] for name in ["ScriptDuration", "RecalcStyleDuration", "LayoutDuration"])


def visible(browser, server):
    """Seconds from a request with a span to its row in the live tail."""
    context = browser.new_context()
    tab = context.new_page()
    tab.goto(f"{server.url}/#/traces?live=1")
    tab.get_by_text("Connected").wait_for()
    began = time.monotonic()
    name = f"seen {time.time_ns()}"
    assert server.post(wire.batch(wire.span(wire.trace_id(), name=name))).status == 200
    tab.get_by_text(name).wait_for()
    took = time.monotonic() - began
    context.close()
    return took


def told(name, figures):
    print(f"{name:<34} median {statistics.median(figures) * 1000:6.0f} ms   {min(figures) * 1000:.0f} to {max(figures) * 1000:.0f}")


with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
    server = Fusebox(options.binary, folder).start()
    try:
        trace, spans = large_trace(options.spans)
        assert server.post(wire.batch(*spans)).status == 200
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        for name, place in [(f"trace of {options.spans} spans", f"#/trace/{trace}"), ("overview", "#/overview?range=all")]:
            rounds = [measure(browser, server, place) for _ in range(options.rounds)]
            told(f"{name}, until drawn", [took for took, _ in rounds])
            told(f"{name}, the page's share", [own for _, own in rounds])
        told("a new span in the live tail", [visible(browser, server) for _ in range(options.rounds)])
        browser.close()
    finally:
        server.stop()
