"""Clients that stall: each is cut off in the end. They start with the session, since waiting is all there is to do with them."""

import time

import pytest

from server import poll
from stalling import CASES, SECONDS_MAX


@pytest.mark.parametrize("case", CASES)
def test_stalled_clients_are_cut_off(stallers, case):
    staller = stallers[case]
    left = max(1, staller.started + SECONDS_MAX - time.monotonic())
    poll(f"{case}: closed", lambda: staller.closed_after is not None, left)
    if case == "kept alive and idle":
        assert staller.answer.startswith(b"HTTP/1.1 200"), staller.answer
    elif staller.answer:
        assert staller.answer.startswith(b"HTTP/1.1 408"), staller.answer


def test_nothing_is_left_of_them(stallers, stalling_server):
    poll("no request left over", lambda: stalling_server.metrics().value("fusebox_ingest_inflight_requests") == 0)
