#!/usr/bin/env bash
# Counts the instructions that each stage of a span's way takes, under callgrind, and fails when there are more than
# bench/instructions.txt allows. Unlike time they are the same on a busy machine.
#
#   scripts/instructions.sh            compares
#   scripts/instructions.sh --record   writes what it counted, with a margin of a quarter, as the new limits
#
# The requests are what `load` of Tests/Load sends: 100 spans, 8 spans, and 24 whose model calls carry prompts of 8 KiB. The stages are
# those of Tests/Instructions/Stage.swift, each counted alone.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v callgrind_annotate >/dev/null; then
    echo "instructions: there is no valgrind here; nothing was counted"
    exit 0
fi
[ -n "${FUSEBOX_INSTRUCTIONS-}" ] || scripts/release.sh instructions >&2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$(command -v cc || echo clang)" -O2 -o "$scratch/request" Tests/Load/request.c Tests/Load/payload.c -lz
# Valgrind gives up on some of what Swift writes for debuggers; the names of functions stay.
strip --strip-debug -o "$scratch/instructions" "${FUSEBOX_INSTRUCTIONS:-.build/release/instructions}"

limits=bench/instructions.txt
status=0
recorded="# Instructions a span at most, by request and stage, by scripts/instructions.sh --record: what was counted and a quarter more.
"
for request in "100 100 0 10" "8 8 0 40" "prompts 24 8192 10"; do
    read -r name spans prompt rounds <<<"$request"
    "$scratch/request" "$spans" "$prompt" >"$scratch/request.bin"
    SWIFT_DETERMINISTIC_HASHING=1 valgrind --tool=callgrind --collect-atstart=no --toggle-collect='*fusebox_counted_*' \
        --callgrind-out-file="$scratch/out" "$scratch/instructions" "$scratch/request.bin" "$rounds" \
        >"$scratch/spans" 2>"$scratch/errors" || { cat "$scratch/errors" >&2; exit 1; }
    callgrind_annotate --inclusive=yes --threshold=100 "$scratch/out" >"$scratch/functions"
    while read -r stage count; do
        total=$(awk -v name="fusebox_counted_$stage" 'index($0, name) && $1 ~ /^[0-9,]+$/ { gsub(",", "", $1); sum += $1 } END { printf "%d", sum }' "$scratch/functions")
        each=$((${total:-0} / count))
        limit=$(sed -n "s/^$name $stage //p" "$limits" 2>/dev/null || true)
        recorded+="$name $stage $((each * 5 / 4))
"
        echo "$name $stage: $each instructions a span, limit ${limit:-none}"
        if [ "$each" -eq 0 ]; then
            echo "instructions: nothing was counted in $stage" >&2
            status=1
        elif [ "${1-}" != --record ] && [ "$each" -gt "${limit:-0}" ]; then
            status=1
        fi
    done <"$scratch/spans"
done
if [ "${1-}" = --record ]; then
    printf '%s' "$recorded" >"$limits"
elif [ "$status" -ne 0 ]; then
    echo "instructions: more than bench/instructions.txt allows; if that is meant, scripts/instructions.sh --record" >&2
fi
exit "$status"
