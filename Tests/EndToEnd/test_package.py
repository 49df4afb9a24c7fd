"""The Debian package and the tarball: what is in them runs by what the package says it needs."""

import gzip
import os
import subprocess
import tarfile

import pytest

from conftest import ROOT
from server import Fusebox
from wire import batch, span


def run(*command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)


def pack(binary, folder):
    return run(ROOT / "scripts/package.sh", folder, env={**os.environ, "FUSEBOX_BINARY": str(binary), "SOURCE_DATE_EPOCH": "1700000000"})


@pytest.fixture(scope="module")
def packed(binary, tmp_path_factory):
    """The folder with both files, of a release build."""
    if "libswiftCore" in run("ldd", binary).stdout:
        pytest.skip("a debug build is not packed")
    folder = tmp_path_factory.mktemp("packed")
    done = pack(binary, folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def installed(packed, tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    done = run("dpkg-deb", "-x", next(packed.glob("*.deb")), root)
    assert done.returncode == 0, done.stderr
    return root


def test_a_build_that_needs_swift_is_not_packed_in_silence(binary, tmp_path):
    if "libswiftCore" not in run("ldd", binary).stdout:
        pytest.skip("a release build")
    done = pack(binary, tmp_path)
    assert done.returncode != 0 and "belongs to no package; pack a release build" in done.stderr


def test_every_library_is_of_a_package_that_is_asked_for(packed, installed):
    fields = run("dpkg-deb", "-f", next(packed.glob("*.deb")), "Depends").stdout
    asked = {word.split()[0] for word in fields.strip().split(", ")}
    needed = set()
    for line in run("ldd", installed / "usr/bin/fusebox").stdout.splitlines():
        path = line.split("=>")[1].split()[0] if "=>" in line else ""
        for name in (path, "/usr" + path, path.removeprefix("/usr")):
            owner = run("dpkg-query", "-S", name).stdout if name else ""
            if owner:
                needed.add(owner.split(":")[0])
                break
    # What a needed library needs itself, its own package asks for.
    assert {"libsqlite3-0", "libzstd1", "zlib1g", "libprotobuf-c1", "libedit2", "libc6"} <= asked
    assert asked <= needed


def test_what_is_installed_serves_and_answers(installed, tmp_path):
    server = Fusebox(installed / "usr/bin/fusebox", tmp_path / "data").start()
    try:
        assert server.post(batch(span(name="packed"))).status == 200
        assert b"packed" in server.run("sql", "--data-dir", str(server.folder), "SELECT name FROM spans").stdout
    finally:
        server.stop()


def test_the_service_manual_and_completions_are_there(installed):
    service = (installed / "usr/lib/systemd/system/fusebox.service").read_text()
    assert "ExecStart=/usr/bin/fusebox serve" in service and "/usr/local" not in service
    assert service.startswith("# Settings go to")
    manual = gzip.decompress((installed / "usr/share/man/man1/fusebox.1.gz").read_bytes()).decode()
    assert manual.startswith(".TH") and "serve" in manual
    for name in ("bash-completion/completions/fusebox", "zsh/vendor-completions/_fusebox", "fish/vendor_completions.d/fusebox.fish"):
        assert (installed / "usr/share" / name).stat().st_size > 1000, name
    assert (installed / "usr/share/doc/fusebox/operating.md").exists()


def test_the_tarball_has_the_same_files(packed, installed):
    with tarfile.open(next(packed.glob("*.tar.gz"))) as archive:
        names = {member.name.split("/", 1)[1] for member in archive if member.isfile()}
        assert all(member.uid == 0 and member.mtime == 1700000000 for member in archive)
    assert names == {str(path.relative_to(installed / "usr")) for path in (installed / "usr").rglob("*") if path.is_file()}


def test_packing_twice_gives_the_same_bytes(packed, binary, tmp_path):
    assert pack(binary, tmp_path).returncode == 0
    for file in packed.iterdir():
        assert (tmp_path / file.name).read_bytes() == file.read_bytes(), file.name


def test_package_paths_are_those_of_the_documentation():
    text = (ROOT / "docs/operating.md").read_text()
    assert "scripts/package.sh" in text and "/usr/share/fusebox" in text
