"""TraceQL over plain spans: random traces, random queries, and what each query means, worked out the slow way."""

import math
import random
import re

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

SECOND = 1_000_000_000
KINDS = ["unspecified", "internal", "server", "client", "producer", "consumer"]
STATUSES = ["unset", "ok", "error"]
# What the scope of each service says of itself.
SCOPES = {"s1": 7, "s2": "seven"}
VALUES = ["x", "y", "xy", "ü", 1, 2, 2.5, True, False, ["x", "y"], [1, 2], 9007199254740993]


class Span:
    def __init__(self, trace, identity, parent, start, duration):
        self.trace, self.identity, self.parent = trace, identity, parent
        self.start, self.end = start, start + duration
        self.attributes, self.events = {}, []

    @property
    def duration(self):
        return self.end - self.start


class Trace:
    """The spans of a trace by start, and how they hang together."""

    def __init__(self, spans):
        self.spans = sorted(spans, key=lambda span: (span.start, span.identity))
        by_id = {span.identity: span for span in self.spans}
        self.parent = {span: by_id.get(span.parent) for span in self.spans}
        self.children = {span: [other for other in self.spans if self.parent[other] is span] for span in self.spans}
        self.left, self.right = {}, {}
        number = 0

        def walk(span):
            nonlocal number
            number += 1
            self.left[span] = number
            for child in self.children[span]:
                walk(child)
            number += 1
            self.right[span] = number

        roots = [span for span in self.spans if span.parent is None]
        for root in roots:
            walk(root)
        self.root_name = max((root.name for root in roots), default=None)
        first = min(roots, key=lambda root: (root.start, root.end, root.identity), default=None)
        self.root_service = first.service if first else None
        self.duration = max(span.end for span in self.spans) - self.spans[0].start

    def ancestors(self, span):
        found = []
        while (span := self.parent[span]) is not None:
            found.append(span)
        return found


def random_traces(choice, count, base):
    """Traces with roots, without, with two, and with spans whose parent is not there."""
    traces = []
    for number in range(count):
        trace = choice.randbytes(16)
        start = base + number * 60 * SECOND
        spans = []
        for position in range(choice.randint(1, 9)):
            parent = None
            if position > 0 and choice.random() < 0.95:
                parent = choice.choice(spans).identity
            elif choice.random() < 0.15:
                parent = choice.randbytes(8)
            start += choice.randint(1, 400) * 1_000_000
            span = Span(trace, choice.randbytes(8), parent, start, choice.randint(1, 3000) * 1_000_000)
            span.name = choice.choice(["n1", "n2", "n3"])
            span.service = choice.choice(["s1", "s2"])
            # Two sides of a call share an id, which is a matter of its own.
            span.kind = choice.choice([0, 1, 3, 4, 5])
            span.status = choice.choice([0, 0, 1, 2])
            for key in ["a", "b"]:
                if choice.random() < 0.6:
                    span.attributes[key] = choice.choice(VALUES)
            if choice.random() < 0.3:
                span.events.append((choice.choice(["exception", "note"]), choice.choice(["boom", "late"])))
            spans.append(span)
        traces.append(Trace(spans))
    return traces


def fill(value, of):
    if isinstance(of, bool):
        value.bool_value = of
    elif isinstance(of, int):
        value.int_value = of
    elif isinstance(of, float):
        value.double_value = of
    elif isinstance(of, list):
        for element in of:
            fill(value.array_value.values.add(), element)
    else:
        value.string_value = of


def request(traces):
    message = ExportTraceServiceRequest()
    for service in ["s1", "s2"]:
        resource = message.resource_spans.add()
        attribute = resource.resource.attributes.add(key="service.name")
        attribute.value.string_value = service
        attribute = resource.resource.attributes.add(key="b")
        attribute.value.string_value = f"of {service}"
        scope = resource.scope_spans.add()
        scope.scope.name = f"scope of {service}"
        fill(scope.scope.attributes.add(key="kept").value, SCOPES[service])
        for span in (span for trace in traces for span in trace.spans if span.service == service):
            own = scope.spans.add(
                trace_id=span.trace, span_id=span.identity, parent_span_id=span.parent or b"", name=span.name, kind=span.kind,
                start_time_unix_nano=span.start, end_time_unix_nano=span.end)
            own.status.code = span.status
            for key, value in span.attributes.items():
                fill(own.attributes.add(key=key).value, value)
            for name, text in span.events:
                event = own.events.add(name=name, time_unix_nano=span.start + 1_000_000)
                event.attributes.add(key="text").value.string_value = text
    return message.SerializeToString()


# What a query means


def compare(left, symbol, right):
    """Types that differ are neither equal nor unequal; booleans are no numbers."""
    if left is None:
        return False
    if isinstance(left, list):
        if symbol in ("!=", "!~"):
            return bool(left) and not any(compare(element, {"!=": "=", "!~": "=~"}[symbol], right) for element in left)
        return any(compare(element, symbol, right) for element in left)
    if symbol in ("=~", "!~"):
        return isinstance(left, str) and (re.fullmatch(right, left) is not None) == (symbol == "=~")
    kind = lambda value: "flag" if isinstance(value, bool) else "number" if isinstance(value, (int, float)) else "text"
    if kind(left) != kind(right):
        return False
    if kind(left) == "text":
        left, right = left.encode(), right.encode()
    return {"=": left == right, "!=": left != right, "<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[symbol]


def field(name, span, trace):
    if name.startswith("parent."):
        parent = trace.parent[span]
        inner = name[7:]
        known = inner.startswith(("span.", "resource.")) or inner in ("duration", "name", "status", "kind", "childCount", "nestedSetLeft")
        return None if parent is None else field(inner if known else "." + inner, parent, trace)
    if name.startswith("span."):
        return span.attributes.get(name[5:])
    if name.startswith("."):
        return span.attributes.get(name[1:], f"of {span.service}" if name == ".b" else None)
    return {
        "resource.b": lambda: f"of {span.service}", "resource.service.name": lambda: span.service, "name": lambda: span.name,
        "instrumentation:name": lambda: f"scope of {span.service}", "instrumentation.kept": lambda: SCOPES[span.service], "instrumentation.lost": lambda: None,
        "span:name": lambda: span.name, "duration": lambda: span.duration, "span:duration": lambda: span.duration,
        "status": lambda: STATUSES[span.status], "kind": lambda: KINDS[span.kind],
        "traceDuration": lambda: trace.duration, "trace:duration": lambda: trace.duration, "rootName": lambda: trace.root_name,
        "trace:rootService": lambda: trace.root_service, "nestedSetLeft": lambda: trace.left.get(span, 0),
        "nestedSetRight": lambda: trace.right.get(span, 0), "span:childCount": lambda: len(trace.children[span]), "childCount": lambda: len(trace.children[span]),
        "nestedSetParent": lambda: 0 if span not in trace.left else trace.left.get(trace.parent[span], -1),
    }[name]()


def calculate(operation, left, right):
    """Integers with integers are an integer, cut by a division, unless it is past the end of one; no result is None."""
    if any(value is None or isinstance(value, (bool, str, list)) for value in (left, right)):
        return None
    if isinstance(left, int) and isinstance(right, int):
        if operation in "/%" and right == 0:
            return None
        quotient = abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1) if operation in "/%" else None
        exact = {"+": lambda: left + right, "-": lambda: left - right, "*": lambda: left * right, "/": lambda: quotient,
                 "%": lambda: left - quotient * right, "^": lambda: left ** right if 0 <= right < 64 or right >= 0 and abs(left) < 2 else None}[operation]()
        if exact is not None and -2**63 <= exact < 2**63:
            return exact
    left, right = float(left), float(right)
    try:
        value = {"+": lambda: left + right, "-": lambda: left - right, "*": lambda: left * right, "/": lambda: left / right,
                 "%": lambda: math.fmod(left, right), "^": lambda: math.pow(left, right)}[operation]()
    except (ZeroDivisionError, OverflowError, ValueError):
        return None
    return value if math.isfinite(value) else None


def worked_out(expression, span, trace):
    """Of ("number", n), ("duration", ns), ("field", name), ("calculate", operation, left, right), ("minus", expression)."""
    kind = expression[0]
    if kind == "number":
        return expression[1]
    if kind == "duration":
        return float(expression[1])
    if kind == "field":
        value = field(expression[1], span, trace)
        if value is None or isinstance(value, list):
            return None
        return float(value) if expression[1].lower().endswith("duration") else value
    if kind == "minus":
        return calculate("-", 0, worked_out(expression[1], span, trace))
    return calculate(expression[1], worked_out(expression[2], span, trace), worked_out(expression[3], span, trace))


def is_constant(expression):
    return expression[0] in ("number", "duration") or expression[0] == "calculate" and is_constant(expression[2]) and is_constant(expression[3])


FLIPPED = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def equation(left, symbol, right, span, trace):
    if is_constant(left) and right[0] == "field":
        left, symbol, right = right, FLIPPED[symbol], left
    if left[0] == "field" and is_constant(right):
        # A field and a value: a list is any of its elements.
        value = worked_out(right, span, trace)
        return compare(field(left[1], span, trace), symbol, int(value) if float(value).is_integer() and abs(value) < 2**63 else value)
    return equates(worked_out(left, span, trace), symbol, worked_out(right, span, trace))


def equates(left, symbol, right):
    if left is None or right is None or isinstance(left, bool) and symbol not in ("=", "!="):
        return False
    if isinstance(left, float) and type(right) is int or type(left) is int and isinstance(right, float):
        left, right = float(left), float(right)
    return compare(left, symbol, right)


def holds(condition, span, trace):
    """Conditions are tuples: ("compare", field, symbol, value), ("nil", field, symbol), ("event", key, symbol, value), and, or, not, true, false."""
    kind = condition[0]
    if kind == "equation":
        return equation(condition[1], condition[2], condition[3], span, trace)
    if kind == "compare":
        return compare(field(condition[1], span, trace), condition[2], condition[3])
    if kind == "nil":
        return (field(condition[1], span, trace) is None) == (condition[2] == "=")
    if kind == "event":
        position = 0 if condition[1] == "event:name" else 1
        return any(compare(event[position], condition[2], condition[3]) for event in span.events)
    if kind == "and":
        return holds(condition[1], span, trace) and holds(condition[2], span, trace)
    if kind == "or":
        return holds(condition[1], span, trace) or holds(condition[2], span, trace)
    if kind == "not":
        return not holds(condition[1], span, trace)
    return kind == "true"


def relates(relation, left, right, trace):
    """Whether `right` stands so to `left`."""
    if relation == ">":
        return trace.parent[right] is left
    if relation == "<":
        return trace.parent[left] is right
    if relation == ">>":
        return left in trace.ancestors(right)
    if relation == "<<":
        return right in trace.ancestors(left)
    return left is not right and trace.parent[left] is not None and trace.parent[left] is trace.parent[right]


def spans(query, trace, among=None):
    """- `among`: the only spans that are looked at."""
    kind = query[0]
    if kind == "filter":
        return {span for span in trace.spans if (among is None or span in among) and holds(query[1], span, trace)}
    if kind == "pipe":
        return set().union(*groups(query, trace, among))
    left, right = spans(query[2], trace, among), spans(query[3], trace, among)
    if kind == "both":
        return left | right if left and right else set()
    if kind == "either":
        return left | right
    symbol = query[1]
    relation = symbol.lstrip("!&")
    found = {span for span in right if any(relates(relation, other, span, trace) for other in left)}
    if symbol.startswith("!"):
        return right - found
    if symbol.startswith("&"):
        return found | {span for span in left if any(relates(relation, span, other, trace) for other in right)}
    return found


def groups(query, trace, among=None):
    """Of ("pipe", source, stage, …): sets of spans."""
    found = [own for own in [spans(query[1], trace, among)] if own]
    for stage in query[2:]:
        if stage[0] == "by":
            split = []
            for group in found:
                values = {}
                for span in group:
                    value = field(stage[1], span, trace) if isinstance(stage[1], str) else worked_out(stage[1], span, trace)
                    values.setdefault((type(value), str(value)), set()).add(span)
                split += values.values()
            found = split
        elif stage[0] == "among":
            found = [own for own in (spans(stage[1], trace, group) for group in found) if own]
        elif stage[0] == "coalesce":
            found = [set().union(*found)] if found else []
        else:
            found = [group for group in found if aggregate(stage, group, trace)]
    return found


def aggregate(stage, group, trace):
    """Of ("aggregate", left, symbol, right): whether a group's numbers stand so."""
    ordered = [span for span in trace.spans if span in group]
    return equates(number_of(stage[1], ordered, trace), stage[2], number_of(stage[3], ordered, trace))


def number_of(scalar, group, trace):
    """Of ("of", function, expression) and what expressions are made of: integers stay integers where all are."""
    if scalar[0] == "minus":
        return calculate("-", 0, number_of(scalar[1], group, trace))
    if scalar[0] == "calculate":
        return calculate(scalar[1], number_of(scalar[2], group, trace), number_of(scalar[3], group, trace))
    if scalar[0] != "of":
        return worked_out(scalar, None, trace)
    _, function, measured = scalar
    if function == "count":
        return len(group)
    numbers = [value for value in (worked_out(measured, span, trace) for span in group) if type(value) in (int, float)]
    if not numbers:
        return None
    if all(type(value) is int for value in numbers) and function != "avg":
        exact = {"min": min, "max": max, "sum": sum}[function](numbers)
        if -2**63 <= exact < 2**63:
            return exact
    doubles = [float(value) for value in numbers]
    total = 0.0
    for value in doubles:
        total += value
    value = {"avg": total / len(doubles), "min": min(doubles), "max": max(doubles), "sum": total}[function]
    return value if math.isfinite(value) else None


# Queries as text


def literal(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, float)) else '"' + value.replace("\\", "\\\\") + '"'


def text(node):
    kind = node[0]
    if kind == "compare" or kind == "event":
        value = node[3] if node[1].removeprefix("parent.") in ("status", "kind") and node[2] in ("=", "!=") else literal(node[3])
        if node[1].lower().endswith("duration"):
            value = f"{node[3] // 1_000_000}ms"
        return f"{node[1]} {node[2]} {value}"
    if kind == "nil":
        return f"{node[1]} {node[2]} nil"
    if kind == "equation":
        return f"{text(node[1])} {node[2]} {text(node[3])}"
    if kind == "number":
        return f"{node[1]}"
    if kind == "duration":
        return f"{node[1] // 1_000_000}ms"
    if kind == "field":
        return node[1]
    if kind == "minus":
        return f"(-{text(node[1])})"
    if kind == "calculate":
        return f"({text(node[2])} {node[1]} {text(node[3])})"
    if kind in ("and", "or"):
        return f"({text(node[1])} {'&&' if kind == 'and' else '||'} {text(node[2])})"
    if kind == "not":
        return f"!({text(node[1])})"
    if kind in ("true", "false"):
        return kind
    if kind == "filter":
        return "{}" if node[1] == ("true",) else "{ " + text(node[1]) + " }"
    if kind == "pipe":
        return "(" + " | ".join([text(node[1]), *map(text, node[2:])]) + ")"
    if kind == "by":
        return f"by({node[1] if isinstance(node[1], str) else text(node[1])})"
    if kind == "among":
        return text(node[1])
    if kind == "of":
        return f"{node[1]}({text(node[2]) if node[2] else ''})"
    if kind == "coalesce":
        return "coalesce()"
    if kind == "aggregate":
        return f"{text(node[1])} {node[2]} {text(node[3])}"
    return f"({text(node[2])} {node[1]} {text(node[3])})"


NUMBERS = ["span.a", "span.b", ".a", "duration", "span:duration", "traceDuration", "span:childCount", "parent.span.a", "parent.a", "parent.duration",
           "parent.childCount", "nestedSetLeft", "parent.nestedSetLeft"]


def random_expression(choice, depth=0):
    roll = choice.random()
    if depth < 3 and roll < 0.45:
        made = ("calculate", choice.choice("+-*/%^"), random_expression(choice, depth + 1), random_expression(choice, depth + 1))
        # What is not a number at all is refused.
        return ("number", 1) if is_constant(made) and worked_out(made, None, None) is None else made
    if depth < 3 and roll < 0.5:
        return ("minus", ("field", choice.choice(NUMBERS)))
    if roll < 0.65:
        return ("number", choice.choice([0, 1, 2, 3, 0.5, 9007199254740993]))
    if roll < 0.75:
        return ("duration", choice.randint(1, 3000) * 1_000_000)
    return ("field", choice.choice(NUMBERS))


def random_equation(choice, symbol):
    roll = choice.random()
    if roll < 0.2:
        return ("compare", choice.choice(["parent.name", "parent.resource.service.name", "parent.span.a", "parent.b"]), choice.choice(["=", "!=", "=~"]), choice.choice(["n1", "s1", "x", "of s1"]))
    if roll < 0.3:
        name, words = choice.choice([("parent.status", STATUSES), ("parent.kind", KINDS)])
        return ("compare", name, choice.choice(["=", "!="]), choice.choice(words))
    if roll < 0.35:
        return ("nil", choice.choice(["parent.span.a", "parent.b"]), choice.choice(["=", "!="]))
    if roll < 0.55:
        left, right = choice.choice([("span.a", "span.b"), ("span.a", "parent.span.a"), ("name", "rootName"), ("resource.service.name", "parent.resource.service.name"),
                                     ("name", "parent.name"), (".b", "resource.b"), ("duration", "parent.duration"), ("duration", "traceDuration")])
        return ("equation", ("field", left), symbol, ("field", right))
    if roll < 0.6:
        return ("equation", ("field", "status"), choice.choice(["=", "!="]), ("field", "parent.status"))
    return ("equation", random_expression(choice), symbol, random_expression(choice))


def random_condition(choice, depth=0):
    roll = choice.random()
    if depth < 3 and roll < 0.35:
        return (choice.choice(["and", "or"]), random_condition(choice, depth + 1), random_condition(choice, depth + 1))
    if depth < 3 and roll < 0.42:
        return ("not", random_condition(choice, depth + 1))
    if roll < 0.45:
        return (choice.choice(["true", "false"]),)
    symbol = choice.choice(["=", "!=", "<", "<=", ">", ">="])
    if choice.random() < 0.3:
        return random_equation(choice, symbol)
    pick = choice.randrange(10)
    if pick == 0:
        return ("compare", choice.choice(["name", "span:name"]), choice.choice(["=", "!="]), choice.choice(["n1", "n2"]))
    if pick == 1:
        return ("compare", choice.choice(["duration", "span:duration", "traceDuration", "trace:duration"]), symbol, choice.randint(1, 3000) * 1_000_000)
    if pick == 2:
        name, words = choice.choice([("status", STATUSES), ("kind", KINDS)])
        return ("compare", name, choice.choice(["=", "!="]), choice.choice(words))
    if pick == 3:
        return ("compare", choice.choice(["status", "kind"]), choice.choice(["=~", "!~"]), choice.choice(["ok|error", "c.*", "(un)?set", "x"]))
    if pick == 4:
        return ("compare", choice.choice(["rootName", "trace:rootService", "resource.service.name", "instrumentation:name"]), choice.choice(["=", "!=", "=~"]), choice.choice(["n1", "s1", "n2", "scope of s2"]))
    if pick == 5:
        return ("compare", choice.choice(["nestedSetParent", "nestedSetLeft", "nestedSetRight", "span:childCount"]), symbol, choice.randint(-1, 6))
    if pick == 6:
        return ("nil", choice.choice(["span.a", "span.b", ".b", "instrumentation.kept", "instrumentation.lost"]), choice.choice(["=", "!="]))
    if pick == 7:
        name = choice.choice(["event:name", "event.text"])
        return ("event", name, choice.choice(["=", "!=", "=~"]), choice.choice(["exception", "note", "boom", "late"]))
    name = choice.choice(["span.a", "span.b", ".a", ".b", "resource.b", "instrumentation.kept"])
    if choice.random() < 0.3:
        return ("compare", name, choice.choice(["=~", "!~"]), choice.choice(["x|y", "x.*", "[^y]+", ".", "(x|y)+", "of s\\d"]))
    value = choice.choice([value for value in VALUES if not isinstance(value, list)] + ["of s1"])
    return ("compare", name, choice.choice(["=", "!="]) if isinstance(value, bool) else symbol, value)


RELATIONS = [mode + symbol for symbol in (">", "<", ">>", "<<", "~") for mode in ("", "!", "&")]


def random_query(choice, depth=0):
    roll = choice.random()
    if depth < 3 and roll < 0.3:
        return ("related", choice.choice(RELATIONS), random_query(choice, depth + 1), random_query(choice, depth + 1))
    if depth < 3 and roll < 0.45:
        kind, symbol = choice.choice([("both", "&&"), ("either", "||")])
        return (kind, symbol, random_query(choice, depth + 1), random_query(choice, depth + 1))
    if depth < 3 and roll < 0.6:
        stages = [random_stage(choice) for _ in range(choice.randint(1, 3))]
        return ("pipe", random_query(choice, depth + 1), *stages)
    return ("filter", ("true",) if choice.random() < 0.2 else random_condition(choice))


def random_stage(choice):
    roll = choice.random()
    if roll < 0.25:
        if choice.random() < 0.2:
            return ("by", ("calculate", choice.choice("+-*/%"), ("field", choice.choice(NUMBERS)), random_expression(choice, 2)))
        return ("by", choice.choice(["name", "resource.service.name", "span.a", "status", "instrumentation.kept"]))
    if roll < 0.35:
        return ("coalesce",)
    if roll < 0.45:
        return ("among", random_query(choice, 3) if choice.random() < 0.5 else ("related", choice.choice(RELATIONS), random_query(choice, 3), random_query(choice, 3)))
    symbol = choice.choice(["=", "!=", "<", "<=", ">", ">="])
    if roll < 0.65:
        return ("aggregate", ("of", "count", None), symbol, ("number", choice.randint(0, 4)))
    if roll < 0.8:
        left, right = random_scalar(choice), random_scalar(choice)
        return ("aggregate", left if has_aggregate(left) or has_aggregate(right) else ("of", "count", None), symbol, right)
    name = choice.choice(["duration", "span.a"])
    number = ("duration", choice.randint(1, 3000) * 1_000_000) if name == "duration" else ("number", choice.choice([1, 2]))
    return ("aggregate", ("of", choice.choice(["avg", "min", "max", "sum"]), ("field", name)), symbol, number)


def has_aggregate(scalar):
    return scalar[0] == "of" or scalar[0] in ("calculate", "minus") and any(has_aggregate(part) for part in scalar[1:] if isinstance(part, tuple))


def random_scalar(choice, depth=0):
    roll = choice.random()
    if depth < 2 and roll < 0.4:
        made = ("calculate", choice.choice("+-*/%^"), random_scalar(choice, depth + 1), random_scalar(choice, depth + 1))
        return ("number", 1) if not has_aggregate(made) and number_of(made, [], None) is None else made
    if depth < 2 and roll < 0.45:
        return ("minus", random_scalar(choice, depth + 1))
    if roll < 0.55:
        return ("number", choice.choice([0, 1, 2, 3, 0.5, 9007199254740993]))
    if roll < 0.6:
        return ("duration", choice.randint(1, 3000) * 1_000_000)
    if roll < 0.7:
        return ("of", "count", None)
    measured = random_expression(choice, 2)
    return ("of", choice.choice(["avg", "min", "max", "sum"]), ("field", choice.choice(NUMBERS)) if is_constant(measured) else measured)


def chosen(seed):
    return random.Random(seed)
