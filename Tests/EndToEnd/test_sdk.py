"""The real OpenTelemetry SDK for Python, exporting to the built server."""

import json
import logging
import os
import subprocess
import sys
import textwrap

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Status, StatusCode, SpanKind

from proxy import Proxy
from server import poll


class Recorder(SpanExporter):
    """Keeps what the SDK exported."""

    def __init__(self):
        self.spans = []

    def export(self, spans):
        self.spans += spans
        return SpanExportResult.SUCCESS


class Agent:
    """A traced program with the official exporter, and a second opinion on what it exported."""

    def __init__(self, url, compression=Compression.NoCompression):
        self.recorder = Recorder()
        self.provider = TracerProvider(
            resource=Resource.create({"service.name": "sdk-agent", "service.instance.id": "one"}), shutdown_on_exit=False)
        self.provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{url}/v1/traces", compression=compression)))
        self.provider.add_span_processor(BatchSpanProcessor(self.recorder))
        self.tracer = self.provider.get_tracer("tests", "1.0")

    def work(self, runs):
        for number in range(runs):
            with self.tracer.start_as_current_span("run", attributes={"workflow_name": "triage"}, kind=SpanKind.SERVER) as run:
                with self.tracer.start_as_current_span("search", attributes={
                        "tool_name": "web_search", "step_id": "01", "queue_depth": number, "ratio": 0.5, "deep": ["a", "b"]}):
                    pass
                try:
                    with self.tracer.start_as_current_span("lookup", attributes={"tool_name": "crm", "breaker_state": "closed"}):
                        raise TimeoutError("slow")
                except TimeoutError:
                    run.add_event("gave up", {"tries": 1})
                with self.tracer.start_as_current_span("chat", attributes={"tokens": 100 + number, "cache_hit": True}) as chat:
                    chat.set_status(Status(StatusCode.OK))

    def finish(self):
        assert self.provider.force_flush(30_000)
        self.provider.shutdown()

    def check_stored(self, fusebox):
        """Every span, once, with what it was given."""
        rows = {(row["trace_id"], row["span_id"]): row for row in fusebox.sql("SELECT * FROM spans")}
        sent = {(f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"): span for span in self.recorder.spans}
        assert rows.keys() == sent.keys()
        assert fusebox.scalar("SELECT count(*) FROM spans") == len(self.recorder.spans)
        for identity, span in sent.items():
            row = rows[identity]
            assert row["parent_span_id"] == (f"{span.parent.span_id:016x}" if span.parent else None)
            assert (row["name"], row["service_name"], row["scope_name"]) == (span.name, "sdk-agent", "tests")
            assert (row["start_time_unix_nano"], row["end_time_unix_nano"]) == (span.start_time, span.end_time)
            assert row["duration_ns"] == span.end_time - span.start_time
            assert row["kind"] == span.kind.value + 1
            assert row["status_code"] == span.status.status_code.value
            attributes = {key: list(value) if isinstance(value, tuple) else value for key, value in span.attributes.items()}
            assert json.loads(row["attributes"] or "{}") == attributes
            assert [event["name"] for event in json.loads(row["events"] or "[]")] == [event.name for event in span.events]
            for column in "workflow_name", "tool_name", "step_id", "queue_depth", "tokens", "breaker_state":
                if column in span.attributes:
                    assert row[column] == span.attributes[column], column


@pytest.fixture
def clean_log(caplog):
    """No warning or error of the SDK or the exporter during the test."""
    with caplog.at_level(logging.WARNING):
        yield caplog
    complaints = [record.getMessage() for record in caplog.get_records("call") if record.name.startswith("opentelemetry")]
    assert not complaints, complaints


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip, Compression.Deflate], ids=lambda one: one.value)
def test_exports(fusebox, clean_log, compression):
    agent = Agent(fusebox.url, compression)
    agent.work(300)
    agent.finish()
    assert len(agent.recorder.spans) == 1200
    agent.check_stored(fusebox)
    metrics = fusebox.settled()
    assert metrics.value("agent_workflow_runs_total", workflow="triage", outcome="ok") == 300
    assert metrics.value("agent_tool_timeouts_total", tool="crm", reason="exception") == 300
    assert metrics.total("agent_tool_calls_total", tool="web_search", outcome="ok") == 300
    assert metrics.total("agent_tokens_total") == sum(100 + number for number in range(300))
    name = {"none": "identity"}.get(compression.value, compression.value)
    assert metrics.value("fusebox_ingest_request_bytes_total", compression=name) > 0


def test_batch_whose_answer_was_lost_counts_once(fusebox, clean_log):
    with Proxy(fusebox.port, ["lost"]) as proxy:
        agent = Agent(proxy.url)
        agent.work(20)
        agent.finish()
    assert len(proxy.bodies) == 2 and proxy.bodies[0] == proxy.bodies[1]
    assert proxy.statuses == [200, 200]
    agent.check_stored(fusebox)
    metrics = fusebox.settled()
    assert metrics.value("fusebox_spans_duplicate_total", kind="identical") == 80
    assert metrics.value("fusebox_spans_received_total") == 160
    assert metrics.value("fusebox_spans_accepted_total") == 80
    assert metrics.value("agent_workflow_runs_total", workflow="triage", outcome="ok") == 20
    assert metrics.total("agent_tool_timeouts_total") == 20


def test_batch_is_sent_again_after_503(fusebox, caplog):
    with Proxy(fusebox.port, [503, 503]) as proxy:
        agent = Agent(proxy.url)
        agent.work(20)
        agent.finish()
    assert proxy.statuses == [503, 503, 200]
    agent.check_stored(fusebox)
    assert fusebox.metrics().value("fusebox_spans_received_total") == 80
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


PROGRAM = textwrap.dedent("""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    with trace.get_tracer("program").start_as_current_span("once", attributes={"tool_name": "t"}):
        pass
""")


@pytest.mark.parametrize("compression", ["none", "gzip", "deflate"])
def test_program_configured_by_environment_alone(fusebox, compression):
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, timeout=60, env={
        "PATH": os.environ["PATH"], "OTEL_EXPORTER_OTLP_ENDPOINT": fusebox.url, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_COMPRESSION": compression, "OTEL_SERVICE_NAME": "by-environment",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20x,x-tenant=blue",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test",
    })
    assert (done.returncode, done.stderr) == (0, b"")
    assert fusebox.sql("SELECT service_name, name, tool_name FROM spans") == [
        {"service_name": "by-environment", "name": "once", "tool_name": "t"}]
    assert json.loads(fusebox.scalar("SELECT resource_attributes FROM spans"))["deployment.environment"] == "test"


# gRPC, the zero-code default, and the other signals


def test_exports_over_grpc(fusebox, clean_log):
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
    import grpc
    for compression in grpc.Compression.NoCompression, grpc.Compression.Gzip:
        agent = Agent(fusebox.url)
        agent.provider.shutdown()
        agent.provider = TracerProvider(resource=Resource.create({"service.name": "sdk-agent"}), shutdown_on_exit=False)
        exporter = GrpcSpanExporter(f"http://127.0.0.1:{fusebox.grpc_port}", insecure=True, compression=compression)
        agent.provider.add_span_processor(BatchSpanProcessor(exporter))
        agent.provider.add_span_processor(BatchSpanProcessor(agent.recorder))
        agent.tracer = agent.provider.get_tracer("tests", "1.0")
        agent.work(300)
        agent.finish()
        assert len(agent.recorder.spans) == 1200
        stored = fusebox.sql("SELECT count(*) AS spans FROM spans")[0]["spans"]
        assert stored % 1200 == 0
    assert stored == 2400
    metrics = fusebox.settled()
    assert metrics.total("fusebox_ingest_requests_total", transport="grpc", code="0") >= 2
    assert metrics.value("agent_workflow_runs_total", workflow="triage", outcome="ok") == 600


SIGNALS = textwrap.dedent("""
    import logging
    from opentelemetry import metrics, trace
    # What the exporters complain about goes to standard error, beside where the instrumentation sends it.
    logging.getLogger().addHandler(logging.StreamHandler())
    with trace.get_tracer("program").start_as_current_span("once", attributes={"tool_name": "t"}):
        logging.getLogger("program").warning("inside the span")
        metrics.get_meter("program").create_counter("program.turns").add(3, {"kind": "chat"})
        metrics.get_meter("program").create_histogram("program.latency", unit="s").record(0.2)
""")


def instrumented(environment):
    """A program under `opentelemetry-instrument`, without a line of its own about exporting."""
    tool = os.path.join(os.path.dirname(sys.executable), "opentelemetry-instrument")
    return subprocess.run([tool, sys.executable, "-c", SIGNALS], capture_output=True, timeout=90, env={
        "PATH": os.environ["PATH"], "OTEL_SERVICE_NAME": "zero-code", "OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED": "true",
        **environment})


@pytest.mark.parametrize("protocol", [None, "grpc", "http/protobuf"], ids=str)
def test_zero_code(fusebox, protocol):
    """Only the endpoint is set; what the distribution chooses by itself is gRPC, and traces, metrics and logs."""
    port = fusebox.port if protocol == "http/protobuf" else fusebox.grpc_port
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}", "OTEL_LOGS_EXPORTER": "otlp"}
    if protocol:
        environment["OTEL_EXPORTER_OTLP_PROTOCOL"] = protocol
    done = instrumented(environment)
    assert done.returncode == 0, done.stderr.decode()
    complaints = [line for line in done.stderr.decode().splitlines() if "inside the span" not in line]
    assert complaints == []
    assert fusebox.sql("SELECT service_name, name, tool_name FROM spans") == [
        {"service_name": "zero-code", "name": "once", "tool_name": "t"}]
    metrics = fusebox.settled()
    transport = "http" if protocol == "http/protobuf" else "grpc"
    assert metrics.total("fusebox_ingest_requests_total", transport=transport) >= 2
    assert metrics.value("program_turns_total", kind="chat", job="zero-code") == 3
    assert metrics.types["program_latency_seconds"] == "histogram"


def test_grpc_client_at_the_http_port_is_told(fusebox):
    done = instrumented({"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{fusebox.port}", "OTEL_EXPORTER_OTLP_TIMEOUT": "3"})
    assert "UNIMPLEMENTED" in done.stderr.decode()
    poll("the log says so", lambda: "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf" in fusebox.stderr)
