"""Clients that begin a request and do not go on."""

import threading
import time

from wire import Bare, post_head

# Common servers wait up to 90 s for the next request of a connection.
SECONDS_MAX = 100

_HEAD = b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\n"

# What is sent at first, and what every half second after.
CASES = {
    "silent from the start": (b"", b""),
    "header that never ends": (_HEAD + b"X-Slow: ", b""),
    "header that drips": (_HEAD + b"X-Slow: ", b"x"),
    "headers that drip": (_HEAD, b"X-Slow: 1\r\n"),
    "body that never comes": (post_head(1000) + b"abc", b""),
    "kept alive and idle": (post_head(0), b""),
}


class Staller:
    """One such client, on a thread of its own."""

    def __init__(self, port, start, drip):
        self.bare = Bare(port, timeout=0.5)
        self.answer = b""
        self.closed_after = None
        self.drip = drip
        self.started = time.monotonic()
        self.bare.send(start)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while time.monotonic() < self.started + SECONDS_MAX:
            try:
                received = self.bare.socket.recv(65536)
                self.answer += received
                if not received:
                    break
            except TimeoutError:
                if self.drip and not self.bare.send_quietly(self.drip):
                    break
            except OSError:
                break
        else:
            return
        self.closed_after = time.monotonic() - self.started
