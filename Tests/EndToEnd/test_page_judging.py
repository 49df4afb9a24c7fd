"""Judging on the page: a queue by keys, evals out and in again, two runs side by side."""

import json
import urllib.parse

import pytest

import wire
from server import poll
from test_page_life import SECOND, now, run

PAYLOAD = "<img src=x onerror=window.broken=1>"


def asked(fusebox, **query):
    answer = fusebox.get("/api/judging?" + urllib.parse.urlencode({"name": "quality", **query}))
    assert answer.status == 200, answer
    return json.loads(answer.body)


def judge(fusebox, *evals):
    answer = fusebox.request("POST", "/api/evals", json.dumps(list(evals)).encode(), {"Content-Type": "application/json"})
    assert answer.status == 200, answer


def asks_a_model(fusebox, session, question):
    """A run with a model call that says what was asked; gives the ids of trace and call."""
    trace, root, call = wire.trace_id(), wire.span_id(), wire.span_id()
    start = now(fusebox) - 60 * SECOND
    said = lambda role, text: json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}])
    spans = [
        wire.span(trace, root, f"run {question}", start=start, end=start + SECOND, attributes=[("workflow_name", "flow"), ("session.id", session)]),
        wire.span(trace, call, "chat", parent=root, start=start, end=start + SECOND, attributes=[
            ("gen_ai.operation.name", "chat"), ("gen_ai.input.messages", said("user", question)), ("gen_ai.output.messages", said("assistant", "because")), ("session.id", session)])]
    assert fusebox.post(wire.batch(*spans)).status == 200
    return trace.hex(), call.hex()


@pytest.fixture
def agents(launch):
    fusebox = launch()
    made = [asks_a_model(fusebox, f"s-{index % 2}", f"question {index} {PAYLOAD}") for index in range(4)]
    return fusebox, made


# What is not judged


def test_unjudged_is_what_no_eval_of_the_name_and_judge_names(agents):
    fusebox, made = agents
    traces, calls = [trace for trace, _ in made], [call for _, call in made]
    listed = lambda of="trace", **query: [one["span_id"] if of == "span" else one["session_id"] if of == "session" else one["trace_id"] for one in asked(fusebox, of=of, **query)["items"]]
    assert sorted(listed()) == sorted(traces)
    judge(fusebox, {"name": "quality", "trace_id": traces[0], "score": 1, "annotator": "ann"}, {"name": "other", "trace_id": traces[1], "score": 1})
    # A judgement of the root is one of the trace; one of a span inside is not.
    root = fusebox.scalar("SELECT span_id FROM spans WHERE trace_id = :trace AND parent_span_id IS NULL", trace=traces[2])
    judge(fusebox, {"name": "quality", "trace_id": traces[2], "span_id": root, "score": 0}, {"name": "quality", "trace_id": traces[3], "span_id": calls[3], "score": 0})
    assert sorted(listed()) == sorted([traces[1], traces[3]])
    assert sorted(listed(annotator="ann")) == sorted(traces[1:]) and sorted(listed(annotator="bob")) == sorted(traces)
    assert calls[3] not in listed("span") and set(calls[:3]) <= set(listed("span"))
    assert sorted(listed("span", stage="llm")) == sorted(calls[:3])
    judge(fusebox, {"name": "quality", "session_id": "s-1", "label": "good"})
    assert listed("session") == ["s-0"]
    assert asked(fusebox, of="session")["judged_count"] == 1
    one = asked(fusebox, limit=1)
    assert len(one["items"]) == 1 and one["truncated"]
    assert fusebox.get("/api/judging").status == 400 and fusebox.get("/api/judging?name=x&of=tool").status == 400


def test_an_eval_of_an_eval_id_judges_the_trace_that_carries_it(launch):
    fusebox = launch()
    judged, other = (run(fusebox, attributes=[("eval_id", one)]) for one in ["e-1", "e-2"])
    judge(fusebox, {"name": "quality", "eval_id": "e-1", "score": 1})
    assert [one["trace_id"] for one in asked(fusebox)["items"]] == [other] and judged != other


# The queue


def test_a_queue_is_judged_by_keys_alone(agents, tab):
    fusebox, made = agents
    page = tab(fusebox).open("#/judge?what=quality&range=all")
    page.tab.wait_for_selector(".judged-item .message")
    assert page.tab.evaluate("document.activeElement.hasAttribute('data-queue')")
    order = [one["trace_id"] for one in asked(fusebox)["items"]]
    shown = lambda: page.tab.get_attribute(".judged-item h2 a", "href")
    progress = lambda: page.text("[data-progress]")
    assert order[0] in shown() and progress() == "1 of 4 · 0 judged now, 0 in all · 4 left"
    page.tab.keyboard.press("4")
    page.tab.keyboard.press("c")
    page.tab.keyboard.type("nearly n j 5")
    page.tab.keyboard.press("Control+Enter")
    poll("the next", lambda: order[1] in shown())
    assert progress() == "2 of 4 · 1 judged now, 1 in all · 3 left"
    assert page.tab.evaluate("document.activeElement.hasAttribute('data-queue')")
    page.tab.keyboard.press("n")
    assert order[2] in shown()
    page.tab.keyboard.press("f")
    page.tab.keyboard.press("Enter")
    poll("the last", lambda: order[3] in shown())
    page.tab.keyboard.press("p")
    page.tab.keyboard.press("Enter")
    poll("back to the one that was skipped", lambda: order[1] in shown())
    # What was judged can be judged again.
    page.tab.keyboard.press("b")
    assert order[0] in shown() and page.tab.input_value(".judge textarea") == "nearly n j 5"
    page.tab.keyboard.press("5")
    page.tab.keyboard.press("Enter")
    poll("on to what is left", lambda: order[1] in shown())
    page.tab.keyboard.press("Enter")
    page.tab.get_by_text("A score, a label or a comment is needed").wait_for()
    page.tab.keyboard.press("1")
    page.tab.keyboard.press("Enter")
    page.tab.get_by_text("All judged").wait_for()
    rows = {row["trace_id"]: row for row in fusebox.sql("SELECT trace_id, span_id, name, score, label, explanation, annotator_kind FROM evals")}
    assert [(rows[one]["score"], rows[one]["label"]) for one in order] == [(1, None), (0, None), (0, "fail"), (1, "pass")]
    assert rows[order[0]]["explanation"] == "nearly n j 5"
    assert {(row["name"], row["span_id"], row["annotator_kind"]) for row in rows.values()} == {("quality", None, "HUMAN")}
    page.tab.keyboard.press("Enter")
    page.tab.get_by_text("Nothing left to judge").wait_for()
    assert page.tab.evaluate("window.broken") is None
    page.check()


@pytest.mark.parametrize("of, shows", [("span", "question"), ("session", "because")])
def test_spans_and_sessions_are_judged_too(agents, tab, of, shows):
    fusebox, made = agents
    page = tab(fusebox).open(f"#/judge?range=all&of={of}&what=tone&stage={'llm' if of == 'span' else ''}")
    page.tab.wait_for_selector(".judged-item .message")
    assert shows in page.text(".judged-item")
    page.tab.keyboard.press("2")
    page.tab.keyboard.press("Enter")
    poll("stored", lambda: fusebox.scalar("SELECT count(*) FROM evals WHERE name = 'tone'") == 1)
    row = fusebox.sql("SELECT trace_id, span_id, session_id, score FROM evals")[0]
    assert row["score"] == 0.25 and (row["span_id"] in [call for _, call in made] if of == "span" else row["session_id"] in ("s-0", "s-1") and row["trace_id"] is None)
    page.check()


def test_the_queue_takes_the_filters_of_the_list_of_traces(agents, tab):
    fusebox, made = agents
    failed = run(fusebox, "failed", attributes=[("tool_name", "search")], extra=wire.data(15, wire.number(3, 2)))
    page = tab(fusebox).open("#/traces?range=all&tool=search")
    page.tab.get_by_role("link", name="Judge these").click()
    page.tab.wait_for_selector(".judged-item")
    assert failed in page.tab.get_attribute(".judged-item h2 a", "href") and "1 of 1" in page.text("[data-progress]")
    page.tab.get_by_role("button", name="Remove the filter tool search").click()
    poll("all of them", lambda: "of 5" in page.text("[data-progress]"))
    page.tab.select_option("label:has-text('Run') select", "error")
    poll("the failed one", lambda: "1 of 1" in page.text("[data-progress]"))
    page.check()


# Out and in again


FIELDS = "eval_id, run_id, example_id, name, score, label, explanation, annotator, annotator_kind, trace_id, span_id, session_id, response_id, error, dataset, git_revision, metadata, source, created_unix_nano"


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_an_export_is_imported_as_the_same_rows(launch, tmp_path, form):
    fusebox, other = launch(), launch()
    trace, span = wire.trace_id(), wire.span_id()
    event = wire.data(11, wire.fixed64(1, wire.BASE_TIME) + wire.data(2, "gen_ai.evaluation.result") + wire.data(3, wire.attribute("gen_ai.evaluation.name", "faithfulness")) + wire.data(3, wire.attribute("gen_ai.evaluation.explanation", " {\"a\": \"b, c\"}\n")))
    assert fusebox.post(wire.batch(wire.span(trace, span, extra=event))).status == 200
    judge(fusebox, *[{"name": "quality", "eval_id": f"e-{index}", "score": index / 3, "run_id": "r-1" if index % 2 else "r-2", "dataset": "qa", "explanation": f"line {index}\nand \"quotes\", commas",
                      "annotator": "ann", "metadata": {"n": index}, "timestamp": f"2026-01-0{index + 1}T00:00:00.123456789Z"} for index in range(4)])
    rows = fusebox.sql(f"SELECT {FIELDS} FROM evals ORDER BY name, eval_id")
    assert len(rows) == 5
    file = tmp_path / f"evals.{form}"
    folder = lambda server: ["--data-dir", str(server.folder)]
    done = fusebox.run("eval", "export", "--format", form, str(file), *folder(fusebox))
    assert done.returncode == 0 and b"wrote 5 evals" in done.stdout, done.stderr
    assert fusebox.run("eval", "export", "--format", form, *folder(fusebox)).stdout == file.read_bytes()
    answer = fusebox.get(f"/api/evals?format={form}")
    assert answer.body == file.read_bytes() and answer.headers["Content-Type"].startswith({"jsonl": "application/x-ndjson", "csv": "text/csv"}[form])
    done = other.run("eval", "import", "--strict", str(file), *folder(other))
    assert done.returncode == 0 and b"evals: 5 (5 new" in done.stdout, done.stdout + done.stderr
    assert other.sql(f"SELECT {FIELDS} FROM evals ORDER BY name, eval_id") == rows
    assert b"5 as before" in fusebox.run("eval", "import", str(file), *folder(fusebox)).stdout
    # A file that is there is not written over.
    assert fusebox.run("eval", "export", str(file), *folder(fusebox)).returncode == 1

    def names(*arguments, path=""):
        lines = fusebox.run("eval", "export", *arguments, *folder(fusebox)).stdout.decode().splitlines()
        assert fusebox.get(f"/api/evals?format=jsonl&{path}").body.decode().splitlines() == lines
        return [json.loads(line)["eval_id"] for line in lines]

    assert names("--run", "r-1", path="run=r-1") == ["e-1", "e-3"]
    assert names("--name", "faithfulness", path="name=faithfulness") == [None]
    assert names("--name", "quality", "--since", "2026-01-03", path="name=quality&from=1767398400000000000") == ["e-2", "e-3"]
    assert fusebox.get("/api/evals?format=xml").status == 400


# Two runs


@pytest.fixture
def runs(launch):
    fusebox = launch()
    scores = {"nightly-1": [0.9, 0.8, 0.7, 0.6], "nightly-2": [0.95, 0.3, 0.7, 0.5], "elsewhere": [1, 1]}
    for day, (name, values) in enumerate(scores.items()):
        judge(fusebox, *[{"name": "quality", "eval_id": f"e-{index}", "run_id": name, "dataset": "other" if name == "elsewhere" else "qa", "score": score, "label": "pass" if score >= 0.5 else "fail",
                          "explanation": f"{PAYLOAD} {score}", "timestamp": f"2026-01-0{3 - day if name == 'elsewhere' else day + 2}T00:00:00Z"} for index, score in enumerate(values)])
    return fusebox


def test_two_runs_stand_side_by_side_with_what_got_worse_first(runs, tab):
    page = tab(runs).open("#/evals?view=runs")
    page.tab.wait_for_selector("[data-cases] table")
    assert "nightly-1 → nightly-2" in page.text("[data-summary]")
    assert "2 got worse, 1 better, 1 the same" in page.text("[data-summary]")
    cells = lambda: [row.locator("td").all_inner_texts()[:5] for row in page.tab.locator("[data-cases] tbody tr").all()]
    assert cells() == [
        ["e-1", "quality", "broke", "0.8 → 0.3", "pass → fail"], ["e-3", "quality", "worse", "0.6 → 0.5", "pass"], ["e-0", "quality", "better", "0.9 → 0.95", "pass"]]
    document = json.loads(runs.get("/api/evals/compare?a=nightly-1&b=nightly-2").body)
    told = json.loads(runs.run("eval", "compare", "nightly-1", "nightly-2", "--limit", "500", "--format", "json", "--data-dir", str(runs.folder)).stdout)
    assert document["sections"] == told["sections"] and [row["case"] for row in told["sections"]["cases"]["rows"]] == ["e-1", "e-3", "e-0", "e-2"]
    page.tab.get_by_role("button", name="For quality, higher is better").click()
    page.tab.get_by_role("button", name="For quality, lower is better").wait_for()
    assert cells()[0][2:] == ["broke", "0.8 → 0.3", "pass → fail"] and cells()[1][0] == "e-0"
    page.tab.select_option("label:has-text('Data set') select", "qa")
    page.tab.get_by_role("button", name="nightly-2 as A").click()
    page.tab.get_by_role("button", name="nightly-1 as B").click()
    page.tab.get_by_text("nightly-2 → nightly-1").wait_for()
    assert page.tab.evaluate("window.broken") is None
    page.check()


def test_a_build_fails_when_more_cases_than_allowed_got_worse(runs):
    code = lambda *arguments: runs.run("eval", "compare", *arguments, "--data-dir", str(runs.folder)).returncode
    assert code("nightly-1", "nightly-2") == 0
    assert code("nightly-1", "nightly-2", "--worse-max", "1") == 1 and code("nightly-1", "nightly-2", "--worse-max", "2") == 0
    assert code("nightly-1", "never") == 3
    listed = runs.run("eval", "runs", "--dataset", "qa", "--data-dir", str(runs.folder)).stdout.decode()
    assert "nightly-2" in listed and "elsewhere" not in listed


@pytest.mark.parametrize("width", [390, 1280, 2560])
@pytest.mark.parametrize("place", ["#/evals?view=runs", "#/judge?what=new&range=all", "#/evals?range=all"])
def test_pages_of_evals_fit_and_say_their_names(runs, tab, place, width):
    from test_page import ACCESSIBILITY
    asks_a_model(runs, "s", f"{PAYLOAD} " + "long " * 400)
    page = tab(runs, width).open(place)
    if "judge" in place:
        page.tab.wait_for_selector(".judged-item .message")
    assert page.tab.evaluate("document.documentElement.scrollWidth") <= width
    assert page.tab.evaluate(ACCESSIBILITY) == []
    page.check()
