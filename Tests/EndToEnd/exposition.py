"""Reads the Prometheus text format 0.0.4, strictly: what this reader does not understand is an error."""

import re

_SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)\Z", re.DOTALL)
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|\Z)')
_ESCAPE = re.compile(r"\\(.)")


class Metrics:
    """The samples of one scrape."""

    def __init__(self, text):
        if not text.endswith("\n"):
            raise ValueError("the exposition does not end with a line feed")
        self.text = text
        self.types = {}
        self.samples = {}
        for line in text[:-1].split("\n"):
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                if name in self.types:
                    raise ValueError(f"a second TYPE of {name}")
                self.types[name] = kind
            elif not line.startswith("# HELP "):
                name, labels, value = _sample(line)
                series = self.samples.setdefault(name, {})
                key = frozenset(labels.items())
                if key in series:
                    raise ValueError(f"series twice: {line}")
                series[key] = value

    def rows(self, name):
        """(labels, value) of every series of a sample name."""
        return [(dict(key), value) for key, value in self.samples.get(name, {}).items()]

    def value(self, name, **labels):
        """The sum over the series that have these labels; `KeyError` when there is none."""
        found = [value for have, value in self.rows(name) if labels.items() <= have.items()]
        if not found:
            raise KeyError(f"{name}{labels}")
        return sum(found)

    def total(self, name, **labels):
        """Like `value`, with 0 for no series."""
        return sum(value for have, value in self.rows(name) if labels.items() <= have.items())

    def by(self, name, label, **labels):
        """Sums by the values of one label."""
        sums = {}
        for have, value in self.rows(name):
            if labels.items() <= have.items():
                sums[have[label]] = sums.get(have[label], 0) + value
        return sums

    def lines(self, prefix):
        """The lines of the families whose names start with `prefix`, as they were sent."""
        return "".join(line + "\n" for line in self.text.split("\n") if line.removeprefix("# TYPE ").removeprefix("# HELP ")
                       .startswith(prefix))


def _sample(line):
    match = _SAMPLE.match(line)
    if not match:
        raise ValueError(f"no sample: {line!r}")
    name, text, value = match.groups()
    labels = {}
    position = 0
    while text and position < len(text):
        label = _LABEL.match(text, position)
        if not label:
            raise ValueError(f"bad labels: {line!r}")
        labels[label[1]] = _ESCAPE.sub(lambda found: "\n" if found[1] == "n" else found[1], label[2])
        position = label.end()
    return name, labels, float(value)
