#!/bin/sh
# Builds for use: the one place that says how.
#
#   scripts/release.sh PRODUCT...      fusebox, FuseboxSQLite (the loadable SQLite extension), instructions
#
# On Linux Swift's own libraries go into the executable: it is quicker, and runs where there is no Swift (docs/adr/0008).
set -eu
cd "$(dirname "$0")/.."

flags=
[ "$(uname)" != Linux ] || flags=--static-swift-stdlib
for product in "$@"; do
    # Half of an executable is names that nobody asks for; those of what is profiled stay.
    strip=
    if [ "$(uname)" = Linux ] && [ "$product" != instructions ]; then strip='-Xlinker -s'; fi
    # shellcheck disable=SC2086  # flags are words
    swift build -c release $flags $strip --product "$product"
done
