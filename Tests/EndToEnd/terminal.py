"""A command on a pseudo-terminal."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\x1b\][^\x07]*\x07")


class Terminal:
    def __init__(self, arguments, environment, size=None):
        """`size` is (columns, lines)."""
        self.master, slave = pty.openpty()
        if size:
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.process = subprocess.Popen(
            arguments, stdin=slave, stdout=slave, stderr=slave, env={"TERM": "xterm", **environment}, start_new_session=True)
        os.close(slave)
        self.raw = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)

    @property
    def text(self):
        """What is shown, without the sequences that an editor of lines sends."""
        return _SEQUENCE.sub("", self.raw.decode(errors="replace")).replace("\r\n", "\n")

    def _read(self, seconds):
        ready, _, _ = select.select([self.master], [], [], seconds)
        if not ready:
            return False
        try:
            received = os.read(self.master, 65536)
        except OSError:
            return False
        self.raw += received
        return bool(received)

    def type(self, text):
        os.write(self.master, text.encode())

    def expect(self, text, seconds=20, after=0):
        """Reads until `text` is shown behind the first `after` characters; gives where it ends."""
        deadline = time.monotonic() + seconds
        while text not in self.text[after:]:
            left = deadline - time.monotonic()
            assert left > 0 and (self._read(left) or self.process.poll() is None), f"{text!r} did not come: {self.text!r}"
        return after + self.text[after:].index(text) + len(text)

    def end_input(self, seconds=20):
        """Types the end of input until the program ends; gives the exit code. It is one only where the editor has the terminal, which it
        takes a moment after it has shown its prompt; so whatever of it became part of the line is taken out first."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"still running: {self.text!r}"
            self.type("\x15\x04")
            self._read(0.2)
        return self.finish()

    def finish(self, seconds=20):
        """Reads to the end; gives the exit code."""
        deadline = time.monotonic() + seconds
        while self._read(max(0, min(0.2, deadline - time.monotonic()))) or self.process.poll() is None:
            assert time.monotonic() < deadline, f"still running: {self.text!r}"
        return self.process.wait()
