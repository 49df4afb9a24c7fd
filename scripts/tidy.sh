#!/usr/bin/env bash
# The house's rules that the compiler does not hold. Prints each breach; exit 1 when there is one.
set -uo pipefail
cd "$(dirname "$0")/.."
breaches=0

breach() {
    echo "tidy: $1" >&2
    breaches=$((breaches + 1))
}

# Rule: no file of ours is longer than 500 lines.
while read -r lines file; do
    [ "$file" = total ] && continue
    [ "$lines" -le 500 ] || breach "$file has $lines lines, the limit is 500"
done < <(find Sources Tests -name '*.swift' -print0 | xargs -0 wc -l)

# Rule: no function is longer than 70 lines. A function ends where its indentation comes back.
while read -r message; do breach "$message"; done < <(
    find Sources -name '*.swift' -print0 | xargs -0 awk '
        FNR == 1 { open = 0 }
        !open && /^ *((package|private|fileprivate|static|mutating|consuming|@[a-zA-Z_()]+) )*(func |init[?(<])/ {
            match($0, /^ */); indent = RLENGTH; start = FNR; open = 1; name = $0; next
        }
        open && /^ *}/ { match($0, /^ */); if (RLENGTH == indent) {
            if (FNR - start >= 70) { sub(/^ */, "", name); print FILENAME ":" start ": " FNR - start + 1 " lines: " substr(name, 1, 60) }
            open = 0 } }')

# Rule: a paragraph of a help text is one line, since the terminal wraps it: lines end with a backslash, but for examples.
while read -r message; do breach "$message"; done < <(
    find Sources/fusebox -name '*.swift' -print0 | xargs -0 awk '
        /discussion: """$/ { inside = 1; base = -1; open = 0; next }
        inside && /^ *"""/ { inside = 0 }
        inside {
            match($0, /^ */); indent = RLENGTH; isText = $0 ~ /[^ ]/
            if (isText && base < 0) base = indent
            if (isText && open && indent == base) print FILENAME ":" FNR - 1 ": a line of a help text breaks its paragraph"
            open = isText && indent == base && $0 !~ /\\$/
        }')

# Rule: what may trap or forget is not called.
banned='try!|\bas! |fatalError\(|preconditionFailure\(|\bprint\(|unsafelyUnwrapped'
while read -r line; do breach "banned call: $line"; done < <(grep -rnE "$banned" Sources --include='*.swift')

# Rule: tests run coroutines by one helper, which works beside a browser that another test keeps open in the same process.
while read -r line; do breach "use server.run_to_its_end: $line"; done < <(
    grep -rnE 'asyncio\.run\(' Tests/EndToEnd --include='test_*.py')

# Rule: C libraries stay where they are wrapped, Foundation stays above row 2.
allow() {
    local module=$1 allowed=$2
    while read -r file; do
        echo "$file" | grep -qE "^Sources/($allowed)/" || breach "$file imports $module"
    done < <(grep -rlE "^(@testable |package |public )*import $module$" Sources --include='*.swift')
}
allow COTLP 'OTLP'
allow CProtobufC 'none'
allow CZlib 'OTLP'
allow CZstd 'OTLP|SegmentFormat|Parquet'
allow CSQLite 'SQLite|SpanStore|StoreSQL|FuseboxSQLite|Queries|fusebox'
allow CEditline 'fusebox'
allow CMalloc 'fusebox'
allow Foundation 'FuseboxConfiguration|fusebox'

# Rule: a target imports only targets of rows below its own, as the table of docs/ARCHITECTURE.md has them.
while read -r message; do breach "$message"; done < <(
    grep -rnE '^(@testable |package |public |internal )*import [A-Za-z]+$' Sources --include='*.swift' | awk '
        NR == FNR {
            if ($0 ~ /^\| [0-9] \| `/) { split($0, cells, "|"); count = split(cells[3], names, "`"); for (i = 2; i <= count; i += 2) row[names[i]] = cells[2] + 0 }
            next
        }
        {
            split($0, parts, ":"); split(parts[1], path, "/"); imported = $NF
            if (!(path[2] in row)) print "docs/ARCHITECTURE.md has no row for " path[2]
            else if (imported in row && row[imported] >= row[path[2]]) print parts[1] " imports " imported ", which is not below it"
        }' docs/ARCHITECTURE.md - | sort -u)

# Rule: the repository speaks of the product alone.
while read -r line; do breach "a path or name from outside: $line"; done < <(
    grep -rnE '\.\./shared|/work/|/tmp/venv' --include='*' Sources Tests docs scripts schemas proto README.md CHANGELOG.md Makefile 2>/dev/null |
        grep -v '^scripts/tidy.sh:' | grep -v '^Tests/Fixtures/')

if [ "$breaches" -gt 0 ]; then
    echo "tidy: $breaches breaches" >&2
    exit 1
fi
echo "tidy: clean"
