"""A Haystack pipeline with a retriever and a tool component.

    pip install haystack-ai opentelemetry-haystack opentelemetry-sdk opentelemetry-exporter-otlp-proto-http
    OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 python examples/haystack_agent.py
"""

from haystack import Document, Pipeline, component
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack_integrations.components.connectors.opentelemetry import OpenTelemetryConnector
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider(resource=Resource.create({"service.name": "haystack-agent"}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)


# A component whose name ends in Tool becomes a tool in the columns.
@component
class WeatherTool:
    @component.output_types(weather=str)
    def run(self, documents: list[Document]):
        return {"weather": f"12 °C; {len(documents)} documents say so"}


store = InMemoryDocumentStore()
store.write_documents([Document(content="Porto is mild."), Document(content="Porto has rain in November.")])
pipeline = Pipeline(metadata={"name": "forecast"})
pipeline.add_component("tracing", OpenTelemetryConnector())
pipeline.add_component("retriever", InMemoryBM25Retriever(document_store=store))
pipeline.add_component("weather", WeatherTool())
pipeline.connect("retriever.documents", "weather.documents")
print(pipeline.run({"retriever": {"query": "Porto"}})["weather"]["weather"])
provider.shutdown()
