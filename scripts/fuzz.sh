#!/bin/sh
# Fuzzes what reads bytes of strangers with libFuzzer and AddressSanitizer, optimised, on one core.
#
#   scripts/fuzz.sh [EXECUTIONS] [TARGET...]     of each target, 1,000,000 unless said; the corpus it grows stays in .build/fuzz
#
# Targets: trace (content encodings, the protobuf decoder and what follows it), json (OTLP/JSON), redaction (patterns, and requests that
# are rewritten). Seeds are Fuzzing/corpus and, for trace, the captured requests of Tests/Fixtures/otlp. A crash leaves its input in
# .build/fuzz/crash-* and ends with status 77; the head of Fuzzing/*Fuzzer.swift says what counts as one. It is built by hand rather than as a target of Package.swift,
# since every module in it has to be instrumented. Needs what the package needs, and clang.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
executions=${1:-1000000}
[ $# -eq 0 ] || shift
targets=${*:-trace json redaction}
build="${FUSEBOX_FUZZ_BUILD:-$root/.build/fuzz}"
mkdir -p "$build/corpus" "$build/seeds" "$build/objects" "$build/targets"
cd "$build"

flags="-O -sanitize=fuzzer,address -parse-as-library -package-name fusebox -swift-version 6 -I $build
    -enable-upcoming-feature ExistentialAny -enable-upcoming-feature InternalImportsByDefault
    -enable-upcoming-feature MemberImportVisibility -enable-experimental-feature Lifetimes"
for library in CZlib CZstd CProtobufC; do flags="$flags -Xcc -fmodule-map-file=$root/Sources/$library/module.modulemap"; done
flags="$flags -Xcc -fmodule-map-file=$root/Sources/COTLP/include/module.modulemap -Xcc -I$root/Sources/COTLP/include"

# module NAME FILE...: an instrumented object and its interface.
module() {
    name=$1
    shift
    # shellcheck disable=SC2086  # flags are words
    swiftc $flags -wmo -module-name "$name" -emit-module -emit-module-path "$build/$name.swiftmodule" \
        -c -o "$build/objects/$name.o" "$@"
}

echo "fuzz: building in $build" >&2
# shellcheck disable=SC2046  # the paths have no spaces below the root
(
    cd "$root"
    module TelemetryModel $(find Sources/TelemetryModel -name '*.swift')
    module OTLP $(find Sources/OTLP -name '*.swift')
    {
        echo 'struct PackageResources { static let columns_txt: [UInt8] = ['
        od -An -v -tu1 schemas/columns/columns.txt | sed 's/  *\([0-9]\)/, \1/g; 1s/^, //; s/$//'
        echo ']}'
    } >"$build/PackageResources.swift"
    module SemanticColumns $(find Sources/SemanticColumns -maxdepth 1 -name '*.swift') "$build/PackageResources.swift"
    module TelemetryTesting -enable-testing $(find Tests/TelemetryTesting -name '*.swift')
    for source in $(find Sources/COTLP -name '*.c'); do
        clang -O2 -w -fsanitize=address,fuzzer-no-link -I Sources/COTLP/include -c "$source" \
            -o "$build/objects/$(echo "$source" | tr / _).o"
    done
)

# fuzzer TARGET MODULE: its executable; what the target is written in is the file that is called like the module.
fuzzer() {
    # shellcheck disable=SC2086  # flags are words
    (cd "$root" && swiftc $flags -wmo -module-name "$2" -c -o "$build/targets/$1.o" "Fuzzing/$2.swift" \
        Tests/OTLPTests/BatchContent.swift Tests/OTLPTests/ComparableSpan.swift Tests/OTLPTests/RepeatedMessages.swift)
    swiftc -sanitize=fuzzer,address -o "$1-fuzzer" "targets/$1.o" objects/*.o -lprotobuf-c -lz -lzstd
}
for target in $targets; do
    case $target in
    trace) fuzzer trace TraceFuzzer ;;
    json) fuzzer json JSONFuzzer ;;
    redaction) fuzzer redaction RedactionFuzzer ;;
    *) echo "fuzz: there is no target '$target'" >&2 && exit 2 ;;
    esac
    mkdir -p "corpus/$target"
done

# Seeds: each captured trace request with the byte that says how it is encoded, as the file's headers tell.
for body in "$root"/Tests/Fixtures/otlp/*/*.bin; do
    headers="${body%.bin}.json-headers"
    grep -q '"signal": *"traces"' "$headers" || continue
    encoding='\000'
    case "$(tr -d ' \n' <"$headers" | tr '[:upper:]' '[:lower:]')" in
    *'"content-encoding","gzip"'*) encoding='\001' ;;
    *'"content-encoding","deflate"'*) encoding='\002' ;;
    esac
    seed="seeds/$(basename "$(dirname "$body")")-$(basename "$body")"
    # shellcheck disable=SC2059  # the format is the byte
    { printf "$encoding" && cat "$body"; } >"$seed"
done

# The timeout is by the clock on the wall: a process that somebody stops for a while is no hang.
# swift-backtrace would hold a crash under AddressSanitizer up, and hide it.
export SWIFT_BACKTRACE=enable=no
for target in $targets; do
    echo "fuzz: $target" >&2
    seeds=$root/Fuzzing/corpus/$target
    [ "$target" = trace ] && seeds=seeds
    nice -n 10 "./$target-fuzzer" -runs="$executions" -artifact_prefix="$build/" -max_len="${FUSEBOX_FUZZ_LENGTH:-4096}" \
        -rss_limit_mb=4096 -timeout=60 -print_final_stats=1 "corpus/$target" "$seeds"
done
