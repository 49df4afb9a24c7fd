#!/usr/bin/env bash
# Serves from a folder of its own, sends a realistic agent workload, shows what came of it, and ends.
set -euo pipefail

fusebox=${1:-.build/release/fusebox}
folder=$(mktemp -d)
port=${FUSEBOX_HTTP_PORT:-4318}
# Breaker observations settle in a second instead of ten, so that the demo need not wait.
BREAKER_SETTLE_S=1 "$fusebox" serve --data-dir "$folder" --http-port "$port" &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT

for _ in $(seq 100); do
    curl -fsS "http://127.0.0.1:$port/-/healthy" >/dev/null 2>&1 && break
    kill -0 "$server" 2>/dev/null || exit 1
    sleep 0.1
done

"$fusebox" demo --endpoint "http://127.0.0.1:$port"

for _ in $(seq 100); do
    curl -fsS "http://127.0.0.1:$port/metrics" | grep -q '^fusebox_pending_observations 0$' && break
    sleep 0.1
done

show() {
    printf '\n$ %s\n' "$1"
    eval "$2"
}
show "fusebox sql 'SELECT tool_name, stage, calls, timeouts, rejected, p95_ms FROM tools ORDER BY timeouts DESC'" \
    "'$fusebox' sql --data-dir '$folder' 'SELECT tool_name, stage, calls, timeouts, rejected, p95_ms FROM tools ORDER BY timeouts DESC'"
show "fusebox sql 'SELECT workflow_name, runs, failed_runs, tokens, p95_ms FROM workflows'" \
    "'$fusebox' sql --data-dir '$folder' 'SELECT workflow_name, runs, failed_runs, tokens, p95_ms FROM workflows'"
show "curl http://127.0.0.1:$port/metrics | grep -E 'timeouts_total|breaker_(opens|cooldown)'" \
    "curl -fsS 'http://127.0.0.1:$port/metrics' | grep -E '^agent_(tool_timeouts_total|breaker_opens_total|breaker_cooldown_seconds_total)'"
show "fusebox fuses" "'$fusebox' fuses --data-dir '$folder'"
