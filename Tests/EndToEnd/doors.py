"""The ways into the server, so that one test can go through each of them, and the ways out, so that one can ask each for a figure."""

import gzip
import json
import sqlite3
import urllib.parse

import grpc
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

import otlp_json
from server import PROTOBUF

JSON = "application/json"
SERVICES = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
# How gRPC says what HTTP says.
GRPC_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT, 401: grpc.StatusCode.UNAUTHENTICATED, 403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.UNIMPLEMENTED, 413: grpc.StatusCode.RESOURCE_EXHAUSTED, 415: grpc.StatusCode.UNIMPLEMENTED,
    503: grpc.StatusCode.UNAVAILABLE,
}


class Outcome:
    """What a door answered: the HTTP status, or what of it gRPC says; how many spans were rejected; the message with it."""

    def __init__(self, status, rejected=0, message="", retry_after=None):
        self.status = status
        self.rejected = rejected
        self.message = message
        self.retry_after = retry_after

    def __repr__(self):
        return f"<{self.status} rejected={self.rejected} {self.message!r}>"


class Protobuf:
    name = "protobuf"
    media_type = PROTOBUF

    def __init__(self, fusebox):
        self.fusebox = fusebox

    def body(self, batch):
        """The request whose protobuf form is `batch`, as this door takes it."""
        return batch

    def post(self, body, headers=None, path="/v1/traces", timeout=60):
        return self.fusebox.request("POST", path, body, {"Content-Type": self.media_type, **(headers or {})}, timeout)

    def read(self, answer):
        assert answer.headers["Content-Type"] == self.media_type, answer
        if answer.status == 200:
            response = self.response(answer.body)
            return Outcome(200, response.partial_success.rejected_spans, response.partial_success.error_message)
        status = self.status(answer.body)
        assert status.message and status.code, answer
        return Outcome(answer.status, message=status.message, retry_after=answer.headers["Retry-After"])

    def response(self, body):
        return ExportTraceServiceResponse.FromString(body)

    def status(self, body):
        return Status.FromString(body)

    def send(self, body, headers=None):
        return self.read(self.post(body, headers))

    def send_batch(self, batch, headers=None):
        return self.send(self.body(batch), headers)


class Json(Protobuf):
    name = "json"
    media_type = JSON

    def body(self, batch):
        return otlp_json.encode(ExportTraceServiceRequest.FromString(batch))

    def response(self, body):
        from google.protobuf import json_format
        return json_format.Parse(body, ExportTraceServiceResponse())

    def status(self, body):
        from google.protobuf import json_format
        return json_format.Parse(body, Status())


class Grpc:
    name = "grpc"

    def __init__(self, fusebox, port=None):
        options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port or fusebox.grpc_port}", options=options)

    def body(self, batch):
        return batch

    def call(self, body, metadata=(), path=SERVICES["traces"], compression=None, timeout=60):
        """The answer's bytes; raises grpc.RpcError."""
        return self.channel.unary_unary(path)(body, metadata=metadata, compression=compression, timeout=timeout)

    def send(self, body, headers=None, compression=None):
        metadata = [(name.lower(), value) for name, value in (headers or {}).items()]
        try:
            partial = ExportTraceServiceResponse.FromString(self.call(body, metadata, compression=compression)).partial_success
            return Outcome(200, partial.rejected_spans, partial.error_message)
        except grpc.RpcError as error:
            (status,) = [status for status, code in GRPC_CODES.items() if code == error.code() and status != 415] or [error.code()]
            return Outcome(status, message=error.details(), retry_after=retry_seconds(error))

    def send_batch(self, batch, headers=None):
        return self.send(batch, headers)

    def close(self):
        self.channel.close()


def retry_seconds(error):
    """The delay of the RetryInfo that an error carries, in seconds as text; `None` without one."""
    from google.rpc.error_details_pb2 import RetryInfo
    details = dict(error.trailing_metadata()).get("grpc-status-details-bin")
    if details is None:
        return None
    info = RetryInfo()
    (packed,) = Status.FromString(details).details
    assert packed.Unpack(info)
    return str(info.retry_delay.seconds)


def compressed(body):
    return gzip.compress(body)


# The ways out: what each door tells of one figure. A figure is a dictionary, so that a door that tells a part of it is compared in that part.

SINCE = ["--since", "2020-01-01"]
OUTCOMES = ("ok", "error", "timeout", "rejected")
MACHINES = ("reported", "derived")


class Out:
    """Everything that a server tells of what it holds, each door asked once."""

    def __init__(self, server, folder):
        self.server = server
        self.metrics = server.settled()
        self.overview = self.api("/api/overview", points="500")
        self.breakers = self.api("/api/breakers")
        self.tables = {table["name"] for table in self.api("/api/schema")}
        self.traces = self._traces()
        self.workflows = self.api("/api/workflows")
        self.groups = {key: self.api(f"/api/{key}s", limit="500") for key in ("session", "user")}
        self.spans = [span for trace in self.traces for span in self.api("/api/traces/" + trace["trace_id"])["spans"]]
        self.gate = self.report("gate", "--full", *SINCE)
        self.cost = self.report("cost", *SINCE)
        self.export = self._export(folder / "doors.db")

    def api(self, path, **query):
        answer = self.server.get(path + ("?" + urllib.parse.urlencode(query) if query else ""))
        assert answer.status == 200, (path, answer)
        return json.loads(answer.body)

    def report(self, name, *arguments):
        done = self.server.run(name, "--data-dir", str(self.server.folder), "--format", "json", *arguments)
        assert done.returncode in (0, 1, 3), done.stderr
        return json.loads(done.stdout)

    def tool(self, name, **arguments):
        """What a tool of the Model Context Protocol answers."""
        meta = {"protocolVersion": "2026-07-28", "clientInfo": {"name": "doors", "version": "1"}, "clientCapabilities": {}}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "name": name, "arguments": arguments, "_meta": {f"io.modelcontextprotocol/{key}": value for key, value in meta.items()}}}
        answer = self.server.request("POST", "/mcp", json.dumps(body).encode(), {
            "Content-Type": JSON, "Accept": f"{JSON}, text/event-stream", "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": name})
        assert answer.status == 200, answer
        return json.loads(answer.body)["result"]["structuredContent"]

    def sql(self, query):
        return self.server.sql(query)

    def row(self, query):
        (row,) = self.sql(query)
        return {name: value or 0 for name, value in row.items()}

    def section(self, report, name):
        return report["sections"][name]["rows"]

    def _traces(self):
        found, cursor = [], {}
        while True:
            page = self.api("/api/traces", limit="500", **cursor)
            found += page["traces"]
            if not page["next_cursor"]:
                return found
            cursor = {"cursor": page["next_cursor"]}

    def _export(self, path):
        done = self.server.run("export", "--data-dir", str(self.server.folder), "--format", "sqlite", str(path))
        assert done.returncode == 0, done.stderr
        return sqlite3.connect(path)

    def exported(self, query):
        return self.export.execute(query).fetchall()


def _sum(rows, name):
    return sum(number(row[name]) for row in rows)


def number(value):
    """A figure as JSON has it: past 2^53 it stands in quotes; nothing is 0."""
    return 0 if value is None else int(value) if isinstance(value, str) else value


def dollars(out):
    """Dollars of model calls whose model has a price."""
    counted = [span for span in out.spans if span["counts_tokens"]]
    (exported,) = out.exported("SELECT coalesce(sum(dollars), 0) FROM costs")
    return {
        "/metrics": out.metrics.total("agent_api_cost_dollars_total"),
        "view costs": out.row("SELECT sum(dollars) AS dollars FROM costs")["dollars"],
        "/api/costs": _sum(out.api("/api/costs"), "dollars"),
        "/api/overview": number(out.overview["totals"]["dollars"]),
        "/api/overview, buckets": _sum(out.overview["buckets"], "dollars"),
        "/api/traces/{trace_id}": _sum(counted, "dollars"),
        "/api/traces": _sum(out.traces, "dollars"),
        "/api/workflows": _sum(out.workflows, "dollars"),
        "fusebox cost": _sum(out.section(out.cost, "models"), "dollars"),
        "fusebox gate --full": _sum(out.section(out.gate, "models"), "dollars"),
        "export": exported[0],
    }


def tokens(out):
    """All tokens of model calls, each once."""
    (exported,) = out.exported("SELECT coalesce(sum(tokens), 0) FROM costs")
    (total,) = [row["value"] for row in out.section(out.cost, "totals") if row["what"] == "tokens"]
    return {
        "/metrics": out.metrics.total("agent_tokens_total"),
        "view costs": out.row("SELECT sum(tokens) AS tokens FROM costs")["tokens"],
        "view token_spans": out.row("SELECT sum(tokens) AS tokens FROM token_spans")["tokens"],
        "view traces": out.row("SELECT sum(tokens) AS tokens FROM traces")["tokens"],
        "/api/costs": _sum(out.api("/api/costs"), "tokens"),
        "/api/overview": number(out.overview["totals"]["tokens"]),
        "/api/overview, buckets": _sum(out.overview["buckets"], "tokens"),
        "/api/traces": _sum(out.traces, "tokens"),
        "/api/workflows": _sum(out.workflows, "tokens"),
        "/api/traces/{trace_id}": _sum([span for span in out.spans if span["counts_tokens"]], "tokens"),
        "fusebox cost": number(total),
        "export": exported[0],
    }


def tokens_by_type(out):
    """Tokens by their type; reports show what was written to a cache with the rest of the input."""
    names = {"input": "input_tokens", "cache_read": "cached_tokens", "cache_write": "cache_write_tokens", "output": "output_tokens", "unspecified": "unspecified_tokens"}
    told = {"/metrics": {kind: out.metrics.total("agent_tokens_total", type=kind) for kind in names}}
    view = out.row("SELECT " + ", ".join(f"sum({name}) AS {kind}" for kind, name in names.items()) + " FROM costs")
    told["view costs"] = {kind: view[kind] for kind in names}
    costs = out.api("/api/costs")
    told["/api/costs"] = {kind: _sum(costs, name) for kind, name in names.items()}
    for door, rows in [("/api/traces", out.traces), ("/api/workflows", out.workflows)]:
        told[door] = {kind: _sum(rows, name) for kind, name in names.items()}
    (exported,) = out.exported("SELECT " + ", ".join(f"coalesce(sum({name}), 0)" for name in names.values()) + " FROM costs")
    told["export"] = dict(zip(names, exported))
    for door in told:
        told[door]["input and cache_write"] = told[door]["input"] + told[door]["cache_write"]
    models = out.section(out.cost, "models")
    told["fusebox cost"] = {"input and cache_write": _sum(models, "input"), "cache_read": _sum(models, "cached"), "output": _sum(models, "output"),
                            "unspecified": _sum(models, "other")}
    return told


def calls(out):
    """Attempts by their outcome."""
    def spread(rows, names):
        return {outcome: _sum(rows, name) for outcome, name in zip(OUTCOMES, names)}
    plain = ("ok", "errors", "timeouts", "rejected")
    exported = dict(out.exported("SELECT outcome, count(*) FROM spans WHERE outcome IS NOT NULL GROUP BY outcome"))
    told = {
        "/metrics": {outcome: out.metrics.total("agent_tool_calls_total", outcome=outcome) for outcome in OUTCOMES},
        "spans": {outcome: 0 for outcome in OUTCOMES} | {row["outcome"]: row["n"] for row in out.sql(
            "SELECT outcome, count(*) AS n FROM spans WHERE outcome IS NOT NULL GROUP BY outcome")},
        "view tools": spread(out.sql("SELECT ok, errors, timeouts, rejected FROM tools"), plain),
        "/api/tools": spread(out.api("/api/tools"), plain),
        "fusebox tools": spread(out.report("tools"), plain),
        "fusebox gate --full": spread(out.section(out.gate, "tools"), OUTCOMES),
        "export": {outcome: exported.get(outcome, 0) for outcome in OUTCOMES},
    }
    for door in told:
        told[door]["all"] = sum(told[door].values())
    totals = out.overview["totals"]
    told["/api/overview"] = {"all": totals["calls"], "timeout": totals["timeouts"], "rejected": totals["rejected"]}
    return told


def timeouts(out):
    """Attempts that timed out."""
    (gate,) = [row["value"] for row in out.section(out.gate, "gates") if row["gate"] == "timeouts"]
    (exported,) = out.exported("SELECT count(*) FROM spans WHERE outcome = 'timeout'")
    return {
        "/metrics": out.metrics.total("agent_tool_timeouts_total"),
        "view timeouts": out.row("SELECT count(*) AS n FROM timeouts")["n"],
        "view tools": out.row("SELECT sum(timeouts) AS n FROM tools")["n"],
        "view traces": out.row("SELECT sum(timeout_count) AS n FROM traces")["n"],
        "/api/traces": _sum(out.traces, "timeout_count"),
        "/api/overview": out.overview["totals"]["timeouts"],
        "/api/overview, buckets": _sum(out.overview["buckets"], "timeouts"),
        "/api/breakers": len(out.breakers["timeouts"]),
        "fusebox gate": number(gate),
        "fusebox gate --full": _sum(out.section(out.gate, "timeouts"), "timeouts"),
        "export": exported[0],
    }


def runs(out):
    """Runs of workflows, and those that failed."""
    def pair(rows, all_name="runs", failed_name="failed_runs"):
        return {"all": _sum(rows, all_name), "failed": _sum(rows, failed_name)}
    latency = [row for row in out.section(out.gate, "latency") if not row["workflow"].startswith("(")]
    (judged,) = [row["value"] for row in out.section(out.gate, "gates") if row["gate"] == "runs"]
    changed, failures = out.tool("what_changed", since="2020-01-01"), out.tool("list_failures", since="2020-01-01")
    return {
        "/metrics": {"all": out.metrics.total("agent_workflow_runs_total"), "failed": out.metrics.total("agent_workflow_runs_total", outcome="error")},
        "spans": pair([out.row("SELECT count(*) AS runs, sum(status_code = 2) AS failed_runs FROM spans WHERE is_run = 1")]),
        "view workflows": pair(out.sql("SELECT runs, failed_runs FROM workflows")),
        "view contract": {"all": out.row("SELECT sum(runs) AS n FROM contract")["n"]},
        "/api/workflows": pair(out.workflows),
        "/api/contract": {"all": _sum(out.api("/api/contract"), "runs")},
        "/api/overview": pair([out.overview["totals"]]),
        "/api/overview, buckets": pair(out.overview["buckets"]),
        "fusebox gate": {"all": number(judged)},
        "fusebox gate --full": pair(latency, "n", "failed"),
        "what_changed": pair([changed]),
        "list_failures": {"failed": failures["failed_run_count"]},
    }


def opens(out):
    """Openings of breakers, by what told of them."""
    names = {"reported": "agent_breaker_opens_total", "derived": "agent_breaker_derived_opens_total"}
    told = {"/metrics": {machine: out.metrics.total(name) for machine, name in names.items()}}
    live = out.breakers["breakers"]
    told["/api/breakers"] = {machine: sum(one[machine]["opens"] for one in live if one[machine]) for machine in MACHINES}
    for door, rows in [("/api/breakers, openings", out.breakers["openings"]),
                       ("view breaker_transitions", out.sql("SELECT machine FROM breaker_transitions WHERE to_state = 'open'"))]:
        told[door] = {machine: sum(row["machine"] == machine for row in rows) for machine in MACHINES}
    for door, rows in [("/api/overview", [out.overview["totals"]]), ("/api/overview, buckets", out.overview["buckets"])]:
        told[door] = {machine: _sum(rows, f"{machine}_opens") for machine in MACHINES}
    fuses = out.report("fuses")
    told["fusebox fuses"] = {machine: _sum([row for row in fuses if row["machine"] == machine], "opens") for machine in MACHINES}
    told["fusebox gate --full"] = {machine: _sum(out.section(out.gate, "breakers"), f"{machine}_opens") for machine in MACHINES}
    exported = dict(out.exported("SELECT machine, count(*) FROM breaker_transitions WHERE to_state = 'open' GROUP BY machine"))
    told["export"] = {machine: exported.get(machine, 0) for machine in MACHINES}
    if "breaker_openings" in out.tables:
        told["view breaker_openings"] = {machine: out.row(f"SELECT count(*) AS n FROM breaker_openings WHERE machine = '{machine}'")["n"] for machine in MACHINES}
    return told


def open_seconds(out):
    """How long breakers were open."""
    names = {"reported": "agent_breaker_cooldown_seconds_total", "derived": "agent_breaker_derived_cooldown_seconds_total"}
    told = {"/metrics": {machine: out.metrics.total(name) for machine, name in names.items()}}
    live = out.breakers["breakers"]
    told["/api/breakers"] = {machine: sum(number(one[machine]["cooldown_ns"]) for one in live if one[machine]) / 1e9 for machine in MACHINES}
    told["/api/breakers, openings"] = {machine: sum(
        int(one["end_time_unix_nano"]) - int(one["start_time_unix_nano"]) for one in out.breakers["openings"] if one["machine"] == machine) / 1e9 for machine in MACHINES}
    for door, rows in [("/api/overview", [out.overview["totals"]]), ("/api/overview, buckets", out.overview["buckets"])]:
        told[door] = {machine: _sum(rows, f"{machine}_cooldown_ns") / 1e9 for machine in MACHINES}
    told["fusebox fuses"] = {machine: _sum([row for row in out.report("fuses") if row["machine"] == machine], "cooldown_s") for machine in MACHINES}
    told["fusebox gate --full"] = {machine: 60 * _sum(out.section(out.gate, "breakers"), f"{machine}_open_min") for machine in MACHINES}
    return told


SPENT = ("tokens", "input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens", "unspecified_tokens", "dollars", "unpriced_tokens")


def spent_by(key):
    """What traces of each session or user took: the sums of the list against the sums of its traces, and those of the spans behind them."""
    def figure(out):
        def by_group(rows, name):
            return {f"{one} {name}": sum(number(row[name]) for row in rows if row[f"{key}_id"] == one) for one in sorted({row[f"{key}_id"] for row in rows if row[f"{key}_id"]})}
        told = {f"/api/{key}s": {}, "/api/traces": {}}
        for name in SPENT:
            told[f"/api/{key}s"] |= by_group(out.groups[key], name)
            told["/api/traces"] |= by_group(out.traces, name)
        tokens = out.sql(f"SELECT traces.{key}_id AS id, sum(token_spans.tokens) AS tokens, sum(coalesce(reasoning_tokens, 0)) AS reasoning FROM token_spans JOIN traces USING (trace_id) WHERE traces.{key}_id IS NOT NULL GROUP BY 1")
        told["view token_spans"] = {f"{row['id']} tokens": row["tokens"] for row in tokens} | {f"{row['id']} reasoning_tokens": row["reasoning"] for row in tokens}
        told[f"view {key}s"] = {f"{row['id']} tokens": row["tokens"] or 0 for row in out.sql(f"SELECT {key}_id AS id, tokens FROM {key}s")}
        return told
    return figure


spent_by_session, spent_by_user = spent_by("session"), spent_by("user")
spent_by_session.__name__, spent_by_user.__name__ = "spent_by_session", "spent_by_user"
def contract(out):
    """The loop contract: most runs at once, breaches, batches beyond their limits, overlap, memory."""
    scopes = ("process", "host")
    told = {"/metrics": {
        "at once in a process": max((value for _, value in out.metrics.rows("agent_workflow_concurrency")), default=0),
        "at once on a host": max((value for _, value in out.metrics.rows("agent_host_workflow_concurrency")), default=0),
        "breaches": out.metrics.total("agent_workflow_concurrency_breaches_total"),
        **{f"breaches of a {scope}": out.metrics.total("agent_workflow_concurrency_breaches_total", scope=scope) for scope in scopes},
        "retrieval breaches": out.metrics.total("agent_retrieval_batch_breaches_total"),
        "embed breaches": out.metrics.total("agent_embed_batch_breaches_total"),
        "overlap": out.metrics.total("agent_embedding_overlap_seconds_total"),
        "process memory": max((value for _, value in out.metrics.rows("agent_process_memory_peak_bytes")), default=0),
        "host memory": max((value for _, value in out.metrics.rows("agent_host_memory_peak_bytes")), default=0),
        "headroom": min((value for _, value in out.metrics.rows("agent_host_memory_headroom_ratio")), default=0),
    }}

    def hosts(rows, service, process, host, figure):
        return sum({(row[host],) if row[host] else (row[service], row[process]): number(row[figure]) for row in rows}.values())

    for door, rows in [("view contract", out.sql("SELECT * FROM contract")), ("/api/contract", out.api("/api/contract"))]:
        told[door] = {
            "at once in a process": max(row["workflows_at_once"] for row in rows), "at once on a host": max(row["host_workflows_at_once"] for row in rows),
            "breaches": _sum(rows, "workflow_breaches") + _sum(rows, "host_workflow_breaches"),
            "breaches of a process": _sum(rows, "workflow_breaches"), "breaches of a host": _sum(rows, "host_workflow_breaches"),
            "retrieval breaches": _sum(rows, "retrieval_breaches"), "embed breaches": _sum(rows, "embed_breaches"),
            "overlap": hosts(rows, "service_name", "instance_id", "host_name", "host_overlap_ns") / 1e9,
            "process memory": max(number(row["process_memory_bytes"]) for row in rows), "host memory": max(number(row["host_memory_bytes"]) for row in rows),
            "headroom": min((row["host_memory_headroom"] for row in rows if row["host_memory_headroom"] is not None), default=0),
        }
    rows = out.section(out.gate, "contract")
    told["fusebox gate --full"] = {
        "at once in a process": max(row["at_once"] for row in rows), "at once on a host": max(row["on_host"] for row in rows), "breaches": _sum(rows, "breaches"),
        "overlap": hosts(rows, "service", "process", "host", "overlap_s"), "process memory": max(number(row["peak_memory"]) for row in rows),
        "host memory": max(number(row["host_peak"]) for row in rows), "headroom": min((row["headroom"] for row in rows if row["headroom"] is not None), default=0),
    }
    judged = {row["gate"]: row["value"] for row in out.section(out.gate, "gates")}
    told["fusebox gate"] = {"at once on a host": judged["workflow_concurrency"], "headroom": number(judged["memory_headroom"])}
    return told


FIGURES = {one.__name__: one for one in (
    dollars, tokens, tokens_by_type, calls, timeouts, runs, opens, open_seconds, spent_by_session, spent_by_user, contract)}
