"""The section `lists` of bench.py: the page's lists and Grafana's searches over five million spans, the fastest of several answers."""

import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import bench_questions

LISTS = {
    "overview": ("/api/overview", {}), "traces": ("/api/traces", {}), "histogram": ("/api/histogram", {}), "timeouts": ("/api/traces", {"outcome": "timeout"}),
    "attribute": ("/api/traces", {"attribute": "session.id=nowhere"}), "without_attribute": ("/api/traces", {"attribute": "session.id!=nowhere"}),
    "attribute_true": ("/api/traces", {"attribute": "session.id=true"}),
    "histogram_true": ("/api/histogram", {"attribute": "cache_hit=true"}), "running": ("/api/traces", {"running": "true"}),
    "failed_with_chat": ("/api/traces", {"root": "error", "name": "chat"}), "one_service": ("/api/traces", {"service": "agent-0"}), "text": ("/api/traces", {"q": "zzqqnowhere"}),
    "common_text": ("/api/traces", {"q": "search"}), "sessions": ("/api/sessions", {}), "tools": ("/api/tools", {}),
    "root_name": ("/tempo/api/search", {"q": '{rootName="nowhere"}'}), "root_service": ("/tempo/api/search", {"q": '{rootServiceName="nowhere"}'}),
    "trace_duration": ("/tempo/api/search", {"q": "{traceDuration>10s}"}), "span_attribute": ("/tempo/api/search", {"q": '{span.session.id="nowhere"}'}),
    "tags": ("/tempo/api/v2/search/tags", {}), "values_of_root_name": ("/tempo/api/v2/search/tag/rootName/values", {}),
    "values_of_session": ("/tempo/api/v2/search/tag/span.session.id/values", {}),
    "values_of_service": ("/tempo/api/v2/search/tag/resource.service.name/values", {}),
}


def measure(server):
    """Seconds by list; `first_overview` is the first answer after a start."""
    now = int(time.time())
    for name, (path, parameters) in LISTS.items():
        if path.startswith("/tempo/"):
            parameters = {**parameters, "start": now - 86_400, "end": now}
        url = f"http://127.0.0.1:{server.port}{path}?{urllib.parse.urlencode(parameters)}"

        def ask():
            try:
                with urllib.request.urlopen(url, timeout=60) as answer:
                    answer.read()
            except urllib.error.HTTPError as error:
                sys.exit(f"bench: {url}: {error.code} {error.read().decode()}")

        seconds, first = bench_questions.fastest(ask)
        if name == "overview":
            yield "first_overview", first
        yield name, seconds
