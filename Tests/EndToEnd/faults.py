"""Disks that fail, fill, or forget: the library of Tests/Faults under the real server."""

import mmap
import os
import pathlib
import shutil
import struct
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
READ, WRITE, SYNC, TRUNCATE, OPEN = 1, 2, 4, 8, 16
# struct rule and the offset of the clock of Tests/Faults/faults.c
RULE = struct.Struct("<IiiiIIII64s")
CLOCK = struct.Struct("<q")
RULES = 8


def build(folder):
    """The library, compiled into a folder."""
    library = pathlib.Path(folder) / "faults.so"
    compiler = shutil.which("cc") or "clang"
    source = str(ROOT / "Tests/Faults/faults.c")
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", str(library), source, "-ldl", "-pthread"], check=True)
    return library


class Faults:
    """The rules of one server. They may change while it runs."""

    def __init__(self, library, folder):
        folder = pathlib.Path(folder)
        self.library = library
        self.control = folder / "faults.control"
        size = CLOCK.size + RULES * RULE.size
        self.control.write_bytes(bytes(size))
        self._file = open(self.control, "r+b")
        self.memory = mmap.mmap(self._file.fileno(), size)

    def environment(self, record=None, folder=None):
        """Variables for the server; with `record`, what it writes below `folder` goes there too."""
        environment = {"LD_PRELOAD": str(self.library), "FAULTS_CONTROL": str(self.control)}
        if record:
            environment |= {"FAULTS_RECORD": str(record), "FAULTS_FOLDER": os.path.realpath(folder)}
        return environment

    def set(self, operations, suffix, *, error=0, passes=0, failures=-1, delay=0.0, short=0, rule=0):
        """Lets calls fail on files whose path ends so: after `passes` calls, `failures` times or for good."""
        packed = RULE.pack(operations, failures, passes, error, int(delay * 1e6), short, 0, 0, suffix.encode())
        self.memory[self._offset(rule):self._offset(rule) + RULE.size] = packed

    def clear(self, rule=None):
        for index in range(RULES) if rule is None else [rule]:
            self.memory[self._offset(index):self._offset(index) + RULE.size] = bytes(RULE.size)

    def failed(self, rule=0):
        """How many calls the rule has failed."""
        return RULE.unpack(self.memory[self._offset(rule):self._offset(rule) + RULE.size])[7]

    def move_clock(self, days):
        """Sets the server's wall clock that far from ours."""
        self.memory[:CLOCK.size] = CLOCK.pack(int(days * 86400 * 10**9))

    @staticmethod
    def _offset(rule):
        return CLOCK.size + rule * RULE.size
