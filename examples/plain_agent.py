"""An agent in a few lines, with plain OpenTelemetry: a workflow, a model call, and a tool that times out once.

    pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http
    OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 python examples/plain_agent.py
"""

import time

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider(resource=Resource.create({"service.name": "plain-agent"}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("plain.agent")


def look_up(attempt):
    """A tool. One span for each attempt, with the tool's name and what its breaker said afterwards."""
    attributes = {"tool_name": "weather_api", "stage": "http_tool", "step_id": "look-up", "retry.attempt": attempt, "breaker_state": "closed"}
    with tracer.start_as_current_span("tool weather_api", attributes=attributes):
        time.sleep(0.02)
        if attempt == 0:
            raise TimeoutError("no answer within 20 ms")
        return "12 °C"


with tracer.start_as_current_span("workflow forecast", attributes={"workflow_name": "forecast", "session.id": "s-1"}):
    with tracer.start_as_current_span("chat", attributes={"gen_ai.operation.name": "chat", "gen_ai.request.model": "small-model"}) as span:
        span.set_attributes({"gen_ai.usage.input_tokens": 120, "gen_ai.usage.output_tokens": 30})
    try:
        look_up(0)
    except TimeoutError:
        print(look_up(1))

provider.shutdown()
