"""Loki's reading API over the table `logs`, as Grafana's Loki data source asks it, and from a trace to its logs."""

import json
import urllib.parse

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

import wire

SECOND = 1_000_000_000
BASE = wire.BASE_TIME // (60 * SECOND) * 60 * SECOND
TRACE = bytes(range(16))


@pytest.fixture(scope="module")
def store(shared):
    message = ExportLogsServiceRequest()
    for service in ["travel", "search"]:
        resource = message.resource_logs.add()
        resource.resource.attributes.add(key="service.name").value.string_value = service
        scope = resource.scope_logs.add()
        scope.scope.name = "app"
        for number in range(10):
            record = scope.log_records.add(time_unix_nano=BASE + number * 10 * SECOND, severity_number=17 if number % 5 == 0 else 9)
            record.body.string_value = f"{service} call {number}\nsecond line"
            record.attributes.add(key="attempt").value.int_value = number % 2
            if number == 3:
                record.trace_id, record.span_id = TRACE, TRACE[:8]
    assert shared.post(message.SerializeToString(), "/v1/logs").status == 200
    return shared


def ask(server, path, status=200, **parameters):
    parameters = {"start": BASE - 60 * SECOND, "end": BASE + 600 * SECOND, **parameters}
    answer = server.get(f"/loki/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
    assert answer.status == status, (parameters, answer)
    return json.loads(answer.body)["data"] if status == 200 else answer.body.decode()


def lines(data):
    return sorted(value[1].split("\n")[0] for stream in data["result"] for value in stream["values"])


def test_the_data_source_finds_it_well(store):
    """Save & test, labels and their values: what the query builder needs."""
    health = ask(store, "query", query="vector(1)+vector(1)", time=BASE)
    assert health["result"][0]["value"][1] == "2"
    assert ask(store, "labels") == ["service_name", "level", "event_name", "scope_name"]
    assert ask(store, "label/service_name/values") == ["search", "travel"]
    assert ask(store, "label/level/values", query='{service_name="travel"}') == ["error", "info"]
    streams = ask(store, "series", **{"match[]": '{service_name="travel"}'})
    assert {"service_name": "travel", "level": "error", "scope_name": "app"} in streams


@pytest.mark.parametrize("query, wanted", [
    ('{service_name="travel"}', [f"travel call {number}" for number in range(10)]),
    ('{service_name="travel"} |= ``', [f"travel call {number}" for number in range(10)]),
    ('{service_name=~"tra.*|nope", level="error"}', ["travel call 0", "travel call 5"]),
    ('{service_name!="travel"} |= "call 7"', ["search call 7"]),
    ('{level="info"} |~ "call [12]" != "search"', ["travel call 1", "travel call 2"]),
    ('{service_name="travel"} |~ "(?i)CALL 9"', ["travel call 9"]),
    ('{service_name=~".+"} |~ "(?m)^search.*[13]$"', ["search call 1", "search call 3"]),
    ('{service_name=~".+"} |~ "^call"', []),
    ('{service_name="travel"} !~ "call [[:digit:]]\\nsecond line$"', []),
    ('{service_name="travel"} |~ "^tr|9$" |= "\\u0037"', ["travel call 7"]),
    ('{service_name="travel"} |~ `\\Qcall 4\\E\\n.*\\z`', ["travel call 4"]),
    ('{service_name="travel"} !~ "call [1-9]"', ["travel call 0"]),
    ('{service_name="travel"} | attempt="1" | level!="error" | drop __error__', ["travel call 1", "travel call 3", "travel call 7", "travel call 9"]),
    ('{service_name=~".+"} | trace_id="%s"' % TRACE.hex(), ["search call 3", "travel call 3"]),
])
def test_records_are_found_as_the_builder_asks(store, query, wanted):
    assert lines(ask(store, "query_range", query=query, limit=1000)) == wanted


@pytest.mark.parametrize("query, wanted", [
    ('{service_name="travel"} |~ "a)(b"', "a ) without its ("),
    ('{service_name="travel"} |~ "c**"', "a repetition of a repetition at byte 4"),
    ('{service_name="travel"} |= "\\u12"', "hexadecimal digits"),
])
def test_what_is_no_expression_is_refused_in_words_about_the_query(store, query, wanted):
    answer = store.get("/loki/api/v1/query_range?" + urllib.parse.urlencode({"query": query}))
    assert answer.status == 400 and wanted.encode() in answer.body and b"secret" not in answer.body, answer


def test_the_newest_come_first_and_limits_hold(store):
    newest = ask(store, "query_range", query='{service_name="travel"}', limit=2)
    assert lines(newest) == ["travel call 8", "travel call 9"]
    oldest = ask(store, "query_range", query='{service_name="travel"}', limit=2, direction="forward")
    assert lines(oldest) == ["travel call 0", "travel call 1"]


def test_volume_is_counted_by_level(store):
    """Grafana's histogram above the lines."""
    data = ask(store, "query_range", query='sum by (level, detected_level) (count_over_time({service_name=~".+"} | drop __error__ [60s]))', step="60s", start=BASE - 1, end=BASE + 179 * SECOND)
    assert data["resultType"] == "matrix"
    told = {series["metric"]["level"]: sum(int(value[1]) for value in series["values"]) for series in data["result"]}
    assert told == {"error": 4, "info": 16}
    (now,) = ask(store, "query", query='sum(count_over_time({service_name="travel"}[5m]))', time=BASE + 100 * SECOND)["result"]
    assert now["value"][1] == "10"


@pytest.mark.parametrize("query", ["{", '{a="b"} | json', "topk(1, {})", '{a=~"(?=x)"}', "", "{} extra", "count_over_time({}[5])"])
def test_what_is_beyond_it_is_refused_with_a_reason(store, query):
    assert len(ask(store, "query_range", status=400, query=query)) > 15
