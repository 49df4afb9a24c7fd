"""Who may come in, and what stays out: TLS, tokens, hosts, origins, redaction, slow clients."""

import base64
import http.client
import json
import random
import shutil
import socket
import ssl
import string
import threading
import time

import grpc
import pytest

from certificates import Authority
from doors import SERVICES, Json, Protobuf
from exposition import Metrics
from server import PROTOBUF, Fusebox, poll
from wire import Bare, attribute, batch, data, nested, post_head, span, trace_id


def made_token(fusebox_or_binary):
    made = fusebox_or_binary.run("token").stdout.decode().split()
    return made[1], made[3]


class Secured(Fusebox):
    """A server whose kit brings what it asks for: TLS settings and a token for reading."""

    context = None
    token = None

    def connect(self, timeout=60):
        if self.context is None:
            return super().connect(timeout)
        return http.client.HTTPSConnection("localhost", self.port, timeout=timeout, context=self.context)

    def request(self, method, path, body=None, headers=None, timeout=60):
        if self.token is not None:
            headers = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        return super().request(method, path, body, headers, timeout)


# A proxy that signs in


def test_a_proxys_user_counts_only_from_a_trusted_address(launch):
    plain = launch()
    (read, digest), (judge, judge_digest) = made_token(plain), made_token(plain)
    settings = {"FUSEBOX_READ_TOKENS": digest, "FUSEBOX_PROXY_USER_HEADER": "X-Forwarded-User"}
    ask = lambda server, path="/api/status", headers=None, method="GET", body=None: server.request(method, path, body, headers or {})
    named = {"X-Forwarded-User": "ann@example.com"}
    trusting = launch({**settings, "FUSEBOX_TRUSTED_PROXIES": "192.0.2.1,127.0.0.0/8"})
    answer = ask(trusting, headers=named)
    assert answer.status == 200 and json.loads(answer.body)["user"] == "ann@example.com"
    assert ask(trusting, headers={**named, "Host": "fusebox.example.com"}).status == 200
    assert ask(trusting).status == ask(trusting, headers={"X-Forwarded-User": ""}).status == 401
    assert json.loads(ask(trusting, headers={"Authorization": f"Bearer {read}"}).body)["user"] is None
    assert ask(trusting, "/metrics", headers=named).status == 200
    # A page of elsewhere cannot use the user's name either.
    assert ask(trusting, headers={**named, "Origin": "https://evil.example"}).status == 403
    trace = trace_id()
    assert trusting.post(batch(span(trace))).status == 200
    judgement = json.dumps([{"name": "quality", "trace_id": trace.hex(), "score": 1}]).encode()
    sent = ask(trusting, "/api/evals", {**named, "Content-Type": "application/json"}, "POST", judgement)
    assert sent.status == 200 and trusting.sql("SELECT annotator FROM evals") == [{"annotator": "ann@example.com"}]
    wary = launch({**settings, "FUSEBOX_TRUSTED_PROXIES": "192.0.2.1", "FUSEBOX_JUDGE_TOKENS": judge_digest})
    for headers in [named, {**named, "Authorization": f"Bearer {read}"}, {"x-forwarded-user": ""}]:
        for path in ["/api/status", "/metrics", "/", "/tempo/api/echo", "/api/nothing"]:
            assert ask(wary, path, headers).status == 403, (path, headers)
    assert ask(wary, headers={"Authorization": f"Bearer {read}"}).status == 200
    judging = launch({**settings, "FUSEBOX_TRUSTED_PROXIES": "127.0.0.1", "FUSEBOX_JUDGE_TOKENS": judge_digest})
    assert ask(judging, "/api/evals", {**named, "Content-Type": "application/json"}, "POST", judgement).status == 401
    assert ask(judging, "/api/evals", {**named, "Content-Type": "application/json", "Authorization": f"Bearer {judge}"}, "POST", judgement).status == 200


@pytest.mark.parametrize("settings", [{"FUSEBOX_PROXY_USER_HEADER": "X-User"}, {"FUSEBOX_TRUSTED_PROXIES": "127.0.0.1"}, {"FUSEBOX_PROXY_USER_HEADER": "a b", "FUSEBOX_TRUSTED_PROXIES": "127.0.0.1"},
                                      {"FUSEBOX_PROXY_USER_HEADER": "Authorization", "FUSEBOX_TRUSTED_PROXIES": "127.0.0.1"}, {"FUSEBOX_PROXY_USER_HEADER": "X-User", "FUSEBOX_TRUSTED_PROXIES": "proxy.local"}])
def test_a_proxy_without_an_address_or_a_name_is_refused(binary, tmp_path, settings):
    done = Fusebox(binary, tmp_path / "data", settings).run("serve", "--data-dir", str(tmp_path / "data"), "--http-port", "0", timeout=20)
    assert done.returncode != 0 and b"auth." in done.stderr, done


# Tokens


def test_roles(launch):
    plain = launch()
    ingest, ingest_digest = made_token(plain)
    read, read_digest = made_token(plain)
    assert ingest != read and ingest.startswith("fbx_") and len(ingest) == 68
    server = launch({"FUSEBOX_INGEST_TOKENS": ingest_digest, "FUSEBOX_READ_TOKENS": f"{read_digest}"})
    body = batch(span())

    def status(method, path, token, body=None):
        headers = {"Content-Type": PROTOBUF}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return server.request(method, path, body, headers).status
    for path in "/v1/traces", "/v1/metrics", "/v1/logs":
        assert [status("POST", path, token, b"") for token in (ingest, read, "wrong", None)] == [200, 403, 401, 401]
    # The page's files are for everybody: a browser needs them to ask for a token, and they tell nothing.
    assert [status("GET", "/", token) for token in (ingest, read, "wrong", None)] == [200, 200, 200, 200]
    for path in "/metrics", "/api/status":
        assert [status("GET", path, token) for token in (ingest, read, "wrong", None)] == [403, 200, 401, 401]
    for path in "/-/healthy", "/-/ready":
        assert status("GET", path, None) == 200
    assert status("POST", "/v1/traces", ingest, body) == 200
    # Nothing of a token is kept or shown.
    shown = server.run("config", "print").stdout.decode()
    assert "FUSEBOX_INGEST_TOKENS" in shown
    for secret in ingest, read, ingest_digest[7:], read_digest[7:]:
        assert secret not in shown
    for path in server.folder.iterdir():
        if path.is_file():
            assert ingest.encode() not in path.read_bytes()


def test_a_token_itself_is_refused_and_not_repeated(launch):
    server = launch()
    done = server.run("config", "check", "--data-dir", str(server.folder))
    assert done.returncode == 0
    server.environment["FUSEBOX_INGEST_TOKENS"] = "hunter2-in-the-clear"
    done = server.run("config", "check")
    assert done.returncode == 2
    assert b"fusebox token" in done.stderr and b"hunter2" not in done.stderr + done.stdout


def test_listening_beyond_loopback_needs_tokens(launch, binary, tmp_path):
    plain = launch()
    _, digest = made_token(plain)

    def run(**environment):
        server = Fusebox(binary, tmp_path / "beyond", environment)
        return server.run("serve", "--listen", "0.0.0.0", "--http-port", "0", timeout=20)
    for environment in {}, {"FUSEBOX_INGEST_TOKENS": digest}, {"FUSEBOX_READ_TOKENS": digest}:
        done = run(**environment)
        assert done.returncode == 2 and b"auth." in done.stderr, done
    server = launch({"FUSEBOX_INGEST_TOKENS": digest, "FUSEBOX_READ_TOKENS": digest}, ["--listen", "0.0.0.0"])
    assert server.get("/metrics").status == 401


# TLS


@pytest.fixture
def authority(tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    folder = tmp_path / "certificates"
    folder.mkdir()
    return Authority(folder, "authority")


def start_with_tls(binary, folder, environment, context):
    server = Secured(binary, folder, environment)
    server.context = context
    return server.start()


def serial(port, context):
    with socket.create_connection(("127.0.0.1", port)) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as secured:
            return int(secured.getpeercert()["serialNumber"], 16)


def test_tls_and_new_certificates(binary, tmp_path, authority):
    certificate, key = authority.issue("server", 1001)
    context = ssl.create_default_context(cafile=authority.certificate)
    server = start_with_tls(binary, tmp_path / "data", {
        "FUSEBOX_TLS_CERTIFICATE": str(certificate), "FUSEBOX_TLS_PRIVATE_KEY": str(key)}, context)
    try:
        trace = trace_id()
        assert server.post(batch(span(trace))).status == 200
        credentials = grpc.ssl_channel_credentials(authority.certificate.read_bytes())
        with grpc.secure_channel(f"localhost:{server.grpc_port}", credentials) as channel:
            channel.unary_unary(SERVICES["traces"])(batch(span(trace)), timeout=20)
        assert len(server.sql("SELECT * FROM spans")) == 2
        # Plain HTTP gets nothing.
        with Bare(server.port) as bare:
            bare.send(post_head(0))
            assert bare.is_closed(15)
        assert serial(server.port, context) == 1001
        # A damaged file changes nothing; a new pair is used without a restart.
        good = certificate.read_text()
        certificate.write_text("nonsense")
        poll("the damage is logged", lambda: "cannot be used" in server.stderr, 20)
        assert serial(server.port, context) == 1001
        certificate.write_text(good)
        authority.issue("server", 1002)
        poll("the new certificate", lambda: serial(server.port, context) == 1002, 20)
    finally:
        server.stop()


def test_mutual_tls(binary, tmp_path, authority):
    certificate, key = authority.issue("server", 1)
    clients = Authority(authority.folder, "clients")
    client_certificate, client_key = clients.issue("client", 2)
    foreign_certificate, foreign_key = authority.issue("foreign", 3)

    def context(certificate=None, key=None):
        made = ssl.create_default_context(cafile=authority.certificate)
        if certificate:
            made.load_cert_chain(certificate, key)
        return made
    server = start_with_tls(binary, tmp_path / "data", {
        "FUSEBOX_TLS_CERTIFICATE": str(certificate), "FUSEBOX_TLS_PRIVATE_KEY": str(key),
        "FUSEBOX_TLS_CLIENT_CA": str(clients.certificate)}, context(client_certificate, client_key))
    try:
        assert server.post(batch(span())).status == 200
        for other in context(), context(foreign_certificate, foreign_key):
            server.context = other
            with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
                server.post(batch(span()))
        server.context = context(client_certificate, client_key)
        assert len(server.sql("SELECT * FROM spans")) == 1
    finally:
        server.stop()


def test_tls_files_that_cannot_be_used(launch, binary, tmp_path):
    server = Fusebox(binary, tmp_path / "data", {"FUSEBOX_TLS_CERTIFICATE": "/nowhere.pem", "FUSEBOX_TLS_PRIVATE_KEY": "/nowhere.key"})
    done = server.run("serve", "--http-port", "0", timeout=20)
    assert done.returncode == 2 and b"/nowhere.pem" in done.stderr
    server = Fusebox(binary, tmp_path / "data", {"FUSEBOX_TLS_CERTIFICATE": "/nowhere.pem"})
    assert b"tls.private_key" in server.run("serve", timeout=20).stderr


# Browsers


@pytest.mark.parametrize("host, status", [
    ("localhost:1", 200), ("127.0.0.1", 200), ("[::1]:4318", 200), ("a.localhost", 200), ("fusebox.test:80", 200), ("evil.com", 421),
    ("evil.com:4318", 421), ("127.0.0.1.evil.com", 421), ("localhost.evil.com", 421), ("plain", 421), ("", 421), ("127.0.0.256", 421),
])
def test_hosts(launch, host, status, request):
    server = request.getfixturevalue("guarded")
    for path in "/metrics", "/":
        answer = server.request("GET", path, headers={"Host": host})
        # Some are refused as no HTTP at all.
        assert answer.status in ({status} if status == 200 else {status, 400}), answer
    # Exporters reach us by whatever name, pages do not.
    if host:
        assert server.post(batch(span()), headers={"Host": host}).status == 200
        origin = server.post(batch(span()), headers={"Host": host, "Origin": f"http://{host}"})
        assert origin.status == status, origin


@pytest.fixture(scope="module")
def guarded(binary, tmp_path_factory):
    server = Fusebox(binary, tmp_path_factory.mktemp("guarded") / "data", {"FUSEBOX_ALLOWED_HOSTS": "fusebox.test"}).start()
    yield server
    server.stop()


@pytest.mark.parametrize("headers, status", [
    ({}, 200), ({"Origin": "http://evil.com"}, 403), ({"Origin": "null"}, 403), ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-origin"}, 200), ({"Sec-Fetch-Site": "none"}, 200),
    ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200), ({"Origin": "http://localhost:1", "Host": "localhost:1"}, 200),
    ({"Origin": "http://localhost:2", "Host": "localhost:1"}, 403),
])
def test_origins(guarded, headers, status):
    answer = guarded.request("GET", "/metrics", headers=headers)
    assert answer.status == status, answer
    assert answer.headers["Access-Control-Allow-Origin"] is None


def test_security_headers(guarded):
    for path in "/", "/metrics", "/nowhere", "/-/healthy":
        headers = guarded.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["Referrer-Policy"] == "no-referrer"


# Redaction


def secrets(count, seed=11):
    """Secrets of many kinds, none like another."""
    choose = random.Random(seed)
    letters = string.ascii_letters + string.digits

    def text(length, alphabet=letters):
        return "".join(choose.choice(alphabet) for _ in range(length))
    kinds = [
        lambda: f"{text(8)}@{text(9)}.example", lambda: "sk-proj-" + text(40), lambda: "AKIA" + text(16), lambda: "ghp_" + text(36),
        lambda: f"eyJ{text(20)}.{text(30)}.{text(30)}", lambda: "4" + text(15, string.digits),
        lambda: "-".join("5" + text(3, "12345") if index == 0 else text(4, string.digits) for index in range(4)),
        lambda: "CUSTOMER-" + text(12, string.digits),
    ]
    return [choose.choice(kinds)() for _ in range(count)]


SECRET_FIELDS = 20


def secretive(some, hidden):
    """A request with one span that has a secret in each of its fields, and one behind a key whose values are hidden."""
    say = [f"look: {secret} ends" for secret in some]
    event = data(11, data(2, say[0]) + data(3, attribute("exception.message", say[1])) + data(3, attribute(say[2], True)))
    link = data(13, data(1, b"\1" * 16) + data(2, b"\1" * 8) + data(3, say[3]) + data(4, attribute("k", say[4])))
    status = data(15, data(2, say[5]))
    one = span(name=say[6], attributes=[
        ("gen_ai.prompt", say[7]), ("bytes", data(7, say[8])), (say[9], 1), ("nested", nested(3, data(1, say[10]))),
        ("map", data(6, data(1, attribute(say[11], say[12])))), ("db.password", hidden), ("tool_name", some[13]),
        ("workflow_name", some[14])], extra=event + link + status + data(3, some[15]))
    resource = data(1, data(1, attribute("service.name", say[16])) + data(1, attribute("owner", some[17])))
    scope = data(1, data(1, say[18]) + data(2, some[19]) + data(3, attribute("db.password", hidden)))
    return data(1, resource + data(2, scope + data(2, one) + data(3, f"https://schema/{some[18]}")) + data(3, f"https://schema/{some[16]}"))


def test_seeded_secrets_are_nowhere(launch):
    server = launch({
        "FUSEBOX_REDACT_DETECTORS": "email,card,jwt,api_key,bearer,assignment", "FUSEBOX_REDACT_PATTERNS": r"CUSTOMER-\d+",
        "FUSEBOX_REDACT_KEYS": "*.password,card_number"})
    seeded = secrets(500)
    hidden = ["plain secret %d of a key" % index for index in range(40)]
    requests = [secretive(seeded[start:start + SECRET_FIELDS], hidden[start // SECRET_FIELDS]) for start in range(0, 500, SECRET_FIELDS)]
    doors = [Protobuf(server), Json(server)]
    for index, request in enumerate(requests):
        assert doors[index % 2].send_batch(request).status == 200
    found = server.sql("SELECT * FROM spans")
    shown = str(found) + server.get("/metrics").body.decode()
    assert len(found) == len(requests) and "[redacted]" in shown and "look: [redacted] ends" in shown
    files = {path: path.read_bytes() for path in server.folder.rglob("*") if path.is_file()}
    server.stop()
    files |= {path: path.read_bytes() for path in server.folder.rglob("*") if path.is_file()}
    assert files
    # The files are compressed: what they hold is also looked for in all that can be read from them.
    exported = str(Fusebox(server.binary, server.folder).sql("SELECT * FROM spans"))
    for form in "otlp-json", "sqlite":
        path = server.folder.parent / f"secrets.{form}"
        assert server.run("export", "--data-dir", str(server.folder), "--format", form, str(path)).returncode == 0
        files[path] = path.read_bytes()
    for secret in seeded + hidden:
        assert secret not in shown and secret not in exported
        # Bytes are shown so.
        coded = base64.b64encode(f"look: {secret} ends".encode()).decode()
        assert coded not in exported
        assert not [path for path, content in files.items() if secret.encode() in content], secret


def test_redaction_that_is_none(launch):
    server = launch()
    for name, value in ("FUSEBOX_REDACT_PATTERNS", "(a"), ("FUSEBOX_REDACT_DETECTORS", "nonsense"):
        server.environment[name] = value
        done = server.run("config", "check")
        del server.environment[name]
        assert done.returncode == 2 and b"redaction" in done.stderr or name.encode() in done.stderr, done


# Slow clients


def test_many_slow_clients(launch):
    server = launch()
    body = batch(span())
    slow = []
    for _ in range(500):
        bare = Bare(server.port)
        bare.send(post_head(100_000)[:-2] if len(slow) % 2 else post_head(100_000) + b"x")
        slow.append(bare)
    took = []
    good = 0
    for _ in range(200):
        started = time.monotonic()
        good += server.post(body, timeout=10).status == 200
        took.append(time.monotonic() - started)
    assert good >= 180, good
    assert sorted(took)[100] < 1
    poll("their connections end", lambda: server.metrics().value("fusebox_open_connections") < 10, 60)
    for bare in slow:
        bare.close()
    poll("no request left over", lambda: server.metrics().value("fusebox_ingest_inflight_requests") == 0)
    assert server.post(body).status == 200


def test_few_file_descriptors(binary, tmp_path):
    """Past the connections that the process may hold, new ones are closed; those that are open are served."""
    import resource
    server = Fusebox(binary, tmp_path / "data")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (96, limits[1]))
    server.environment["FUSEBOX_CONNECTIONS_MAX"] = "20"
    try:
        server.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    held = [Bare(server.port) for _ in range(100)]
    try:
        body = batch(span())

        def ask(request):
            """An answer on one of the connections that were let in: two threads let them in, so it need not be the first."""
            while True:
                assert held, "no connection is served"
                try:
                    held[0].send(request)
                    answer = held[0].answer()
                except OSError:
                    answer = None
                if answer is not None:
                    return answer
                held.pop(0).close()

        def refused():
            answer = ask(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return Metrics(answer.body.decode()).value("fusebox_connections_refused_total") >= 75
        poll("the rest is refused", refused)
        assert ask(post_head(len(body)) + body).status == 200
    finally:
        for bare in held:
            bare.close()

    def serves():
        try:
            return server.metrics().value("fusebox_open_connections") < 5
        except ConnectionError:
            # Those that were held may not all be gone.
            return False
    poll("it serves again", serves)
    assert server.post(batch(span())).status == 200
    server.stop()
