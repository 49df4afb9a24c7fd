"""What sessions, users and workflows cost, at the API and on the page; whom agents worked for."""

import json
import urllib.parse

import pytest

import wire
from server import Fusebox, poll
from test_page_life import SECOND, now, run

PRICES = "models:\n  - {model: m-1, input: 10, cache_read: 1, cache_write: 100, output: 20}\n"


def call(trace, parent, start, model="m-1", **tokens):
    names = {"input": "gen_ai.usage.input_tokens", "output": "gen_ai.usage.output_tokens", "cached": "gen_ai.usage.cache_read.input_tokens", "reasoning": "gen_ai.usage.reasoning.output_tokens"}
    attributes = [("gen_ai.operation.name", "chat"), ("gen_ai.request.model", model), *[(names[name], count) for name, count in tokens.items()]]
    return wire.span(trace, wire.span_id(), f"chat {model}", parent=parent, start=start, end=start + SECOND // 2, attributes=attributes)


def answer(fusebox, name, at, calls, attributes):
    """A run of a workflow with calls to models; gives its trace id."""
    trace, root = wire.trace_id(), wire.span_id()
    spans = [wire.span(trace, root, name, start=at, end=at + SECOND, attributes=[("workflow_name", name), ("input.value", f"question of {name}"), *attributes])]
    spans += [call(trace, root, at + 1, **one) for one in calls]
    assert fusebox.post(wire.batch(*spans)).status == 200
    return trace.hex()


@pytest.fixture(scope="module")
def spent(binary, tmp_path_factory):
    folder = tmp_path_factory.mktemp("spent") / "data"
    folder.mkdir()
    (folder / "prices.yaml").write_text(PRICES)
    fusebox = Fusebox(binary, folder, {"FUSEBOX_LIST_PRICES": "false"}).start()
    at = now(fusebox) - 600 * SECOND
    million = {"input": 1_000_000, "output": 100_000, "cached": 500_000, "reasoning": 40_000}
    answer(fusebox, "plan", at, [million], [("session.id", "s-1"), ("user.id", "ann")])
    answer(fusebox, "plan", at + 5 * SECOND, [{"input": 100_000, "output": 10_000, "model": "unknown"}, {"input": 100_000, "output": 0}], [("session.id", "s-1"), ("enduser.id", "ann")])
    answer(fusebox, "look", at + 10 * SECOND, [{"input": 1000, "output": 10, "model": "unknown"}], [("session.id", "s-2"), ("langfuse.user.id", "<b>bob</b>")])
    run(fusebox, "quiet", start=at)
    yield fusebox
    fusebox.stop()


def ask(fusebox, path, **query):
    found = fusebox.get(path + "?" + urllib.parse.urlencode(query))
    assert found.status == 200, found
    return json.loads(found.body)


def test_sums_are_those_of_the_calls_and_an_unpriced_model_makes_them_at_least(spent):
    # 0.5 M at 10, 0.5 M at 1, 0.1 M at 20, and 0.1 M at 10.
    first = 5 + 0.5 + 2 + 1
    expected = {"tokens": 1_310_000, "input_tokens": 700_000, "cached_tokens": 500_000, "cache_write_tokens": 0, "output_tokens": 110_000, "reasoning_tokens": 40_000,
                "unspecified_tokens": 0, "dollars": pytest.approx(first), "unpriced_tokens": 110_000}
    (session,) = ask(spent, "/api/sessions", id="s-1")
    (user,) = ask(spent, "/api/users", id="ann")
    (workflow,) = [one for one in ask(spent, "/api/workflows") if one["workflow_name"] == "plan"]
    for one in (session, user, workflow):
        assert {name: one[name] for name in expected} == expected, one
    assert session["user_id"] == "ann" and session["trace_count"] == 2 and user["session_count"] == 1 and workflow["runs"] == 2
    (unpriced,) = ask(spent, "/api/users", id="<b>bob</b>")
    assert unpriced["dollars"] is None and unpriced["tokens"] == unpriced["unpriced_tokens"] == 1010
    (quiet,) = [one for one in ask(spent, "/api/workflows") if one["workflow_name"] == "flow"]
    assert quiet["runs"] == 1 and quiet["tokens"] is None and quiet["dollars"] is None and quiet["unpriced_tokens"] == 0
    traces = ask(spent, "/api/traces", user="ann")["traces"]
    assert sum(one["dollars"] for one in traces) == pytest.approx(first) and {one["user_id"] for one in traces} == {"ann"}
    assert spent.sql("SELECT user_id, session_count, trace_count, tokens FROM users ORDER BY 1") == [
        {"user_id": "<b>bob</b>", "session_count": 1, "trace_count": 1, "tokens": 1010}, {"user_id": "ann", "session_count": 1, "trace_count": 2, "tokens": 1_310_000}]


def test_lists_of_sessions_and_users_go_on_behind_a_cursor_and_by_user(spent):
    for path, key in [("/api/sessions", "session_id"), ("/api/users", "user_id")]:
        whole = ask(spent, path)
        assert len(whole) == 2
        (first,) = ask(spent, path, limit=1)
        (second,) = ask(spent, path, limit=1, cursor=f"{first['end_time_unix_nano']}-{first[key]}")
        assert [first, second] == whole
        assert ask(spent, path, to="-30m") == []
        assert spent.get(f"{path}?cursor=x").status == 400
    assert [one["session_id"] for one in ask(spent, "/api/sessions", user="ann")] == ["s-1"]
    listed = spent.run("traces", "--data-dir", str(spent.folder), "--user", "ann", "--format", "json")
    assert [one["user_id"] for one in json.loads(listed.stdout)] == ["ann", "ann"]


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_shows_what_sessions_users_and_workflows_cost(spent, tab, width):
    page = tab(spent, width).open("#/sessions")
    assert all(text in page.text() for text in ["≥ $8.50", "500 k cached, 40,000 reasoning", "110 k tokens unpriced", "no price"]), page.text()
    page.open("#/users")
    assert "≥ $8.50" in page.text() and "<b>bob</b>" in page.text()
    page.tab.get_by_role("link", name="ann", exact=True).click()
    page.tab.wait_for_selector("h1:has-text('User ann')")
    assert all(text in page.text() for text in ["≥ $8.50", "s-1", "question of plan", "500 k cached"]), page.text()
    assert page.tab.locator("a.trace-row").count() == 2
    page.tab.get_by_role("link", name="All traces").click()
    poll("her traces", lambda: page.tab.locator("a.trace-row").count() == 2 and "user=ann" in page.tab.url)
    page.open("#/session?id=s-1")
    assert "≥ $8.50" in page.text(".head") and "User ann" in page.text(".head")
    page.open("#/overview")
    page.tab.wait_for_selector("text=no price")
    table = page.text("section.below")
    assert "plan" in table and "≥ $8.50" in table and "look" in table
    page.open(f"#/trace/{ask(spent, '/api/traces', user='ann')['traces'][0]['trace_id']}")
    assert "≥ $1.00" in page.text(".facts") and "110 k tokens unpriced" in page.text(".facts")
    page.tab.get_by_role("link", name="User ann").click()
    page.tab.wait_for_selector("h1:has-text('User ann')")
    assert page.tab.evaluate("document.documentElement.scrollWidth") <= width
    page.check()
