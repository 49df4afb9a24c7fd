"""Projects: a filter that every question keeps, and tokens that read one project and nothing else, whichever door they try."""

import http.client
import json
import re
import urllib.parse

import pytest

import wire
from conftest import ROOT
from server import Fusebox, poll
from test_page_life import SECOND, now
from test_security import made_token

JSON = {"Content-Type": "application/json"}
# What may never be told to who reads "own" alone. The names of both stand in everything that a span and a log record can say.
SECRET = "gehEim"
PATHS = json.loads((ROOT / "docs/openapi.json").read_text())["paths"]


def load(server, service, mark, attribute=()):
    """A run with a model call, a tool that times out and opens its breaker, a log record, an eval; gives the trace and the root."""
    trace, root, call = wire.trace_id(), wire.span_id(), wire.span_id()
    at = now(server) - 300 * SECOND
    tool = lambda index: wire.span(trace, wire.span_id(), f"{mark} tool", start=at + index, end=at + 2 * SECOND, parent=root,
                                   attributes=[("tool_name", f"{mark}-tool"), ("error.type", "timeout"), ("breaker_state", "open")], extra=wire.data(15, wire.number(3, 2)))
    spans = [
        wire.span(trace, root, f"{mark} run", start=at, end=at + 9 * SECOND, attributes=[("workflow_name", f"{mark}-flow"), ("session.id", f"{mark}-session"), ("user.id", f"{mark}-user"), ("eval_id", f"{mark}-eval"), (f"{mark}-key", f"{mark} value")]),
        wire.span(trace, call, f"{mark} chat", start=at + 1, end=at + SECOND, parent=root, attributes=[("gen_ai.operation.name", "chat"), ("gen_ai.request.model", f"{mark}-model"), ("gen_ai.usage.input_tokens", 100), ("gen_ai.usage.output_tokens", 10), ("input.value", f"{mark} question"), ("output.value", f"{mark} answer")]),
        *[tool(index) for index in range(6)]]
    resource = [("service.name", service), *attribute]
    assert server.post(wire.batch(*spans, resource=resource)).status == 200
    return trace.hex(), root.hex()


@pytest.fixture(scope="module", params=["service.name", "team.project"])
def shared(request, binary, tmp_path_factory):
    """A server with two projects and its tokens: by service, or by an attribute of the resource, one service for both."""
    folder = tmp_path_factory.mktemp("projects")
    plain = Fusebox(binary, folder / "plain")
    tokens = {name: made_token(plain) for name in ("all", "own", "other", "send")}
    by_service = request.param == "service.name"
    server = Fusebox(binary, folder / "data", {
        "BREAKER_SETTLE_S": "1", "FUSEBOX_READ_TOKENS": tokens["all"][1], "FUSEBOX_PROJECT_TOKENS": f"own={tokens['own'][1]},{SECRET}={tokens['other'][1]}",
        "FUSEBOX_PROJECT_ATTRIBUTE": request.param}).start()
    server.tokens = {name: token for name, (token, _) in tokens.items()}
    server.by_service = by_service
    server.traces = {}
    get = server.get
    server.get = lambda path: server.request("GET", path, headers={"Authorization": f"Bearer {server.tokens['all']}"})
    for project, mark in [("own", "mine"), (SECRET, SECRET)]:
        service = project if by_service else "one-service"
        server.traces[project] = load(server, service, mark, [] if by_service else [("team.project", project)])
        body = log_batch(service, project, by_service, mark, server.traces[project])
        assert server.request("POST", "/v1/logs", body, JSON).status == 200
        judged = json.dumps([{"name": f"{mark}-quality", "trace_id": server.traces[project][0], "score": 0.5, "explanation": f"{mark} because"}]).encode()
        assert server.request("POST", "/api/evals", judged, {**JSON, "Authorization": f"Bearer {server.tokens['all']}"}).status == 200
    # A trace that both work on.
    trace, root = wire.trace_id(), wire.span_id()
    at = now(server) - 200 * SECOND
    for project, span in [(SECRET, wire.span(trace, root, f"{SECRET} root", start=at, end=at + SECOND, attributes=[("workflow_name", f"{SECRET}-flow"), ("session.id", f"{SECRET}-session")])),
                          ("own", wire.span(trace, wire.span_id(), "mine below", start=at + 1, end=at + SECOND, parent=root, attributes=[("tool_name", "mine-tool")]))]:
        resource = [("service.name", project)] if by_service else [("service.name", "one-service"), ("team.project", project)]
        assert server.post(wire.batch(span, resource=resource)).status == 200
    server.traces["both"] = (trace.hex(), root.hex())
    yield server
    server.get = get
    server.stop()


def log_batch(service, project, by_service, mark, ids):
    attributes = [{"key": "service.name", "value": {"stringValue": service}}, *([] if by_service else [{"key": "team.project", "value": {"stringValue": project}}])]
    record = {"timeUnixNano": "1795000000000000000", "severityNumber": 17, "severityText": "ERROR", "body": {"stringValue": f"{mark} log line"}, "traceId": ids[0], "spanId": ids[1],
              "attributes": [{"key": "event.name", "value": {"stringValue": f"{mark}.event"}}]}
    return json.dumps({"resourceLogs": [{"resource": {"attributes": attributes}, "scopeLogs": [{"logRecords": [record]}]}]}).encode()


def ask(server, path, who="all", method="GET", body=None, headers=None):
    return server.request(method, path, body, {"Authorization": f"Bearer {server.tokens[who]}", **(headers or {})})


def doors(server):
    """Every question that the server answers, about both projects where ids or names can be given: method, path, body, header fields."""
    ids = [*server.traces.values()]
    names = {"id": [f"{mark}-{kind}" for mark in ("mine", SECRET) for kind in ("session", "user")], "q": [SECRET, "mine"], "column": ["service_name", "workflow_name", "tool_name", "model", "name"],
             "service": [SECRET, "own", "one-service"], "key": [f"{SECRET}-key", "mine-key"], "session": [f"{SECRET}-session"], "user": [f"{SECRET}-user"], "name": [f"{SECRET}-quality", "mine-quality"], "of": ["span", "session"], "format": ["csv"], "a": [f"{SECRET}-run"], "attribute": [f"{SECRET}-key={SECRET} value"], "trace_id": [one for one, _ in ids]}
    found = []
    for path, methods in PATHS.items():
        if path in ("/api/sign-in", "/api/sign-out", "/api/tail"):
            continue
        filled = [path]
        if "{trace_id}" in path:
            filled = [path.replace("{trace_id}", trace).replace("{span_id}", span) for trace, span in ids]
        filled = [one.replace("{text}", text) for one in filled for text in ([trace[:8] for trace, _ in ids] + [ids[1][1]] if "{text}" in one else [""])]
        for method, description in methods.items():
            for one in filled:
                if method == "post":
                    found.append(("POST", one, f"SELECT * FROM spans, logs LIMIT 5" if "sql" in one else json.dumps([{"name": "x", "trace_id": ids[0][0], "score": 1}]), {"Content-Type": "application/sql"} if "sql" in one else JSON))
                    continue
                parameters = [parameter["name"] for parameter in description.get("parameters", [])]
                queries = [{}, *[{name: value} for name in parameters for value in names.get(name, [])]]
                if "attributes" in parameters:
                    queries.append({"attributes": "true"})
                if "preview" in parameters:
                    queries.append({"preview": "true"})
                found += [("GET", one + "?" + urllib.parse.urlencode(query), None, {}) for query in queries]
    for trace, span in ids:
        found += [("GET", f"/tempo/api/traces/{trace}", None, {"Accept": kind}) for kind in ("application/json", "application/protobuf")]
        found += [("GET", f"/tempo/api/v2/traces/{trace}", None, {"Accept": "application/protobuf"}), ("GET", f"/jaeger/api/traces/{trace}", None, {}), ("GET", f"/jaeger/api/v3/traces/{trace}", None, {})]
    q = urllib.parse.quote
    window = "start=0&end=4000000000"
    found += [("GET", path, None, {}) for path in [
        "/metrics", "/tempo/api/search?limit=100", f"/tempo/api/search?q={q('{}')}&{window}", "/tempo/api/v2/search/tags", "/tempo/api/search/tags", "/tempo/api/v2/search/tag/name/values", "/tempo/api/v2/search/tag/resource.service.name/values",
        f"/tempo/api/v2/search/tag/{q('span.' + SECRET + '-key')}/values", f"/tempo/api/metrics/query_range?q={q('{} | rate() by (name)')}&{window}&step=1000000", "/jaeger/api/services", f"/jaeger/api/services/{SECRET}/operations", "/jaeger/api/services/one-service/operations",
        f"/jaeger/api/traces?service={SECRET}&start=0&end=4000000000000000&lookback=custom", "/jaeger/api/traces?service=one-service&start=0&end=4000000000000000&lookback=custom", "/jaeger/api/traces?service=own&start=0&end=4000000000000000&lookback=custom", "/jaeger/api/dependencies?endTs=4000000000000&lookback=4000000000000", "/jaeger/api/v3/services", f"/jaeger/api/v3/operations?service={SECRET}",
        "/jaeger/api/v3/operations?service=one-service", f"/jaeger/api/v3/traces?query.service_name={SECRET}&query.start_time_min=1970-01-01T00:00:00Z&query.start_time_max=2090-01-01T00:00:00Z", "/jaeger/api/v3/dependencies",
        f"/loki/api/v1/query_range?query={q('{service_name=~' + chr(34) + '.+' + chr(34) + '}')}&start=0&end=4000000000000000000&limit=100", "/loki/api/v1/labels?start=0&end=4000000000000000000", "/loki/api/v1/label/service_name/values?start=0&end=4000000000000000000",
        f"/loki/api/v1/index/volume?query={q('{service_name=~' + chr(34) + '.+' + chr(34) + '}')}&start=0&end=4000000000000000000", "/api/nothing"]]
    found += [("GET", f"/api/judging?of={of}&name={name}", None, {}) for of in ("trace", "span", "session") for name in (f"{SECRET}-quality", "mine-quality", "none")]
    calls = ["search_traces", "run_sql", "list_breakers", "costs", "stalls"]
    found += [("POST", "/mcp", json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": {}}}), {**JSON, "Accept": "application/json"}) for name in calls]
    return found


def test_a_limited_token_reads_nothing_of_others_at_any_door(shared):
    told, refused = set(), set()
    for method, path, body, headers in doors(shared):
        answer = ask(shared, path, "own", method, body.encode() if body else None, headers)
        asked = path + (body or "")
        # What the question itself says may be repeated by a refusal or as the id that was asked for.
        text = answer.body.decode("utf-8", "replace")
        if answer.status == 403:
            assert "this token" in text, (path, text)
            refused.add(path.split("?")[0])
            continue
        assert answer.status in (200, 400, 404), (method, path, answer)
        for secret in (SECRET, *shared.traces[SECRET]):
            if secret in asked:
                # A list by another's name is empty, or an error.
                text = text.replace(f'"session_id":"{SECRET}-session"', "").replace(f'"trace_id":"{secret}"', "") if answer.status == 200 else ""
            assert secret not in text, (method, path, text[:2000])
        if answer.status == 200 and "mine" in text:
            told.add(re.sub(r"[0-9a-f]{16,32}", "ID", path.split("?")[0]))
    assert {"/metrics", "/mcp", "/api/sql", "/api/gates", "/api/stalls", "/api/gateway", "/api/forward", "/api/evals"} <= refused | {"/api/evals"}
    # Its own project it reads, at every door that tells of one.
    assert {"/api/traces", "/api/traces/ID", "/api/traces/ID/spans/ID", "/api/traces/ID/messages", "/api/sessions", "/api/users", "/api/workflows", "/api/tools", "/api/values", "/api/costs", "/api/evals", "/api/judging", "/api/logs", "/api/attributes",
            "/api/session", "/tempo/api/search", "/tempo/api/traces/ID", "/jaeger/api/traces", "/jaeger/api/traces/ID", "/loki/api/v1/query_range"} <= told, told


def test_the_doors_of_the_test_do_tell_who_may_read_all(shared):
    """What the limited token is not told is there: else the test above would hold for an empty store."""
    told = set()
    for method, path, body, headers in doors(shared):
        if method == "GET" and SECRET in ask(shared, path, "all", method, None, headers).body.decode("utf-8", "replace"):
            told.add(re.sub(r"[0-9a-f]{16,32}", "ID", path.split("?")[0]))
    assert {"/api/traces", "/api/traces/ID", "/api/sessions", "/api/users", "/api/workflows", "/api/tools", "/api/values", "/api/costs", "/api/evals", "/api/logs", "/api/attributes", "/api/breakers", "/metrics", "/tempo/api/search",
            "/tempo/api/traces/ID", "/jaeger/api/traces", "/loki/api/v1/query_range"} <= told, told


def test_a_limited_token_sends_judges_and_asks_of_others_in_vain(shared):
    assert ask(shared, "/api/traces?project=own", "own").status == 200
    answer = ask(shared, f"/api/traces?project={SECRET}", "own")
    assert answer.status == 403 and "alone" in json.loads(answer.body)["detail"]
    assert ask(shared, "/api/evals", "own", "POST", b'[{"name":"x","score":1}]', JSON).status == 403
    status = json.loads(ask(shared, "/api/status", "own").body)
    assert status["project"] == "own" and status["span_count"] is None
    assert json.loads(ask(shared, "/api/projects", "own").body) == [{"project": "own", "span_count": 9}]
    assert shared.request("GET", "/api/traces", headers={"Authorization": "Bearer "}).status == shared.request("GET", "/api/traces").status == 401
    if shared.by_service:
        found = poll("its breaker to open", lambda: (one := json.loads(ask(shared, "/api/breakers", "own").body))["transitions"] and one)
        assert {one["service_name"] for name in ("breakers", "transitions", "openings", "timeouts") for one in found[name]} == {"own"} and found["transitions"]
    else:
        assert ask(shared, "/api/breakers", "own").status == 403


def test_a_project_is_a_filter_for_who_may_read_all(shared):
    def names(path):
        found = json.loads(ask(shared, path).body)
        return {one["name"] for one in found["traces"]}
    assert names("/api/traces?project=own") == {"mine run", "mine below"}
    assert names(f"/api/traces?project={SECRET}") == {f"{SECRET} run", f"{SECRET} root"}
    projects = json.loads(ask(shared, "/api/projects").body)
    assert {one["project"] for one in projects} == {"own", SECRET}
    overview = lambda project: json.loads(ask(shared, f"/api/overview?project={project}").body)["totals"]
    everything = json.loads(ask(shared, "/api/overview").body)["totals"]
    for figure in ("spans", "tokens", "timeouts", "runs"):
        assert overview("own")[figure] + overview(SECRET)[figure] == everything[figure] > 0, figure
    sql = ask(shared, "/api/sql?project=own", "all", "POST", b"SELECT count(*) AS n FROM spans", {"Content-Type": "application/sql"})
    assert json.loads(sql.body)["rows"] == [[overview("own")["spans"]]]
    assert ask(shared, "/api/gates?project=own").status == 400
    assert json.loads(ask(shared, "/api/traces?project=nobody").body)["traces"] == []


def test_an_answer_from_before_signing_in_does_not_ask_again(shared, tab):
    page = tab(shared)
    # The first answer, that a token is needed, arrives when the traces are asked for with one.
    page.tab.add_init_script("""
        const real = fetch; let first = true; let release = null;
        window.fetch = async (path, ...rest) => {
          if (String(path).startsWith("/api/traces") && release) { release(); await new Promise((done) => setTimeout(done, 50)); }
          const answer = await real(path, ...rest);
          if (first && path === "/api/status") { first = false; await new Promise((done) => { release = done; }); }
          return answer;
        };""")
    page.tab.goto(f"{shared.url}/#/traces")
    page.tab.wait_for_selector("form.signin")
    page.tab.fill("form.signin input", shared.tokens["all"])
    page.tab.keyboard.press("Enter")
    page.tab.wait_for_selector("a.trace-row")
    assert page.tab.locator("form.signin").count() == 0


def test_the_page_keeps_the_project(shared, tab):
    page = tab(shared)
    page.tab.goto(f"{shared.url}/#/traces")
    page.tab.wait_for_selector("form.signin")
    page.tab.fill("form.signin input", shared.tokens["all"])
    page.tab.keyboard.press("Enter")
    page.tab.wait_for_selector("a.trace-row")
    assert SECRET in page.text()
    page.tab.wait_for_selector("#project select")
    page.tab.select_option("#project select", "own")
    poll("its traces", lambda: SECRET not in page.text(".rows") and page.tab.locator("a.trace-row").count() == 2)
    for name in ["Overview", "Sessions", "Users", "Fuse board", "SQL", "Traces"]:
        page.tab.get_by_role("link", name=name, exact=True).click()
        page.tab.wait_for_url(re.compile("project=own"))
    page.tab.locator("a.trace-row").filter(has_text="mine run").click()
    page.tab.wait_for_url(re.compile("trace/.*project=own"))
    page.tab.select_option("#project select", SECRET)
    page.tab.wait_for_url(re.compile(f"traces.*project={SECRET}"))
    poll("the other's traces", lambda: "mine" not in page.text(".rows") and page.tab.locator("a.trace-row").count() == 2)
    page.tab.select_option("#project select", "")
    poll("all traces", lambda: page.tab.locator("a.trace-row").count() == 3)
    assert "project" not in page.tab.url


def test_a_browser_that_signed_in_with_a_limited_token_sees_one_project(shared, tab):
    page = tab(shared)
    page.tab.goto(f"{shared.url}/#/traces")
    page.tab.wait_for_selector("form.signin")
    page.tab.fill("form.signin input", shared.tokens["own"])
    page.tab.keyboard.press("Enter")
    page.tab.wait_for_selector("a.trace-row")
    poll("the project's name", lambda: "own" in page.text("#project"))
    for place in ["traces", "overview", "sessions", "users", "evals", "compare?a.span=all&b.span=all"]:
        page.tab.goto(f"{shared.url}/#/{place}")
        page.tab.wait_for_selector("#main[data-page]:not([aria-busy])")
        assert SECRET not in page.text(), place
    page.tab.goto(f"{shared.url}/#/gates")
    page.tab.get_by_text("cannot be limited to one project").first.wait_for()


def test_a_tail_shows_one_project(shared):
    connection = http.client.HTTPConnection("127.0.0.1", shared.port, timeout=20)
    connection.request("GET", "/api/tail", headers={"Authorization": f"Bearer {shared.tokens['own']}"})
    stream = connection.getresponse()
    assert stream.status == 200
    resource = lambda project: [("service.name", project)] if shared.by_service else [("service.name", "one-service"), ("team.project", project)]
    for project, name in [(SECRET, f"{SECRET} late"), ("own", "mine late")]:
        at = now(shared)
        assert shared.post(wire.batch(wire.span(name=name, start=at - 1000, end=at), resource=resource(project))).status == 200
    text = ""
    while "mine late" not in text:
        text += stream.readline().decode()
    assert SECRET not in text
    connection.close()


def test_the_gateways_own_board_is_of_no_project(launch, tmp_path):
    (own, own_digest), (everything, digest) = made_token(launch()), made_token(launch())
    folder = tmp_path / "gateway"
    folder.mkdir()
    backends = [{"name": "b", "url": "http://127.0.0.1:9", "kind": "vllm"}]
    (folder / "fusebox.yaml").write_text(json.dumps({"gateway": {"port": 0, "models": {"m": {"fuses": {"first_token_s": 5}, "backends": backends}}}}))
    server = launch({"FUSEBOX_READ_TOKENS": digest, "FUSEBOX_PROJECT_TOKENS": f"own={own_digest}"}, folder=folder)
    port = poll("the gateway listens", lambda: server.gateway_port)

    def status(token):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/-/status", headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    assert status(everything)[0] == 200
    refused = status(own)
    assert refused[0] == 403 and b"own" in refused[1]


@pytest.mark.parametrize("tokens", ["own", "own=", "=sha256:" + "0" * 64, "own=fbx_" + "0" * 64])
def test_what_is_no_token_of_a_project_is_refused_without_being_repeated(binary, tmp_path, tokens):
    done = Fusebox(binary, tmp_path / "data", {"FUSEBOX_PROJECT_TOKENS": tokens}).run("config", "print", "--data-dir", str(tmp_path / "data"))
    assert done.returncode != 0 and b"auth.project_tokens" in done.stderr and b"fbx_" not in done.stderr
