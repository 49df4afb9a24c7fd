"""The agents in examples/: each runs, and the columns hold what docs/integrations.md says.

Those of frameworks run where the packages of examples/requirements.txt are installed: FUSEBOX_EXAMPLES_PYTHON names a Python that has them.
"""

import os
import pathlib
import subprocess
import sys

import pytest

import model_server as does
from test_gateway import backend, gateway  # noqa: F401

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
PYTHON = os.environ.get("FUSEBOX_EXAMPLES_PYTHON", sys.executable)


def run(fusebox, name, *modules):
    if modules and subprocess.run([PYTHON, "-c", "import " + ", ".join(modules)], capture_output=True).returncode != 0:
        pytest.skip(f"{PYTHON} has no {' or '.join(modules)}; examples/requirements.txt lists them")
    environment = {**fusebox.environment, "OTEL_EXPORTER_OTLP_ENDPOINT": fusebox.url, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "HAYSTACK_TELEMETRY_ENABLED": "False"}
    done = subprocess.run([PYTHON, EXAMPLES / name], capture_output=True, text=True, timeout=240, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def outcomes(fusebox, tool):
    return [row["outcome"] for row in fusebox.sql("SELECT outcome FROM spans WHERE tool_name = :tool ORDER BY start_time_unix_nano", tool=tool)]


def test_plain_opentelemetry(fusebox):
    assert run(fusebox, "plain_agent.py") == "12 °C"
    (tool,) = fusebox.sql("SELECT tool_name, calls, timeouts FROM tools WHERE tool_name = 'weather_api'")
    assert tool == {"tool_name": "weather_api", "calls": 2, "timeouts": 1}
    assert fusebox.scalar("SELECT tokens FROM traces") == 150


def test_llamaindex(fusebox):
    assert run(fusebox, "llamaindex_agent.py", "workflows", "llama_index.observability.otel") == "12 °C in Porto"
    assert fusebox.scalar("SELECT workflow_name FROM spans WHERE parent_span_id IS NULL") == "Forecast"
    assert {"find", "ask"} <= {row["step_id"] for row in fusebox.sql("SELECT step_id FROM spans")}
    assert outcomes(fusebox, "weather_api") == ["timeout", "ok"]


def test_langgraph(fusebox):
    assert "12 °C" in run(fusebox, "langgraph_agent.py", "langgraph", "openinference.instrumentation.langchain")
    (root,) = fusebox.sql("SELECT workflow_name, session_id FROM spans WHERE parent_span_id IS NULL")
    assert root == {"workflow_name": "forecast", "session_id": "s-1"}
    assert outcomes(fusebox, "weather_api") == ["timeout", "ok"]
    assert fusebox.scalar("SELECT count(*) FROM spans WHERE operation = 'chat'") == 1


def test_haystack(fusebox):
    assert run(fusebox, "haystack_agent.py", "haystack", "haystack_integrations.components.connectors.opentelemetry").startswith("12 °C")
    assert fusebox.scalar("SELECT workflow_name FROM spans WHERE parent_span_id IS NULL") == "forecast"
    assert {row["step_id"] for row in fusebox.sql("SELECT step_id FROM spans WHERE step_id IS NOT NULL")} >= {"retriever", "weather"}
    assert outcomes(fusebox, "weather") == ["ok"]


def test_through_the_gateway(gateway, backend):  # noqa: F811
    backend.behave(does.status(503, {"error": {"message": "Loading model"}}), does.stream(count=4))
    stand = gateway()
    environment = {**stand.fusebox.environment, "OPENAI_BASE_URL": f"http://127.0.0.1:{stand.port}/v1", "MODEL": "m"}
    done = subprocess.run([sys.executable, EXAMPLES / "gateway_agent.py"], capture_output=True, text=True, timeout=60, env=environment)
    assert (done.returncode, done.stdout) == (0, "0123\n"), done.stderr
    (call,) = stand.calls(1)
    assert (call["workflow_name"], call["step_id"], call["output_tokens"]) == ("forecast", "ask", 4)


def test_an_agent_that_mends_itself_by_its_own_traces(fusebox):
    """It meets a tool that is down, reads in its spans that it timed out, and goes around it."""
    said = run(fusebox, "self_repair_agent.py", "mcp").splitlines()
    assert said == ["live_weather: 1 × timeout, no answer within 20 ms", "12 °C"]
    assert outcomes(fusebox, "live_weather") == ["timeout"]
    assert outcomes(fusebox, "archived_weather") == ["ok"]
