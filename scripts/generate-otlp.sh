#!/bin/sh
# Generates Sources/COTLP from proto/ with protoc-c.
#
#   scripts/generate-otlp.sh           writes the generated files in place
#   scripts/generate-otlp.sh --check   changes nothing; exits 1 when the files in place are not what would be written
#
# Needs protoc and protoc-c (Debian: protobuf-compiler protobuf-c-compiler; Homebrew: protobuf-c). The text depends on the
# version of protoc-c, so the one below is required; FUSEBOX_PROTOC_C_ANY=1 takes another, for a local try.
set -eu
export LC_ALL=C

protoc_c_version=1.4.1

root=$(cd "$(dirname "$0")/.." && pwd)
target="$root/Sources/COTLP"

case "${1-}" in
"") check=false ;;
--check) check=true ;;
*)
    echo "usage: generate-otlp.sh [--check]" >&2
    exit 2
    ;;
esac

found=$(protoc-c --version 2>/dev/null | sed -n 's/^protobuf-c \([0-9.]*\).*/\1/p')
if [ "$found" != "$protoc_c_version" ] && [ "${FUSEBOX_PROTOC_C_ANY-}" != 1 ]; then
    echo "generate-otlp: protoc-c $protoc_c_version is needed, found ${found:-none}" >&2
    exit 2
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch/proto" "$scratch/out" "$scratch/COTLP/include"

# protoc-c 1.4 refuses `optional` in proto3. Without the word the wire format is the same; only whether a metric's sum, min or
# max was present is lost, which nothing here reads.
(cd "$root/proto" && find . -name '*.proto') | sed 's|^\./||' | sort >"$scratch/files"
while read -r file; do
    mkdir -p "$scratch/proto/$(dirname "$file")"
    sed 's/^\( *\)optional /\1/' "$root/proto/$file" >"$scratch/proto/$file"
done <"$scratch/files"

# shellcheck disable=SC2046 # schema paths hold no spaces
(cd "$scratch/proto" && protoc-c -I. --c_out="$scratch/out" $(cat "$scratch/files"))

# Sources stay beside each other and headers go below include/, under their schema's path: the `#include`s that protoc-c wrote
# are relative to that folder.
while read -r file; do
    stem="${file%.proto}.pb-c"
    mkdir -p "$scratch/COTLP/$(dirname "$file")" "$scratch/COTLP/include/$(dirname "$file")"
    cp "$scratch/out/$stem.c" "$scratch/COTLP/$stem.c"
    cp "$scratch/out/$stem.h" "$scratch/COTLP/include/$stem.h"
done <"$scratch/files"

{
    echo "/* Written by scripts/generate-otlp.sh: every OTLP message as protobuf-c has it. */"
    echo "#ifndef FUSEBOX_COTLP_H"
    echo "#define FUSEBOX_COTLP_H"
    echo
    sed 's|^\(.*\)\.proto$|#include "\1.pb-c.h"|' "$scratch/files"
    echo
    echo "#endif"
} >"$scratch/COTLP/include/COTLP.h"

{
    echo "// Written by scripts/generate-otlp.sh."
    echo "module COTLP {"
    echo "    umbrella header \"COTLP.h\""
    echo "    export *"
    echo "}"
} >"$scratch/COTLP/include/module.modulemap"

if $check; then
    if ! diff -r "$target" "$scratch/COTLP"; then
        echo "generate-otlp: Sources/COTLP is not what proto/ gives; run scripts/generate-otlp.sh" >&2
        exit 1
    fi
    echo "generate-otlp: Sources/COTLP is up to date"
else
    rm -rf "$target"
    mkdir -p "$target"
    cp -R "$scratch/COTLP/." "$target/"
    echo "generate-otlp: wrote $(find "$target" -type f | wc -l | tr -d ' ') files to Sources/COTLP"
fi
