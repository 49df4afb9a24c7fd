"""`fusebox forget`: what it says is gone is gone, from every answer and from every byte of the data folder; the rest stays."""

import json
import os
import random
import subprocess
import time

import pytest

import doors
from server import poll
from test_logs import record, request
from wire import BASE_TIME, batch, span, span_id

OK, FAILED, USAGE = 0, 1, 2
DAY = 86_400 * 10**9


def secret(user):
    return f"the-secret-of-{user}-5f1d0c"


def trace(number):
    return bytes([number]) * 16


def fill(server, users=("alice", "bob"), rounds=30):
    """A trace a user and round: the run names the user, its calls do not; a log record of each. Gives the traces by user."""
    traces = {user: [] for user in users}
    for number in range(rounds):
        for place, user in enumerate(users):
            identity = trace(1 + number * len(users) + place)
            traces[user].append(identity.hex())
            root = span_id()
            spans = [
                span(identity, root, name="run", attributes=[("user.id", user), ("session.id", f"{user}-{number % 3}"), ("workflow_name", "w")]),
                span(identity, name="call", parent=root, attributes=[("tool_name", "search"), ("prompt", secret(user))]),
            ]
            assert server.post(batch(*spans)).status == 200
            assert server.post(request(record(secret(user), trace=identity)), "/v1/logs").status == 200
    return traces


def occurrences(server, text):
    found = 0
    for folder, _, names in os.walk(server.folder):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                found += file.read().count(text.encode())
    return found


def forget(server, *arguments):
    done = server.run("forget", "--data-dir", str(server.folder), "--format", "json", *arguments)
    assert done.returncode == OK, done.stderr.decode()
    return json.loads(done.stdout)


def counters(server):
    server.settled()
    lines = server.get("/metrics").body.decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if line.startswith("agent_") and "_total" in line)


def test_a_user_is_forgotten_beside_a_running_server(fusebox, tmp_path):
    traces = fill(fusebox)
    evals = tmp_path / "evals.jsonl"
    evals.write_text("".join(
        json.dumps({"name": "good", "score": 1, "trace_id": traces[user][0], "explanation": secret(user)}) + "\n" for user in traces))
    assert fusebox.run("eval", "import", "--data-dir", str(fusebox.folder), str(evals)).returncode == OK
    before = counters(fusebox)
    assert any(value != "0" for value in before.values())
    assert occurrences(fusebox, secret("alice")) > 10

    counted = forget(fusebox, "--user", "alice")
    assert (counted["erased"], counted["spans"], counted["log_records"], counted["evals"]) == (False, 60, 30, 1)
    assert fusebox.scalar("SELECT count(*) FROM spans") == 120

    done = forget(fusebox, "--user", "alice", "--yes")
    assert (done["erased"], done["spans"], done["log_records"], done["evals"]) == (True, 60, 30, 1)
    assert set(done["remaining"].values()) == {0} and done["overwritten_bytes"] > 0
    for text in (secret("alice"), "alice"):
        assert occurrences(fusebox, text) == 0
    assert occurrences(fusebox, secret("bob")) > 0
    # Every door, not SQL alone.
    assert fusebox.get(f"/api/traces/{traces['alice'][3]}").status == 404
    assert fusebox.get(f"/api/traces/{traces['bob'][3]}").status == 200
    assert fusebox.sql("SELECT DISTINCT user_id FROM spans WHERE user_id IS NOT NULL") == [{"user_id": "bob"}]
    assert fusebox.scalar("SELECT count(*) FROM logs") == 30
    assert fusebox.scalar("SELECT group_concat(explanation) FROM span_evals") == secret("bob")
    assert counters(fusebox) == before
    assert fusebox.run("verify", "--data-dir", str(fusebox.folder)).returncode == OK

    # The file alone, and what comes afterwards.
    fusebox.stop()
    done = forget(fusebox, "--session", "bob-1", "--yes")
    assert (done["spans"], done["log_records"]) == (20, 10)
    fusebox.start()
    assert counters(fusebox) == before
    assert fusebox.post(batch(span(trace(250)))).status == 200
    assert fusebox.scalar("SELECT count(*) FROM spans") == 41
    done = forget(fusebox, "--older-than", str(BASE_TIME + 10**12), "--yes")
    assert done["spans"] == 41 and fusebox.scalar("SELECT count(*) FROM spans") == 0
    assert occurrences(fusebox, secret("bob")) == 0
    assert fusebox.run("verify", "--data-dir", str(fusebox.folder)).returncode == OK


def test_what_runs_is_kept_and_taken_behind_the_floor(fusebox):
    """A span without an end began just now: it is not older than a month, and neither are those that come after the floor was raised."""
    now, door = time.time_ns(), doors.Protobuf(fusebox)

    def running(name):
        return span(name=name, start=now - 5 * 10**9, end=None)

    def startless(name):
        return span(name=name, start=None, end=now)

    assert not door.send(batch(span(name="old", start=now - 40 * DAY, end=now - 40 * DAY + 1), running("a"), startless("b"))).rejected
    done = forget(fusebox, "--older-than", "30d", "--yes")
    assert done["spans"] == 1
    assert not door.send(batch(running("c"), startless("d"), span(name="e", start=None, end=None))).rejected
    assert door.send(batch(span(name="late", start=now - 40 * DAY, end=None))).rejected == 1
    assert [row["name"] for row in fusebox.sql("SELECT name FROM spans ORDER BY 1")] == ["a", "b", "c", "d", "e"]
    # Prune takes whole segments: the one that holds what runs is none of them.
    fusebox.stop()
    fusebox.run("prune", "--data-dir", str(fusebox.folder), "--before", "1d", "--yes")
    fusebox.start()
    assert fusebox.scalar("SELECT count(*) FROM spans") == 5


@pytest.mark.parametrize("seed", range(3))
def test_an_order_survives_kills(fusebox, seed):
    chance = random.Random(seed)
    fill(fusebox)
    command = subprocess.Popen(
        [fusebox.binary, "forget", "--data-dir", str(fusebox.folder), "--user", "alice", "--yes"], env=fusebox.environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    # Until the order is in the file: from then on it is carried out, whoever dies.
    poll("the order", lambda: fusebox.scalar("SELECT count(*) FROM forget") == 1)
    command.kill()
    command.communicate()
    for _ in range(3):
        time.sleep(chance.random() * 0.15)
        fusebox.kill()
        assert fusebox.run("verify", "--data-dir", str(fusebox.folder)).returncode == OK
        fusebox.start()
    poll("the end", lambda: fusebox.scalar("SELECT phase FROM forget") == "done")
    assert fusebox.sql("SELECT spans, log_records FROM forget") == [{"spans": 60, "log_records": 30}]
    assert fusebox.scalar("SELECT count(*) FROM spans") == 60
    assert occurrences(fusebox, secret("alice")) == 0
    assert fusebox.run("verify", "--data-dir", str(fusebox.folder)).returncode == OK


@pytest.mark.parametrize("arguments, message", [
    ([], "say what is meant"), (["--trace", "12"], "not a trace id"), (["--user", ""], "is empty"), (["--older-than", "2200-01-01"], "in the future"),
])
def test_mistakes(fusebox, arguments, message):
    done = fusebox.run("forget", "--data-dir", str(fusebox.folder), "--yes", *arguments)
    assert done.returncode == USAGE and message in done.stderr.decode()
