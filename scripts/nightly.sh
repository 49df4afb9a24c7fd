#!/usr/bin/env bash
# The faults of `make test` many times over, with another seed each night, and what is too long for it. Some hours on two cores.
#
#   scripts/nightly.sh              all of it
#   scripts/nightly.sh kills        one part: kills, engine, power, flips, faults, edges, gateway, size, sql, examples, fuzz
#
# A failure names its seed; FUSEBOX_SEED=that runs the same again.
set -uo pipefail
cd "$(dirname "$0")/.."

export FUSEBOX_SEED=${FUSEBOX_SEED:-$(date +%Y%m%d)}
export FUSEBOX_KILL_ROUNDS=${FUSEBOX_KILL_ROUNDS:-10000}
export FUSEBOX_FORWARD_KILLS=${FUSEBOX_FORWARD_KILLS:-200}
export FUSEBOX_ENGINE_KILLS=${FUSEBOX_ENGINE_KILLS:-300}
export FUSEBOX_POWER_STATES=${FUSEBOX_POWER_STATES:-20000}
export FUSEBOX_FLIPS=${FUSEBOX_FLIPS:-2000}
export FUSEBOX_FAULT_ROUNDS=${FUSEBOX_FAULT_ROUNDS:-400}
export FUSEBOX_LEAK_ROUNDS=${FUSEBOX_LEAK_ROUNDS:-10000}
export FUSEBOX_LOG_ROUNDS=${FUSEBOX_LOG_ROUNDS:-500}
export FUSEBOX_RESTARTS=${FUSEBOX_RESTARTS:-100}
export FUSEBOX_SCAN_ROUNDS=${FUSEBOX_SCAN_ROUNDS:-10000}
export FUSEBOX_SQL_QUERIES=${FUSEBOX_SQL_QUERIES:-20000}
export FUSEBOX_TERM_ROUNDS=${FUSEBOX_TERM_ROUNDS:-200}
export FUSEBOX_EDGE_ROUNDS=${FUSEBOX_EDGE_ROUNDS:-400}
export FUSEBOX_DOOR_HISTORIES=${FUSEBOX_DOOR_HISTORIES:-40}
export FUSEBOX_GATEWAY_STREAMS=${FUSEBOX_GATEWAY_STREAMS:-1000}
export FUSEBOX_GATEWAY_REQUESTS=${FUSEBOX_GATEWAY_REQUESTS:-100000}
export FUSEBOX_NIGHTLY=1

parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=(kills engine power flips faults edges gateway size sql examples fuzz)
status=0

pytest() { .venv/bin/python -m pytest -c Tests/EndToEnd/pytest.ini "$@" || status=1; }

scripts/release.sh fusebox FuseboxSQLite || exit 1
if [ ! -x .venv/bin/python ]; then
    python3 -m venv .venv && .venv/bin/pip install --quiet --requirement Tests/EndToEnd/requirements.txt || exit 1
fi
echo "nightly: seed $FUSEBOX_SEED"
for part in "${parts[@]}"; do
    printf '\n== %s ==\n' "$part"
    case $part in
    kills) pytest Tests/EndToEnd/test_durability.py Tests/EndToEnd/test_forwarding.py Tests/EndToEnd/test_clickhouse.py ;;
    # The real ClickHouse, hundreds of megabytes, is fetched once for all working copies.
    engine)
        if [ -z "${FUSEBOX_CHDB_PYTHON:-}" ]; then
            engine=${XDG_CACHE_HOME:-$HOME/.cache}/fusebox-engine
            [ -x "$engine/bin/python" ] || python3 -m venv "$engine" || exit 1
            if "$engine/bin/python" -c 'import chdb' 2>/dev/null || "$engine/bin/pip" install --quiet chdb-core; then
                export FUSEBOX_CHDB_PYTHON=$engine/bin/python
            else
                echo "left out: the tests with the real ClickHouse, since chdb-core cannot be had here"
            fi
        fi
        pytest Tests/EndToEnd/test_clickhouse_engine.py Tests/EndToEnd/test_fleet_reading.py
        ;;
    power) pytest Tests/EndToEnd/test_power_loss.py ;;
    flips) pytest Tests/EndToEnd/test_bit_flips.py ;;
    faults) pytest Tests/EndToEnd/test_storage_faults.py Tests/EndToEnd/test_process_faults.py Tests/EndToEnd/test_leaks.py ;;
    edges) pytest Tests/EndToEnd/test_edges.py Tests/EndToEnd/test_doors.py ;;
    gateway) pytest -s Tests/EndToEnd/test_gateway_load.py ;;
    size) pytest Tests/EndToEnd/test_large_file.py ;;
    sql) swift test --filter 'StoreSQLTests.(Differential|LiveScan)Tests' || status=1 ;;
    examples)
        if [ ! -x .venv-examples/bin/python ]; then
            python3 -m venv .venv-examples && .venv-examples/bin/pip install --quiet --requirement examples/requirements.txt || exit 1
        fi
        FUSEBOX_EXAMPLES_PYTHON=.venv-examples/bin/python pytest Tests/EndToEnd/test_examples.py
        ;;
    # Twenty million over the nine targets.
    fuzz) FUSEBOX_FUZZ_SEED=$FUSEBOX_SEED scripts/fuzz.sh 2250000 || status=1 ;;
    *) echo "nightly: there is no part $part" >&2 && exit 2 ;;
    esac
done
exit "$status"
