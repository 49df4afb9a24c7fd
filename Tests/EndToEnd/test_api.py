"""The API: what it answers agrees with SQL, and its bounds hold."""

import json
import time
import urllib.parse

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import captures
import wire
from server import Fusebox, poll
from traceql_model import fill

NAME = "handmade"


@pytest.fixture(scope="module")
def agents(binary, tmp_path_factory):
    server = Fusebox(binary, tmp_path_factory.mktemp("api") / "data", {"BREAKER_SETTLE_S": "1"}).start()
    for name in captures.NAMES:
        captures.replay_all(server, name)
    server.settled()
    yield server
    server.stop()


def ask(server, path, **query):
    answer = server.get(path + ("?" + urllib.parse.urlencode(query, doseq=True) if query else ""))
    assert answer.status == 200 and answer.headers["Content-Type"] == "application/json", answer
    return json.loads(answer.body)


def refused(answer, status):
    assert answer.status == status, answer
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = json.loads(answer.body)
    assert set(problem) == {"type", "title", "status", "detail"} and problem["status"] == status and problem["detail"]
    return problem["detail"]


def post_sql(server, query, path="/api/sql", **headers):
    return server.request("POST", path, body=query.encode(), headers={"Content-Type": "application/sql", **headers})


@pytest.mark.parametrize("path", ["/api/status", "/api/overview", "/api/services", "/api/values?column=tool_name", "/api/tools", "/api/breakers", "/api/gateway", "/api/forward", "/api/traces",
                                  "/api/sessions", "/api/session?id=s-1", "/api/users", "/api/workflows", "/api/evals", "/api/evals?run=x&from=-1h", "/api/evals/runs", "/api/evals/compare?a=x&b=y", "/api/judging?name=quality", "/api/judging?name=quality&of=span&min_ms=5&q=a", "/api/judging?name=quality&of=session&service=x", "/api/costs", "/api/compare", "/api/gates", "/api/stalls", "/api/schema"])
def test_every_path_answers(agents, path):
    answer = agents.get(path)
    assert answer.status == 200, answer
    json.loads(answer.body)


@pytest.mark.parametrize("path, status", [
    ("/api/nothing", 404), ("/api/traces?status=x", 400), ("/api/traces?from=yesterday", 400), ("/api/traces?from=-1h&to=-2h", 400), ("/api/traces?limit=0", 400),
    ("/api/traces?cursor=x", 400), ("/api/traces?attribute=x", 400), ("/api/traces/xyz", 400), ("/api/traces/bad", 404), ("/api/traces/bad/spans/x", 400),
    ("/api/values?column=attributes", 400), ("/api/gates?from=-1h&to=-2h", 400), ("/api/stalls?limit=0", 400), ("/api/session", 400), ("/api/session?id=nobody", 404), ("/api/evals?format=xml", 400), ("/api/evals?format=csv&project=x", 400), ("/api/evals/compare?a=x", 400), ("/api/judging", 400), ("/api/judging?name=x&of=tool", 400), ("/api/judging?name=x&limit=501", 400), ("/api/sql", 405),
])
def test_a_wrong_question_is_told_what_is_wrong(agents, path, status):
    refused(agents.get(path), status)


@pytest.mark.parametrize("limit", [1, 7, 500])
@pytest.mark.parametrize("query", [{}, {"outcome": "timeout"}, {"service": "agent-handmade", "tool": "web_search"}, {"attribute": "tool_name=crm_lookup"},
                                   {"q": "weather"}, {"min_ms": 1000}, {"status": "error"}])
def test_pages_of_traces_have_each_trace_once(agents, query, limit):
    if limit == 1 and not query:
        pytest.skip("as the others, and slow")
    found, cursor = [], None
    while True:
        page = ask(agents, "/api/traces", **query, limit=limit, **({"cursor": cursor} if cursor else {}))
        assert len(page["traces"]) <= limit
        found += page["traces"]
        cursor = page["next_cursor"]
        if not cursor:
            break
    conditions = {
        "outcome": "outcome = 'timeout'", "service": "service_name = 'agent-handmade'", "tool": "tool_name = 'web_search'", "status": "status_code = 2",
        "attribute": "attr(attributes, 'tool_name') = 'crm_lookup'", "q": "(name LIKE '%weather%' OR status_message LIKE '%weather%' OR attributes LIKE '%weather%')"}
    condition = " AND ".join([conditions[key] for key in query if key in conditions] or ["1"])
    expected = {row["trace_id"]: row for row in agents.sql(f"SELECT * FROM traces WHERE trace_id IN (SELECT trace_id FROM spans WHERE {condition})")}
    if "min_ms" in query:
        expected = {trace: row for trace, row in expected.items() if row["duration_ns"] >= 1e9}
    assert len(found) == len(expected) and {trace["trace_id"] for trace in found} == set(expected)
    for trace in found:
        row = expected[trace["trace_id"]]
        for name in ["duration_ns", "span_count", "error_count", "timeout_count", "tokens", "service_name", "workflow_name", "session_id"]:
            # A sum over calls is NULL in the view where there is no call.
            assert trace[name] == (row[name] or 0 if name.endswith("_count") else row[name]), name
        assert int(trace["start_time_unix_nano"]) == row["start_time_unix_nano"]


def test_a_trace_has_its_spans_and_a_span_everything(agents):
    (trace, identity), span = next((key, span) for key, span in captures.spans(NAME).items() if span.events)
    found = ask(agents, f"/api/traces/{trace.upper()}", attributes="true")
    assert not found["truncated"] and found["span_count"] == len(found["spans"]) == sum(own == trace for own, _ in captures.spans(NAME))
    (own,) = [one for one in found["spans"] if one["span_id"] == identity]
    assert int(own["start_time_unix_nano"]) == span.start_time_unix_nano and len(own["events"]) == own["event_count"] == len(span.events)
    whole = ask(agents, f"/api/traces/{trace}/spans/{identity}")
    assert whole["attributes"].keys() == {attribute.key for attribute in span.attributes}
    (row,) = agents.sql("SELECT * FROM spans WHERE trace_id = :t AND span_id = :s", t=trace, s=identity)
    assert whole.keys() == row.keys()


def test_opens_and_cooldown_over_time_add_up_to_the_counters(agents):
    breakers = ask(agents, "/api/breakers")
    totals = ask(agents, "/api/overview")["totals"]
    buckets = ask(agents, "/api/overview", points=500)["buckets"]
    for machine in ["reported", "derived"]:
        counted = [one[machine] for one in breakers["breakers"] if one[machine]]
        assert totals[f"{machine}_opens"] == sum(one["opens"] for one in counted) == sum(bucket[f"{machine}_opens"] for bucket in buckets)
        seconds = sum(one["cooldown_ns"] for one in counted) / 1e9
        assert totals[f"{machine}_cooldown_ns"] / 1e9 == pytest.approx(seconds, rel=0.01)
        assert sum(bucket[f"{machine}_cooldown_ns"] for bucket in buckets) == totals[f"{machine}_cooldown_ns"]


def test_buckets_follow_what_comes_in(agents):
    before = ask(agents, "/api/overview")["totals"]
    assert before == {**ask(agents, "/api/overview")["totals"]}
    agents.post(wire.batch(wire.span(attributes=[("workflow_name", "new"), ("tokens", 5)])))
    after = ask(agents, "/api/overview")["totals"]
    assert after["spans"] == before["spans"] + 1 and after["runs"] == before["runs"] + 1 and after["tokens"] == before["tokens"] + 5


def test_an_overview_holds_what_began_in_its_window_however_wide_its_buckets_are(launch):
    fusebox = launch()
    day = 86_400 * 10**9
    begin = (time.time_ns() // day - 3) * day
    spans = [wire.span(start=begin + second * 10**9, end=begin + (second + 1) * 10**9, attributes=[("tool_name", "web"), ("workflow_name", "w"), ("tokens", 7)])
             for second in range(0, 300, 20)]
    assert fusebox.post(wire.batch(*spans)).status == 200
    # The windows' ends lie within buckets, on their borders, and in one bucket.
    for first, last in [(50, 150), (45, 171), (60, 120), (59, 61), (0, 300), (1, 100_000)]:
        window = {"from": begin + first * 10**9, "to": begin + last * 10**9}
        wanted = len([second for second in range(0, 300, 20) if first <= second < last])
        for points in (10, 120, 500):
            for _ in range(2):
                answer = ask(fusebox, "/api/overview", points=points, **window)
                found = [answer["totals"], {name: sum(bucket[name] for bucket in answer["buckets"]) for name in ("spans", "calls", "runs", "tokens")}]
                for figures in found:
                    assert [figures["spans"], figures["calls"], figures["runs"], figures["tokens"]] == [wanted] * 3 + [7 * wanted], (first, last, points)
        assert sum(one["ok"] for one in ask(fusebox, "/api/tools", **window)) == wanted


def test_a_filter_only_narrows_what_a_window_shows(launch):
    fusebox = launch()
    now = time.time_ns() // 10**9 * 10**9
    root, other = wire.trace_id(), wire.trace_id()
    at = lambda second: now - 600 * 10**9 + second * 10**9
    # A trace that runs into the windows, and one that begins in them.
    for trace, spans in [(root, [("run", 0, 200), ("web", 100, 101), ("web", 160, 161)]), (other, [("run", 120, 130)])]:
        ids = [wire.span_id() for _ in spans]
        assert fusebox.post(wire.batch(*[
            wire.span(trace, identity, name, at(start), at(end), None if place == 0 else ids[0], [("tool_name", name)])
            for place, (identity, (name, start, end)) in enumerate(zip(ids, spans))])).status == 200
    for first, last, everything, web in [
            (50, 150, {root, other}, {root}), (150, 170, {root}, {root}), (0, 50, {root}, set()), (110, 150, {other}, set()), (170, 300, set(), set()),
            (0, 300, {root, other}, {root})]:
        window = {"from": at(first), "to": at(last)}
        for conditions, wanted in [({}, everything), ({"tool": "web"}, web), ({"min_ms": 1}, everything), ({"min_ms": 100_000}, everything & {root})]:
            answer = ask(fusebox, "/api/traces", **window, **conditions)
            assert {one["trace_id"] for one in answer["traces"]} == {trace.hex() for trace in wanted}, (first, last, conditions)
            assert sum(one["traces"] for one in ask(fusebox, "/api/histogram", **window, **conditions)["buckets"]) == len(wanted), (first, last, conditions)
        jaeger = ask(fusebox, "/jaeger/api/traces", service="wire", start=at(first) // 1000, end=at(last) // 1000)["data"]
        assert {one["traceID"] for one in jaeger} == {trace.hex() for trace in everything}
        spans = fusebox.sql("SELECT DISTINCT trace_id FROM spans WHERE start_time_unix_nano >= :a AND start_time_unix_nano < :b", a=at(first), b=at(last))
        assert {one["trace_id"] for one in spans} == {trace.hex() for trace in everything}
    pages, cursor = [], {}
    while True:
        page = ask(fusebox, "/api/traces", **{"from": at(50), "to": at(300)}, limit=1, **cursor)
        pages += [one["trace_id"] for one in page["traces"]]
        if not page["next_cursor"]:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert pages == [other.hex(), root.hex()]


def test_gates_and_stalls_are_what_the_commands_print(agents):
    first, last = (agents.scalar(f"SELECT {edge}_time_unix_nano FROM spans ORDER BY 1 {order} LIMIT 1") for edge, order in [("start", "ASC"), ("end", "DESC")])
    times = ["--since", iso(first // 10**6 * 10**6 - 10**9), "--until", iso(last // 10**6 * 10**6 + 10**9)]
    for path, command in [("/api/gates", "gate"), ("/api/stalls", "stalls")]:
        done = agents.run(command, "--data-dir", str(agents.folder), "--format", "json", *times)
        printed = json.loads(done.stdout)
        found = ask(agents, path, **{"from": printed["window"]["from_unix_nano"], "to": printed["window"]["until_unix_nano"]})
        assert int(found["window"].pop("from_unix_nano")) == printed["window"].pop("from_unix_nano")
        assert int(found["window"].pop("until_unix_nano")) == printed["window"].pop("until_unix_nano")
        assert found == printed, command
    gates = {row["gate"]: row for row in ask(agents, "/api/gates", **{"from": first, "to": last + 1})["sections"]["gates"]["rows"]}
    assert {"p95_latency_ms", "timeouts", "breaker_opens"} <= gates.keys()


def iso(nanoseconds):
    import datetime
    return datetime.datetime.fromtimestamp(nanoseconds / 10**9, datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")



@pytest.mark.parametrize("query", [
    "SELECT count(*) FROM spans", "SELECT service_name, name, count(*) AS n FROM spans GROUP BY 1, 2 ORDER BY n DESC, 1, 2",
    "SELECT attr(attributes, 'gen_ai.request.model') AS m, count(*), percentile(duration_ns, 95) FROM spans GROUP BY m ORDER BY m",
    "WITH s AS (SELECT attr(attributes, 'gen_ai.request.model') AS m, span_id FROM spans) SELECT m, span_id FROM s WHERE m IS NOT NULL ORDER BY 2",
    "SELECT count(*) FROM spans WHERE attributes LIKE '%gen_ai%'", "SELECT * FROM tools ORDER BY 1, 2, 3", "SELECT * FROM traces ORDER BY 1",
    "SELECT count(*) FROM spans WHERE status_code = 2.0",
])
def test_a_query_gives_the_same_by_the_api_and_on_the_command_line(agents, query):
    found = json.loads(post_sql(agents, query, path="/api/sql?limit=10000").body)
    # Integers that JavaScript would round are texts in the API.
    shown = [{name: str(value) if isinstance(value, int) and abs(value) > 2**53 else value for name, value in row.items()} for row in agents.sql(query)]
    assert [dict(zip(found["columns"], row)) for row in found["rows"]] == shown


def test_sql_reads_within_limits(agents):
    found = json.loads(post_sql(agents, "SELECT :a + 1 AS one, :b AS two, 1 << 60 AS three, NULL", path="/api/sql?p.a=41&p.b=x").body)
    assert found == {"columns": ["one", "two", "three", "NULL"], "rows": [[42, "x", str(1 << 60), None]], "row_count": 1, "truncated": False}
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000) SELECT i FROM n"
    found = json.loads(post_sql(agents, many, path="/api/sql?limit=10").body)
    assert found["row_count"] == 10 and found["truncated"]
    wide = many.replace("SELECT i FROM n", "SELECT printf('%.*c', 100000, 'x') FROM n")
    answer = post_sql(agents, wide, path="/api/sql?limit=10000")
    assert json.loads(answer.body)["truncated"] and len(answer.body) < 10 << 20


@pytest.mark.parametrize("query", ["", "DELETE FROM segment", "PRAGMA journal_mode = DELETE", "ATTACH 'x' AS x", "SELECT 1; SELECT 2", "SELECT nonsense", "SELECT :a",
                                   "SELECT load_extension('x')", "INSERT INTO eval(name) VALUES ('x')", "x" * 70_000])
def test_sql_refuses_what_is_no_single_reading_statement(agents, query):
    refused(post_sql(agents, query), 413 if len(query) > 65536 else 400)


def test_sql_from_another_site_s_form_is_refused(agents):
    refused(agents.request("POST", "/api/sql", body=b"SELECT 1", headers={"Content-Type": "text/plain"}), 415)
    assert agents.request("OPTIONS", "/api/sql", headers={"Origin": "http://x", "Access-Control-Request-Method": "POST"}).headers.get("Access-Control-Allow-Origin") is None


def test_the_tail_tells_each_span_once_and_ends_with_the_server(launch):
    server = launch()
    connection = server.connect()
    connection.request("GET", "/api/tail?tool=wanted")
    stream = connection.getresponse()
    assert stream.status == 200 and stream.headers["Content-Type"] == "text/event-stream"
    assert stream.readline() == b"retry: 2000\n"
    sent = []
    for index in range(5):
        identity = wire.span_id()
        sent.append(identity.hex())
        assert server.post(wire.batch(wire.span(identity=identity, attributes=[("tool_name", "wanted")]), wire.span())).status == 200
    found = []
    while len(found) < 5:
        line = stream.readline()
        if line.startswith(b"data: "):
            found += [span["span_id"] for span in reversed(json.loads(line[6:])["spans"])]
    assert sorted(found) == sorted(sent)
    # The connection is still open: the server must end all the same.
    server.stop()
    connection.close()


def test_a_text_is_found_in_names_messages_and_attributes_however_it_is_written(fusebox):
    """Marks of LIKE stand for themselves, and what JSON writes with a backslash is found as people write it."""
    values = ["plain", "100%", "a_b", "axb", 'say "hi"', "back\\slash", "Ärger", json.dumps([{"role": "user", "content": "call web_search"}]), 7, 2.5, True, [1, "listed"], "UPPER lower"]
    message, told = ExportTraceServiceRequest(), {}
    spans = message.resource_spans.add().scope_spans.add().spans
    for number in range(120):
        trace, value, key = wire.trace_id(), values[number % len(values)], ["note", "gen_ai.input.messages", "k%"][number % 3]
        span = spans.add(trace_id=trace, span_id=wire.span_id(), name=f"name_{number % 7}", start_time_unix_nano=wire.BASE_TIME + number, end_time_unix_nano=wire.BASE_TIME + 1000)
        fill(span.attributes.add(key=key).value, value)
        told[trace.hex()] = [span.name, json.dumps({key: value}, ensure_ascii=False, separators=(",", ":"))]
    assert fusebox.post(message.SerializeToString()).status == 200
    lower = str.maketrans({chr(code): chr(code + 32) for code in range(65, 91)})
    needles = ["plain", "%", "_", "100%", "a_b", "a%b", 'say "hi"', "say", "\\", "back\\slash", "Ärger", "ärger", "web_search", "WEB_SEARCH", "upper LOWER", "name_3", "ame_", "7", "2.5", "true",
               "listed", "k%", "gen_ai.input", "user", "nowhere", '":"', "e"]
    for needle in needles:
        escaped = json.dumps(needle, ensure_ascii=False)[1:-1]
        wanted = {trace for trace, (name, attributes) in told.items()
                  if needle.translate(lower) in name.translate(lower) or any(form.translate(lower) in attributes.translate(lower) for form in (needle, escaped))}
        found = json.loads(fusebox.get(f"/api/traces?limit=200&{urllib.parse.urlencode({'q': needle})}").body)["traces"]
        assert {trace["trace_id"] for trace in found} == wanted, needle


def test_an_attribute_of_any_type_is_a_filter_by_the_text_that_it_is_shown_as(launch):
    fusebox = launch()
    values = {"true": True, "false": False, "1": 1, "0": 0, "17": 17, "-3": -3, "0.5": 0.5, "one": "one", "it's": "it's", "9007199254740993": 9007199254740993}
    spans = {text: wire.span(wire.trace_id(), name=text, attributes=[("odd 'key", value)]) for text, value in values.items()}
    none = wire.span(wire.trace_id(), name="none")
    assert fusebox.post(wire.batch(*spans.values(), none)).status == 200

    def found(condition):
        return {trace["name"] for trace in ask(fusebox, "/api/traces", attribute="odd 'key" + condition)["traces"]}

    for text in values:
        assert found("=" + text) == {text}, text
        assert found("!=" + text) == {*values, "none"} - {text}, text
    # A text that looks like a number, or like a truth, is shown as that is.
    assert fusebox.post(wire.batch(wire.span(wire.trace_id(), name="text", attributes=[("odd 'key", "17")]))).status == 200
    assert found("=17") == {"17", "text"}
    assert found("=nothing") == set()
