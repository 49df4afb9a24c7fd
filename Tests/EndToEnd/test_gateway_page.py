"""The page and the API about a gateway."""

import json

import model_server as does
from server import poll
from test_gateway import backend, gateway  # noqa: F401
from test_gateway_processes import supervise  # noqa: F401


def test_the_api_tells_what_the_gateways_own_status_tells(gateway, backend):  # noqa: F811
    stand = gateway()
    stand.stream()
    poll("its health is known", lambda: stand.backend()["health"]["state"] == "ready")
    told = json.loads(stand.fusebox.get("/api/gateway").body)["gateway"]
    own = stand.status()
    assert told["models"] == own["models"] and told["backends"][0]["slots"] == own["backends"][0]["slots"] == 1
    assert 0 <= told["backends"][0]["first_token_p95_s"] < 5 and told["backends"][0]["breaker_changes"] == []


def test_without_a_gateway_the_api_says_so(fusebox):
    assert json.loads(fusebox.get("/api/gateway").body) == {"gateway": None}


def test_the_page_shows_backends_breakers_and_who_waits(gateway, backend, tab):  # noqa: F811
    backend.behave(does.headers_only)
    stand = gateway(fuses={"first_token_s": 0.2}, breaker={"threshold": 1, "cooldown_s": 600})
    assert stand.code()[0] == 504
    page = tab(stand.fusebox).open("#/gateway")
    text = page.text()
    assert all(word in text for word in ["Models", "Backends", "b0", "0 of 1", "open", "Breakers"]), text
    assert page.tab.locator(".lane .open").count() == 1
    assert not page.problems, page.problems


def test_the_page_shows_processes(supervise, tab):  # noqa: F811
    stand = supervise()
    process = stand.ready()
    page = tab(stand.fusebox).open("#/gateway")
    text = page.text()
    assert "Processes" in text and str(process["pid"]) in text and "ready" in text
    assert not page.problems, page.problems
