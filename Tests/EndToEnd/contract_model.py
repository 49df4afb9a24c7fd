"""The loop contract (docs/metrics.md 2.14) by a sweep over spans: the model that the product is held against.

A span is a dictionary: service, instance, host ("" where the resource does not say), start and end in nanoseconds, and of these what it has: run (true),
call ("embedding" or "model"), workflow_limit, retrieval, retrieval_limit, embed, embed_limit, process_memory, host_memory, host_memory_total.
Run as a program, it writes Tests/Fixtures/vectors/contract.json.
"""

import collections
import json
import pathlib
import random


def process(span):
    return span["service"], span["instance"]


def host(span):
    return ("host", span["host"]) if span["host"] else process(span)


def depths(runs):
    """How many of the runs are under way at the beginning of each, those that begin then included: all edges in their order, ends first."""
    edges = sorted([(run["end"], 0, None) for run in runs] + [(run["start"], 1, place) for place, run in enumerate(runs)], key=lambda edge: edge[:2])
    found, under_way, together = {}, 0, []
    for number, (time, begins, place) in enumerate(edges):
        under_way += 1 if begins else -1
        if begins:
            together.append(place)
        if number + 1 == len(edges) or edges[number + 1][:2] != (time, 1):
            found.update(dict.fromkeys(together, under_way))
            together = []
    return [found[place] for place in range(len(runs))]


def overlap(calls):
    """Nanoseconds in which calls of both kinds are under way."""
    edges = collections.defaultdict(lambda: {"embedding": 0, "model": 0})
    for call in calls:
        edges[call["start"]][call["call"]] += 1
        edges[call["end"]][call["call"]] -= 1
    under_way, total, before = {"embedding": 0, "model": 0}, 0, 0
    for time in sorted(edges):
        if all(under_way.values()):
            total += time - before
        before = time
        for kind in under_way:
            under_way[kind] += edges[time][kind]
    return total


def grouped(spans, key):
    groups = collections.defaultdict(list)
    for span in spans:
        groups[key(span)].append(span)
    return groups


def sweep(spans):
    """Every counter that is not zero, by its family and its labels: nanoseconds for seconds, bytes, counts."""
    found = collections.Counter()

    def peak(family, labels, value):
        found[family, labels] = max(found[family, labels], value)

    of_contract = [span for span in spans if span.get("run") or span.get("call") or any(
        span.get(name) is not None for name in ("retrieval", "embed", "process_memory", "host_memory", "host_memory_total"))]
    runs = [span for span in of_contract if span.get("run") and span["end"] > span["start"]]
    for scope, key in (("process", process), ("host", host)):
        for members in grouped(runs, key).values():
            for run, depth in zip(members, depths(members)):
                if scope == "process":
                    peak("agent_workflow_concurrency", (("service_name", run["service"]),), depth)
                else:
                    peak("agent_host_workflow_concurrency", (("host", run["host"] or "unknown"),), depth)
                if run.get("workflow_limit") is not None and depth > run["workflow_limit"]:
                    found["agent_workflow_concurrency_breaches_total", (("service_name", run["service"]), ("scope", scope))] += 1
    calls = [span for span in of_contract if span.get("call") and span["end"] > span["start"]]
    for members in grouped(calls, host).values():
        found["agent_embedding_overlap_seconds_total", (("host", members[0]["host"] or "unknown"),)] += overlap(members)
    for span in of_contract:
        service, place = (("service_name", span["service"]),), (("host", span["host"] or "unknown"),)
        for name, family in (("retrieval", "agent_retrieval_batch_breaches_total"), ("embed", "agent_embed_batch_breaches_total")):
            if None not in (span.get(name), span.get(name + "_limit")) and span[name] > span[name + "_limit"]:
                found[family, service] += 1
        if span.get("process_memory") is not None:
            peak("agent_process_memory_peak_bytes", service, span["process_memory"])
        peak("agent_host_memory_peak_bytes", place, max(span.get("process_memory") or 0, span.get("host_memory") or 0))
        peak("agent_host_memory_total_bytes", place, span.get("host_memory_total") or 0)
    return {key: value for key, value in found.items() if value}


def history(seed):
    """Spans of a few processes on a few hosts, with times that often meet."""
    choose = random.Random(seed)
    processes = [
        {"service": choose.choice(["planner", "reader"]), "instance": f"p{number}", "host": choose.choice(["", "a", "b"]),
         "workflow_limit": choose.choice([None, 1, 2, 3]), "retrieval_limit": choose.choice([None, 4]), "embed_limit": choose.choice([None, 8])}
        for number in range(choose.randrange(1, 5))]
    spans = []
    for _ in range(choose.randrange(4, 40)):
        start = choose.randrange(1, 60)
        span = {**choose.choice(processes), "start": start * 1_000_000, "end": (start + choose.choice([0, 1, 2, 5, 20])) * 1_000_000}
        kind = choose.choice(["run", "run", "embedding", "model", "model", "retrieval", "memory"])
        if kind == "run":
            span["run"] = True
        elif kind in ("embedding", "model"):
            span["call"] = kind
            if kind == "embedding" and choose.random() < 0.7:
                span["embed"] = choose.randrange(1, 12)
        elif kind == "retrieval":
            span["retrieval"] = choose.randrange(0, 9)
        if kind == "memory" or choose.random() < 0.1:
            span["process_memory"] = choose.randrange(1 << 30)
            if choose.random() < 0.5:
                span["host_memory"], span["host_memory_total"] = choose.randrange(1 << 34), 1 << 34
        spans.append({name: value for name, value in span.items() if value is not None})
    return spans


def main():
    vectors = []
    for seed in range(40):
        spans = history(seed)
        vectors.append({"name": f"history {seed}", "spans": spans, "counters": [
            {"family": family, "labels": dict(labels), "value": value} for (family, labels), value in sorted(sweep(spans).items())]})
    path = pathlib.Path(__file__).resolve().parent.parent / "Fixtures" / "vectors" / "contract.json"
    rows = ",\n".join(json.dumps(vector, separators=(",", ":")) for vector in vectors)
    path.write_text('{"note":"written by Tests/EndToEnd/contract_model.py; times in ns","vectors":[\n' + rows + "\n]}\n")


if __name__ == "__main__":
    main()
