"""A real Chromium, and what the page's tests look at in it."""

import os
import shutil

import pytest
from playwright.sync_api import sync_playwright

READY = "#main[data-page]:not([aria-busy])"


def chromium_path():
    return os.environ.get("FUSEBOX_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


class Page:
    """A tab that remembers everything that went wrong in it."""

    def __init__(self, tab, url):
        self.tab = tab
        self.url = url
        self.problems = []
        tab.on("console", lambda message: message.type in ("error", "warning") and self.problems.append(message.text))
        tab.on("pageerror", lambda error: self.problems.append(str(error)))
        tab.on("dialog", lambda dialog: (self.problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        tab.on("request", lambda request: request.url.startswith((url, "data:")) or self.problems.append(f"asked {request.url}"))

    def open(self, place):
        """Goes to a place such as `#/traces`, and waits until it is drawn."""
        # Another document each time, so that nothing is left of the last page.
        self.tab.goto("about:blank")
        self.tab.goto(f"{self.url}/{place}")
        self.tab.wait_for_selector(READY)
        return self

    def text(self, selector="#main"):
        return self.tab.inner_text(selector)

    def check(self):
        assert not self.problems, self.problems
        assert self.tab.query_selector(".problem") is None, self.text(".problem")


@pytest.fixture(scope="session")
def chromium():
    path = chromium_path()
    if path is None:
        pytest.skip("Chromium is not installed; apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium):
    """Opens tabs: `tab(server, width, theme)`."""
    contexts = []

    def make(server, width=1280, theme="light", height=900):
        context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=theme, timezone_id="UTC")
        contexts.append(context)
        return Page(context.new_page(), server.url)

    yield make
    for context in contexts:
        context.close()
