#!/bin/sh
# Fuzzes what reads bytes of strangers, and what operators write, with libFuzzer and AddressSanitizer, optimised, on one core.
#
#   scripts/fuzz.sh [EXECUTIONS] [TARGET...]     of each target, 1,000,000 unless said; the corpus it grows stays in .build/fuzz
#
# Targets: trace (content encodings, the protobuf decoder and what follows it), json (OTLP/JSON), redaction (patterns, and requests that
# are rewritten), encodings (gzip, deflate, zstd), http (HTTP/1.1 framing), sql (questions and their parameters), configuration
# (fusebox.yaml, prices.yaml), evals (files of evals). Seeds are Fuzzing/corpus and, for trace, the captured requests of
# Tests/Fixtures/otlp. A crash leaves its input in .build/fuzz/crash-* and ends with status 77; the head of Fuzzing/*Fuzzer.swift says
# what counts as one. It is built by hand rather than as targets of Package.swift, since every module in it has to be instrumented;
# http alone takes the modules below ours from the release build. Needs what the package needs, and clang.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
executions=${1:-1000000}
[ $# -eq 0 ] || shift
targets=${*:-trace json redaction encodings http sql configuration evals}
build="${FUSEBOX_FUZZ_BUILD:-$root/.build/fuzz}"
mkdir -p "$build/corpus" "$build/seeds" "$build/objects" "$build/targets" "$build/http"
cd "$build"

sanitized="-O -sanitize=fuzzer,address -parse-as-library"
language="-swift-version 6 -enable-upcoming-feature ExistentialAny -enable-upcoming-feature InternalImportsByDefault
    -enable-upcoming-feature MemberImportVisibility -enable-experimental-feature Lifetimes"
flags="$sanitized $language -package-name fusebox -I $build -Xcc -I$root/.build/checkouts/Yams/Sources/CYaml/include"
for library in CZlib CZstd CProtobufC CSQLite; do flags="$flags -Xcc -fmodule-map-file=$root/Sources/$library/module.modulemap"; done
flags="$flags -Xcc -fmodule-map-file=$root/Sources/COTLP/include/module.modulemap -Xcc -I$root/Sources/COTLP/include"

# What is older than its sources, or than something that it is made of, is built again.
rebuilds=
is_fresh() {
    object=$1
    shift
    [ -z "$rebuilds" ] && [ -f "$object" ] && [ -z "$(find "$@" -newer "$object" 2>/dev/null)" ] && return
    rebuilds=yes
    return 1
}

# module NAME FILE...: an instrumented object and its interface.
module() {
    name=$1
    shift
    # shellcheck disable=SC2046  # the paths have no spaces below the root
    is_fresh "$build/objects/$name.o" $(printf '%s\n' "$@" | grep -v '^-') && return
    # shellcheck disable=SC2086  # flags are words
    swiftc $flags -wmo -module-name "$name" -emit-module -emit-module-path "$build/$name.swiftmodule" \
        -c -o "$build/objects/$name.o" "$@"
}

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
    echo "$source"
}

# c_objects FOLDER FLAG...: instrumented objects of C.
c_objects() {
    folder=$1
    shift
    for source in $(find "$folder" -name '*.c'); do
        object="$build/objects/$(echo "${source#"$root"/}" | tr / _ | sed 's/^[.]//').o" # hidden ones would not be linked
        if [ ! -f "$object" ]; then clang -O2 -w -fsanitize=address,fuzzer-no-link "$@" -c "$source" -o "$object"; fi
    done
}

needs() { case " $targets " in *" $1 "*) ;; *) return 1 ;; esac; }

echo "fuzz: building in $build" >&2
# shellcheck disable=SC2046  # the paths have no spaces below the root
build_modules() {
    cd "$root"
    module TelemetryModel $(find Sources/TelemetryModel -name '*.swift')
    module OTLP $(find Sources/OTLP -name '*.swift')
    module SemanticColumns $(find Sources/SemanticColumns -maxdepth 1 -name '*.swift') \
        "$(resources SemanticColumns schemas/columns/columns.txt)"
    module TelemetryTesting -enable-testing $(find Tests/TelemetryTesting -name '*.swift')
    c_objects "$root/Sources/COTLP" -I Sources/COTLP/include
    if needs evals; then
        module Evals $(find Sources/Evals -maxdepth 1 -name '*.swift') "$(resources Evals schemas/evals/synonyms.txt)"
    fi
    if needs sql || needs configuration; then
        module SQLite $(find Sources/SQLite -name '*.swift')
        module SpanStore $(find Sources/SpanStore -name '*.swift') \
            "$(resources SpanStore schemas/store/schema.sql schemas/store/views.sql)"
    fi
    if needs configuration; then
        swift package resolve >&2
        module PrometheusText $(find Sources/PrometheusText -name '*.swift')
        module Derivations $(find Sources/Derivations -name '*.swift')
        module Reports $(find Sources/Reports -name '*.swift')
        c_objects "$root/.build/checkouts/Yams/Sources/CYaml/src" -I .build/checkouts/Yams/Sources/CYaml/include -DYAML_DECLARE_EXPORT
        # It is not ours: in its own language, and told that it is a package, as it asks.
        if ! is_fresh "$build/objects/Yams.o" .build/checkouts/Yams/Sources/Yams; then
            # shellcheck disable=SC2086  # flags are words
            swiftc $sanitized -DSWIFT_PACKAGE -I "$build" -Xcc -I.build/checkouts/Yams/Sources/CYaml/include -wmo -module-name Yams \
                -emit-module -emit-module-path "$build/Yams.swiftmodule" -c -o "$build/objects/Yams.o" \
                $(find .build/checkouts/Yams/Sources/Yams -name '*.swift')
        fi
        module FuseboxConfiguration $(find Sources/FuseboxConfiguration -name '*.swift')
    fi
    cd "$build"
}
build_modules

# fuzzer TARGET MODULE [FILE...]: its executable; what the target is written in is the file that is called like the module.
fuzzer() {
    target=$1 module=$2
    shift 2
    # shellcheck disable=SC2086  # flags are words
    (cd "$root" && swiftc $flags -wmo -module-name "$module" -c -o "$build/targets/$target.o" "Fuzzing/$module.swift" "$@")
    swiftc -sanitize=fuzzer,address -o "$target-fuzzer" "targets/$target.o" objects/*.o -lprotobuf-c -lz -lzstd -lsqlite3
}

# What tells two decoded requests apart.
compared="Tests/OTLPTests/BatchContent.swift Tests/OTLPTests/ComparableSpan.swift Tests/OTLPTests/RepeatedMessages.swift"

# FuseboxHTTP and the parser of HTTP/1.1, instrumented, on the modules of the release build.
http_fuzzer() {
    (cd "$root" && swift build -c release --product fusebox >&2)
    products=$root/.build/release
    # Where C modules are, as the release build tells its compiler.
    maps=$(sed -n '/"C.FuseboxHTTP-.*-release.module":/,/args:/p' "$root/.build/release.yaml" | grep -o '"-Xcc","[^"]*"' | tr ',' ' ' | tr -d '"')
    package=$(basename "$root" | tr '[:upper:]' '[:lower:]')
    # shellcheck disable=SC2086,SC2046  # flags and paths are words
    swiftc $sanitized $language $maps -package-name "$package" -enable-testing -wmo -I "$products/Modules" -module-name FuseboxHTTP \
        -emit-module -emit-module-path http/FuseboxHTTP.swiftmodule -c -o http/FuseboxHTTP.o \
        $(find "$root/Sources/FuseboxHTTP" -name '*.swift')
    # shellcheck disable=SC2086  # flags are words
    swiftc $sanitized $language $maps -package-name "$package" -wmo -I http -I "$products/Modules" -module-name HTTPFuzzer \
        -c -o http/HTTPFuzzer.o "$root/Fuzzing/HTTPFuzzer.swift"
    parser=$root/.build/checkouts/swift-nio/Sources/CNIOLLHTTP
    for source in "$parser"/*.c; do
        clang -O2 -w -fsanitize=address,fuzzer-no-link -D_GNU_SOURCE -DLLHTTP_STRICT_MODE -I "$parser/include" -c "$source" \
            -o "http/$(basename "$source").o"
    done
    grep -v -e /fusebox.build/ -e /FuseboxHTTP.build/ -e /FuseboxGRPC.build/ -e /CNIOLLHTTP.build/ \
        "$products/fusebox.product/Objects.LinkFileList" >http/release-objects
    swiftc -sanitize=fuzzer,address -o http-fuzzer http/*.o @http/release-objects -lprotobuf-c -lz -lzstd -lsqlite3
}

for target in $targets; do
    # shellcheck disable=SC2086  # files are words
    case $target in
    trace) fuzzer trace TraceFuzzer $compared ;;
    json) fuzzer json JSONFuzzer $compared ;;
    redaction) fuzzer redaction RedactionFuzzer ;;
    encodings) fuzzer encodings EncodingFuzzer ;;
    http) http_fuzzer ;;
    sql) fuzzer sql SQLFuzzer ;;
    configuration) fuzzer configuration ConfigurationFuzzer ;;
    evals) fuzzer evals EvalFuzzer ;;
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
