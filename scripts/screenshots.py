#!/usr/bin/env python3
"""Makes the pictures of the README: serves from a folder of its own, sends the demo, and photographs the page and the terminal.

    scripts/screenshots.py [BINARY] [FOLDER]

Needs Chromium and the packages of Tests/EndToEnd/requirements.txt. Writes to docs/images unless told otherwise.
"""

import html
import json
import os
import pathlib
import pty
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

from playwright.sync_api import sync_playwright

ROOT = pathlib.Path(__file__).resolve().parent.parent
binary = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / ".build/release/fusebox").absolute()
images = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else ROOT / "docs/images")
images.mkdir(parents=True, exist_ok=True)
PLACES = {"overview": "#/overview?range=15m", "fuses": "#/fuses?range=15m", "trace": None}
COLOURS = {"31": "#d9604f", "33": "#c9a04a", "34": "#6aa5dd", "35": "#a797ec", "36": "#5fc2c0", "37": "#a9b0b6", "2": "#8a9198"}


def ask(url, path):
    with urllib.request.urlopen(url + path) as answer:
        return json.load(answer)


def on_a_terminal(arguments, columns=110):
    """What a command prints to a terminal of that width."""
    master, slave = pty.openpty()
    import fcntl, struct, termios
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(arguments, stdout=slave, stderr=slave, stdin=subprocess.DEVNULL)
    os.close(slave)
    text = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:
            break
        if not part:
            break
        text += part
    process.wait()
    return text.decode().replace("\r\n", "\n")


def as_page(command, text):
    """Terminal output as HTML."""
    out, colour = [], None
    for part in re.split(r"(\x1b\[\d+m)", text):
        found = re.fullmatch(r"\x1b\[(\d+)m", part)
        if found:
            colour = COLOURS.get(found[1])
        elif part:
            out.append(f'<span style="color:{colour}">{html.escape(part)}</span>' if colour else html.escape(part))
    return ('<body style="margin:0;background:#15181a;color:#dfe3e4"><pre style="display:inline-block;margin:0;padding:22px 26px;'
            'font:15px/1.35 \'DejaVu Sans Mono\',monospace">'
            f'<span style="color:#7cc6d6">$</span> {html.escape(command)}\n\n{"".join(out)}</pre>')


with tempfile.TemporaryDirectory() as folder:
    server = subprocess.Popen(
        [binary, "serve", "--data-dir", folder, "--http-port", "0"], stdout=subprocess.PIPE,
        env={**os.environ, "BREAKER_SETTLE_S": "1", "P95_LATENCY_MS_MAX": "15000"})
    try:
        url = next(found[1] for line in server.stdout if (found := re.search(r"listens on (\S+)", line.decode())))
        subprocess.run([binary, "demo", "--endpoint", url], check=True, stdout=subprocess.DEVNULL)
        time.sleep(3)
        trace = ask(url, "/api/traces?outcome=timeout&tool=weather_api&limit=1")["traces"][0]["trace_id"]
        PLACES["trace"] = f"#/trace/{trace}"
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium") or "chromium", args=["--no-sandbox"])
            tab = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme="light")
            for name, place in PLACES.items():
                tab.goto("about:blank")
                tab.goto(f"{url}/{place}")
                tab.wait_for_selector("#main[data-page]:not([aria-busy])")
                tab.wait_for_timeout(500)
                tab.screenshot(path=images / f"{name}-light.png", timeout=120_000)
            tab = browser.new_page(viewport={"width": 1200, "height": 900}, device_scale_factor=1.5)
            command = f"fusebox trace {trace}"
            tab.set_content(as_page(command, on_a_terminal([binary, "trace", trace, "--data-dir", folder])))
            tab.locator("pre").screenshot(path=images / "terminal.png")
            browser.close()
    finally:
        server.terminate()
        server.wait()
print("\n".join(str(path) for path in sorted(images.glob("*.png"))))
