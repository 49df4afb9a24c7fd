"""How often and how long breakers were open is one answer, at every door of the server and the command line."""

import json
import random
import time

from server import poll
from wire import batch, span, span_id, trace_id

COOLDOWN = 0.4


def test_every_door_tells_the_same_openings(launch):
    fusebox = launch({"BREAKER_SETTLE_S": "1", "BREAKER_COOLDOWN_S": str(COOLDOWN)})
    pick = random.Random(7)
    begin = time.time_ns() - 120 * 10**9
    for second in range(0, 60, 5):
        calls = []
        for number in range(25):
            end = begin + second * 10**9 + number * 10**8
            attributes = [("tool_name", tool := pick.choice(["web", "shell", "db"])), ("stage", "http_tool")]
            if pick.random() < 0.7:
                attributes.append(("timeout", True))
            if tool != "db":
                attributes.append(("breaker_state", pick.choice(["open", "open", "closed", "half_open"])))
            calls.append(span(trace_id(), span_id(), start=end - 10**6, end=end, attributes=attributes))
        assert fusebox.post(batch(*calls)).status == 200
    metrics = fusebox.settled()
    running = "SELECT count(*) FROM breaker_openings WHERE to_unix_nano IS NULL"
    poll("what runs expires", lambda: fusebox.scalar(running) == 0)
    metrics = fusebox.metrics()
    wanted = {
        (tool, machine): (metrics.total(f"{name}_opens_total", tool=tool), metrics.total(f"{name}_cooldown_seconds_total", tool=tool))
        for machine, name in [("reported", "agent_breaker"), ("derived", "agent_breaker_derived")] for tool in ["web", "shell", "db"]}
    wanted = {key: value for key, value in wanted.items() if value[0]}
    assert len(wanted) == 5 and sum(opens for opens, _ in wanted.values()) > 40

    def same(found, tolerance=1e-6):
        found = {key: value for key, value in found.items() if value[0]}
        assert found.keys() == wanted.keys()
        for key, (opens, seconds) in wanted.items():
            assert found[key][0] == opens and abs(found[key][1] - seconds) < tolerance, key

    rows = fusebox.sql("SELECT tool_name, machine, count(*) AS n, sum(credited_ns) / 1e9 AS s FROM breaker_openings GROUP BY 1, 2")
    same({(row["tool_name"], row["machine"]): (row["n"], row["s"]) for row in rows})
    answer = json.loads(fusebox.get("/api/breakers").body)
    found = {}
    for one in answer["openings"]:
        opens, seconds = found.get(key := (one["tool_name"], one["machine"]), (0, 0))
        found[key] = (opens + 1, seconds + (int(one["end_time_unix_nano"]) - int(one["start_time_unix_nano"])) / 1e9)
    same(found)
    same({(one["tool_name"], machine): (one[machine]["opens"], int(one[machine]["cooldown_ns"]) / 1e9)
          for one in answer["breakers"] for machine in ["reported", "derived"] if one[machine]})
    totals = json.loads(fusebox.get("/api/overview").body)["totals"]
    for machine in ["reported", "derived"]:
        opens = sum(value[0] for key, value in wanted.items() if key[1] == machine)
        seconds = sum(value[1] for key, value in wanted.items() if key[1] == machine)
        assert totals[f"{machine}_opens"] == opens
        assert abs(int(totals[f"{machine}_cooldown_ns"]) / 1e9 - seconds) < 1e-6
    fuses = json.loads(fusebox.run("fuses", "--data-dir", str(fusebox.folder), "--format", "json").stdout)
    same({(one["tool"], one["machine"]): (one["opens"], one["cooldown_s"]) for one in fuses}, 0.001)
    done = fusebox.run("gate", "--data-dir", str(fusebox.folder), "--since", "1h", "--full", "--format", "json")
    report = json.loads(done.stdout)
    minutes = {}
    for row in report["sections"]["breakers"]["rows"]:
        for machine in ["reported", "derived"]:
            minutes[(row["tool"], machine)] = (row[f"{machine}_opens"], row[f"{machine}_open_min"] * 60)
    same(minutes, 0.31)
