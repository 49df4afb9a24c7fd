"""A LangGraph graph with a tool that times out once, and a model that needs no network.

    pip install langgraph langchain-core openinference-instrumentation-langchain opentelemetry-sdk opentelemetry-exporter-otlp-proto-http
    OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 python examples/langgraph_agent.py
"""

from typing import TypedDict

from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.tools import tool
from langgraph.graph import END, START, StateGraph
from openinference.instrumentation.langchain import LangChainInstrumentor
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider(resource=Resource.create({"service.name": "langgraph-agent"}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
LangChainInstrumentor().instrument(tracer_provider=provider)

model = FakeListChatModel(responses=["Take a coat: it is 12 °C."])


class State(TypedDict, total=False):
    city: str
    weather: str
    answer: str


@tool
def weather_api(city: str, attempt: int) -> str:
    """The weather of a city."""
    if attempt == 0:
        raise TimeoutError("no answer within 10 s")
    return f"12 °C in {city}"


def look_up(state: State):
    try:
        return {"weather": weather_api.invoke({"city": state["city"], "attempt": 0})}
    except TimeoutError:
        return {"weather": weather_api.invoke({"city": state["city"], "attempt": 1})}


def answer(state: State):
    return {"answer": model.invoke(f"The weather: {state['weather']}. What should I wear?").content}


graph = StateGraph(State)
graph.add_node("look_up", look_up)
graph.add_node("answer", answer)
graph.add_edge(START, "look_up")
graph.add_edge("look_up", "answer")
graph.add_edge("answer", END)
result = graph.compile().invoke({"city": "Porto"}, config={"run_name": "forecast", "metadata": {"session_id": "s-1"}})
print(result["answer"])
provider.shutdown()
