"""Spans and log records at the edges of time, count and size, ordinary ones beside them, and the questions to ask about them."""

import json
import pathlib
import re
import urllib.parse

import wire
from wire import attribute, data, fixed64, number

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SECOND = 1_000_000_000
LAST = (1 << 63) - 1


def routes():
    """(method, path) of every route, from the tables by which the server itself finds them."""
    found = []
    for file in sorted((ROOT / "Sources/FuseboxHTTP").rglob("*.swift")):
        text = file.read_text()
        found += [(method.upper(), path) for method, path in re.findall(r'\bRoute\(\.(\w+), "(/[^"]*)"', text)]
        assert len(re.findall(r"\bRoute\(\.", text)) == len(re.findall(r'\bRoute\(\.\w+, "/', text)), file
    assert len(found) > 45, found
    return found


def parameters():
    """Names of the API's parameters, from its description, and those that Grafana's data sources send."""
    described = json.loads((ROOT / "docs/openapi.json").read_text())["paths"]
    names = {one["name"] for path in described.values() for way in path.values() for one in way.get("parameters", []) if one.get("in") == "query"}
    grafana = {"start", "end", "step", "spss", "minDuration", "maxDuration", "tags", "scope", "endTs", "lookback", "operation", "span_kind", "startTime", "endTime",
               "query.service_name", "query.start_time_min", "query.start_time_max", "query.duration_min", "query.duration_max", "query.search_depth", "query.attributes"}
    return sorted(names | grafana)


# Times

def times(now):
    return [0, 1, SECOND, now, now + 3600 * SECOND, 4_102_444_800 * SECOND, 9_214_646_400 * SECOND, 9_223_286_400 * SECOND, LAST - 604_800 * SECOND,
            LAST - 10 * SECOND, LAST - 1, LAST]


NUMBERS = [0, 1, -1, 127, 1 << 31, (1 << 53) + 1, LAST, -LAST - 1, "9223372036854775807", "99999999999999999999", "-3", "", "nan", 1e18, 1e308, float("inf"), 0.5, True]
TEXTS = ["", "x", "a" * 2000, "\0", "é\u2028<>&\"'\\", "null", "9223372036854775807", "half_open", "open", "timeout"]
COUNTS = ["gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_creation.input_tokens", "tokens",
          "retrieval_batch", "embed_batch", "top_k", "queue_depth", "peak_rss", "duration_ms", "http.response.status_code", "retry_count", "process.exit.code",
          "gen_ai.response.time_to_first_chunk", "cache_hit"]
NAMES = ["tool_name", "workflow_name", "session.id", "gen_ai.request.model", "gen_ai.operation.name", "breaker_state", "error.type", "step_id", "eval_id", "sweep_id"]


class Traffic:
    """Random spans and records of one seed."""

    def __init__(self, random, now):
        self.random = random
        self.now = now
        self.traces = [random.randbytes(16) for _ in range(12)]
        self.spans = [random.randbytes(8) for _ in range(40)]

    def span(self):
        random = self.random
        start = random.choice(times(self.now))
        end = random.choice([start, start, random.choice(times(self.now)), min(LAST, start + random.choice([1, SECOND, 10 ** 15, 10 ** 18]))])
        attributes = [(random.choice(COUNTS), random.choice(NUMBERS)) for _ in range(random.randrange(6))]
        attributes += [(random.choice(NAMES), random.choice(TEXTS + ["search", "gpt", "chat", "execute_tool"])) for _ in range(random.randrange(5))]
        trace, identity = random.choice(self.traces), random.choice(self.spans + [random.randbytes(8)] * 20)
        # Its own parent, one of a ring, one that is not there, or none.
        parent = random.choice([None, identity, random.choice(self.spans), random.randbytes(8)])
        extra = number(6, random.choice([0, 1, 3, 5, 6, 1 << 31, LAST]))
        for _ in range(random.choice([0] * 10 + [1] * 6 + [3, 3, 3, 150])):
            extra += data(11, fixed64(1, random.choice([0, 1, self.now, LAST, LAST + 1, (1 << 64) - 1])) + data(2, random.choice(["", "exception", "é", "a" * 300])))
        for _ in range(random.choice([0] * 10 + [1] * 6 + [100])):
            extra += data(13, data(1, random.choice(self.traces)) + data(2, random.choice(self.spans)))
        extra += data(15, data(2, random.choice(TEXTS)) + number(3, random.choice([0, 1, 2, 3, 1 << 31, LAST])))
        extra += number(10, random.choice([0, (1 << 32) - 1]))
        return wire.span(trace, identity, random.choice(TEXTS), start, end, parent, attributes, extra)

    def chain(self, depth):
        """A trace in which each span is the parent of the next."""
        trace, parent, spans = self.random.randbytes(16), None, []
        for _ in range(depth):
            identity = self.random.randbytes(8)
            spans.append(wire.span(trace, identity, "deep", self.now, self.now + 1, parent))
            parent = identity
        return spans

    def refused(self):
        """Spans whose times are past what is counted."""
        return [wire.span(start=start, end=end) for start in [LAST + 1, (1 << 64) - 1] for end in [self.now, start]]

    def record(self):
        random = self.random
        out = fixed64(1, random.choice(times(self.now))) + fixed64(11, random.choice([0, self.now, LAST, LAST + 1]))
        out += number(2, random.choice([0, 1, 9, 24, 25, -1, (1 << 31) - 1, LAST]))
        out += data(5, data(1, random.choice(TEXTS))) + data(6, attribute("n", random.choice(NUMBERS)))
        return out + data(9, random.choice(self.traces)) + data(10, random.choice(self.spans)) + data(12, random.choice(["", "exception", "x"]))

    def resource(self):
        return [("service.name", self.random.choice(["odd", "", "x" * 300])), ("service.instance.id", self.random.choice(["1", "", "\0"]))]


def ordinary(now):
    """A service of whose figures everything is known: six runs with tools, a timeout and model calls, over the last minutes."""
    spans = []
    for run in range(6):
        start = now - (10 + run) * 60 * SECOND
        trace, root = bytes([0xAB] * 15 + [run]), bytes([run + 1] * 8)
        spans.append(wire.span(trace, root, "run", start, start + 9 * SECOND, None, [("workflow_name", "plain"), ("session.id", f"plain-{run % 2}")]))
        for step, (tool, milliseconds) in enumerate([("search", 100 + run), ("read_file", 40), ("search", 4000 if run == 3 else 90)]):
            begin = start + step * SECOND
            late = [("error.type", "timeout")] if milliseconds == 4000 else []
            spans.append(wire.span(trace, bytes([run + 1, step + 100] * 4), tool, begin, begin + milliseconds * 1_000_000, root,
                                   [("gen_ai.operation.name", "execute_tool"), ("tool_name", tool), *late], data(15, number(3, 2)) if late else b""))
        spans.append(wire.span(trace, bytes([run + 1, 77] * 4), "chat m", start + 4 * SECOND, start + 6 * SECOND, root, [
            ("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "plain-model"), ("gen_ai.usage.input_tokens", 1000 + run), ("gen_ai.usage.output_tokens", 50)]))
    return wire.batch(*spans, resource=[("service.name", "plain"), ("service.instance.id", "plain-1")])


# Questions

def figures(server, now):
    """What is told of the ordinary service, by door."""
    told = {}

    def get(path, **query):
        answer = ask(server, path + "?" + urllib.parse.urlencode(query))
        assert answer.status == 200, (path, query, answer)
        return strict_json(answer.body)

    window = {"from": str(now - 3600 * SECOND), "to": str(now + SECOND)}
    told["overview"] = get("/api/overview", service="plain", **window)
    totals = get("/api/overview", service="plain")["totals"]
    told["overview without a window"] = {name: value for name, value in totals.items() if name != "time_unix_nano"}
    told["overview of all in a window"] = get("/api/overview", **window)["totals"]["runs"] >= 6
    for path in ["/api/tools", "/api/traces", "/api/logs"]:
        told[path] = get(path, service="plain")
    told["services"] = [one for one in get("/api/services") if one["service_name"] == "plain"]
    told["costs"] = [one for one in get("/api/costs") if one["service_name"] == "plain"]
    told["sessions"] = [one for one in get("/api/sessions", limit="500") if (one["session_id"] or "").startswith("plain-")]
    told["compare"] = get("/api/compare", **{"a.service": "plain", "b.service": "plain"})
    told["tempo"] = get("/tempo/api/search", q='{ resource.service.name = "plain" }', limit="100")["traces"]
    told["jaeger"] = get("/jaeger/api/traces", service="plain", limit="100")["data"]
    for view in ["tools", "workflows", "costs", "traces", "timeouts"]:
        told[view] = server.sql(f"SELECT * FROM {view} WHERE service_name = 'plain' ORDER BY 1, 2, 3")
    told["session view"] = server.sql("SELECT * FROM sessions WHERE session_id LIKE 'plain-%' ORDER BY 1")
    sections = run_json(server, ["cost", "--since", "1h", "--where", "service_name = 'plain'", "--format", "json"])["sections"]
    # What the machines cost goes on with the time.
    told["cost report"] = {name: section for name, section in sections.items() if name != "totals"}
    metrics = server.metrics()
    told["metrics"] = sorted(line for line in metrics.text.split("\n") if 'service_name="plain"' in line and line.startswith(
        ("agent_tool_calls_total", "agent_tokens_total", "agent_tool_timeouts_total", "agent_workflow_runs_total")))
    return told


def ask(server, url):
    """GET; when the server ended over it, what it said."""
    try:
        return server.get(url)
    except OSError as error:
        server.process.wait(timeout=60)
        raise AssertionError(f"{url}: {error}: {server.stderr[-6000:]}") from error


def run_json(server, arguments):
    name, *rest = arguments
    done = server.run(name, "--data-dir", str(server.folder), *rest)
    assert 0 <= done.returncode <= 4, (arguments, done.returncode, done.stderr[-2000:])
    return strict_json(done.stdout)


def strict_json(body):
    """JSON as its RFC has it: no NaN, no Infinity, no name twice in an object."""
    def pairs(members):
        names = [name for name, _ in members]
        assert len(set(names)) == len(names), sorted(name for name in names if names.count(name) > 1)
        return dict(members)

    def constant(name):
        raise AssertionError(f"{name} is no JSON")
    text = body.decode("utf-8") if isinstance(body, bytes) else body
    return json.loads(text, parse_constant=constant, object_pairs_hook=pairs)


def values(now, traces, spans):
    """Texts that a parameter may have, ordinary and not."""
    plain = ["1", "5", "100", "now", "-15m", "-1h", "error", "ok", "search", "plain", "x", "{}", '{ resource.service.name = "plain" }', "tool_name", "true", "1s", "100ms", "60",
             str(now), str(now - 3600 * SECOND), str(now // SECOND), str(now // 1000), "2026-11-01T00:00:00Z", '{"a":"b"}', "info", *traces, *spans]
    odd = ["", "0", "-1", "-0s", "-1000000d", "-999999d", "--9223372036854775807d", "-9223372036854775808s", "9223372036854775807", "9223372036854775806", "-9223372036854775808",
           "9223372036854775808", "18446744073709551615", "1e400", "-1e400", "nan", "inf", "-inf", "1e18", "9.3e18", "4e18", "8999999999", "9000000000000", "9000000000000001", "1e-400", "0x7f",
           "٣", "%", "%00", "%zz", "\0", "a" * 3000, "'", "\"", "🦀", "{", "{}}", "{ duration > 9223372036854775807s } | rate()", "{ span.tokens > 1e300 } | sum_over_time(span.tokens)",
           "{} | quantile_over_time(duration, 1)", "{} | sum_over_time(duration)", "{} | histogram_over_time(duration)", "9223372036854775807-x", "9223372036854775807-0",
           "5-9223372036854775807", "9223372036854775807-9223372036854775807", "-", "--", "2262-04-11T23:47:16.854775807Z", "2261-12-31T23:59:60.999999999-99:99", "1678-01-01T00:00:00Z",
           "1000000000000h", "9223372036854775807ns", "292y", "{\"a\":1}", "{\"a\":", "[]"]
    return plain, odd
