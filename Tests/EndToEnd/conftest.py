"""Fixtures: the built binary, and servers that must end well."""

import os
import pathlib
import signal

import pytest

from browser import chromium, tab  # noqa: F401  one browser for all files
from server import Fusebox
from stalling import CASES, Staller

# A shell that starts the tests in the background has them ignore Ctrl-C, and so would every command that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


# The files that take longest, longest first.
LONG = ["gateway_processes", "gateway_llama", "gateway", "durability", "page", "edges", "doors", "captures", "http", "table", "storage_faults", "api", "power_loss", "security", "bit_flips"]


def pytest_collection_modifyitems(items):
    """Begins with the files that take longest, so that workers end together; within a file the order stays."""
    places = {f"test_{name}": place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path.stem, len(LONG)))


@pytest.fixture(scope="session")
def binary():
    """The `fusebox` to test: FUSEBOX_BINARY, or the release build."""
    path = pathlib.Path(os.environ.get("FUSEBOX_BINARY", ROOT / ".build/release/fusebox")).absolute()
    if not path.exists():
        pytest.exit(f"there is no {path}; run: scripts/release.sh fusebox", returncode=2)
    return path


def _end(servers):
    problems = []
    for server in servers:
        if server.process is None:
            continue
        if server.is_running:
            try:
                server.stop()
            except AssertionError as error:
                problems.append(str(error))
        if server.process.returncode not in (0, -9):
            problems.append(f"the server ended with {server.process.returncode}: {server.stderr}")
    assert not problems, problems


@pytest.fixture
def launch(binary, tmp_path):
    """Starts servers: `launch(environment, arguments, folder)`. Each is stopped by SIGTERM afterwards and must exit with 0."""
    servers = []

    def start(environment=None, arguments=(), folder=None):
        server = Fusebox(binary, folder or tmp_path / f"data{len(servers)}", environment, arguments)
        servers.append(server)
        return server.start()

    yield start
    _end(servers)


@pytest.fixture
def fusebox(launch):
    """A server with the default configuration."""
    return launch()


@pytest.fixture(scope="module")
def shared(binary, tmp_path_factory):
    """One server for all tests of a module that do not mind each other's spans."""
    server = Fusebox(binary, tmp_path_factory.mktemp("shared") / "data").start()
    yield server
    _end([server])


@pytest.fixture(scope="session")
def stalling_server(binary, tmp_path_factory):
    server = Fusebox(binary, tmp_path_factory.mktemp("stalling") / "data").start()
    yield server
    _end([server])


@pytest.fixture(scope="session")
def stallers(stalling_server):
    stallers = {case: Staller(stalling_server.port, *how) for case, how in CASES.items()}
    yield stallers
    for staller in stallers.values():
        staller.bare.close()


@pytest.fixture(scope="session", autouse=True)
def start_stalling(request):
    """Starts the stalling clients before the first test, if a test will ask for them."""
    if any("stallers" in item.fixturenames for item in request.session.items):
        request.getfixturevalue("stallers")
