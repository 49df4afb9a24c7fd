"""The section `agents` of bench.py: what agents that ask by MCP in a loop cost those who send spans."""

import http.client
import json
import statistics
import threading

ROUNDS = 5
# Of all turns together: what is left of them is asked after the last one.
CALLS_MIN = 1000
QUESTIONS = [
    ("what_changed", {"since": "1h"}), ("list_failures", {"since": "1h"}), ("search_traces", {"limit": 20}), ("search_traces", {"text": "nothing-has-this", "limit": 20}),
    ("get_costs", {"since": "1h"}), ("list_stalls", {}), ("list_evals", {}),
    ("query_sql", {"query": "SELECT service_name, count(*), max(duration_ns) FROM spans GROUP BY 1"}),
]


class Loop:
    """One agent that asks again as soon as it is answered, refusals included: as long as spans come, and at least so often."""

    def __init__(self, server, least):
        self.port, self.least = server.port, least
        self.calls = self.answered = self.failed = 0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        while not self.stopping.is_set() or self.calls < self.least:
            tool, arguments = QUESTIONS[self.calls % len(QUESTIONS)]
            message = {"jsonrpc": "2.0", "id": self.calls, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
            connection.request("POST", "/mcp", json.dumps(message), {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = json.loads(response.read())
            self.calls += 1
            self.failed += response.status != 200
            self.answered += response.status == 200 and not answer["result"]["isError"]
        connection.close()


def measure(server, load, spans):
    """- `load`: runs the generator with arguments, as `Bench.load` does; `spans`: of one turn. Alone and beside, in turns."""
    rates = {False: [], True: []}
    calls = answered = failed = 0
    load(server, "-c", 8, "-b", 100, "-n", spans)
    for turn in range(ROUNDS):
        for is_beside in (False, True) if turn % 2 == 0 else (True, False):
            # What the load before left to merge is not this one's.
            server.rest()
            if not is_beside:
                rates[False].append(load(server, "-c", 8, "-b", 100, "-n", spans)["spans_per_second"])
                print(f"  alone {rates[False][-1]:,.0f} spans/s", flush=True)
                continue
            with Loop(server, CALLS_MIN - calls if turn == ROUNDS - 1 else 0) as loop:
                rates[True].append(load(server, "-c", 8, "-b", 100, "-n", spans)["spans_per_second"])
                print(f"  beside {rates[True][-1]:,.0f} spans/s, {loop.calls} calls meanwhile", flush=True)
            calls, answered, failed = calls + loop.calls, answered + loop.answered, failed + loop.failed
    alone, beside = (statistics.median(rates[kind]) for kind in (False, True))
    return {"spans_per_second": beside, "kept_ratio": beside / alone, "agent_calls": calls, "agent_answers": answered, "unanswered_questions": failed}
