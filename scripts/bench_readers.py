"""The section `readers` of bench.py: questions asked all the time beside steady exports, and how long the log gets."""

import os
import pathlib
import subprocess
import threading
import time

POLLED = ("/api/tools", "/api/traces?limit=50", "/api/services", "/api/sessions")
QUESTION = "SELECT service_name, count(*), max(duration_ns) FROM spans WHERE name LIKE 's%' AND length(attributes) > 10 GROUP BY 1"
POLLERS = 2
SPANS_PER_EXPORT = 400
EXPORTS_PER_SECOND = 20


class Readers:
    """Two pollers of the API and one `fusebox sql` after another, which overlap for ever."""

    def __init__(self, binary, server):
        self.binary, self.server = binary, server
        self.unanswered, self.seconds, self.log_bytes = [], [], 0
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.poll) for _ in range(POLLERS)]
        self.threads += [threading.Thread(target=self.ask), threading.Thread(target=self.watch)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def poll(self):
        while not self.stopping.is_set():
            for path in POLLED:
                status, _ = self.server.get(path, timeout=60)
                if status != 200:
                    self.unanswered.append((path, status))

    def ask(self):
        while not self.stopping.is_set():
            start = time.monotonic()
            done = subprocess.run([self.binary, "sql", "--data-dir", self.server.folder, QUESTION], capture_output=True, check=False)
            self.seconds.append(time.monotonic() - start)
            if done.returncode != 0:
                self.unanswered.append(("sql", done.stderr.decode()))

    def watch(self):
        log = pathlib.Path(self.server.folder) / "fusebox.db-wal"
        while not self.stopping.wait(0.05):
            self.log_bytes = max(self.log_bytes, log.stat().st_size)


def measure(binary, server, load):
    """- `load`: runs the generator with arguments, as `Bench.load` does. FUSEBOX_READERS_S is how long it takes: ten minutes."""
    seconds = int(os.environ.get("FUSEBOX_READERS_S", "600"))
    with Readers(binary, server) as readers:
        result = load(server, "-c", 4, "-b", SPANS_PER_EXPORT, "-r", SPANS_PER_EXPORT * EXPORTS_PER_SECOND, "-t", seconds)
    result["log_mebibytes"] = readers.log_bytes / (1 << 20)
    result["unanswered_questions"] = len(readers.unanswered)
    result["longest_question_seconds"] = max(readers.seconds, default=0)
    for what in readers.unanswered[:5]:
        print(f"  not answered: {what}", flush=True)
    return result
