"""Data files that older releases wrote: they open, answer as they did, merge into today's form, verify and back up.

Each folder of Tests/Fixtures/stores has a file as a release left it after a kill (`fusebox.db.gz`), and what that release answered
(`answers.json.gz`, statement by statement). The answers are never written again by a later release.
"""

import gzip
import json
import pathlib

import pytest

from server import Fusebox, poll

STORES = pathlib.Path(__file__).parent.parent / "Fixtures" / "stores"
# Times of receipt are in the file; what depends on today is not asked.
STATEMENTS = [
    "SELECT * FROM spans ORDER BY trace_id, span_id, received_time_unix_nano",
    "SELECT * FROM spans WHERE tool_name IS NOT NULL AND duration_ns > 1000000 ORDER BY trace_id, span_id",
    "SELECT name, count(*), sum(duration_ns), min(start_time_unix_nano), max(start_time_unix_nano) FROM spans GROUP BY name ORDER BY name",
    "SELECT service_name, status_code, count(*) FROM spans GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT count(*) FROM spans WHERE attributes LIKE '%timeout%'",
    "SELECT count(*), count(DISTINCT trace_id), count(DISTINCT span_id) FROM spans",
    "SELECT count(*) FROM spans WHERE name = 'every kind'",
    "SELECT attr(attributes, 'text'), attr(attributes, 'big'), attr(attributes, 'bytes') FROM spans WHERE name = 'every kind'",
    *(f"SELECT * FROM {view} ORDER BY 1, 2, 3" for view in ("traces", "tools", "workflows")),
    "SELECT count(*) FROM logs",
]


def answers(server, expected):
    """In the columns that the release had: a newer one has more."""
    found = {statement: server.sql(statement) for statement in STATEMENTS}
    return {
        statement: [{column: row.get(column, "no such column") for column in (expected[statement] or [row])[0]} for row in rows]
        for statement, rows in found.items()}


@pytest.fixture(params=sorted(path.name for path in STORES.iterdir()))
def older(request, binary, tmp_path):
    """A stopped server whose folder holds the older file, and the answers that its release gave."""
    store = STORES / request.param
    server = Fusebox(binary, tmp_path / "data")
    server.folder.mkdir(mode=0o700, exist_ok=True)
    (server.folder / "fusebox.db").write_bytes(gzip.decompress((store / "fusebox.db.gz").read_bytes()))
    (server.folder / "fusebox.db").chmod(0o600)
    yield server, json.loads(gzip.decompress((store / "answers.json.gz").read_bytes()))
    server.stop()


def segments(server):
    return server.scalar("SELECT count(*) FROM segment")


def test_an_older_file_is_forwarded_whole(older, fusebox):
    server, _ = older
    (server.folder / "fusebox.yaml").write_text(f"forward: {{targets: {{hub: {{endpoint: '{fusebox.url}'}}}}}}\n")
    server.start()
    assert server.scalar("SELECT min(first_ordinal) FROM segment") == 0
    poll("all is sent", lambda: server.sql("SELECT next_ordinal FROM forward_target ORDER BY signal DESC") == [
        {"next_ordinal": server.scalar(f"SELECT count(*) FROM {table}")} for table in ("spans", "logs")], seconds=60)
    own = "SELECT trace_id, span_id, name, duration_ns, status_code, service_name FROM spans ORDER BY trace_id, span_id, kind"
    assert fusebox.sql(own) == server.sql(own)
    assert fusebox.scalar("SELECT count(*) FROM logs") == server.scalar("SELECT count(*) FROM logs")


def test_an_older_file_answers_as_it_did_and_merges_and_verifies_and_is_backed_up(older, tmp_path):
    server, expected = older
    server.start()
    assert answers(server, expected) == expected
    poll("segments to merge", lambda: segments(server) <= 2, seconds=60)
    assert answers(server, expected) == expected
    backup = tmp_path / "backup.db"
    done = server.run("backup", str(backup), "--data-dir", str(server.folder))
    assert done.returncode == 0, done.stderr
    for file in ([], [str(backup)]):
        done = server.run("verify", *file, *([] if file else ["--data-dir", str(server.folder)]))
        assert done.returncode == 0, done.stdout + done.stderr
