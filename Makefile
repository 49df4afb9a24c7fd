# `make run` and `make test` are all that a fresh machine needs; the rest is for those who work on it.

.PHONY: run test demo build release check format lint bench fuzz clean

DEBIAN = libsqlite3-dev zlib1g-dev libzstd-dev libprotobuf-c-dev libedit-dev pkg-config

run: deps release
	.build/release/fusebox serve

demo: deps release
	scripts/demo.sh .build/release/fusebox

# Installs Debian packages that are missing; other systems are told what to install.
.PHONY: deps deps-test
deps:
	@scripts/install.sh $(DEBIAN)

deps-test: deps
	@scripts/install.sh protobuf-c-compiler protobuf-compiler prometheus sqlite3 python3 python3-venv curl valgrind chromium fonts-dejavu-core binutils

release:
	scripts/release.sh fusebox

# The loadable SQLite extension: .build/release/libFuseboxSQLite.so
.PHONY: extension nightly
extension: deps
	scripts/release.sh FuseboxSQLite

# A Debian package and a tarball in dist, for machines without Swift.
.PHONY: package
package: deps release
	@scripts/install.sh binutils
	scripts/package.sh

# What takes hours: thousands of kills, losses of power and bit flips.
nightly: deps-test
	scripts/nightly.sh

build:
	swift build

test: deps-test
	scripts/test.sh

format:
	swift format --in-place --recursive Sources Tests Package.swift

lint:
	scripts/tidy.sh

# Sections and flags: make bench ARGS="ingest queries --spans 500000"; scripts/bench.py --help tells them.
bench: release
	scripts/bench.py $(ARGS)

fuzz:
	scripts/fuzz.sh

clean:
	rm -rf .build .venv
