"""Spans at the edges of time, count and size: whatever is asked afterwards is answered, and ordinary spans beside them are told right."""

import os
import random
import time
import urllib.parse

import pytest

import edge_traffic
import wire
from edge_traffic import LAST, SECOND, Traffic, figures, ordinary, routes, run_json, strict_json
from exposition import Metrics
from server import Fusebox, poll
from test_logs import request as log_request

# The settle time is short, so that counters say all at once; the seed is fixed here and another one each night.
SEED = int(os.environ.get("FUSEBOX_SEED", "20261129"))
ROUNDS = int(os.environ.get("FUSEBOX_EDGE_ROUNDS", "5"))
NOW = time.time_ns()


@pytest.fixture(scope="module")
def odd(binary, tmp_path_factory):
    """A server with ordinary spans and then odd ones, the traffic, and what it said of the ordinary ones before."""
    server = Fusebox(binary, tmp_path_factory.mktemp("edges") / "data", {"BREAKER_SETTLE_S": "1"}).start()
    answer = server.post(ordinary(NOW))
    assert answer.status == 200 and not answer.body, answer
    server.settled()
    before = figures(server, NOW)
    traffic = Traffic(random.Random(SEED), NOW)
    for _ in range(5):
        assert server.post(wire.batch(*[traffic.span() for _ in range(30)], resource=traffic.resource())).status == 200
        assert server.post(log_request(*[traffic.record() for _ in range(30)], service="odd"), "/v1/logs").status == 200
    assert server.post(wire.batch(*traffic.chain(300))).status == 200
    assert server.post(wire.batch(*traffic.refused())).status == 200
    one = wire.span(start=LAST, end=LAST)
    assert server.post(wire.batch(one, resource=[("service.name", "last")])).status == 200
    server.settled()
    yield server, traffic, before
    if server.is_running:
        server.stop()


def stays(server):
    assert server.is_running, f"the server ended with {server.process.returncode}: {server.stderr[-3000:]}"


def check(server, what, answer):
    """An answer that is one: no fault of the server, and well formed."""
    stays(server)
    assert answer.status < 500, (what, answer)
    kind = (answer.headers["Content-Type"] or "").split(";")[0]
    if kind in ("application/json", "application/problem+json") and answer.body:
        strict_json(answer.body)
    return answer


def test_the_only_span_may_be_the_last_that_time_allows(launch):
    server = launch()
    assert server.post(wire.batch(wire.span(start=LAST, end=LAST))).status == 200
    overview = strict_json(check(server, "overview", server.get("/api/overview")).body)
    assert overview["totals"]["spans"] == 1 and overview["from_unix_nano"] == str(LAST)
    (trace,) = strict_json(server.get("/api/traces").body)["traces"]
    assert trace["start_time_unix_nano"] == str(LAST)
    assert strict_json(server.get("/api/services").body)[0]["span_count"] == 1


def test_ordinary_spans_are_told_as_before(odd):
    server, _, before = odd
    after = figures(server, NOW)
    for door in before:
        assert after[door] == before[door], door


def test_odd_spans_do_not_stretch_the_overview(odd):
    server, *_ = odd
    overview = strict_json(server.get("/api/overview?points=120").body)
    length = int(overview["to_unix_nano"]) - int(overview["from_unix_nano"])
    assert length < 3 * 86_400 * SECOND and overview["step_ns"] <= 1800 * SECOND, overview
    # Who asks for those times gets them.
    far = strict_json(server.get(f"/api/overview?from={LAST - 1}&to={LAST}").body)
    assert far["totals"]["spans"] > 0


def test_sums_of_tokens_stop_where_counting_ends(launch):
    server = launch({"BREAKER_SETTLE_S": "1"})
    call = [("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "m"), ("session.id", "s"), ("workflow_name", "w"), ("gen_ai.usage.input_tokens", LAST),
            ("gen_ai.usage.output_tokens", LAST)]
    trace = wire.trace_id()
    assert server.post(wire.batch(*[wire.span(trace, start=NOW, end=NOW + 1, attributes=call) for _ in range(3)])).status == 200
    server.settled()
    for view in ["traces", "sessions", "costs"]:
        assert server.scalar(f"SELECT tokens FROM {view}") == LAST, view
    for path, list_of in [("/api/traces", lambda found: found["traces"]), ("/api/costs", lambda found: found)]:
        (row,) = list_of(strict_json(check(server, path, server.get(path)).body))
        assert row["tokens"] == str(LAST), path
    assert strict_json(server.get("/api/overview").body)["totals"]["tokens"] == str(LAST)


@pytest.mark.parametrize("method, path", routes())
def test_every_route_answers_whatever_is_asked(odd, method, path):
    server, traffic, _ = odd
    rng = random.Random(f"{SEED} {method} {path}")
    plain, extreme = edge_traffic.values(NOW, [one.hex() for one in traffic.traces[:3]], [one.hex() for one in traffic.spans[:3]])
    names = edge_traffic.parameters()
    # The ends of windows and the sizes of lists, each at some extreme, and random mixtures.
    queries = [{}] + [{name: rng.choice(extreme[:20])} for name in ["from", "to", "start", "end", "limit", "endTs", "lookback", "points", "cursor", "after"]]
    queries += [{"from": "0", "to": str(LAST - 1)}, {"from": "-1000000d", "start": "1"}]
    queries += [{rng.choice(names): rng.choice(plain if rng.random() < 0.5 else extreme) for _ in range(rng.randrange(1, 5))} for _ in range(ROUNDS)]
    connection = server.connect(20)
    # Followers are few at a time, and that one has gone is seen when it is written to.
    for query in queries[:6] if path == "/api/tail" else queries:
        url = "/".join(urllib.parse.quote(rng.choice(plain[-6:] + extreme)[:200], safe="") or "x" if part.startswith("{") else part for part in path.split("/"))
        url += "?" + urllib.parse.urlencode(query) if query else ""
        if path == "/api/tail":
            tail(server, url)
            continue
        body = b"SELECT max(start_time_unix_nano), min(duration_ns) FROM spans" if path == "/api/sql" else b""
        kind = "application/sql" if path == "/api/sql" else "application/x-protobuf"
        try:
            connection.request(method, url, body=body if method == "POST" else None, headers={"Content-Type": kind} if method == "POST" else {})
            answer = connection.getresponse()
            answer.body = answer.read()
        except OSError as error:
            server.process.wait(timeout=60)
            raise AssertionError(f"{method} {url}: {error}: {server.stderr[-6000:]}") from error
        check(server, url, answer)


def tail(server, url):
    """The first bytes of an endless answer."""
    connection = server.connect(10)
    try:
        connection.request("GET", url)
        answer = connection.getresponse()
        assert answer.status < 500, (url, answer.status)
        answer.read1(200)
    finally:
        connection.close()
    stays(server)


@pytest.mark.parametrize("accept", ["text/plain;version=0.0.4", "application/openmetrics-text;version=1.0.0"])
def test_metrics_are_well_formed(odd, accept):
    server, *_ = odd
    answer = check(server, "/metrics", server.get("/metrics", {"Accept": accept}))
    text = answer.body.decode()
    if accept.startswith("text/plain"):
        metrics = Metrics(text)
        assert metrics.value("agent_tool_calls_total", service_name="plain") == 24
    else:
        from prometheus_client.openmetrics.parser import text_string_to_metric_families
        assert len(list(text_string_to_metric_families(text))) > 50


def test_every_table_and_view_can_be_read(odd):
    server, *_ = odd
    tables = strict_json(server.get("/api/schema").body)
    assert len(tables) > 14
    for table in tables:
        columns = [one["name"] if isinstance(one, dict) else one for one in table["columns"]]
        server.sql(f"SELECT count(*) FROM {table['name']}")
        server.sql(f"SELECT * FROM {table['name']} LIMIT 300")
        for column in columns:
            server.request("POST", "/api/sql", f"SELECT max({column}), min({column}), typeof({column}), percentile({column}, 50) FROM {table['name']}".encode(),
                           {"Content-Type": "application/sql"})
            stays(server)


COMMANDS = [
    ["traces", "--since", "1000000d", "--limit", "10000", "--format", "json"], ["traces"], ["tools", "--since", "1000000d"], ["tools", "--format", "json"], ["fuses"],
    ["fuses", "--format", "json"], ["gate", "--full", "--since", "7d", "--format", "json"], ["gate", "--since", "1678-01-01", "--until", "2261-12-31", "--full"],
    ["gate", "--since", "9000000000s", "--format", "junit"], ["sweep", "--since", "14000w"], ["sweep", "--by", "retrieval_batch", "--by", "tokens", "--since", "2d", "--format", "json"],
    ["sweep", "--by", "peak_rss", "--since", "2d"], ["compare", "odd", "plain", "--since", "2d"], ["compare", "since=14000w", "service=odd", "--format", "json"],
    ["cost", "--since", "2d", "--explain"], ["cost", "--since", "1678-01-01", "--format", "json"], ["cost", "--egress", "link=9223372036854775807"], ["stalls", "--since", "2d", "--format", "json"],
    ["eval", "list"], ["verify"], ["prune", "--before", "1000000000000s"], ["prune", "--before", "30d"], ["prune", "--before", "9223372036854775807"],
    ["export", "--since", "1000000d"], ["export", "--until", "9223372036854775807"], ["soak", "status"], ["config", "check"],
    ["sql", "SELECT saturated_sum(tokens), saturated_sum(duration_ns), iso(max(end_time_unix_nano)) FROM spans"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_ends_well(odd, command):
    server, *_ = odd
    split = 2 if command[0] in ("eval", "soak", "config") else 1
    done = server.run(*command[:split], "--data-dir", str(server.folder), *command[split:])
    assert 0 <= done.returncode <= 4 and b"Fatal error" not in done.stderr, (done.returncode, done.stderr[-2000:])
    if "json" in command and done.returncode in (0, 1, 3):
        strict_json(done.stdout)


def test_a_drawn_trace_of_any_times(odd):
    server, traffic, _ = odd
    for trace in traffic.traces:
        for width in ["40", "1000"]:
            done = server.run("trace", "--data-dir", str(server.folder), "--width", width, trace.hex())
            assert done.returncode in (0, 1), (done.returncode, done.stderr[-2000:])
        done = server.run("trace", "--data-dir", str(server.folder), "--json", trace.hex())
        assert done.returncode in (0, 1)
        if done.returncode == 0:
            strict_json(done.stdout)


def test_what_is_exported_comes_back(odd, launch, tmp_path):
    server, *_ = odd
    file = tmp_path / "spans.jsonl"
    plain = tmp_path / "plain.db"
    assert server.run("export", "--data-dir", str(server.folder), str(file)).returncode == 0
    assert server.run("export", "--data-dir", str(server.folder), "--format", "sqlite", str(plain)).returncode == 0
    other = launch()
    done = other.run("import", "--endpoint", other.url, str(file))
    assert done.returncode == 0, done.stderr
    query = "SELECT count(*) AS n, count(DISTINCT start_time_unix_nano) AS starts, max(end_time_unix_nano) AS last, min(start_time_unix_nano) AS first FROM spans"
    assert other.sql(query) == server.sql(query)


def test_a_tail_shows_odd_spans(odd):
    server, traffic, _ = odd
    import subprocess
    with subprocess.Popen([server.binary, "tail", "--data-dir", str(server.folder), "--count", "5"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=server.environment) as follower:
        def more():
            server.post(wire.batch(*[traffic.span() for _ in range(20)]))
            return follower.poll() is not None
        poll("the tail ends", more)
        assert follower.returncode == 0, follower.stderr.read()


def test_the_server_is_still_there(odd):
    server, *_ = odd
    assert server.get("/-/ready").status == 200
    server.restart()
    assert strict_json(server.get("/api/overview").body)["totals"]["runs"] >= 6
