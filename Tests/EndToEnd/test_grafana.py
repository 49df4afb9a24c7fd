"""Grafana's data sources: what they ask, and answers that their strict parsers take."""

import json
import re
import urllib.parse

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

import captures
import wire
from bare_grpc import BareGrpc
from server import Fusebox

NAME = "handmade"
# tempopb.SearchResponse as Grafana's plain jsonpb takes it: an unknown key anywhere is an error there.
ANY = {"stringValue": str, "intValue": str, "doubleValue": (int, float, str), "boolValue": bool, "bytesValue": str}
KEY_VALUE = {"key": str, "value": ANY}
SPAN = {"spanID": str, "name": str, "startTimeUnixNano": str, "durationNanos": str, "attributes": [KEY_VALUE]}
SEARCH = {
    "traces": [{"traceID": str, "rootServiceName": str, "rootTraceName": str, "startTimeUnixNano": str, "durationMs": int,
                "spanSets": [{"spans": [SPAN], "matched": int}]}],
    "metrics": {"inspectedTraces": int},
}
SERIES = {"series": [{"labels": [KEY_VALUE], "samples": [{"timestampMs": str, "value": (int, float)}],
                      "exemplars": [{"labels": [KEY_VALUE], "value": (int, float), "timestampMs": str}]}]}


def strictly(value, shape, where="$"):
    """Fails on a key that the message does not have, and on a wrong type."""
    if isinstance(shape, dict):
        assert isinstance(value, dict), (where, value)
        for key, own in value.items():
            assert key in shape, f"{where}: unknown key {key}"
            strictly(own, shape[key], f"{where}.{key}")
    elif isinstance(shape, list):
        assert isinstance(value, list), (where, value)
        for index, own in enumerate(value):
            strictly(own, shape[0], f"{where}[{index}]")
    else:
        kinds = shape if isinstance(shape, tuple) else (shape,)
        assert isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool)), (where, value)


@pytest.fixture(scope="module")
def agents(binary, tmp_path_factory):
    server = Fusebox(binary, tmp_path_factory.mktemp("grafana") / "data", {"BREAKER_SETTLE_S": "1"}).start()
    for name in captures.NAMES:
        captures.replay_all(server, name)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def ids():
    return sorted({trace for trace, _ in captures.spans(NAME)})


def ask(server, path, status=200, headers=None, **query):
    answer = server.get(path + ("?" + urllib.parse.urlencode(query) if query else ""), headers=headers)
    assert answer.status == status, answer
    return answer


def ask_json(server, path, **query):
    return json.loads(ask(server, path, **query).body)


def window(spans=None):
    spans = spans or captures.spans(NAME).values()
    return min(span.start_time_unix_nano for span in spans), max(span.end_time_unix_nano for span in spans)


# Tempo


def test_tempo_says_that_it_is_there(agents):
    assert ask(agents, "/tempo/api/echo").body == b"echo"
    assert re.match(r"\d+\.\d+", ask_json(agents, "/tempo/api/status/buildinfo")["version"])


@pytest.mark.parametrize("spelling", ["lower", "upper", "v1"])
def test_tempo_gives_a_trace_as_the_protobuf_that_came_in(agents, ids, spelling):
    identity = ids[0].upper() if spelling == "upper" else ids[0]
    path = f"/tempo/api/traces/{identity}" if spelling == "v1" else f"/tempo/api/v2/traces/{identity}"
    answer = ask(agents, path, headers={"Accept": "application/protobuf"})
    assert answer.headers["Content-Type"] == "application/protobuf"
    body = answer.body
    if spelling != "v1":
        assert body[0] == 0x0A, "the trace is field 1 of TraceByIDResponse"
        length, shift, at = 0, 0, 1
        while True:
            length |= (body[at] & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if not body[at - 1] & 0x80:
                break
        body = body[at:]
        assert len(body) == length
    found = {span.span_id.hex(): span for resource in TracesData.FromString(body).resource_spans for scope in resource.scope_spans for span in scope.spans}
    expected = {identity: span for (trace, identity), span in captures.spans(NAME).items() if trace == ids[0]}
    assert found.keys() == expected.keys()
    for identity, span in expected.items():
        own = found[identity]
        assert (own.name, own.start_time_unix_nano, own.end_time_unix_nano, own.kind) == (span.name, span.start_time_unix_nano, span.end_time_unix_nano, span.kind)
        assert sorted(map(str, own.attributes)) == sorted(map(str, span.attributes))
        assert list(own.events) == list(span.events)


def test_tempo_says_404_for_a_trace_that_is_not_stored(agents):
    for path in ["/tempo/api/v2/traces/00000000000000000000000000000bad", "/tempo/api/traces/bad"]:
        ask(agents, path, status=404, headers={"Accept": "application/protobuf"})


def test_a_short_trace_id_is_padded(agents):
    trace = bytes(8) + wire.trace_id()[:8]
    assert agents.post(wire.batch(wire.span(trace, name="short id"))).status == 200
    answer = ask(agents, f"/tempo/api/v2/traces/{trace.hex().lstrip('0')}", headers={"Accept": "application/protobuf"})
    assert b"short id" in answer.body
    assert ask_json(agents, f"/jaeger/api/traces/{trace.hex().lstrip('0')}")["data"][0]["spans"][0]["operationName"] == "short id"


@pytest.mark.parametrize("query, condition", [
    ("{}", "1"),
    ("", "1"),
    ('{resource.service.name="agent-handmade"}', "service_name = 'agent-handmade'"),
    ('{name="tool web_search" && duration>1s}', "name = 'tool web_search' AND duration_ns > 1000000000"),
    ("{status=error}", "status_code = 2"),
    ("{ status != error && kind = client }", "status_code <> 2 AND kind = 3"),
    ('{span.tool_name=~"web.*|crm_lookup"}', "attr(attributes, 'tool_name') GLOB 'web*' OR attr(attributes, 'tool_name') = 'crm_lookup'"),
    ('{span.tool_name!~"web.*"}', "attr(attributes, 'tool_name') NOT GLOB 'web*'"),
    ('{(.tool_name="web_search" || .tool_name="crm_lookup") && duration>=2s}',
     "attr(attributes, 'tool_name') IN ('web_search', 'crm_lookup') AND duration_ns >= 2000000000"),
    ('{span.breaker_state != nil && rootServiceName = "agent-handmade"}',
     "attr(attributes, 'breaker_state') IS NOT NULL AND service_name = 'agent-handmade'"),
    ('{resource.service.name="agent-handmade" && name="tool web_search"} | select(span.tool_name, status)', "service_name = 'agent-handmade' AND name = 'tool web_search'"),
])
def test_tempo_search_finds_what_sql_finds(agents, query, condition):
    expected = {row["trace_id"]: row["n"] for row in agents.sql(f"SELECT trace_id, count(*) AS n FROM spans WHERE {condition} GROUP BY 1")}
    found = ask_json(agents, "/tempo/api/search", q=query, limit=500, spss=2, start=1, end=4_000_000_000)
    strictly(found, SEARCH)
    assert {trace["traceID"]: trace["spanSets"][0]["matched"] for trace in found["traces"]} == expected
    if "select" in query and found["traces"]:
        keys = {own["key"] for own in found["traces"][0]["spanSets"][0]["spans"][0]["attributes"]}
        assert keys == {"span.tool_name", "status"}


def test_tempo_search_without_a_hit_is_an_empty_list(agents):
    found = ask_json(agents, "/tempo/api/search", q='{name="nothing is called so"}', limit=0, start=1, end=2)
    strictly(found, SEARCH)
    assert found["traces"] == []


@pytest.mark.parametrize("query", [
    "{", "{name=}", '{name="x"', "{} >>", "{} | by(name, kind)", '{name=~"(?=a)"}', "{unknown=1}", "{} | rate() | rate(", "{} | compare({traceDuration>1s})",
    "{" + "(" * 200, "{name=\"x\"} nonsense",
])
def test_tempo_refuses_what_is_beyond_the_subset_in_plain_text(agents, query):
    answer = ask(agents, "/tempo/api/search", status=400, q=query)
    assert answer.headers["Content-Type"].startswith("text/plain") and answer.body


def test_tempo_tags_and_values(agents):
    scopes = ask_json(agents, "/tempo/api/v2/search/tags")
    strictly(scopes, {"scopes": [{"name": str, "tags": [str]}], "metrics": {}})
    tags = {scope["name"]: scope["tags"] for scope in scopes["scopes"]}
    assert "service.name" in tags["resource"] and "tool_name" in tags["span"] and {"duration", "status"} <= set(tags["intrinsic"])
    values = ask_json(agents, "/tempo/api/v2/search/tag/resource.service.name/values", q="{}")
    strictly(values, {"tagValues": [{"type": str, "value": str}], "metrics": {}})
    assert {"type": "string", "value": "agent-handmade"} in values["tagValues"]
    assert {"type": "keyword", "value": "error"} in ask_json(agents, "/tempo/api/v2/search/tag/status/values")["tagValues"]
    assert "service.name" in ask_json(agents, "/tempo/api/search/tags")["tagNames"]
    assert "agent-handmade" in ask_json(agents, "/tempo/api/search/tag/service.name/values")["tagValues"]


def test_tempo_metrics_are_what_sql_counts(agents):
    start, end = (edge // 10**9 for edge in window())
    query = '{resource.service.name="agent-handmade"} | count_over_time() by (span.tool_name)'
    found = ask_json(agents, "/tempo/api/metrics/query_range", q=query, start=start, end=end + 1, step="10s")
    strictly(found, SERIES)
    counted = {series["labels"][0]["value"].get("stringValue"): sum(sample["value"] for sample in series["samples"]) for series in found["series"]}
    expected = {row["tool"] or "nil": row["n"] for row in agents.sql(
        "SELECT tool_name AS tool, count(*) AS n FROM spans WHERE service_name = 'agent-handmade' "
        "AND start_time_unix_nano >= :start AND start_time_unix_nano < :end GROUP BY 1", start=start * 10**9, end=(end + 1) * 10**9)}
    assert counted == expected
    quantile = ask_json(agents, "/tempo/api/metrics/query", q='{name="tool web_search"} | quantile_over_time(duration, .95)', start=start, end=end + 1)
    strictly(quantile, SERIES)
    (series,) = quantile["series"]
    assert series["labels"] == [{"key": "p", "value": {"doubleValue": 0.95}}]
    expected = agents.scalar("SELECT percentile(duration_ns, 95) FROM spans WHERE name = 'tool web_search' AND start_time_unix_nano >= :start AND start_time_unix_nano < :end",
                             start=start * 10**9, end=(end + 1) * 10**9)
    assert series["samples"][0]["value"] == pytest.approx(expected / 1e9)
    for more in ["rate()", "histogram_over_time(duration)", "max_over_time(duration) by (name)", "avg_over_time(span.queue_depth)"]:
        strictly(ask_json(agents, "/tempo/api/metrics/query_range", q="{} | " + more, start=start, end=end + 1, step=60), SERIES)


@pytest.mark.parametrize("method", ["Search", "SearchTagsV2", "MetricsQueryRange"])
def test_a_streaming_search_is_told_what_to_switch_off(binary, tmp_path, method):
    """Grafana dials the host of its URL by gRPC, so the HTTP port must know it too."""
    server = Fusebox(binary, tmp_path / "data", arguments=["--grpc-port", "0"]).start()
    for port in [server.port, server.grpc_port]:
        with BareGrpc(port) as bare:
            status, fields = bare.call(b"\x00\x00\x00\x00\x00", path=f"/tempopb.StreamingQuerier/{method}")
        assert status == "12"
        assert "switch streaming off in the settings of Grafana's Tempo data source" in urllib.parse.unquote(fields["grpc-message"])
    server.stop()


def test_exemplars_are_spans_that_were_counted(agents):
    start, end = (edge // 10**9 for edge in window())
    spans = agents.sql("SELECT trace_id AS t, start_time_unix_nano / 1000000 AS ms, service_name AS service, status_code AS status FROM spans")
    of = lambda isMeant: {(span["t"], span["ms"]) for span in spans if isMeant(span)}
    failed = of(lambda span: span["status"] == 2)
    for query, counted in [
        ('{resource.service.name="agent-handmade"} | rate() by (span.tool_name)', of(lambda span: span["service"] == "agent-handmade")),
        ('{status=error} | max_over_time(duration)', failed), ("{} | quantile_over_time(duration, .5, .9)", of(lambda _: True)),
        ("{} | histogram_over_time(duration) by (name)", of(lambda _: True)), ("{} >> {status=error} | count_over_time() by (name)", failed),
    ]:
        for more, most in [({}, 100), ({"exemplars": 7}, 7), ({"exemplars": 0}, 0)]:
            found = ask_json(agents, "/tempo/api/metrics/query_range", q=query, start=start, end=end + 1, step="10s", **more)
            strictly(found, SERIES)
            exemplars = [(series, exemplar) for series in found["series"] for exemplar in series["exemplars"]]
            assert len(exemplars) <= most and bool(exemplars) == bool(most), query
            for series, exemplar in exemplars:
                (label,) = exemplar["labels"]
                assert label["key"] == "trace:id"
                milliseconds = int(exemplar["timestampMs"])
                # A span of that trace that was counted began then, in a step that has a sample.
                assert (label["value"]["stringValue"], milliseconds) in counted
                step = (milliseconds // 10_000 + 1) * 10_000
                assert step in {int(sample["timestampMs"]) for sample in series["samples"] if sample["value"]}
    assert all(not series["exemplars"] for series in ask_json(
        agents, "/tempo/api/metrics/query_range", q="{} | rate() with(exemplars=false)", start=start, end=end + 1, step="10s")["series"])


# Jaeger

TAG = {"key": str, "type": str, "value": (str, int, float, bool)}
JAEGER_SPAN = {
    "traceID": str, "spanID": str, "operationName": str, "references": [{"refType": str, "traceID": str, "spanID": str}], "flags": int,
    "startTime": int, "duration": int, "tags": [TAG], "logs": [{"timestamp": int, "fields": [TAG]}], "processID": str,
    "warnings": (type(None), list), "stackTraces": (type(None), list),
}


def check_jaeger_trace(trace):
    assert set(trace) == {"traceID", "spans", "processes", "warnings"}
    for span in trace["spans"]:
        strictly(span, JAEGER_SPAN)
        assert set(span) == set(JAEGER_SPAN)
        assert span["processID"] in trace["processes"]
        assert all(tag["type"] in {"string", "bool", "int64", "float64", "binary"} for tag in span["tags"])
    for process in trace["processes"].values():
        strictly(process, {"serviceName": str, "tags": [TAG]})


def test_jaeger_services_and_operations(agents):
    services = ask_json(agents, "/jaeger/api/services")
    assert set(services) == {"data", "total", "limit", "offset", "errors"}
    assert services["data"] == [row["s"] for row in agents.sql("SELECT DISTINCT service_name AS s FROM spans ORDER BY 1")]
    operations = ask_json(agents, "/jaeger/api/services/agent%2Dhandmade/operations")["data"]
    assert operations == [row["n"] for row in agents.sql("SELECT DISTINCT name AS n FROM spans WHERE service_name = 'agent-handmade' ORDER BY 1")]
    assert ask_json(agents, "/jaeger/api/services/nobody/operations")["data"] == []


def test_jaeger_gives_a_trace(agents, ids):
    # The data source sends milliseconds here, whatever that means: they must not hide the trace.
    found = ask_json(agents, f"/jaeger/api/traces/{ids[0]}", start=1, end=2)
    (trace,) = found["data"]
    check_jaeger_trace(trace)
    expected = {identity: span for (own, identity), span in captures.spans(NAME).items() if own == ids[0]}
    assert {span["spanID"] for span in trace["spans"]} == expected.keys()
    for span in trace["spans"]:
        own = expected[span["spanID"]]
        assert span["operationName"] == own.name
        assert span["startTime"] == own.start_time_unix_nano // 1000
        assert span["duration"] == (own.end_time_unix_nano - own.start_time_unix_nano) // 1000
        tags = {tag["key"]: tag["value"] for tag in span["tags"]}
        assert tags.get("error", False) == (own.status.code == 2)
    answer = ask(agents, "/jaeger/api/traces/00000000000000000000000000000bad", status=404)
    assert json.loads(answer.body)["errors"][0]["code"] == 404


def test_expressions_and_texts_of_traceql_are_those_of_re2_and_go(launch):
    fusebox = launch()
    names = ["chat", "CHAT", "c.at", "ch\nat", "é", "É", "chat1", "a-b"]
    assert fusebox.post(wire.batch(*[wire.span(name=name) for name in names])).status == 200
    for query, wanted in [
            (r'"ch\u0061t"', {"chat"}), (r'"\u00e9"', {"é"}), (r'"\x61-\U00000062"', {"a-b"}),
            ("~`[[:alpha:]]+`", {"chat", "CHAT"}), ("~`(?i)é`", {"é", "É"}), (r"~`c\x68at`", {"chat"}), (r"~`\Qc.at\E`", {"c.at"}), ("~`(?s)ch.at`", {"ch\nat"}),
            (r"~`\Achat\z`", {"chat"}), ("~`(?i:c)HAT`", {"CHAT"}), ("~`(?m)^ch$\nat`".replace("\n", r"\n"), {"ch\nat"}), ("~`^chat[[:digit:]]?$`", {"chat", "chat1"})]:
        found = ask_json(fusebox, "/tempo/api/search", q="{name=" + query + "}", limit=20)["traces"]
        assert {one["rootTraceName"] for one in found} == wanted, query


def test_jaeger_search_finds_what_sql_finds(agents):
    start, end = window()
    for tags, duration, condition in [
        (None, None, "1"), ({"tool_name": "web_search"}, None, "attr(attributes, 'tool_name') = 'web_search'"), ({"error": "true"}, None, "status_code = 2"),
    ]:
        query = {"service": "agent-handmade", "limit": 1500, "start": start // 1000, "end": end // 1000, "lookback": "custom"}
        if tags:
            query["tags"] = json.dumps(tags)
        found = ask_json(agents, "/jaeger/api/traces", **query)["data"]
        for trace in found[:5]:
            check_jaeger_trace(trace)
        expected = {row["t"] for row in agents.sql(
            f"SELECT DISTINCT trace_id AS t FROM spans WHERE service_name = 'agent-handmade' AND {condition} "
            "AND start_time_unix_nano >= :start AND start_time_unix_nano < :end", start=start // 1000 * 1000, end=end // 1000 * 1000)}
        assert {trace["traceID"] for trace in found} == expected
    # The span that matches lasts so long, not its trace.
    name = agents.scalar("SELECT name FROM spans WHERE service_name = 'agent-handmade' AND parent_span_id IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC LIMIT 1")
    for operation in ("all", name):
        for bounds, condition in [({"minDuration": "1.2s"}, "duration_ns >= 1200000000"), ({"maxDuration": "20ms"}, "duration_ns <= 20000000"),
                                  ({"minDuration": "10ms", "maxDuration": "20ms"}, "duration_ns BETWEEN 10000000 AND 20000000")]:
            found = ask_json(agents, "/jaeger/api/traces", service="agent-handmade", operation=operation, limit=1500, **bounds)["data"]
            expected = {row["t"] for row in agents.sql(
                f"SELECT DISTINCT trace_id AS t FROM spans WHERE service_name = 'agent-handmade' AND {condition} AND (:name = 'all' OR name = :name)", name=operation)}
            assert {trace["traceID"] for trace in found} == expected, (operation, bounds)
            third = agents.get("/jaeger/api/v3/traces?" + urllib.parse.urlencode({
                "query.serviceName": "agent-handmade", "query.searchDepth": 1500, **({} if operation == "all" else {"query.operationName": operation}),
                **{"query.duration" + key.removesuffix("Duration").capitalize(): value for key, value in bounds.items()}}))
            spans = [] if third.status == 404 else [
                span for resource in json.loads(third.body)["result"]["resourceSpans"] for scope in resource["scopeSpans"] for span in scope["spans"]]
            assert {span["traceId"] for span in spans} == expected, (operation, bounds)
    assert ask_json(agents, "/jaeger/api/traces", service="nobody")["data"] == []


def test_jaeger_third_version(agents, ids):
    assert "agent-handmade" in ask_json(agents, "/jaeger/api/v3/services")["services"]
    operations = ask_json(agents, "/jaeger/api/v3/operations", service="agent-handmade")["operations"]
    assert operations and all(set(one) == {"name", "spanKind"} for one in operations)
    for spelling in ["span_kind", "spanKind"]:
        clients = ask_json(agents, "/jaeger/api/v3/operations", service="agent-handmade", **{spelling: "client"})["operations"]
        assert clients == [one for one in operations if one["spanKind"] == "client"]
    spans = [span for resource in ask_json(agents, f"/jaeger/api/v3/traces/{ids[0]}")["result"]["resourceSpans"] for scope in resource["scopeSpans"] for span in scope["spans"]]
    assert {span["spanId"] for span in spans} == {identity for own, identity in captures.spans(NAME) if own == ids[0]}
    assert json.loads(ask(agents, "/jaeger/api/v3/traces/bad", status=404).body)["error"]["httpCode"] == 404


OTLP_VALUE = {"stringValue": str, "intValue": str, "doubleValue": (int, float, str), "boolValue": bool, "bytesValue": str}
OTLP_ATTRIBUTE = {"key": str, "value": OTLP_VALUE}
OTLP_SPAN = {
    "traceId": str, "spanId": str, "parentSpanId": str, "name": str, "kind": int, "startTimeUnixNano": str, "endTimeUnixNano": str, "attributes": [OTLP_ATTRIBUTE],
    "events": [{"timeUnixNano": str, "name": str, "attributes": [OTLP_ATTRIBUTE]}], "links": [{"traceId": str, "spanId": str, "attributes": [OTLP_ATTRIBUTE]}],
    "status": {"code": int, "message": str},
}
TRACES = {"result": {"resourceSpans": [{"resource": {"attributes": [OTLP_ATTRIBUTE]}, "scopeSpans": [{"scope": {"name": str, "version": str}, "spans": [OTLP_SPAN]}]}]}}
SUMMARIES = {"summaries": [{
    "traceId": str, "rootServiceName": str, "rootOperationName": str, "minStartTimeUnixNano": str, "maxEndTimeUnixNano": str, "spanCount": int,
    "errorSpanCount": int, "orphanSpanCount": int, "services": [{"name": str, "spanCount": int, "errorSpanCount": int}]}]}


def rfc3339(nanoseconds):
    import datetime
    return datetime.datetime.fromtimestamp(nanoseconds // 10**9, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S") + f".{nanoseconds % 10**9:09d}Z"


@pytest.mark.parametrize("spelling", ["camel", "snake"])
def test_jaeger_third_version_searches(agents, spelling):
    start, end = window()
    asked = {"serviceName": "agent-handmade", "startTimeMin": rfc3339(start), "startTimeMax": rfc3339(end + 1), "searchDepth": 1500,
             "attributes": json.dumps({"tool_name": "crm_lookup", "error": "true"}), "durationMin": "1ms"}
    name = lambda key: "query." + (re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), key) if spelling == "snake" else key)
    query = {name(key): value for key, value in asked.items()}
    expected = {row["t"]: row["n"] for row in agents.sql(
        "SELECT trace_id AS t, count(*) AS n FROM spans WHERE trace_id IN (SELECT trace_id FROM spans WHERE service_name = 'agent-handmade' "
        "AND status_code = 2 AND attr(attributes, 'tool_name') = 'crm_lookup' AND duration_ns >= 1000000 AND start_time_unix_nano BETWEEN :start AND :end) GROUP BY 1", start=start, end=end)}
    assert expected
    found = ask_json(agents, "/jaeger/api/v3/traces", **query)
    strictly(found, TRACES)
    counted = {}
    for resource in found["result"]["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                counted[span["traceId"]] = counted.get(span["traceId"], 0) + 1
    assert counted == expected
    summaries = ask_json(agents, "/jaeger/api/v3/trace-summaries", **query)
    strictly(summaries, SUMMARIES)
    assert {one["traceId"]: one["spanCount"] for one in summaries["summaries"]} == expected
    for one in summaries["summaries"][:5]:
        (row,) = agents.sql("SELECT * FROM traces WHERE trace_id = :trace", trace=one["traceId"])
        assert (int(one["minStartTimeUnixNano"]), int(one["maxEndTimeUnixNano"]), one["errorSpanCount"]) == (
            row["start_time_unix_nano"], row["end_time_unix_nano"], row["error_count"])
        assert one["rootServiceName"] == row["service_name"] and one["orphanSpanCount"] == 0
        assert sum(service["spanCount"] for service in one["services"]) == one["spanCount"]


def test_jaeger_third_version_says_that_nothing_was_found(agents):
    error = json.loads(ask(agents, "/jaeger/api/v3/traces", status=404, **{"query.serviceName": "nobody"}).body)["error"]
    assert error == {"httpCode": 404, "message": "No traces found"}
    assert ask_json(agents, "/jaeger/api/v3/trace-summaries", **{"query.serviceName": "nobody"}) == {"summaries": []}
    assert ask_json(agents, "/jaeger/api/v3/operations", service="nobody") == {"operations": []}
    for wrong in [{"query.startTimeMin": "yesterday"}, {"query.searchDepth": "many"}, {"query.durationMin": "x"}, {"query.attributes": '{"a":1}'}]:
        assert json.loads(ask(agents, "/jaeger/api/v3/traces", status=400, **wrong).body)["error"]["httpCode"] == 400


def test_a_span_whose_parent_is_elsewhere_is_an_orphan(agents):
    trace = wire.trace_id()
    agents.post(wire.batch(wire.span(trace, name="lost", parent=wire.span_id()), resource=[("service.name", "orphans")]))
    (one,) = ask_json(agents, "/jaeger/api/v3/trace-summaries", **{"query.service_name": "orphans"})["summaries"]
    assert (one["orphanSpanCount"], one["rootServiceName"], one["services"]) == (1, "", [{"name": "orphans", "spanCount": 1, "errorSpanCount": 0}])


def test_jaeger_dependencies(agents):
    trace, root = wire.trace_id(), wire.span_id()
    agents.post(wire.batch(wire.span(trace, root), resource=[("service.name", "caller")]))
    agents.post(wire.batch(wire.span(trace, parent=root), resource=[("service.name", "called")]))
    found = ask_json(agents, "/jaeger/api/dependencies", endTs=wire.BASE_TIME // 10**6 + 1000, lookback=10_000)["data"]
    assert {"parent": "caller", "child": "called", "callCount": 1} in found
    third = ask_json(agents, "/jaeger/api/v3/dependencies", startTime=rfc3339(wire.BASE_TIME - 10**10), endTime=rfc3339(wire.BASE_TIME + 10**9))
    assert {"parent": "caller", "child": "called", "callCount": "1"} in third["dependencies"]
    assert ask_json(agents, "/jaeger/api/dependencies", endTs=1, lookback=1)["data"] == []


@pytest.fixture(scope="module")
def wide(binary, tmp_path_factory):
    """A server that whoever reaches this machine could ask."""
    server = Fusebox(binary, tmp_path_factory.mktemp("wide") / "data", arguments=["--listen", "0.0.0.0", "--insecure-listen"]).start()
    yield server
    server.stop()


@pytest.mark.parametrize("host, status", [
    ("127.0.0.1:4318", 200), ("localhost:4318", 200), ("[::1]:4318", 200), ("fusebox:4318", 421), ("host.docker.internal:4318", 200),
    ("fusebox.agents.svc.cluster.local:4318", 421), ("evil.example.com:4318", 421), ("127.0.0.1.evil.example", 421), ("a.localhost.evil.com", 421),
])
@pytest.mark.parametrize("path", ["/", "/api/status", "/tempo/api/echo", "/jaeger/api/services"])
def test_a_name_that_somebody_else_may_own_reads_nothing(agents, path, host, status):
    assert agents.get(path, headers={"Host": host}).status == status


@pytest.mark.parametrize("host, status", [
    ("fusebox:4318", 200), ("fusebox.agents.svc:4318", 200), ("fusebox.agents.svc.cluster.local:4318", 200), ("mac.local", 200),
    ("evil.example.com:4318", 421), ("svc.example.com", 421),
])
def test_beyond_loopback_it_goes_by_the_names_of_private_networks(wide, host, status):
    assert wide.get("/tempo/api/echo", headers={"Host": host}).status == status
