"""The section `questions` of bench.py: what people ask by POST /api/sql over two million spans, the fastest of several answers."""

import json
import time
import urllib.request

QUESTIONS = {
    "count": "SELECT count(*) FROM spans",
    "by_name": "SELECT name, count(*) FROM spans GROUP BY name",
    "by_service": "SELECT service_name, count(*) FROM spans GROUP BY service_name",
    "by_tool": "SELECT tool_name, count(*) FROM spans GROUP BY tool_name",
    "by_status": "SELECT status_code, count(*) FROM spans GROUP BY status_code",
    "by_service_and_name": "SELECT service_name, name, count(*) FROM spans GROUP BY service_name, name",
    "p95_by_tool": "SELECT tool_name, count(*), percentile(duration_ns, 95) FROM spans GROUP BY tool_name",
    "errors_by_tool": "SELECT tool_name, count(*) FROM spans WHERE status_code = 2 GROUP BY tool_name",
    "tokens_by_model": "SELECT model, sum(tokens) FROM spans WHERE workflow_name = 'review_patch' AND tokens > 5000 GROUP BY model",
    "long": "SELECT count(*) FROM spans WHERE duration_ns > 5000000000",
    "average_and_maximum": "SELECT avg(duration_ns), max(tokens) FROM spans",
    "distinct_traces": "SELECT count(DISTINCT trace_id) FROM spans",
    "top_sessions": "SELECT attr(attributes, 'session.id'), count(*) FROM spans GROUP BY 1 ORDER BY 2 DESC LIMIT 5",
    "one_session": "SELECT count(*) FROM spans WHERE attr(attributes, 'session.id') = 'session-7'",
    "one_session_by_text": "SELECT count(*) FROM spans WHERE attributes LIKE '%session-7%'",
    "tools": "SELECT * FROM tools",
    "workflows": "SELECT * FROM workflows",
    "sessions": "SELECT * FROM sessions ORDER BY start_time_unix_nano DESC LIMIT 20",
    "traces": "SELECT * FROM traces ORDER BY start_time_unix_nano DESC LIMIT 20",
    "some_traces": "SELECT * FROM traces LIMIT 20",
    "costs": "SELECT * FROM costs",
    "trace": "SELECT * FROM spans WHERE trace_id = '{trace}'",
    "one_of_traces": "SELECT * FROM traces WHERE trace_id = '{trace}'",
}
REPETITIONS = 4


def ask(server, query):
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}/api/sql", query.encode(), {"Content-Type": "application/sql"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["rows"]


def fastest(body):
    """Seconds of the fastest of several answers, and of the first, which may learn something once for all questions."""
    times = []
    for _ in range(REPETITIONS):
        start = time.monotonic()
        body()
        times.append(time.monotonic() - start)
    return min(times[1:]), times[0]


def measure(server):
    """Seconds by question. The first answer is left out: it learns which spans tell of one call, once for all questions."""
    ((trace,),) = ask(server, "SELECT trace_id FROM spans LIMIT 1 OFFSET 1000")
    for name, query in QUESTIONS.items():
        yield name, fastest(lambda: ask(server, query.replace("{trace}", trace)))[0]
