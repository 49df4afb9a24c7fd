#!/usr/bin/env bash
# Counts the instructions that decoding, deriving from and encoding a span take, under callgrind, and fails when there are more than
# bench/instructions.txt allows. Unlike time they are the same on a busy machine.
#
#   scripts/instructions.sh            compares
#   scripts/instructions.sh --record   writes what it counted, with a margin of a quarter, as the new limits
#
# The request is what `load` of Tests/Load sends: 500 spans. Each count is the difference of two runs, so that the start is not in it.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v valgrind >/dev/null; then
    echo "instructions: there is no valgrind here; nothing was counted"
    exit 0
fi
scripts/release.sh instructions >&2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$(command -v cc || echo clang)" -O2 -o "$scratch/request" Tests/Load/request.c Tests/Load/payload.c -lz
# Valgrind gives up on some of what Swift writes for debuggers.
strip -o "$scratch/instructions" .build/release/instructions
"$scratch/request" 500 >"$scratch/request.bin"

# count MODE TIMES: instructions of a run.
count() {
    SWIFT_DETERMINISTIC_HASHING=1 valgrind --tool=callgrind --callgrind-out-file=/dev/null \
        "$scratch/instructions" "$1" "$scratch/request.bin" "$2" 2>&1 >/dev/null | sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

limits=bench/instructions.txt
status=0
recorded="# Instructions a span at most, by scripts/instructions.sh --record: what was counted and a quarter more.
"
for mode in decode derive encode; do
    few=$(count "$mode" 2)
    many=$(count "$mode" 12)
    each=$(((many - few) / 10 / 500))
    limit=$(sed -n "s/^$mode //p" "$limits" 2>/dev/null || true)
    recorded+="$mode $((each * 5 / 4))
"
    echo "$mode: $each instructions a span, limit ${limit:-none}"
    if [ "${1-}" != --record ] && [ "$each" -gt "${limit:-0}" ]; then status=1; fi
done
if [ "${1-}" = --record ]; then
    printf '%s' "$recorded" >"$limits"
elif [ "$status" -ne 0 ]; then
    echo "instructions: more than bench/instructions.txt allows; if that is meant, scripts/instructions.sh --record" >&2
fi
exit "$status"
