"""An agent that mends itself by its own traces: when runs fail it asks Fusebox over MCP what changed, and leaves out what its traces blame.

    pip install mcp opentelemetry-sdk opentelemetry-exporter-otlp-proto-http
    OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 python examples/self_repair_agent.py
"""

import asyncio
import os

import mcp
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

SERVICE = "self-repair-agent"
provider = TracerProvider(resource=Resource.create({"service.name": SERVICE}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("self.repair.agent")


def live_weather():
    raise TimeoutError("no answer within 20 ms")


def archived_weather():
    return "12 °C"


SOURCES = {"live_weather": live_weather, "archived_weather": archived_weather}


def run(sources):
    """One run: the first source that is left answers, or the run fails."""
    with tracer.start_as_current_span("workflow forecast", attributes={"workflow_name": "forecast"}):
        name = sources[0]
        with tracer.start_as_current_span(f"tool {name}", attributes={"tool_name": name, "stage": "http_tool"}):
            return SOURCES[name]()


async def blamed_tools():
    """The tools of this service that time out or fail since an hour, by the collector that has the spans."""
    provider.force_flush()
    async with mcp.Client(os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] + "/mcp") as fusebox:
        failures = (await fusebox.call_tool("list_failures", {"since": "1h", "service": SERVICE})).structured_content
        for group in failures["groups"]:
            span = await fusebox.call_tool("get_span", {"trace_id": group["example_trace_id"], "span_id": group["example_span_id"]})
            event = (span.structured_content["span"].get("events") or [{}])[0]
            print(f"{group['call']}: {group['count']} × {group['outcome']}, {event.get('attributes', {}).get('exception.message')}")
        return {group["call"] for group in failures["groups"]}


async def main():
    sources = list(SOURCES)
    while sources:
        try:
            return print(run(sources))
        except TimeoutError:
            blamed = await blamed_tools()
            sources = [name for name in sources if name not in blamed]


asyncio.run(main())
provider.shutdown()
