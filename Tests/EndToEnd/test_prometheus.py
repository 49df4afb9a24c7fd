"""/metrics as Prometheus sees it: the formats, promtool's opinion, a real Prometheus, and the same bytes for the same state."""

import gzip
import json
import random
import re
import shutil
import socket
import subprocess
import urllib.parse
import urllib.request

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

import captures
from server import Fusebox, poll

NAME = "handmade"
KNOBS = {"BREAKER_SETTLE_S": "1", **captures.KNOBS[NAME]}
OPENMETRICS = "application/openmetrics-text"
# What Prometheus 2 sends.
ACCEPT = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"


@pytest.fixture(scope="module")
def settled(binary, tmp_path_factory):
    """A server that has taken a captured run, with nothing pending."""
    server = Fusebox(binary, tmp_path_factory.mktemp("prometheus") / "data", KNOBS).start()
    captures.replay(server, captures.posts(NAME))
    server.settled()
    yield server
    if server.is_running:
        server.stop()


def need(program):
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed; apt-get install prometheus")
    return path


def check_with_promtool(text):
    done = subprocess.run([need("promtool"), "check", "metrics"], input=text, capture_output=True, timeout=60)
    assert not done.stderr and done.returncode == 0, done.stderr.decode()


def test_promtool_finds_nothing(settled):
    check_with_promtool(settled.get("/metrics").body)


def test_promtool_finds_nothing_before_the_first_span(fusebox):
    check_with_promtool(fusebox.get("/metrics").body)


def test_head(settled):
    answer = settled.request("HEAD", "/metrics")
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize("accept, media_type", [
    (None, "text/plain; version=0.0.4; charset=utf-8"),
    ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
    ("text/html,application/xhtml+xml,*/*;q=0.8", "text/plain; version=0.0.4; charset=utf-8"),
    ("application/json", "text/plain; version=0.0.4; charset=utf-8"),
    ("nonsense;;q=,,", "text/plain; version=0.0.4; charset=utf-8"),
    (ACCEPT, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
    ("application/openmetrics-text;version=1.0.0", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
    ("application/openmetrics-text;version=1.0.0;q=0.3,text/plain;version=0.0.4;q=0.7", "text/plain; version=0.0.4; charset=utf-8"),
    ("application/openmetrics-text;version=1.0.0;q=0", "text/plain; version=0.0.4; charset=utf-8"),
    ("application/openmetrics-text;version=1.0.0;escaping=underscores",
     "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"),
    ("text/plain;version=0.0.4;escaping=allow-utf-8", "text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8"),
    ("text/plain;version=1.0.0;escaping=dots", "text/plain; version=1.0.0; charset=utf-8; escaping=underscores"),
])
def test_negotiation(settled, accept, media_type):
    answer = settled.get("/metrics", headers={"Accept": accept} if accept else {})
    assert answer.status == 200
    assert answer.headers["Content-Type"] == media_type
    assert "Accept" in answer.headers["Vary"]
    ends_as_openmetrics = answer.body.endswith(b"\n# EOF\n")
    assert ends_as_openmetrics == media_type.startswith(OPENMETRICS)


def third(protocols, scheme):
    """What Prometheus 3 sends for its scrape_protocols: prometheus/prometheus, scrape/scrape.go, acceptHeader."""
    types = {
        "PrometheusProto": "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
        "PrometheusText0.0.4": "text/plain;version=0.0.4", "PrometheusText1.0.0": "text/plain;version=1.0.0",
        "OpenMetricsText0.0.1": "application/openmetrics-text;version=0.0.1", "OpenMetricsText1.0.0": "application/openmetrics-text;version=1.0.0",
    }
    ranges = [types[name] + (f";escaping={scheme}" if name in ("PrometheusText1.0.0", "OpenMetricsText1.0.0") else "") for name in protocols]
    return ",".join(f"{own};q=0.{len(types) + 1 - place}" for place, own in enumerate([*ranges, "*/*"]))


TEXTS = ["OpenMetricsText1.0.0", "OpenMetricsText0.0.1", "PrometheusText1.0.0", "PrometheusText0.0.4"]
LEGACY = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")


@pytest.mark.parametrize("protocols, scheme, media_type", [
    (TEXTS, "allow-utf-8", "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8"),
    (TEXTS, "underscores", "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"),
    # Native histograms and created timestamps are asked for by protobuf first, which is not spoken here.
    (["PrometheusProto", *TEXTS], "allow-utf-8", "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8"),
    (["PrometheusText1.0.0", "PrometheusText0.0.4"], "allow-utf-8", "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8"),
    (["PrometheusText0.0.4"], "allow-utf-8", "text/plain; version=0.0.4; charset=utf-8"),
    (["OpenMetricsText0.0.1"], "allow-utf-8", "text/plain; version=0.0.4; charset=utf-8"),
    (["PrometheusProto"], "allow-utf-8", "text/plain; version=0.0.4; charset=utf-8"),
])
def test_prometheus_3_is_answered_in_what_it_asks_for(settled, protocols, scheme, media_type):
    answer = settled.get("/metrics", headers={"Accept": third(protocols, scheme), "Accept-Encoding": "gzip", "X-Prometheus-Scrape-Timeout-Seconds": "10"})
    assert (answer.status, answer.headers["Content-Type"]) == (200, media_type)
    body = gzip.decompress(answer.body) if answer.headers.get("Content-Encoding") == "gzip" else answer.body
    families = list((parse_openmetrics if media_type.startswith(OPENMETRICS) else parse_text)(body.decode()))
    samples = [sample for family in families for sample in family.samples]
    assert len(samples) > 300
    # Names are the same under every scheme, since they need none.
    assert all(LEGACY.match(name) for sample in samples for name in [sample.name, *sample.labels])
    # Prometheus stores a created timestamp in OpenMetrics as a series of its own unless it was told not to; alerts see births by rules.
    assert not [sample.name for sample in samples if sample.name.endswith("_created")]


def series(families):
    """Samples by name and labels, without the process's own, which change from scrape to scrape."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families for sample in family.samples if sample.name.startswith("agent_")
    }


def test_both_formats_say_the_same(settled):
    text = settled.get("/metrics").body.decode()
    openmetrics = settled.get("/metrics", headers={"Accept": OPENMETRICS + ";version=1.0.0"}).body.decode()
    from_text = series(parse_text(text))
    from_openmetrics = series(parse_openmetrics(openmetrics))
    assert len(from_text) > 200
    assert from_text == from_openmetrics
    # The library is one reader, ours another.
    ours = settled.metrics()
    assert from_text == {(name, labels): value for name, found in ours.samples.items() if name.startswith("agent_")
                         for labels, value in found.items()}


def test_exemplars_point_to_spans(settled):
    text = settled.get("/metrics", headers={"Accept": OPENMETRICS + ";version=1.0.0"}).body.decode()
    exemplars = [sample.exemplar for family in parse_openmetrics(text) for sample in family.samples if sample.exemplar]
    for exemplar in exemplars:
        assert (exemplar.labels["trace_id"], exemplar.labels["span_id"]) in captures.spans(NAME)
    assert exemplars, "no exemplar in the whole exposition"


def test_families_are_sorted_and_whole(settled):
    names = list(settled.metrics().types)
    assert names == sorted(names)


def test_idle_server_gives_the_same_bytes(settled):
    first = settled.metrics().lines("agent_")
    assert first.count("\n") > 300
    for _ in range(3):
        assert settled.metrics().lines("agent_") == first


def test_restart_gives_the_same_bytes(launch):
    fusebox = launch(KNOBS)
    captures.replay(fusebox, captures.posts(NAME))
    before = fusebox.settled().lines("agent_")
    for _ in range(2):
        fusebox.restart()
        assert fusebox.metrics().lines("agent_") == before
    # A crash is a restart too.
    fusebox.kill()
    fusebox.start()
    assert fusebox.settled().lines("agent_") == before


def test_restart_between_posts_changes_nothing(launch):
    """With observations pending, and spans of one trace on both sides of the restart."""
    fusebox = launch(KNOBS)
    posts = captures.posts(NAME)
    captures.replay(fusebox, posts[:7])
    fusebox.restart()
    captures.replay(fusebox, posts[7:])
    fusebox.kill()
    fusebox.start()
    restarted = fusebox.settled().lines("agent_")
    straight = launch(KNOBS)
    captures.replay(straight, posts)
    assert straight.settled().lines("agent_") == restarted


def test_order_of_posts_does_not_show(launch):
    """Two servers that were sent the same spans in different orders say the same of them, but for which span came first."""
    first, second = launch(KNOBS), launch(KNOBS)
    posts = captures.posts(NAME)
    captures.replay(first, posts)
    captures.replay(second, random.Random(11).sample(posts, len(posts)))
    # Silent retries depend on which of two spans was seen first.
    def lines(server):
        return [line for line in server.settled().lines("agent_").split("\n") if "agent_silent_retries" not in line]
    assert lines(first) == lines(second)


def test_prometheus_scrapes_it(settled, tmp_path):
    prometheus = need("prometheus")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    configuration = tmp_path / "prometheus.yml"
    configuration.write_text(
        "global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\n"
        "scrape_configs:\n  - job_name: fusebox\n    static_configs:\n"
        f"      - targets: ['127.0.0.1:{settled.port}']\n")
    log = (tmp_path / "log").open("wb")
    process = subprocess.Popen(
        [prometheus, f"--config.file={configuration}", f"--storage.tsdb.path={tmp_path / 'tsdb'}",
         f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)

    def query(expression):
        url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return json.load(answer)["data"]["result"]
        except OSError:
            return []

    try:
        result = poll("a scrape", lambda: query("sum by (tool) (agent_breaker_opens_total)"), 30)
        opens = {row["metric"]["tool"]: float(row["value"][1]) for row in result}
        assert opens == {tool: want["opens"] for tool, want in captures.expected(NAME).items()}
        (up,) = query("up")
        assert up["value"][1] == "1"
        (minutes,) = query("sum(agent_breaker_cooldown_seconds_total) / 60")
        want = sum(tool["cooldown_seconds"] for tool in captures.expected(NAME).values()) / 60
        assert abs(float(minutes["value"][1]) - want) < 0.0002
        (timeouts,) = query("sum(agent_tool_timeouts_total)")
        assert float(timeouts["value"][1]) == settled.metrics().total("agent_tool_timeouts_total")
        assert query('agent_tool_calls_total{exported_service!=""}') == []
        (p95,) = query('histogram_quantile(0.95, sum by (le) (agent_tool_call_duration_seconds_bucket{tool="crm_lookup"}))')
        assert 0 < float(p95["value"][1]) < 1
        # Scrapes are taken as they come, without a complaint of Prometheus about what it reads.
        assert query("scrape_samples_scraped")[0]["value"][1] == query("scrape_samples_post_metric_relabeling")[0]["value"][1]
    finally:
        process.terminate()
        process.wait(timeout=30)
        log.close()
    complaints = [line for line in (tmp_path / "log").read_text().split("\n")
                  if ("level=warn" in line or "level=error" in line) and "Received SIGTERM" not in line]
    assert not complaints, complaints
