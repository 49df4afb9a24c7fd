"""TraceQL by random queries over random traces against what they mean over plain spans, and by what Grafana's own code asks."""

import json
import urllib.parse

import pytest

import traceql_model as model
import wire

BASE = wire.BASE_TIME // model.SECOND * model.SECOND
TRACES = 60


@pytest.fixture(scope="module")
def store(shared):
    traces = model.random_traces(model.chosen(1), TRACES, BASE)
    assert shared.post(model.request(traces)).status == 200
    return shared, traces


def ask(server, path, **parameters):
    answer = server.get(f"/tempo/api/{path}?{urllib.parse.urlencode(parameters)}")
    assert answer.status == 200, (parameters, answer)
    return json.loads(answer.body)


def found(server, query):
    """The spans that a search gives, by trace."""
    traces = ask(server, "search", q=query, limit=500, spss=100)["traces"]
    return {trace["traceID"].zfill(32): {span["spanID"] for own in trace["spanSets"] for span in own["spans"]} for trace in traces}


@pytest.mark.parametrize("seed", range(8))
def test_random_queries_mean_what_they_mean_over_plain_spans(store, seed):
    server, traces = store
    choice = model.chosen(100 + seed)
    answered = 0
    for _ in range(40):
        query = model.random_query(choice)
        wanted = {}
        for trace in traces:
            spans = model.spans(query, trace)
            if spans:
                wanted[trace.spans[0].trace.hex()] = {span.identity.hex() for span in spans}
        text = model.text(query)
        assert found(server, text) == wanted, text
        answered += bool(wanted)
    assert answered > 10


@pytest.mark.parametrize("seed", range(2))
def test_counts_over_time_are_those_of_plain_spans(store, seed):
    server, traces = store
    choice = model.chosen(200 + seed)
    step, end = 300, BASE // model.SECOND + TRACES * 60 + 600
    start = BASE // model.SECOND // step * step
    for _ in range(15):
        query = model.random_query(choice)
        counts = {}
        for trace in traces:
            for span in model.spans(query, trace):
                bucket = span.start // (step * model.SECOND)
                key = model.STATUSES[span.status]
                counts.setdefault(key, {}).setdefault((bucket + 1) * step * 1000, 0)
                counts[key][(bucket + 1) * step * 1000] += 1
        text = f"{model.text(query)} | count_over_time() by (status)"
        series = ask(server, "metrics/query_range", q=text, start=start, end=end, step=f"{step}s")["series"]
        told = {own["labels"][0]["value"]["stringValue"]: {int(sample["timestampMs"]): sample["value"] for sample in own["samples"]} for own in series}
        assert {key: {time: value for time, value in own.items() if value} for key, own in told.items()} == counts, text
        # Idle steps are there with 0, in every series alike.
        assert len({tuple(sorted(own)) for own in told.values()}) <= 1


# Grafana's Tempo data source and Traces Drilldown (grafana/grafana, grafana/traces-drilldown: utils/shared.ts, pages/Explore/queries)
DRILLDOWN = [
    "{nestedSetParent<0 && true} | rate() with(sample=true)", "{nestedSetParent<0 && true && status=error} | rate() by(resource.service.name)",
    "{nestedSetParent<0 && true} | quantile_over_time(duration, .9) by(name)", "{nestedSetParent<0} | histogram_over_time(duration) with(sample=true)",
    "{kind=client && true} | rate() by (kind)", '{span.a!=""} | rate()', "{} | rate() by (resource.service.name) | topk(1)",
    "{} | count_over_time() by (name) | bottomk(2)", "{} | rate() by (name) > 0 | topk(2)", "{} | count_over_time() >= 0", "{} | max_over_time(duration) > 1ms",
    "{true && resource.service.name != nil} | quantile_over_time(duration, 0.5, 0.9) by(resource.service.name) with(sample=true)", "{} | avg_over_time(duration)", "{status=error} | max_over_time(span:duration) by (rootName)",
    "{nestedSetParent<0} | compare({status=error}, 10)", "{true} | compare({duration > 1s}, 10, 1, 2)",
]
SEARCHES = [
    "({nestedSetParent<0 && true} &>> { status = error }) || ({nestedSetParent<0 && true}) | select(status, resource.service.name, name, nestedSetParent, nestedSetLeft, nestedSetRight)",
    "({nestedSetParent<0} &>> { kind = server }) || ({nestedSetParent<0}) | select(nestedSetLeft)",
    '{true && event.exception.message != ""} | select(resource.service.name, event.exception.message, event.exception.type) with(most_recent=true)',
    "{traceDuration>10s}", "{trace:duration>100s}", '{rootName="n1"}', '{trace:rootName="n1" && trace:rootService="s1"}', '{event:name="exception"}',
    "{event:timeSinceStart > 1ms}", '{instrumentation:name="scope of s1"}', '{instrumentation:version!=""}', '{link:spanID="x"}', '{link:traceID="x"}',
    "{span:childCount > 1}", "{} > {} | count() > 1", "{status=error} >> {} | by(resource.service.name) | avg(duration) > 1s", "{duration > 1m30s}",
    "{ parent = nil }", "{ span.a + 1 > duration / 1ms }", "{ 1s < duration }", '{ parent.name = "n1" && parent.span.a != nil }',
    "{ traceDuration - duration < 1s } | select(parent.name, parent.span.a) | by(parent.name)", "{span.a = 9007199254740993}", "{ } !>> { }", "{ } ~ { }", "{ !(status = ok) }",
    "count() > 2", "by(name) | count() > 1", "select(span.a)", "{} | count() / 2 > 1", "{} | avg(duration) * 2 > 1s", "{} | max(duration) - min(duration) > 100ms",
    "{} | 2 < count()", "{} | (count() + 1) * 2 > 4", "{} | sum(span.a + 1) > 2", "{} | by(duration / 1s) | count() > 1", "{} | {status = error} >> {}", "{} | ({} && {name = `n1`})",
    '{instrumentation.kept = 7}', '{span.a > minInt && span.a < maxInt}', "{nil != span.a}", '{status="error"} | select(status)'.replace('"error"', "error"),
]


@pytest.mark.parametrize("query", DRILLDOWN)
def test_what_drilldown_asks_of_metrics_is_answered(store, query):
    server, _ = store
    answer = ask(server, "metrics/query_range", q=query, start=BASE // model.SECOND, end=BASE // model.SECOND + 3600, step="60s")
    assert answer["series"], query


@pytest.mark.parametrize("query", SEARCHES)
def test_what_grafana_asks_of_searches_is_answered(store, query):
    server, _ = store
    ask(server, "search", q=query, limit=20, spss=10)


@pytest.mark.parametrize("query", [
    "{ .a + .b }", '{ span.a + "x" = 2 }', "{ name = duration }", "{ event.text = span.a }", "{ nonsense = 1 }", '{ name =~ "(?=x)" }', '{ name =~ "(a" }', "{ name = 1 }", '{ duration = "x" }', "{ status = good }",
    "{} | nonsense()", "{} | count()", "{} | rate() | rate()", "{} | 1 < 2", "{} | max(name) > 1", "{} | avg(event.text) > 1", "{} | sum(1) > 1", "{} | count(", "{} | by(1)",
    "({} | count()) > 3", "({} | rate()) / ({} | rate())", "{} | compare({}) > 3", "{} | rate() > `x`", "{} | count() + 1", "rate()", "| count() > 1", "{ status < parent.status }", "({} | rate()) && {}", "{} >", "{} with(nonsense=1)", "{} {}",
])
def test_what_is_beyond_it_is_refused_with_a_reason(store, query):
    server, _ = store
    answer = server.get(f"/tempo/api/search?{urllib.parse.urlencode({'q': query})}")
    assert answer.status == 400 and len(answer.body) > 20, (query, answer)


def test_numbers_keep_their_digits_and_arrays_are_looked_into(store):
    server, traces = store
    for text, value in [("9007199254740993", 9007199254740993), ('"x"', "x"), ("true", True), ("1", 1)]:
        wanted = {span.identity.hex() for trace in traces for span in trace.spans if model.compare(span.attributes.get("a"), "=", value)}
        got = found(server, "{ span.a = %s }" % text)
        assert set().union(*got.values()) == wanted, text
        assert wanted


def test_a_differing_selection_is_told_by_its_values(store):
    """compare() counts each value of each attribute in the selection and in the rest."""
    server, traces = store
    series = ask(
        server, "metrics/query_range", q="{} | compare({status = error}, 100)", start=BASE // model.SECOND, end=BASE // model.SECOND + 7200, step="7200s")["series"]
    told = {}
    for own in series:
        (_, kind), (name, value) = [(label["key"], label["value"].get("stringValue")) for label in own["labels"]]
        told[kind, name, value] = sum(sample["value"] for sample in own["samples"])
    spans = [span for trace in traces for span in trace.spans]
    for kind, isError in [("selection", True), ("baseline", False)]:
        for name in ["n1", "n2", "n3"]:
            assert told[kind, "name", name] == sum(span.name == name and (span.status == 2) == isError for span in spans)
        assert told[f"{kind}_total", "resource.service.name", "nil"] == sum((span.status == 2) == isError for span in spans)


@pytest.mark.parametrize("symbol, kept", [(">", lambda value: value > 1), ("<=", lambda value: value <= 1), ("=", lambda value: value == 0)])
def test_a_comparison_behind_a_metric_leaves_the_samples_that_meet_it(store, symbol, kept):
    server, _ = store
    times = {"start": BASE // model.SECOND, "end": BASE // model.SECOND + 3600, "step": "60s"}

    def told(query):
        series = ask(server, "metrics/query_range", q=query, **times)["series"]
        return {own["labels"][0]["value"]["stringValue"]: {sample["timestampMs"]: sample["value"] for sample in own["samples"]} for own in series}

    whole = told("{} | count_over_time() by (name)")
    number = 0 if symbol == "=" else 1
    wanted = {name: {time: value for time, value in own.items() if kept(value)} for name, own in whole.items()}
    assert told(f"{{}} | count_over_time() by (name) {symbol} {number}") == {name: own for name, own in wanted.items() if own}


def test_a_group_is_named_by_what_it_was_made_of(store):
    server, _ = store
    found = ask(server, "search", q="{} | by(span.a * 2) | count() > 0", limit=100, spss=100)["traces"]
    assert {own["key"] for trace in found for group in trace["spanSets"] for own in group["attributes"]} == {"by(span.a * 2)"}


def test_tags_are_those_of_all_that_has_attributes(store):
    server, _ = store
    scopes = {scope["name"]: scope["tags"] for scope in ask(server, "v2/search/tags")["scopes"]}
    assert scopes["instrumentation"] == ["kept"] and scopes["event"] == ["text"] and scopes["link"] == [] and scopes["resource"] == ["b", "service.name"]
    assert {row["value"] for row in ask(server, "v2/search/tag/instrumentation.kept/values")["tagValues"]} == {"7", "seven"}
