"""`fusebox export --format parquet`: DuckDB reads back what SQL shows, and a repeated export writes nothing twice."""

import os

import duckdb
import pytest

import captures
from server import Fusebox
from test_logs import record, request
from test_maintenance import rich_span
from wire import BASE_TIME, batch, span, trace_id

OK, USAGE = 0, 2


@pytest.fixture(scope="module")
def filled(binary, tmp_path_factory):
    server = Fusebox(binary, tmp_path_factory.mktemp("parquet") / "data").start()
    captures.replay(server, captures.posts("handmade"))
    assert server.post(batch(rich_span())).status == 200
    for number in range(20):
        trace = trace_id()
        spans = [span(trace, name=f"step {place % 3}", start=BASE_TIME + place, attributes=[("n", place)]) for place in range(30)]
        assert server.post(batch(*spans)).status == 200
        assert server.post(request(record(f"line {number} ümlaut", trace=trace), record(None, severity=17)), "/v1/logs").status == 200
    yield server
    server.stop()


def export(server, folder, code=OK, *arguments):
    done = server.run("export", "--data-dir", str(server.folder), "--format", "parquet", *arguments, str(folder))
    assert done.returncode == code, done.stderr.decode()
    return done.stdout.decode()


def read(folder, table):
    """The rows as SQL gives them, without the timestamp that stands beside."""
    time = {"spans": "start_time", "logs": "time"}[table]
    result = duckdb.sql(f"SELECT * EXCLUDE ({time}) FROM read_parquet('{folder}/{table}-*.parquet')")
    return [dict(zip(result.columns, row)) for row in result.fetchall()]


def by_text(rows):
    return sorted(rows, key=lambda row: sorted((name, str(value)) for name, value in row.items()))


def test_what_is_read_back_is_what_sql_shows(filled, tmp_path):
    folder = tmp_path / "out"
    said = export(filled, folder)
    for table in ("spans", "logs"):
        rows = filled.sql(f"SELECT * FROM {table}")
        assert f"{len(rows)} {'spans' if table == 'spans' else 'log records'}" in said
        assert by_text(read(folder, table)) == by_text(rows)
    assert duckdb.sql(
        f"SELECT count(*) FROM '{folder}/spans-*.parquet' WHERE epoch_us(start_time) <> start_time_unix_nano // 1000").fetchall() == [(0,)]
    groups = duckdb.sql(
        f"SELECT DISTINCT compression, encodings FROM parquet_metadata('{folder}/spans-*.parquet') WHERE path_in_schema = 'service_name'").fetchall()
    assert groups == [("ZSTD", "RLE, PLAIN, RLE_DICTIONARY")] or all("RLE_DICTIONARY" in encodings for _, encodings in groups)
    # Statistics are those of the values.
    bounds = duckdb.sql(
        f"SELECT stats_min_value, stats_max_value, stats_null_count FROM parquet_metadata('{folder}/spans-*.parquet') "
        "WHERE path_in_schema = 'duration_ns'").fetchall()[0]
    low, high = filled.sql("SELECT min(duration_ns) AS low, max(duration_ns) AS high FROM spans")[0].values()
    assert bounds == (str(low), str(high), 0)


def test_a_repeated_export_writes_nothing_twice(filled, tmp_path):
    folder = tmp_path / "out"
    export(filled, folder)
    before = {name: os.stat(folder / name).st_mtime_ns for name in os.listdir(folder)}
    assert "to 0 files" in export(filled, folder)
    assert filled.post(batch(*[span(name="later") for _ in range(5)])).status == 200
    assert "wrote 5 spans and 0 log records to 1 files" in export(filled, folder)
    after = {name: os.stat(folder / name).st_mtime_ns for name in os.listdir(folder)}
    assert len(after) == len(before) + 1 and before.items() <= after.items()
    assert by_text(read(folder, "spans")) == by_text(filled.sql("SELECT * FROM spans"))


def test_mistakes(filled, tmp_path):
    export(filled, tmp_path / "out", USAGE, "--since", "1d")
    assert filled.run("export", "--data-dir", str(filled.folder), "--format", "parquet").returncode == USAGE
