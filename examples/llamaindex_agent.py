"""A LlamaIndex workflow of two steps, one of which calls a tool that times out once.

    pip install llama-index-workflows llama-index-observability-otel opentelemetry-exporter-otlp-proto-http
    OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 python examples/llamaindex_agent.py
"""

import asyncio

from llama_index.observability.otel import LlamaIndexOpenTelemetry
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from workflows import Workflow, step
from workflows.events import Event, StartEvent, StopEvent

LlamaIndexOpenTelemetry(service_name_or_resource="llamaindex-agent", span_exporter=OTLPSpanExporter()).start_registering()
tracer = trace.get_tracer("llamaindex.agent")


class Place(Event):
    city: str


async def weather(city, attempt):
    """A tool: one span for each attempt, named as tools are in the columns."""
    with tracer.start_as_current_span("tool weather_api", attributes={"tool_name": "weather_api", "stage": "http_tool", "retry.attempt": attempt}):
        await asyncio.sleep(0.02)
        if attempt == 0:
            raise TimeoutError("no answer within 20 ms")
        return f"12 °C in {city}"


class Forecast(Workflow):
    @step
    async def find(self, event: StartEvent) -> Place:
        return Place(city=event.city)

    @step
    async def ask(self, event: Place) -> StopEvent:
        try:
            return StopEvent(result=await weather(event.city, 0))
        except TimeoutError:
            return StopEvent(result=await weather(event.city, 1))


async def main():
    print(await Forecast(timeout=10).run(city="Porto"))


asyncio.run(main())
trace.get_tracer_provider().shutdown()
