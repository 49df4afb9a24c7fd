"""Log records: taken, kept through kill -9, the same through every door, and beside their spans."""

import json
import logging
import sqlite3
import threading
import time
import urllib.parse

import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogExporter
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import otlp_json
from doors import JSON, SERVICES, Grpc
from server import poll
from wire import BASE_TIME, attribute, data, fixed64, number, nested, span_id, trace_id

PATH = "/v1/logs"


def record(body=None, time=BASE_TIME, severity=9, trace=None, span=None, event=None, attributes=(), extra=b""):
    """A LogRecord; `body` is a str or the bytes of an AnyValue."""
    out = fixed64(1, time) if time is not None else b""
    out += number(2, severity)
    if body is not None:
        out += data(5, data(1, body) if isinstance(body, str) else body)
    for key, value in attributes:
        out += data(6, attribute(key, value))
    if trace is not None:
        out += data(9, trace)
    if span is not None:
        out += data(10, span)
    if event is not None:
        out += data(12, event)
    return out + extra


def request(*records, service="logger"):
    resource = data(1, attribute("service.name", service))
    return data(1, data(1, resource) + data(2, data(1, data(1, "tests")) + b"".join(data(2, one) for one in records)))


class Complaints(logging.Handler):
    """What the SDK and its exporters say."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, one):
        if one.name.startswith("opentelemetry"):
            self.lines.append(one.getMessage())


@pytest.fixture
def complaints():
    handler = Complaints()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)
    assert handler.lines == []


def exporter(fusebox, door):
    if door == "http":
        return OTLPLogExporter(fusebox.url + PATH)
    return GrpcLogExporter(f"http://127.0.0.1:{fusebox.grpc_port}", insecure=True)


@pytest.mark.parametrize("door", ["http", "grpc"])
def test_the_sdk_exports(fusebox, complaints, door):
    """A logger provider, a program's spans, and records inside and outside of them."""
    resource = Resource.create({"service.name": "sdk-agent"})
    tracing = TracerProvider(resource=resource, shutdown_on_exit=False)
    tracing.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(fusebox.url + "/v1/traces")))
    provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter(fusebox, door)))
    logger = provider.get_logger("program.logger")
    for turn in range(200):
        with tracing.get_tracer("tests").start_as_current_span("turn", attributes={"tool_name": "search"}):
            logger.emit(
                timestamp=BASE_TIME + turn, observed_timestamp=BASE_TIME + turn + 1, severity_number=SeverityNumber.ERROR,
                severity_text="ERROR", body=f"turn {turn} failed", event_name="agent.turn",
                attributes={"turn": turn, "ratio": 0.5, "deep": ["a", "b"]})
    logger.emit(observed_timestamp=BASE_TIME + 5000, severity_number=SeverityNumber.INFO, body={"kind": "outside", "list": [1, "x"]})
    assert provider.force_flush(30_000) and tracing.force_flush(30_000)
    provider.shutdown()
    tracing.shutdown()
    rows = fusebox.sql("SELECT * FROM logs ORDER BY time_unix_nano")
    assert len(rows) == 201
    for turn, row in enumerate(rows[:200]):
        assert (row["body"], row["severity_number"], row["severity_text"]) == (f"turn {turn} failed", 17, "ERROR")
        assert (row["time_unix_nano"], row["observed_time_unix_nano"]) == (BASE_TIME + turn, BASE_TIME + turn + 1)
        assert (row["event_name"], row["service_name"], row["scope_name"]) == ("agent.turn", "sdk-agent", "program.logger")
        assert json.loads(row["attributes"]) == {"turn": turn, "ratio": 0.5, "deep": ["a", "b"]}
        assert json.loads(row["resource_attributes"])["service.name"] == "sdk-agent"
    assert fusebox.scalar("SELECT count(*) FROM spans JOIN logs USING (trace_id, span_id)") == 200
    outside = rows[200]
    assert (outside["trace_id"], outside["span_id"], outside["time_unix_nano"]) == (None, None, BASE_TIME + 5000)
    assert json.loads(outside["body"]) == {"kind": "outside", "list": [1, "x"]}
    metrics = fusebox.metrics()
    assert metrics.value("fusebox_log_records_received_total") == metrics.value("fusebox_log_records_accepted_total") == 201
    assert metrics.value("fusebox_stored_log_records") == 201


VALUES = {
    "text": data(1, "text with ü and 🦊"), "empty text": data(1, ""), "yes": number(2, 1), "int": number(3, -5), "double": fixed64(4, 0),
    "list": data(5, data(1, data(1, "a")) + data(1, number(3, 1))), "map": data(6, data(1, attribute("k", 5))),
    "bytes": data(7, bytes(range(256))), "nothing": b"",
}


def test_rows_are_the_same_through_every_door(launch):
    trace, span = trace_id(), span_id()
    records = [record(value, BASE_TIME + index, trace=trace, span=span, event=name, attributes=[("value", value), ("n", index)])
               for index, (name, value) in enumerate(VALUES.items())]
    records += [record("no span"), record("no time", time=None), record("seen", time=None, extra=fixed64(11, BASE_TIME + 99))]
    body = request(*records)
    by_protobuf, by_json, by_grpc = launch(), launch(), launch()
    answer = by_protobuf.post(body, PATH)
    assert (answer.status, answer.body) == (200, b"")
    message = ExportLogsServiceRequest.FromString(body)
    answer = by_json.post(otlp_json.encode(message), PATH, headers={"Content-Type": JSON})
    assert (answer.status, answer.body) == (200, b"{}")
    door = Grpc(by_grpc)
    assert door.call(body, path=SERVICES["logs"]) == b""
    door.close()
    columns = ("CASE WHEN time_unix_nano = received_time_unix_nano THEN 0 ELSE time_unix_nano END AS time, observed_time_unix_nano, "
               "trace_id, span_id, severity_number, severity_text, event_name, body, service_name, scope_name, flags, "
               "dropped_attributes_count, attributes, resource_attributes")
    rows = by_protobuf.sql(f"SELECT {columns} FROM logs ORDER BY rowid")
    assert len(rows) == len(records)
    assert by_json.sql(f"SELECT {columns} FROM logs ORDER BY rowid") == rows
    assert by_grpc.sql(f"SELECT {columns} FROM logs ORDER BY rowid") == rows
    bodies = {row["event_name"]: row["body"] for row in rows if row["event_name"]}
    assert (bodies["text"], bodies["empty text"], bodies["yes"], bodies["int"]) == ("text with ü and 🦊", "", "true", "-5")
    assert (json.loads(bodies["list"]), json.loads(bodies["map"]), bodies["nothing"]) == (["a", 1], {"k": 5}, None)
    assert rows[0]["trace_id"] == trace.hex() and rows[0]["span_id"] == span.hex()
    assert [row["time"] for row in rows[-3:]] == [BASE_TIME, 0, BASE_TIME + 99]


def test_bad_records_are_counted_and_the_rest_is_kept(fusebox):
    body = request(
        record("good"), record("late", time=2**63), record(nested(80)), record(data(7, bytes(2 << 20))), record("bad id", trace=b"short"))
    answer = fusebox.post(body, PATH)
    assert answer.status == 200
    partial = ExportLogsServiceResponse.FromString(answer.body).partial_success
    assert partial.rejected_log_records == 3
    for reason in "2262", "nested", "bytes":
        assert reason in partial.error_message
    assert fusebox.sql("SELECT body, trace_id FROM logs") == [{"body": "good", "trace_id": None}, {"body": "bad id", "trace_id": None}]
    metrics = fusebox.metrics()
    assert metrics.value("fusebox_log_records_rejected_total", reason="invalid") == 2
    assert metrics.value("fusebox_log_records_rejected_total", reason="too_large") == 1
    assert fusebox.post(body[:-3], PATH).status == 400
    assert fusebox.scalar("SELECT count(*) FROM logs") == 2


def test_kill_keeps_acknowledged_records(launch):
    """Clients post spans and records together; after kill -9 every acknowledged record is there."""
    from wire import batch, span
    server = launch()
    acknowledged = set()
    stopping = threading.Event()

    def run(client):
        turn = 0
        while not stopping.is_set():
            names = [f"{client}/{turn}/{index}" for index in range(5)]
            turn += 1
            try:
                if client == 0:
                    if server.post(batch(span())).status != 200:
                        continue
                elif server.post(request(*[record(name) for name in names]), PATH).status == 200:
                    acknowledged.update(names)
            except OSError:
                return
            except Exception:
                if not stopping.is_set():
                    raise

    for kill in range(3):
        stopping.clear()
        threads = [threading.Thread(target=run, args=(client + 10 * kill if client else 0,), daemon=True) for client in range(4)]
        for thread in threads:
            thread.start()
        before = len(acknowledged)
        poll("records are acknowledged", lambda: len(acknowledged) > before + 100)
        server.kill()
        stopping.set()
        for thread in threads:
            thread.join(timeout=30)
        server.start()
        stored = [row["body"] for row in server.sql("SELECT body FROM logs")]
        assert acknowledged <= set(stored)
        done = server.run("verify", "--data-dir", str(server.folder))
        assert done.returncode == 0, done.stdout
    poll("small segments are merged", lambda: server.metrics().value("fusebox_log_segments") < 24)
    assert acknowledged <= {row["body"] for row in server.sql("SELECT body FROM logs")}


def test_evals_and_exceptions_join_their_spans(fusebox):
    from wire import batch, span
    trace, identity = trace_id(), span_id()
    told = fixed64(1, BASE_TIME + 1) + data(2, "exception") + data(3, attribute("exception.type", "TimeoutError")) + data(
        3, attribute("exception.message", "slow"))
    assert fusebox.post(batch(span(trace, identity, name="chat", extra=data(11, told)))).status == 200
    judged = [("gen_ai.evaluation.name", "faithfulness"), ("gen_ai.evaluation.score.value", 0.75),
              ("gen_ai.evaluation.score.label", "good")]
    body = request(
        record(trace=trace, span=identity, event="gen_ai.evaluation.result", attributes=judged),
        record("x", trace=trace, span=identity, event="gen_ai.client.operation.exception",
               attributes=[("exception.type", "RateLimitError"), ("exception.message", "slow down")]),
        record("failed", trace=trace, span=identity, severity=17, attributes=[("exception.type", "KeyError"), ("exception.message", "k")]),
        record("fine", trace=trace, span=identity))
    for _ in range(2):
        assert fusebox.post(body, PATH).status == 200
    assert fusebox.sql("SELECT name, score, label, span_name, matched_by FROM span_evals") == [
        {"name": "faithfulness", "score": 0.75, "label": "good", "span_name": "chat", "matched_by": "span_id"}]
    assert fusebox.scalar("SELECT count(*) FROM evals") == 1
    found = fusebox.sql("SELECT DISTINCT trace_id, span_id, time_unix_nano - :base AS after, type, message, source FROM span_exceptions "
                        "ORDER BY type", base=BASE_TIME)
    ids = {"trace_id": trace.hex(), "span_id": identity.hex()}
    assert found == [
        {**ids, "after": 0, "type": "KeyError", "message": "k", "source": "log"},
        {**ids, "after": 0, "type": "RateLimitError", "message": "slow down", "source": "log"},
        {**ids, "after": 1, "type": "TimeoutError", "message": "slow", "source": "span"}]
    # Without identity, what is sent twice is there twice.
    assert fusebox.scalar("SELECT count(*) FROM logs") == 8


def test_no_secret_reaches_the_file(launch):
    server = launch({"FUSEBOX_REDACT_KEYS": "password", "FUSEBOX_REDACT_PATTERNS": r"sesame\d+"})
    secrets = [f"sesame{index}" for index in range(1000, 1010)]
    supply = iter(secrets)
    body = data(1, data(1, data(1, attribute("service.name", next(supply))) + data(1, attribute(next(supply), "x"))) + data(2, data(
        1, data(1, next(supply))) + data(2, record(
            f"say {next(supply)} now", event=next(supply), attributes=[("password", "plain hidden"), (next(supply), 1), ("a", next(supply)),
            ("list", data(5, data(1, data(1, next(supply)))))], extra=data(3, next(supply)))) + data(2, record(
                data(6, data(1, attribute("password", "plain hidden")) + data(1, attribute("k", next(supply))))))))
    assert server.post(body, PATH).status == 200
    assert server.post(otlp_json.encode(ExportLogsServiceRequest.FromString(body)), PATH, headers={"Content-Type": JSON}).status == 200
    shown = json.dumps(server.sql("SELECT * FROM logs"))
    assert "[redacted]" in shown and "sesame" not in shown and "plain hidden" not in shown
    files = b"".join(path.read_bytes() for path in server.folder.rglob("*") if path.is_file())
    assert b"sesame" not in files and b"plain hidden" not in files


def pages(server, **parameters):
    """All log records of a question to the API, page by page."""
    found = []
    cursor = None
    while True:
        query = {**parameters, **({"cursor": cursor} if cursor else {})}
        answer = server.get("/api/logs?" + urllib.parse.urlencode(query))
        assert answer.status == 200, answer
        page = json.loads(answer.body)
        found += page["logs"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def test_the_api_finds_and_pages(fusebox):
    trace, span = trace_id(), span_id()
    records = [record(f"Body {index} é", BASE_TIME + index // 7, severity=1 + index % 24, trace=trace if index % 5 == 0 else None,
                      span=span if index % 10 == 0 else None, event="tick" if index % 3 == 0 else None, attributes=[("index", index)])
               for index in range(100)]
    assert fusebox.post(request(*records[:50], service="one"), PATH).status == 200
    assert fusebox.post(request(*records[50:], service="two"), PATH).status == 200

    def indices(**parameters):
        found = pages(fusebox, limit=9, **parameters)
        times = [int(one["time_unix_nano"]) for one in found]
        assert times == sorted(times, reverse=True)
        return sorted(one["attributes"]["index"] for one in found)

    def expected(condition):
        return [index for index in range(100) if condition(index)]

    assert indices() == list(range(100))
    assert indices(service="two") == expected(lambda index: index >= 50)
    assert indices(trace_id=trace.hex()) == expected(lambda index: index % 5 == 0)
    assert indices(trace_id=trace.hex(), span_id=span.hex()) == expected(lambda index: index % 10 == 0)
    assert indices(severity_min="error") == expected(lambda index: index % 24 >= 16)
    assert indices(severity_min=5) == expected(lambda index: index % 24 >= 4)
    assert indices(event_name="tick") == expected(lambda index: index % 3 == 0)
    assert indices(q="body 9") == expected(lambda index: index == 9 or index >= 90)
    assert indices(**{"from": BASE_TIME + 3, "to": BASE_TIME + 5}) == expected(lambda index: 3 <= index // 7 < 5)
    assert indices(trace_id="0" * 31 + "1") == []
    for wrong in "severity_min=loud", "trace_id=x", "span_id=1", "cursor=x", "limit=0", "limit=99999":
        assert fusebox.get("/api/logs?" + wrong).status == 400, wrong


def test_tables_are_known_and_exported(fusebox, tmp_path):
    assert fusebox.post(request(record("kept", trace=trace_id(), span=span_id())), PATH).status == 200
    schema = json.loads(fusebox.get("/api/schema").body)
    tables = {table["name"]: table["columns"] for table in schema}
    assert tables["logs"][:4] == ["time_unix_nano", "observed_time_unix_nano", "received_time_unix_nano", "trace_id"]
    assert "type" in tables["span_exceptions"]
    target = tmp_path / "plain.db"
    done = fusebox.run("export", "--data-dir", str(fusebox.folder), "--format", "sqlite", str(target))
    assert done.returncode == 0, done.stderr
    rows = sqlite3.connect(target).execute("SELECT body, severity_number, time_unix_nano FROM logs").fetchall()
    assert rows == [("kept", 9, BASE_TIME)]
    copy = tmp_path / "copy.db"
    assert fusebox.run("backup", "--data-dir", str(fusebox.folder), str(copy)).returncode == 0
    done = fusebox.run("verify", "--format", "json", str(copy))
    assert (done.returncode, json.loads(done.stdout)["log_records"]) == (0, 1)


def test_prune_deletes_records(launch):
    server = launch()
    old = time.time_ns() - 3 * 86_400 * 10**9
    assert server.post(request(record("old", old)), PATH).status == 200
    poll("its own segment", lambda: server.metrics().value("fusebox_log_segments") == 1)
    assert server.post(request(record("new", time.time_ns())), PATH).status == 200
    server.stop()
    done = server.run("prune", "--data-dir", str(server.folder), "--before", "1d")
    assert b"1 log records" in done.stdout, done
    done = server.run("prune", "--data-dir", str(server.folder), "--before", "1d", "--yes")
    assert done.returncode == 0 and b"1 log records" in done.stdout, done
    assert server.sql("SELECT body FROM logs") == [{"body": "new"}]
    server.start()
    assert server.scalar("SELECT count(*) FROM logs") == 1
