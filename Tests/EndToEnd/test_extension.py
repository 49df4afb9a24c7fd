"""The loadable extension: other programs read `spans` and the views in the live file."""

import pathlib
import re
import shutil
import sqlite3
import subprocess

import pytest

import captures

# Debian's own programs, which use the system's libsqlite3; the tests' Python may carry one of its own.
PYTHON, SHELL = "/usr/bin/python3", "/usr/bin/sqlite3"
QUERIES = [
    "SELECT count(*), sum(tokens), max(duration_ns) FROM spans",
    "SELECT tool_name, calls, timeouts FROM tools ORDER BY 1, 2",
    "SELECT attr(attributes, 'gen_ai.tool.name') AS t, count(*) FROM spans GROUP BY 1 ORDER BY 1",
    "SELECT count(*), percentile(duration_ns, 95) FROM traces",
    "SELECT from_state, to_state, count(*) FROM breaker_transitions GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT iso(1000000000)",
]


@pytest.fixture(scope="module")
def extension(binary):
    path = binary.parent / "libFuseboxSQLite.so"
    if not path.exists():
        pytest.exit(f"there is no {path}; run: scripts/release.sh FuseboxSQLite", returncode=2)
    return path


@pytest.fixture(scope="module")
def filled(shared):
    captures.replay(shared, captures.posts("handmade"))
    shared.settled()
    return shared


def expected(server):
    return [[tuple(row.values()) for row in server.sql(query)] for query in QUERIES]


def test_the_shell_reads_the_live_file(filled, extension):
    if not pathlib.Path(SHELL).exists():
        pytest.skip("there is no sqlite3 here")
    commands = [f".load {extension.with_suffix('')}", ".mode json", *[query + ";" for query in QUERIES]]
    done = subprocess.run([SHELL, "-readonly", str(filled.folder / "fusebox.db")], input="\n".join(commands), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    done_by_us = [filled.sql(query) for query in QUERIES]
    import json
    texts = re.split(r"(?<=\])\n", done.stdout.strip())
    assert [json.loads(text) for text in texts] == done_by_us


READER = """
import json, sqlite3, sys
connection = sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True)
connection.enable_load_extension(True)
connection.load_extension(sys.argv[2])
connection.enable_load_extension(False)
for query in json.load(sys.stdin):
    print(json.dumps(connection.execute(query).fetchall()))
try:
    connection.execute("DELETE FROM spans")
except sqlite3.OperationalError as error:
    print(json.dumps(str(error)))
"""


def test_debians_python_reads_the_live_file(filled, extension):
    import json
    if not pathlib.Path(PYTHON).exists():
        pytest.skip("there is no system Python here")
    done = subprocess.run([PYTHON, "-c", READER, str(filled.folder / "fusebox.db"), str(extension)], input=json.dumps(QUERIES),
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *rows, refusal = [json.loads(line) for line in done.stdout.splitlines()]
    assert [[tuple(row) for row in one] for one in rows] == expected(filled)
    assert "may not be modified" in refusal


def test_without_it_a_table_says_what_to_load(filled):
    with sqlite3.connect(f"file:{filled.folder / 'fusebox.db'}?mode=ro", uri=True) as connection:
        assert "README" in {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        text = "\n".join(line for (line,) in connection.execute("SELECT text FROM README ORDER BY line"))
    connection.close()
    assert "libFuseboxSQLite" in text and "fusebox sql" in text and "fusebox export" in text


def test_in_another_programs_database_it_does_no_harm(extension, tmp_path):
    if not pathlib.Path(SHELL).exists():
        pytest.skip("there is no sqlite3 here")
    commands = f"CREATE TABLE notes (text);\n.load {extension.with_suffix('')}\nSELECT iso(0);\nSELECT count(*) FROM notes;\n"
    done = subprocess.run([SHELL, str(tmp_path / "notes.db")], input=commands, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "1970-01-01T00:00:00.000Z\n0\n"), done


def test_it_is_small_and_starts_fast(extension):
    """What it needs beside the system: nothing, when it is built with Swift's libraries in it."""
    if not shutil.which("ldd"):
        pytest.skip("there is no ldd here")
    assert extension.stat().st_size < 40 << 20
