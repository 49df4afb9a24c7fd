#!/usr/bin/env bash
# Runs every test, part by part, and goes on after a failure: the end tells which parts failed and how long each took.
#
#   scripts/test.sh
#
# The Python packages of Tests/EndToEnd/requirements.txt go to .venv, made once and again when that file changes.
# FUSEBOX_KILL_ROUNDS sets how often the durability test kills the server (300), FUSEBOX_POWER_STATES how many losses of power are replayed
# (1000), FUSEBOX_FLIPS how many bits are flipped (500), FUSEBOX_FUZZ_EXECUTIONS how much is fuzzed (20000). scripts/nightly.sh sets all higher.
# FUSEBOX_FUZZ_SEED is what fuzzing chooses by: one tree gives one answer here (1), and the search goes on elsewhere (make fuzz, nightly).
set -uo pipefail
cd "$(dirname "$0")/.."

printed=$(mktemp) || exit
trap 'rm -f "$printed"' EXIT
summary=()
passed=0
failed=0

# part NAME COMMAND...: runs a command under a heading, and notes how it ended. What it printed is kept for the end of this script.
part() {
    local name=$1 start=$SECONDS status=0
    shift
    printf '\n== %s ==\n' "$name"
    "$@" 2>&1 | tee -a "$printed" || status=$?
    if [ "$status" -eq 0 ]; then
        passed=$((passed + 1))
        summary+=("$(printf 'passed  %5d s  %s' $((SECONDS - start)) "$name")")
    else
        failed=$((failed + 1))
        summary+=("$(printf 'FAILED  %5d s  %s (status %d)' $((SECONDS - start)) "$name" "$status")")
    fi
    return "$status"
}

left_out() {
    printf '\n== %s ==\nleft out: %s\n' "$1" "$2"
    summary+=("$(printf 'left out         %s: %s' "$1" "$2")")
}

make_environment() {
    if ! cmp -s Tests/EndToEnd/requirements.txt .venv/requirements.txt; then
        rm -rf .venv
        python3 -m venv .venv || return
        grep -v '^xllamacpp' Tests/EndToEnd/requirements.txt >.venv/needed.txt
        .venv/bin/pip install --quiet --disable-pip-version-check --requirement .venv/needed.txt || return
        # It is made for fewer machines than the rest.
        .venv/bin/pip install --quiet --disable-pip-version-check "$(grep '^xllamacpp' Tests/EndToEnd/requirements.txt)" ||
            echo "left out: the gateway's tests with a real llama.cpp server, since xllamacpp cannot be had here"
        cp Tests/EndToEnd/requirements.txt .venv/requirements.txt
    fi
    .venv/bin/python --version
}

has_fuzzer() {
    local scratch status=0
    scratch=$(mktemp -d) || return
    printf '@_cdecl("LLVMFuzzerTestOneInput") public func fuzz(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> CInt { 0 }\n' \
        >"$scratch/probe.swift"
    swiftc -sanitize=fuzzer,address -parse-as-library -o "$scratch/probe" "$scratch/probe.swift" >/dev/null 2>&1 || status=$?
    rm -rf "$scratch"
    return "$status"
}

# Only what the tests use: the network's libraries are in the release build alone.
part 'debug build' swift build --product fuseboxPackageTests && part 'unit tests' swift test --skip-build --skip ReportsTests &&
    part 'unit tests of reports' swift test --skip-build --no-parallel --filter ReportsTests # each runs a whole writer
if [ -x scripts/tidy.sh ]; then
    part 'tidiness' scripts/tidy.sh
fi
part 'generated protobuf code' scripts/generate-otlp.sh --check
part 'release build' scripts/release.sh fusebox
built=$?
part 'SQLite extension' scripts/release.sh FuseboxSQLite || built=1
part 'instruction counts' scripts/instructions.sh
part 'Python environment' make_environment
python=$?
if [ "$python" -eq 0 ]; then
    part 'protobuf schema' .venv/bin/python scripts/check-proto.py
fi
if [ "$built" -eq 0 ] && [ "$python" -eq 0 ]; then
    export FUSEBOX_KILL_ROUNDS=${FUSEBOX_KILL_ROUNDS:-300}
    # Many cases wait for something, so three workers share the time; the cases of a file share its server, and conftest.py knows which
    # files are long.
    part 'end-to-end tests' .venv/bin/python -m pytest -c Tests/EndToEnd/pytest.ini --numprocesses 3 --dist loadfile \
        --no-loadscope-reorder Tests/EndToEnd
fi
if [ ! -x scripts/fuzz.sh ]; then
    left_out 'fuzzing' 'there is no scripts/fuzz.sh'
elif ! has_fuzzer; then
    left_out 'fuzzing' 'this toolchain has no libFuzzer'
else
    export FUSEBOX_FUZZ_SEED=${FUSEBOX_FUZZ_SEED:-1}
    part 'fuzzing' scripts/fuzz.sh "${FUSEBOX_FUZZ_EXECUTIONS:-20000}"
fi

printf '\n== parts ==\n'
printf '%s\n' "${summary[@]}" "                 $SECONDS s in all"
printf '%d passed, %d failed\n' "$passed" "$failed"
# The end of a long output is what people and CI's pages see: the cases that failed are told again.
[ "$failed" -eq 0 ] || grep --text --extended-regexp '^(FAILED|ERROR) |^✘ |error: ' "$printed" | cut -c 1-300 | tail -n 25
[ "$failed" -eq 0 ]
