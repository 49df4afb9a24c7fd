"""Questions leave nothing behind: thousands of each kind take no more memory than the first hundred."""

import json
import os
import pathlib

import pytest

import wire

# What a server may grow by over thousands of questions: buffers and caches that have not been full yet, not a byte a question. What each of
# these questions reads is some hundred kilobytes.
GROWTH_MEBIBYTES = 24
# Of each question, beside the first hundred.
ROUNDS = int(os.environ.get("FUSEBOX_LEAK_ROUNDS", "300"))

QUERIES = [
    "SELECT name FROM spans ORDER BY start_time_unix_nano DESC LIMIT 20",
    "SELECT name, attributes FROM spans ORDER BY start_time_unix_nano LIMIT 5",
    "SELECT tool_name, count(*), percentile(duration_ns, 95) FROM spans GROUP BY tool_name",
    "SELECT count(*), sum(tokens) FROM traces",
    "SELECT json(iif(span_id > '8', '{', '{}')) FROM spans ORDER BY start_time_unix_nano",
    "SELECT body FROM logs ORDER BY time_unix_nano DESC LIMIT 20",
    "SELECT count(*) FROM spans a LEFT JOIN logs b ON b.span_id = a.span_id AND a.tool_name IS NOT NULL WHERE a.name = 'span 7'",
]


def resident_mebibytes(server):
    for line in pathlib.Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmRSS")


def ask(server, connection, query):
    connection.request("POST", "/api/sql", body=query.encode(), headers={"Content-Type": "application/sql"})
    answer = connection.getresponse()
    answer.read()
    return answer.status


@pytest.fixture
def filled(fusebox):
    for batch in range(4):
        spans = [
            wire.span(name=f"span {number % 50}", start=wire.BASE_TIME + number, attributes=[
                ("tool_name", f"tool {number % 7}"), ("tokens", number), ("text", "x" * 100 + str(number))])
            for number in range(500)
        ]
        assert fusebox.post(wire.batch(*spans)).status == 200
        logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": [
            {"timeUnixNano": str(wire.BASE_TIME + number), "body": {"stringValue": f"line {batch} {number}"}} for number in range(100)]}]}]}
        assert fusebox.post(json.dumps(logs).encode(), path="/v1/logs", headers={"Content-Type": "application/json"}).status == 200
    fusebox.settled()
    return fusebox


def test_thousands_of_questions_take_no_more_memory_than_the_first(filled):
    connection = filled.connect()
    statuses = {query: ask(filled, connection, query) for query in QUERIES}
    assert list(statuses.values()).count(200) == len(QUERIES) - 1, json.dumps(statuses)
    for _ in range(100):
        for query in QUERIES:
            ask(filled, connection, query)
    before = resident_mebibytes(filled)
    for _ in range(ROUNDS):
        for query in QUERIES:
            assert ask(filled, connection, query) == statuses[query]
    grown = resident_mebibytes(filled) - before
    assert grown < GROWTH_MEBIBYTES, f"{grown:.1f} MiB more after {ROUNDS * len(QUERIES)} questions"
