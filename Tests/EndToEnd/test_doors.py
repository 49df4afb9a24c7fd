"""One figure, every door: what is told of dollars, tokens, calls, timeouts and breakers is the same wherever it is asked."""

import os
import random
import time

import pytest

import captures
import doors
import wire
from server import Fusebox
from wire import data, number

SECOND = 1_000_000_000
SEEDS = range(int(os.environ.get("FUSEBOX_DOOR_HISTORIES", "2")))
# Dollars a million tokens.
PRICES = {"m-1": {"input": 10, "cache_read": 1, "cache_write": 100, "output": 20}, "m-2": {"input": 3, "cache_read": 0.3, "cache_write": 3.75, "output": 15}}
KNOBS = {"BREAKER_SETTLE_S": "1", "BREAKER_COOLDOWN_S": "20"}
# Shares of a minute are shown with two digits, and a row each may be off by half of that.
ROUNDED = {("open_seconds", "fusebox gate --full"): 3.0, ("open_seconds", "fusebox fuses"): 0.05}


def price_list(models):
    # From a day on: what has no end is priced at its start, and not at time 0.
    return "models:\n" + "".join(
        f"  - {{model: {model!r}, effective_from: 2001-01-01, " + ", ".join(f"{name}: {value}" for name, value in price.items()) + "}\n" for model, price in models.items())


class History:
    """What agents may send, and what of it is to be counted by docs/metrics.md."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.tokens = dict.fromkeys(["input", "cache_read", "cache_write", "output", "unspecified"], 0)
        self.dollars = 0.0
        self.calls = dict.fromkeys(doors.OUTCOMES, 0)
        self.runs = {"all": 0, "failed": 0}
        self.clock = time.time_ns() - 1200 * SECOND
        self.spans = []

    def later(self, milliseconds):
        start = self.clock
        self.clock += milliseconds * 1_000_000
        return start, self.clock

    def model_call(self, trace, parent):
        model = self.random.choice(["m-1", "m-2", "unpriced"])
        input_tokens, output = self.random.randrange(1, 9000), self.random.randrange(1, 900)
        read = self.random.choice([0, 0, input_tokens // 3])
        written = self.random.choice([0, 0, input_tokens // 2])
        start, end = self.later(self.random.randrange(50, 2000))
        attributes = [("gen_ai.operation.name", "chat"), ("gen_ai.request.model", model)]
        kind = self.random.choice(["typed", "typed", "typed", "bare", "failed", "beside", "more", "partly", "open"])
        price = PRICES.get(model)
        if kind == "bare":
            attributes.append(("tokens", input_tokens))
            self.tokens["unspecified"] += input_tokens
            if price:
                self.dollars += input_tokens * price["output"] / 1e6
            total = input_tokens
        elif kind == "partly":
            # Nothing of the input is told but what a cache gave.
            attributes += [("gen_ai.usage.output_tokens", output), ("gen_ai.usage.cache_read.input_tokens", read)]
            total = self.counted({"cache_read": read, "output": output}, price)
        elif kind == "beside":
            # A cache that gave more than the input: the input is without it.
            read = input_tokens + self.random.randrange(1, 9000)
            attributes += [("gen_ai.usage.input_tokens", input_tokens), ("gen_ai.usage.output_tokens", output), ("gen_ai.usage.cache_read.input_tokens", read)]
            total = self.counted({"input": input_tokens, "cache_read": read, "output": output}, price)
        else:
            attributes += [("gen_ai.usage.input_tokens", input_tokens), ("gen_ai.usage.output_tokens", output)]
            if read:
                attributes.append(("gen_ai.usage.cache_read.input_tokens", read))
            if written:
                attributes.append(("gen_ai.usage.cache_creation.input_tokens", written))
            if self.random.random() < 0.3:
                attributes.append(("gen_ai.usage.reasoning.output_tokens", output // 2))
            # A total beyond its parts.
            more = self.random.randrange(1, 500) if kind == "more" else 0
            if more:
                attributes.append(("gen_ai.usage.total_tokens", input_tokens + output + more))
            # Unless the total is the sum of them all, the cache's tokens are among the input.
            inside = 0 if more and more == read + written else read + written
            total = self.counted({
                "input": input_tokens - inside, "cache_read": read, "cache_write": written, "output": output,
                "unspecified": more if inside else more - read - written}, price)
        # A call that has not ended is none, but what it took counts.
        if kind == "open":
            end = None
        else:
            self.calls["error" if kind == "failed" else "ok"] += 1
        extra = data(15, number(3, 2)) if kind == "failed" else b""
        if kind == "failed":
            attributes.append(("error.type", "RateLimitError"))
        identity = self.random.randbytes(8)
        self.spans.append(wire.span(trace, identity, "chat", start, end, parent, attributes, extra))
        return total

    def counted(self, counts, price):
        """Takes a call's tokens into what is to be told; their sum."""
        for name, count in counts.items():
            self.tokens[name] += count
            if price:
                self.dollars += count * price.get(name, price["output"]) / 1e6
        return sum(counts.values())

    def tool_call(self, trace, parent):
        tool = self.random.choice(["search", "fetch", "sql"])
        start, end = self.later(self.random.randrange(20, 4000))
        attributes = [("gen_ai.operation.name", "execute_tool"), ("tool_name", tool)]
        outcome = self.random.choice(["ok", "ok", "timeout", "timeout", "timeout", "error", "rejected"] if tool == "search" else ["ok", "ok", "ok", "error", "timeout"])
        if tool == "sql":
            attributes.append(("breaker_state", self.random.choice(["closed", "closed", "open", "open", "half_open"])))
        if outcome == "timeout":
            attributes.append(("error.type", "timeout"))
        if outcome == "error":
            attributes.append(("error.type", "ValueError"))
        if outcome == "rejected":
            attributes.append(("breaker.rejected", True))
        self.calls[outcome] += 1
        extra = data(15, number(3, 2)) if outcome != "ok" else b""
        self.spans.append(wire.span(trace, self.random.randbytes(8), tool, start, end, parent, attributes, extra))

    def root(self, trace, identity, workflow, start, end, parent=None, attributes=()):
        """A run, which may fail; `None` for a time makes it none."""
        has_failed = self.random.random() < 0.3
        if start is not None and end is not None:
            self.runs["all"] += 1
            self.runs["failed"] += has_failed
        self.spans.append(wire.span(
            trace, identity, "run", start, end, parent, [("workflow_name", workflow), *attributes], data(15, number(3, 2)) if has_failed else b""))

    def timeless(self):
        """Spans without a start or an end: neither attempts nor runs. Without a start, and with one."""
        start = self.clock
        for times in [(None, start + SECOND), (start, None), (None, None)]:
            root = self.random.randbytes(8)
            trace = self.random.randbytes(16)
            self.root(trace, root, "w-timeless", *times)
            self.spans.append(wire.span(trace, self.random.randbytes(8), "search", *times, root, [
                ("gen_ai.operation.name", "execute_tool"), ("tool_name", "search"), ("error.type", "timeout")], data(15, number(3, 2))))

    def no_runs(self):
        """A trace whose child alone names a workflow, and one whose root is not there; and a root that says that it is a run of no workflow."""
        start, trace, root = self.clock, self.random.randbytes(16), self.random.randbytes(8)
        self.spans.append(wire.span(trace, root, "outer", start, start + SECOND))
        self.spans.append(wire.span(trace, self.random.randbytes(8), "step", start, start + SECOND, root, [("workflow_name", "w-child"), ("workflow.root", "no")]))
        self.spans.append(wire.span(self.random.randbytes(16), self.random.randbytes(8), "orphan", start, start + SECOND, self.random.randbytes(8), [
            ("workflow_name", "w-orphan")]))
        self.spans.append(wire.span(self.random.randbytes(16), self.random.randbytes(8), "nameless", start, start + SECOND, None, [("workflow.root", True)]))

    def run(self):
        """An agent's run: a root, perhaps a run within it, and perhaps a wrapper that repeats its children's tokens."""
        trace, root, agent = self.random.randbytes(16), self.random.randbytes(8), self.random.randbytes(8)
        start = self.clock
        total = 0
        for _ in range(self.random.randrange(1, 7)):
            if self.random.random() < 0.5:
                total += self.model_call(trace, agent)
            else:
                self.tool_call(trace, agent)
        self.spans.append(wire.span(trace, agent, "invoke_agent", start, self.clock, root, [
            ("gen_ai.operation.name", "invoke_agent"), *([("tokens", total)] if total and self.random.random() < 0.5 else [])]))
        if self.random.random() < 0.3:
            says = self.random.choice([True, 1, "true", "True", "1", "yes"])
            self.root(trace, self.random.randbytes(8), "w-within", start, self.clock, root, [("workflow.root", says)])
        self.root(trace, root, self.random.choice(["w-1", "w-2"]), start, self.clock, None, [
            ("session.id", self.random.choice(["s-1", "s-2"])), ("user.id", self.random.choice(["u-1", "u-2"]))])

    def loops(self):
        """Another process on the host: runs and embeddings beside each other and beside the model calls of the first one, batches, memory."""
        for _ in range(40):
            start = self.random.randrange(self.clock - 300 * SECOND, self.clock)
            end = start + self.random.randrange(1, 20) * SECOND
            parent = self.random.randbytes(8)
            kind = self.random.choice(["run", "embeddings", "retrieval", "memory"])
            attributes = {
                "run": [("workflow_name", "w-loop")],
                "embeddings": [("gen_ai.operation.name", "embeddings"), ("embed_batch", self.random.randrange(1, 9))],
                "retrieval": [("gen_ai.operation.name", "task"), ("retrieval_batch", self.random.randrange(9)), ("stage", "other")],
                "memory": [("process.memory.usage", self.random.randrange(1 << 30)), ("system.memory.usage", self.random.randrange(1 << 31)),
                           ("system.memory.limit", 1 << 31)],
            }[kind]
            self.runs["all"] += kind == "run"
            yield wire.span(self.random.randbytes(16), self.random.randbytes(8), kind, start, end, None if kind == "run" else parent, attributes)

    def bodies(self):
        """The spans in an order of their own, in requests of different sizes."""
        spans, bodies = self.spans[:], []
        self.random.shuffle(spans)
        bodies.append(wire.batch(*self.loops(), resource=[
            ("service.name", "loops"), ("service.instance.id", "two"), ("host.name", "box"), ("workflow.max_concurrency", 2), ("RETRIEVAL_BATCH_SIZE", "4"),
            ("embedding.max_batch_size", 5)]))
        while spans:
            count = self.random.randrange(1, 60)
            bodies.append(wire.batch(*spans[:count], resource=[("service.name", "doors"), ("service.instance.id", "one"), ("host.name", "box")]))
            spans = spans[count:]
        return bodies


@pytest.fixture(scope="module", params=["captures", *[f"history {seed}" for seed in SEEDS]])
def out(request, binary, tmp_path_factory):
    """What every door of a server tells, and what it should where that is known."""
    folder = tmp_path_factory.mktemp("doors")
    history = None
    (folder / "data").mkdir()
    if request.param == "captures":
        prices = capture_prices(binary, folder / "models")
    else:
        history = History(int(request.param.split()[1]))
        prices = PRICES
    (folder / "data" / "prices.yaml").write_text(price_list(prices))
    server = Fusebox(binary, folder / "data", KNOBS).start()
    try:
        if history:
            for _ in range(60):
                history.run()
            history.timeless()
            history.no_runs()
            for body in history.bodies():
                assert server.post(body).status == 200
        else:
            for name in captures.NAMES:
                captures.replay_all(server, name)
        yield doors.Out(server, folder), history
    finally:
        server.stop()


def capture_prices(binary, folder):
    """A price of its own for each model that the captures name."""
    server = Fusebox(binary, folder, KNOBS).start()
    try:
        for name in captures.NAMES:
            captures.replay_all(server, name)
        models = [row["model"] for row in server.sql("SELECT DISTINCT model FROM spans WHERE model IS NOT NULL ORDER BY 1")]
    finally:
        server.stop()
    return {model: {"input": 10 + place, "cache_read": 1, "cache_write": 100, "output": 20} for place, model in enumerate(models)}


@pytest.mark.parametrize("figure", doors.FIGURES)
def test_every_door_tells_the_same(out, figure):
    answers, history = out
    told = doors.FIGURES[figure](answers)
    told = {door: value if isinstance(value, dict) else {"": value} for door, value in told.items()}
    truth = known(history, figure)
    if truth:
        told = {"what was sent": truth, **told}
    first = next(iter(told))
    different = [
        f"{door} {part}: {value}, but {first}: {told[first][part]}" for door, parts in told.items() for part, value in parts.items()
        if part in told[first] and value != pytest.approx(told[first][part], rel=1e-9, abs=ROUNDED.get((figure, door), 1e-6))]
    assert not different, "\n".join(different)
    # No capture names a user.
    assert any(any(parts.values()) for parts in told.values()) or (history is None and figure == "spent_by_user"), f"nothing of {figure} was told"


def known(history, figure):
    """What a history holds of a figure, where it can be said without the rules of breakers."""
    if history is None:
        return None
    return {
        "dollars": {"": history.dollars}, "tokens": {"": sum(history.tokens.values())}, "tokens_by_type": history.tokens,
        "calls": history.calls, "timeouts": {"": history.calls["timeout"]}, "runs": history.runs,
    }.get(figure)


def test_the_gate_judges_the_dollars_that_are_told(out):
    answers, _ = out
    told, tokens = doors.dollars(answers)["/metrics"], doors.tokens(answers)["/metrics"]
    (gate,) = [row["value"] for row in answers.section(answers.gate, "gates") if row["gate"] == "usd_per_mtok"]
    # One call without a price leaves nothing to judge.
    unpriced = answers.row("SELECT sum(unpriced_calls) AS n FROM costs")["n"]
    assert gate == (None if unpriced else pytest.approx(told / (tokens / 1e6), rel=1e-6))
