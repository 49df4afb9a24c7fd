#!/bin/sh
# Fuzzes what reads bytes of strangers, and what operators write, with libFuzzer and AddressSanitizer, optimised, on one core.
#
#   scripts/fuzz.sh [EXECUTIONS] [TARGET...]     of each target, 1,000,000 unless said; the corpus it grows stays in .build/fuzz
#
# FUSEBOX_FUZZ_SEED is the seed that chance begins with, another one each time unless said.
#
# Targets: trace (content encodings, the protobuf decoder and what follows it), signal (logs and metrics in protobuf), json (OTLP/JSON),
# redaction (patterns, and requests that are rewritten), encodings (gzip, deflate, zstd), http (HTTP/1.1 framing), sql (questions and
# their parameters), configuration (fusebox.yaml, prices.yaml), evals (files of evals). Seeds are Fuzzing/corpus and, for trace and signal,
# the captured requests of Tests/Fixtures/otlp. A crash leaves its input in .build/fuzz/crash-* and ends with status 77; the head of
# Fuzzing/*Fuzzer.swift says what counts as one. Fuzzing/build.mk builds them, every module instrumented but for http, which takes those
# below ours from the release build. Needs what the package needs, and clang.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
executions=${1:-1000000}
[ $# -eq 0 ] || shift
known='trace signal json redaction encodings http sql configuration evals'
targets=${*:-$known}
build="${FUSEBOX_FUZZ_BUILD:-$root/.build/fuzz}"
mkdir -p "$build/corpus" "$build/seeds"

needs() { case " $targets " in *" $1 "*) ;; *) return 1 ;; esac; }

# resources NAME FILE...: the source that SwiftPM makes of a module's embedded files.
resources() {
    source="$build/PackageResources-$1.swift"
    shift
    {
        echo 'struct PackageResources {'
        for file in "$@"; do
            echo "static let $(basename "$file" | tr . _): [UInt8] = ["
            od -An -v -tu1 "$file" | sed 's/  *\([0-9]\)/, \1/g; 1s/^, //; s/$//'
            echo ']'
        done
        echo '}'
    } >"$source.new"
    cmp -s "$source.new" "$source" || mv "$source.new" "$source"
}

fuzzers=
for target in $targets; do
    case " $known " in
    *" $target "*) fuzzers="$fuzzers $build/$target-fuzzer" ;;
    *) echo "fuzz: there is no target '$target'; there are $known" >&2 && exit 2 ;;
    esac
    mkdir -p "$build/corpus/$target"
done

echo "fuzz: building in $build" >&2
cd "$root"
resources SemanticColumns schemas/columns/columns.txt schemas/columns/events.txt
resources Evals schemas/evals/synonyms.txt
resources SpanStore schemas/store/schema.sql
resources StoreSQL schemas/store/views.sql schemas/store/contract.sql
if needs configuration; then swift package resolve >&2; fi
if needs http; then scripts/release.sh fusebox >&2; fi
# shellcheck disable=SC2086  # paths are words
make --file Fuzzing/build.mk --jobs "$(getconf _NPROCESSORS_ONLN)" ROOT="$root" BUILD="$build" $fuzzers >&2
cd "$build"

# Seeds: each captured request, behind the byte that says how it is encoded (trace), or what it is of (signal: none is encoded).
mkdir -p seeds/trace seeds/signal
for body in "$root"/Tests/Fixtures/otlp/*/*.bin; do
    headers=$(tr -d ' \n' <"${body%.bin}.json-headers" | tr '[:upper:]' '[:lower:]')
    first='\000'
    case "$headers" in
    *'"content-encoding","gzip"'*) first='\001' ;;
    *'"content-encoding","deflate"'*) first='\002' ;;
    *'"signal":"metrics"'*) first='\001' ;;
    esac
    target=signal
    case "$headers" in *'"signal":"traces"'*) target=trace ;; esac
    # shellcheck disable=SC2059  # the format is the byte
    { printf "$first" && cat "$body"; } >"seeds/$target/$(basename "$(dirname "$body")")-$(basename "$body")"
done

# The timeout is by the clock on the wall: a process that somebody stops for a while is no hang.
# swift-backtrace would hold a crash under AddressSanitizer up, and hide it.
export SWIFT_BACKTRACE=enable=no
# A parsed expression is an enum whose pointers carry marks in their spare bits, which LeakSanitizer does not see through: the views' parsed
# forms, which live as long as their reader, look lost to it. That questions leave nothing behind, Tests/EndToEnd/test_leaks.py asks.
printf 'leak:SQLParser\nleak:GroupingSource\n' >hidden-pointers.txt
export LSAN_OPTIONS="suppressions=$PWD/hidden-pointers.txt:print_suppressions=0"
for target in $targets; do
    echo "fuzz: $target" >&2
    seeds=
    for folder in "$root/Fuzzing/corpus/$target" "seeds/$target"; do
        [ ! -d "$folder" ] || seeds="$seeds $folder"
    done
    # shellcheck disable=SC2086  # folders are words
    nice -n 10 "./$target-fuzzer" -runs="$executions" -seed="${FUSEBOX_FUZZ_SEED:-0}" -max_len="${FUSEBOX_FUZZ_LENGTH:-4096}" \
        -rss_limit_mb=4096 -timeout=60 -print_final_stats=1 -artifact_prefix="$build/" "corpus/$target" $seeds
done
