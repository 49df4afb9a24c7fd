"""The real engine behind an HTTP door: run by a Python that has the package chdb-core, with a folder and a port.

Only what a client that inserts and asks needs: a statement and its settings in the query string, a body that may be compressed, error codes.
"""

import http.server
import json
import os
import re
import sys
import tempfile
import threading
import urllib.parse

from chdb import session

STATUS = {516: 403, 192: 403, 497: 403, 60: 404, 81: 404, 16: 404, 47: 404, 62: 400, 27: 400, 33: 400, 117: 400, 6: 400, 53: 400, 159: 408}
# Parameters that are HTTP's own, and no settings of the engine.
OF_HTTP = {"query", "query_id", "database", "user", "password", "wait_end_of_query", "default_format"}


def main():
    folder, port = sys.argv[1], int(sys.argv[2])
    engine = session.Session(folder)
    lock = threading.Lock()

    def insert(statement, settings, body, encoding):
        head, form = re.fullmatch(r"(?s)(INSERT INTO .*?) FORMAT (\w+)\s*", statement).groups()
        # From a file: what is streamed in loses the errors of the table that it goes to.
        with tempfile.NamedTemporaryFile(dir=folder + ".bodies") as file:
            file.write(body)
            file.flush()
            said = ", ".join(f"{name} = '{value}'" for name, value in settings.items())
            engine.query(f"{head} FROM INFILE '{file.name}' COMPRESSION '{encoding or 'none'}'" + (f" SETTINGS {said}" if said else "") + f" FORMAT {form}")
        return b""

    def ask(statement, parameters):
        """What a client that reads says goes along: the database, settings, values of parameters, the format."""
        settings = {name: value for name, value in parameters.items() if name not in OF_HTTP and not name.startswith("param_")}
        values = {name[len("param_"):]: value for name, value in parameters.items() if name.startswith("param_")}
        statement = statement.rstrip().rstrip(";")
        named = re.search(r"(?i)\bFORMAT\s+(\w+)\s*$", statement)
        form = named.group(1) if named else parameters.get("default_format", "TabSeparated")
        text = statement[:named.start()] if named else statement
        if settings:
            text += "\n" + ("," if re.search(r"(?i)\bSETTINGS\b", text) else "SETTINGS ") + ", ".join(f"{name} = '{value}'" for name, value in settings.items())
        engine.query(f"USE {parameters.get('database', 'default')}")
        try:
            return engine.query(text, form, params=values).bytes() or b"", form
        except Exception:
            # What it had written before it failed would come before the next answer.
            engine.query("SELECT 1")
            raise
        finally:
            engine.query("USE default")

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_GET(self):
            self.answer(200, b"Ok.\n")

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parameters = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query, keep_blank_values=True))
            statement = parameters.get("query") or body.decode()
            settings = {name: value for name, value in parameters.items() if name not in OF_HTTP}
            try:
                with lock:
                    if statement.startswith("INSERT INTO") and " FORMAT Native" in statement:
                        found = insert(statement, settings, body, self.headers.get("Content-Encoding"))
                        form = "Null"
                    else:
                        found, form = ask(statement, parameters)
                self.answer(200, found, {"X-ClickHouse-Summary": json.dumps({"written_rows": "0"}), "X-ClickHouse-Format": form})
            except Exception as problem:
                text = str(problem)
                code = int(next(iter(re.findall(r"Code: (\d+)\.", text)), 1002))
                self.answer(STATUS.get(code, 500), text[text.find("Code:"):].encode() + b"\n", {"X-ClickHouse-Exception-Code": str(code)})

        def answer(self, status, body, headers=None):
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    os.makedirs(folder + ".bodies", exist_ok=True)
    http.server.ThreadingHTTPServer.allow_reuse_address = True
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    print("ready", flush=True)
    server.serve_forever()


main()
