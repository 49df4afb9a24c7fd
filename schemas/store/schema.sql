-- The tables of a Fusebox data file. Spans lie in `segment` and `segment_stream` (their format: docs/storage.md); read them
-- through the virtual table `spans` of `fusebox sql`.

-- For whoever opens the file with another program.
CREATE TABLE IF NOT EXISTS README (
    line INTEGER PRIMARY KEY,
    text TEXT NOT NULL
) STRICT;

INSERT OR IGNORE INTO README (line, text) VALUES
    (1, 'This is a Fusebox data file. Its spans lie in segment and segment_stream as compressed columns.'),
    (2, 'In sqlite3: .load /path/to/libFuseboxSQLite, then: SELECT * FROM spans; SELECT * FROM tools;'),
    (3, 'In Python: connection.enable_load_extension(True); connection.load_extension("/path/to/libFuseboxSQLite")'),
    (4, 'Without it: fusebox sql --data-dir FOLDER "SELECT * FROM spans"'),
    (5, 'As plain tables in a new file: fusebox export --data-dir FOLDER --format sqlite spans.db');

CREATE TABLE IF NOT EXISTS meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row a segment, in the order of commits. Statistics let a query skip a segment unread; times are nanoseconds since 1970. first_ordinal
-- is how many spans were committed before its first one, those included that are gone: its spans have the ordinals from there on, in the
-- order of arrival. ordinal_count is how many of them it stands for, those included that were forgotten; NULL: as many as it has spans.
CREATE TABLE IF NOT EXISTS segment (
    id INTEGER PRIMARY KEY,
    span_count INTEGER NOT NULL,
    start_min INTEGER NOT NULL,
    start_max INTEGER NOT NULL,
    end_min INTEGER NOT NULL,
    end_max INTEGER NOT NULL,
    received_min INTEGER NOT NULL,
    received_max INTEGER NOT NULL,
    stored_bytes INTEGER NOT NULL,
    -- Sorted 32-bit hashes of the trace ids, little-endian.
    trace_filter BLOB NOT NULL,
    directory BLOB NOT NULL,
    first_ordinal INTEGER NOT NULL DEFAULT 0,
    ordinal_count INTEGER
) STRICT;

-- id = stream set * 4096 + number of the stream. The stream set is the segment's id; a merged segment's directory tells its own.
CREATE TABLE IF NOT EXISTS segment_stream (
    id INTEGER PRIMARY KEY,
    data BLOB NOT NULL
) STRICT;

-- Stream sets that no segment has: of a merge that is not finished, or of segments that were merged or deleted. Their streams are
-- being deleted.
CREATE TABLE IF NOT EXISTS segment_leftover (
    stream_set INTEGER PRIMARY KEY
) STRICT;

-- Log records lie in segments of their own (their format: docs/storage.md); read them through the virtual table `logs`. Statistics as of
-- `segment`; content_bytes is the inflated length of the bodies and attributes.
CREATE TABLE IF NOT EXISTS log_segment (
    id INTEGER PRIMARY KEY,
    record_count INTEGER NOT NULL,
    time_min INTEGER NOT NULL,
    time_max INTEGER NOT NULL,
    received_min INTEGER NOT NULL,
    received_max INTEGER NOT NULL,
    severity_min INTEGER NOT NULL,
    severity_max INTEGER NOT NULL,
    content_bytes INTEGER NOT NULL,
    stored_bytes INTEGER NOT NULL,
    trace_filter BLOB NOT NULL,
    first_ordinal INTEGER NOT NULL DEFAULT 0,
    ordinal_count INTEGER
) STRICT;

-- id = log segment * 2, of its facts; one more, of its contents.
CREATE TABLE IF NOT EXISTS log_stream (
    id INTEGER PRIMARY KEY,
    data BLOB NOT NULL
) STRICT;

-- Derived counters: they never fall, whatever restarts or is deleted. Seconds are kept as nanoseconds. Here and below, `checksum` is
-- the SQL function row_checksum of the row's other columns, in order, without a row id that means nothing.
CREATE TABLE IF NOT EXISTS counter (
    id INTEGER PRIMARY KEY,
    family TEXT NOT NULL,
    labels TEXT NOT NULL,
    value INTEGER NOT NULL,
    created_unix_nano INTEGER NOT NULL,
    checksum INTEGER NOT NULL
) STRICT;

-- What commits changed of `counter` and `derivation_state` since the last fold, at most about a second ago: packed, in order
-- (docs/storage.md). What is committed is the tables with the journal on top.
CREATE TABLE IF NOT EXISTS derivation_journal (
    id INTEGER PRIMARY KEY,
    data BLOB NOT NULL,
    checksum INTEGER NOT NULL
) STRICT;

-- Label values that were admitted under their caps, first come.
CREATE TABLE IF NOT EXISTS label_value (
    label TEXT NOT NULL,
    scope TEXT NOT NULL,
    value TEXT NOT NULL,
    first_seen_unix_nano INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (label, scope, value)
) STRICT, WITHOUT ROWID;

-- Breaker machines, gauges and the settle watermark.
CREATE TABLE IF NOT EXISTS derivation_state (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;

-- Edges of breakers, reported by agents and derived by the fuse table, in the order in which they were applied.
CREATE TABLE IF NOT EXISTS breaker_transition (
    id INTEGER PRIMARY KEY,
    time_unix_nano INTEGER NOT NULL,
    service_name TEXT NOT NULL,
    scope TEXT NOT NULL,
    tool_name TEXT NOT NULL,
    machine TEXT NOT NULL CHECK (machine IN ('reported', 'derived')),
    from_state TEXT NOT NULL,
    to_state TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    span_id TEXT NOT NULL,
    checksum INTEGER NOT NULL
) STRICT;

-- Openings of breakers, written when they happen and changed while they run: where one began and ended, until when it counts if nothing more is
-- heard of it, and what the counter of open time was given for it (docs/metrics.md 2.5, 2.6).
CREATE TABLE IF NOT EXISTS breaker_opening (
    id INTEGER PRIMARY KEY,
    service_name TEXT NOT NULL,
    scope TEXT NOT NULL,
    tool_name TEXT NOT NULL,
    machine TEXT NOT NULL CHECK (machine IN ('reported', 'derived')),
    from_unix_nano INTEGER NOT NULL,
    to_unix_nano INTEGER,
    until_unix_nano INTEGER NOT NULL,
    credited_ns INTEGER NOT NULL,
    trace_id TEXT NOT NULL,
    span_id TEXT NOT NULL,
    checksum INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS breaker_opening_once
    ON breaker_opening (from_unix_nano, trace_id, span_id, machine, tool_name, scope, service_name);

-- Evals: imported from files, or sent as telemetry. `row_key` is what makes two rows the same one (docs/evals.md).
CREATE TABLE IF NOT EXISTS evaluation (
    id INTEGER PRIMARY KEY,
    row_key TEXT NOT NULL UNIQUE,
    eval_id TEXT,
    name TEXT NOT NULL,
    score REAL,
    label TEXT,
    explanation TEXT,
    annotator TEXT,
    annotator_kind TEXT,
    run_id TEXT,
    example_id TEXT,
    trace_id TEXT,
    span_id TEXT,
    session_id TEXT,
    response_id TEXT,
    error TEXT,
    dataset TEXT,
    git_revision TEXT,
    metadata TEXT,
    source TEXT NOT NULL CHECK (source IN ('file', 'event', 'annotation')),
    created_unix_nano INTEGER,
    updated_unix_nano INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS evaluation_by_update ON evaluation (updated_unix_nano);

-- Attempts and runs that carry an eval id, by how they ended. Counts never fall.
CREATE TABLE IF NOT EXISTS eval_call (
    eval_id TEXT NOT NULL,
    service_name TEXT NOT NULL,
    workflow_name TEXT NOT NULL,
    outcome TEXT NOT NULL,
    value INTEGER NOT NULL,
    last_seen_unix_nano INTEGER NOT NULL,
    PRIMARY KEY (eval_id, service_name, workflow_name, outcome)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS eval_call_by_time ON eval_call (last_seen_unix_nano);

-- Dollars a million tokens, from prices.yaml, an imported table, or the list prices that come along (their source says so). A price holds until the model's next one.
CREATE TABLE IF NOT EXISTS model_price (
    model TEXT NOT NULL,
    effective_from_unix_nano INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('api', 'local')),
    input REAL NOT NULL,
    cache_read REAL NOT NULL,
    cache_write REAL NOT NULL,
    output REAL NOT NULL,
    source TEXT,
    PRIMARY KEY (model, effective_from_unix_nano)
) STRICT, WITHOUT ROWID;

-- Rented machines, from prices.yaml. Without times of billing, a machine is billed for the window that is asked about.
CREATE TABLE IF NOT EXISTS host_rent (
    host TEXT PRIMARY KEY,
    dollars_per_hour REAL NOT NULL,
    gpus INTEGER NOT NULL,
    granularity_s INTEGER NOT NULL,
    billed_from_unix_nano INTEGER,
    billed_until_unix_nano INTEGER
) STRICT, WITHOUT ROWID;

-- Links whose traffic costs, from prices.yaml.
CREATE TABLE IF NOT EXISTS egress_price (
    link TEXT PRIMARY KEY,
    dollars_per_unit REAL NOT NULL,
    free_units REAL NOT NULL,
    unit_bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Stalls of agents' loops, found when their runs had ended (docs/stalls.md).
CREATE TABLE IF NOT EXISTS stall (
    id INTEGER PRIMARY KEY,
    time_unix_nano INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('gap', 'repeat', 'cycle', 'event_loop')),
    service_name TEXT NOT NULL,
    workflow_name TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    span_id TEXT,
    span_name TEXT,
    duration_ns INTEGER,
    detail TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS stall_once ON stall (trace_id, kind, time_unix_nano, coalesce(span_id, ''));
CREATE INDEX IF NOT EXISTS stall_by_time ON stall (time_unix_nano);

-- How many stalls there were; never falls, while old rows of `stall` go.
CREATE TABLE IF NOT EXISTS stall_count (
    service_name TEXT NOT NULL,
    workflow_name TEXT NOT NULL,
    kind TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (service_name, workflow_name, kind)
) STRICT, WITHOUT ROWID;

-- One row for each minute in which the server ran, with what it could not keep. A missing minute was not watched.
CREATE TABLE IF NOT EXISTS heartbeat (
    minute INTEGER PRIMARY KEY,
    accepted INTEGER NOT NULL,
    rejected INTEGER NOT NULL,
    dropped INTEGER NOT NULL
) STRICT;

-- What `fusebox forget` was asked to delete, and what went; the latest 1,000 orders. selection names what is meant, and is kept only until it is gone.
CREATE TABLE IF NOT EXISTS forget (
    id INTEGER PRIMARY KEY,
    request TEXT NOT NULL UNIQUE,
    selection TEXT,
    phase TEXT NOT NULL CHECK (phase IN ('searching', 'deleting', 'erasing', 'done')),
    problem TEXT NOT NULL DEFAULT '',
    spans INTEGER NOT NULL DEFAULT 0,
    segments INTEGER NOT NULL DEFAULT 0,
    log_records INTEGER NOT NULL DEFAULT 0,
    log_segments INTEGER NOT NULL DEFAULT 0,
    evals INTEGER NOT NULL DEFAULT 0,
    stalls INTEGER NOT NULL DEFAULT 0,
    -- Of free and unused places of the file.
    overwritten_bytes INTEGER NOT NULL DEFAULT 0,
    asked_unix_nano INTEGER NOT NULL,
    done_unix_nano INTEGER
) STRICT;

-- The traces that an order is about, while it is carried out.
CREATE TABLE IF NOT EXISTS forget_trace (
    forget_id INTEGER NOT NULL,
    trace_id TEXT NOT NULL,
    PRIMARY KEY (forget_id, trace_id)
) STRICT, WITHOUT ROWID;

-- How far each target of `forward:` has what is stored, signal by signal (docs/fleet.md). Everything before next_ordinal was accepted there,
-- refused there, or is lost; what a target was not sent yet lies in the segments from there on.
CREATE TABLE IF NOT EXISTS forward_target (
    target TEXT NOT NULL,
    signal TEXT NOT NULL CHECK (signal IN ('traces', 'logs')),
    next_ordinal INTEGER NOT NULL,
    -- Counts how often somebody moved next_ordinal: who sends leaves what it knew then.
    epoch INTEGER NOT NULL DEFAULT 0,
    -- Whether the configuration names it, and whether retention waits for it.
    configured INTEGER NOT NULL DEFAULT 1,
    holds INTEGER NOT NULL DEFAULT 0,
    -- Stopped by an operator.
    paused INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'sending',
    message TEXT NOT NULL DEFAULT '',
    sent INTEGER NOT NULL DEFAULT 0,
    refused INTEGER NOT NULL DEFAULT 0,
    lost INTEGER NOT NULL DEFAULT 0,
    last_success_unix_nano INTEGER,
    created_unix_nano INTEGER NOT NULL,
    PRIMARY KEY (target, signal)
) STRICT, WITHOUT ROWID;

-- What is under way to a target: written before its first byte goes out, gone when it has an answer. After a crash the same ordinals are
-- read again and give the same bytes.
CREATE TABLE IF NOT EXISTS forward_flight (
    target TEXT NOT NULL,
    signal TEXT NOT NULL,
    from_ordinal INTEGER NOT NULL,
    to_ordinal INTEGER NOT NULL,
    first_sent_unix_nano INTEGER NOT NULL,
    body_hash INTEGER NOT NULL,
    PRIMARY KEY (target, signal)
) STRICT, WITHOUT ROWID;

-- What a target did not take, the latest 10,000: one row a span or log record that was found by halving, or one for some of a request.
CREATE TABLE IF NOT EXISTS forward_refused (
    id INTEGER PRIMARY KEY,
    target TEXT NOT NULL,
    signal TEXT NOT NULL,
    -- Of the span or log record, or of the request's first.
    ordinal INTEGER NOT NULL,
    count INTEGER NOT NULL,
    trace_id TEXT,
    span_id TEXT,
    code INTEGER NOT NULL,
    message TEXT NOT NULL,
    time_unix_nano INTEGER NOT NULL
) STRICT;
