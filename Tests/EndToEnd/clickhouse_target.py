"""A stand-in for ClickHouse's HTTP interface that answers as a test says, reads blocks in the format Native and keeps rows by identity."""

import base64
import gzip
import http.server
import re
import struct
import threading
import urllib.parse

import zstandard

# What a server of today knows, of the settings that an insert says.
SETTINGS = ["async_insert", "deduplicate_insert", "insert_deduplicate", "input_format_native_allow_types_conversion", "optimize_on_insert",
            "send_progress_in_http_headers"]
TRACES_KEY = "ServiceName, SpanName, toDateTime(Timestamp), TraceId, SpanId, SpanKind"
LOGS_KEY = "toStartOfFiveMinutes(Timestamp), ServiceName, Timestamp, FuseboxNode, FuseboxOrdinal"
DAY = 86_400 * 10**9


class Native:
    """Reads a block: `columns` by name, each (type, values)."""

    def __init__(self, data):
        self.data, self.at = data, 0
        columns, self.count = self.varint(), self.varint()
        self.columns = {}
        for _ in range(columns):
            name, kind = self.text().decode(), self.text().decode()
            self.columns[name] = kind, self.values(kind, self.count)
        assert self.at == len(data), f"{len(data) - self.at} bytes behind the block"

    def varint(self):
        value = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def text(self):
        length = self.varint()
        self.at += length
        assert self.at <= len(self.data), "a text that is cut off"
        return bytes(self.data[self.at - length:self.at])

    def numbers(self, code, count):
        size = struct.calcsize(code)
        self.at += size * count
        return list(struct.unpack(f"<{count}{code}", self.data[self.at - size * count:self.at]))

    def values(self, kind, count):
        fixed = {"UInt8": "B", "UInt64": "Q", "Int64": "q", "DateTime64(9)": "q"}
        if kind in fixed:
            return self.numbers(fixed[kind], count)
        if kind == "String":
            return [self.text() for _ in range(count)]
        if kind.startswith("Nullable("):
            missing = self.numbers("B", count)
            return [None if gone else value for gone, value in zip(missing, self.values(kind[9:-1], count))]
        ends = self.numbers("Q", count)
        total = ends[-1] if ends else 0
        if kind.startswith("Array("):
            flat = self.values(kind[6:-1], total)
        elif kind == "Map(String, String)":
            keys = self.values("String", total)
            flat = list(zip(keys, self.values("String", total)))
        else:
            raise AssertionError(f"the type {kind} is not known")
        lists = [flat[start:end] for start, end in zip([0, *ends], ends)]
        return [dict(one) for one in lists] if kind.startswith("Map(") else lists

    @property
    def rows(self):
        names = list(self.columns)
        return [dict(zip(names, row)) for row in zip(*(values for _, values in self.columns.values()))]


def columns_of(ddl, table):
    """Names and types of a table's columns in a schema as text; nested ones by their parts."""
    text = ddl[ddl.index(f".{table}\n"):]
    text = text[:text.index("\nENGINE")]
    found = {}
    for name, rest in re.findall(r"^    `(\w+)` (.*?),?$", text, re.M):
        if rest.startswith("Nested"):
            for part in rest[rest.index("(") + 1:rest.index(") CODEC")].split(", `"):
                part, kind = part.strip("`").split("` ")
                found[f"{name}.{part}"] = f"Array({kind})"
        else:
            found[name] = re.split(r" (?:DEFAULT|CODEC)", rest)[0]
    return found


class Move:
    """What is done with an insert."""

    TAKE = "take"
    # The rows are there, and nobody says so.
    TAKE_AND_HANG_UP = "take and hang up"
    TAKE_AND_HALF = "take, and half an answer"
    HANG_UP = "hang up"


def error(code, status=500, text="DB::Exception: no"):
    """An answer as ClickHouse gives it."""
    return status, {"X-ClickHouse-Exception-Code": str(code)}, f"Code: {code}. {text}\n".encode()


class Engine:
    """`behave(rows, insert)` gives a `Move`, or (status, headers, body)."""

    def __init__(self, columns, behave=lambda rows, insert: Move.TAKE, port=0):
        self.behave = behave
        self.columns = columns
        self.engine = "ReplacingMergeTree"
        self.settings = list(SETTINGS)
        self.survey = None
        self.password = None
        self.lock = threading.Lock()
        self.inserts = []
        self.rows = {"otel_traces": {}, "otel_logs": {}}
        # How often a row came.
        self.times = {"otel_traces": {}, "otel_logs": {}}
        engine = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                parameters = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query, keep_blank_values=True))
                move = engine.handle(parameters, self.headers, body)
                if move in (Move.HANG_UP, Move.TAKE_AND_HANG_UP):
                    self.close_connection = True
                    return
                if move == Move.TAKE_AND_HALF:
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nX-ClickHouse-Query-Id: x\r\nContent-Le")
                    self.close_connection = True
                    return
                status, headers, answer = (200, {"X-ClickHouse-Summary": "{}"}, b"") if move == Move.TAKE else move
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                """Clients that are killed within a request are what tests are about."""

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def is_known(self, headers):
        if self.password is None:
            return True
        if headers["Authorization"]:
            return base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode() == f"writer:{self.password}"
        return (headers["X-ClickHouse-User"], headers["X-ClickHouse-Key"]) == ("writer", self.password)

    def handle(self, parameters, headers, body):
        if not self.is_known(headers):
            return error(516, 403, "DB::Exception: writer: Authentication failed")
        query = parameters["query"]
        if not query.startswith("INSERT"):
            return self.tell(query)
        database, table, names = re.fullmatch(r"INSERT INTO (\w+)\.(\w+) \((.*)\) FORMAT Native", query).groups()
        assert database == "otel"
        encoding = headers["Content-Encoding"]
        if encoding == "zstd":
            body = zstandard.ZstdDecompressor().decompress(body, max_output_size=256 << 20)
        elif encoding == "gzip":
            body = gzip.decompress(body)
        block = Native(body)
        assert list(block.columns) == re.findall(r"`([^`]+)`", names)
        rows = block.rows
        insert = {"table": table, "parameters": parameters, "headers": dict(headers), "body": body, "columns": block.columns, "rows": rows}
        move = self.behave(rows, insert)
        with self.lock:
            self.inserts.append(insert)
            if move in (Move.TAKE, Move.TAKE_AND_HANG_UP, Move.TAKE_AND_HALF):
                for row in rows:
                    key = identity(table, row)
                    self.rows[table][key] = row
                    self.times[table][key] = self.times[table].get(key, 0) + 1
        return move

    def tell(self, query):
        if self.survey:
            return self.survey
        table = re.search(r"name = '(\w+)'", query).group(1)
        lines = [f"table\t{table}\t{self.engine}\t{TRACES_KEY if table == 'otel_traces' else LOGS_KEY}"] if self.engine else []
        lines += [f"column\t{name}\t\t{kind}" for name, kind in self.columns[table].items()]
        lines += [f"setting\t{name}\t\t" for name in self.settings]
        return 200, {"X-ClickHouse-Format": "TabSeparated"}, ("\n".join(lines) + "\n").encode()

    def spans(self):
        """Rows of spans by their ids."""
        return {(row["TraceId"].decode(), row["SpanId"].decode()): row for row in self.rows["otel_traces"].values()}


def identity(table, row):
    """The table's key."""
    if table == "otel_traces":
        return tuple(row[name] for name in ("ServiceName", "SpanName", "TraceId", "SpanId", "SpanKind")) + (row["Timestamp"] // 10**9,)
    return row["ServiceName"], row["Timestamp"], row["FuseboxNode"], row["FuseboxOrdinal"]


def sorting(table, row):
    """What rows of an insert are sorted by."""
    if table == "otel_traces":
        return row["ServiceName"], row["SpanName"], row["Timestamp"] // 10**9, row["TraceId"], row["SpanId"]
    return row["Timestamp"] // (300 * 10**9), row["ServiceName"], row["Timestamp"], row["FuseboxNode"], row["FuseboxOrdinal"]
