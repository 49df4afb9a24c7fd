"""Files for those who operate it: rules by promtool and a real Prometheus, units, manifests, the example."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import kubernetes_validate
import pytest
import yaml

import captures
import wire
from server import poll
from test_prometheus import need

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


def run(*arguments, **options):
    return subprocess.run([str(argument) for argument in arguments], capture_output=True, text=True, timeout=120, **options)


def test_rules_are_right_by_promtool():
    promtool = need("promtool")
    done = run(promtool, "check", "rules", DEPLOY / "prometheus/fusebox.rules.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    done = run(promtool, "test", "rules", "fusebox.rules.test.yml", cwd=DEPLOY / "prometheus")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_is_what_its_script_writes():
    done = run(sys.executable, ROOT / "scripts/make-dashboard.py", "--check")
    assert done.returncode == 0, done.stderr


def test_every_panel_s_query_is_promql():
    """Each query stands as a rule once, with Grafana's variables filled in."""
    promtool = need("promtool")
    queries = [target["expr"] for panel in json.loads((ROOT / "dashboards/fusebox.json").read_text())["panels"] for target in panel.get("targets", [])]
    assert len(queries) > 35
    filled = [re.sub(r"\[\$__\w+\]", "[5m]", query).replace("$service", ".*").replace("$tool", ".*") for query in queries]
    rules = {"groups": [{"name": "panels", "rules": [{"record": f"panel:{index}:query", "expr": query} for index, query in enumerate(filled)]}]}
    path = pathlib.Path("panels.yml")
    done = subprocess.run([promtool, "check", "rules", "/dev/stdin"], input=json.dumps(rules), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (path, done.stdout + done.stderr)


def scrape(tmp_path, server, port):
    """A Prometheus that scrapes a server as we say, but every second, with our rules."""
    rules = tmp_path / "rules.yml"
    rules.write_text((DEPLOY / "prometheus/fusebox.rules.yml").read_text().replace("interval: 30s", "interval: 1s"))
    configuration = yaml.safe_load((DEPLOY / "prometheus/fusebox.scrape.yml").read_text())
    (job,) = configuration["scrape_configs"]
    job.update(scrape_interval="1s", static_configs=[{"targets": [f"127.0.0.1:{server.port}"]}])
    configuration.update({"global": {"evaluation_interval": "1s"}, "rule_files": [str(rules)]})
    path = tmp_path / "prometheus.yml"
    path.write_text(yaml.safe_dump(configuration))
    return subprocess.Popen(
        [need("prometheus"), f"--config.file={path}", f"--storage.tsdb.path={tmp_path / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def free_port():
    import socket
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def query(port, expression):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": expression}), timeout=5) as answer:
            return json.load(answer)["data"]["result"]
    except OSError:
        return []


def test_prometheus_alerts_when_an_agent_trips_its_breaker_and_is_silent_when_not(launch, tmp_path):
    server = launch({"BREAKER_SETTLE_S": "1"})
    port = free_port()
    prometheus = scrape(tmp_path, server, port)
    try:
        opened = lambda: query(port, 'ALERTS{alertname="AgentBreakerOpened"}')
        calm = wire.span(name="calm", start=time.time_ns() - 10**9, end=time.time_ns(), attributes=[("tool_name", "calm"), ("breaker_state", "closed")])
        assert server.post(wire.batch(calm)).status == 200
        poll("the calm tool's series", lambda: query(port, 'agent_breaker_opens_total{tool="calm"} == 0'))
        # Some evaluations of the rules later, still nothing.
        seen = float(query(port, 'sum(prometheus_rule_group_iterations_total) or count(up)')[0]["value"][1])
        poll("more scrapes", lambda: (found := query(port, "count_over_time(up[5m])")) and float(found[0]["value"][1]) >= 5 and seen)
        assert opened() == []
        start = time.time_ns() - 10**9
        trip = [wire.span(name="search", start=start + index * 10**8, end=start + index * 10**8 + 10**7, attributes=[
            ("tool_name", "web_search"), ("timeout", True), ("breaker_state", "open" if index == 2 else "closed")]) for index in range(3)]
        assert server.post(wire.batch(*trip)).status == 200
        (alert,) = poll("the alert", opened, 40)
        assert alert["metric"]["tool"] == "web_search" and alert["metric"]["alertstate"] == "firing"
    finally:
        prometheus.terminate()
        prometheus.wait()


def test_systemd_takes_the_unit(tmp_path, binary):
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("systemd is not installed")
    unit = tmp_path / "fusebox.service"
    unit.write_text((DEPLOY / "systemd/fusebox.service").read_text().replace("/usr/local/bin/fusebox", str(binary)))
    done = run(verify, "verify", unit)
    assert done.returncode == 0 and "fusebox.service" not in done.stderr, done.stderr


def test_the_launchd_agent_is_a_property_list():
    import plistlib
    agent = plistlib.loads((DEPLOY / "launchd/dev.fusebox.plist").read_bytes())
    assert agent["ProgramArguments"][1:] == ["serve"] and agent["Label"] == "dev.fusebox"


def documents(name):
    return list(yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text()))


def test_manifests_agree_with_each_other():
    service, stateful, policy = documents("fusebox.yaml")
    assert [one["kind"] for one in (service, stateful, policy)] == ["Service", "StatefulSet", "NetworkPolicy"]
    labels = stateful["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"] == stateful["spec"]["selector"]["matchLabels"] == labels
    assert stateful["spec"]["replicas"] == 1
    (container,) = stateful["spec"]["template"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert service["spec"]["ports"][0]["targetPort"] in ports and ports["http"] == 4318
    assert container["securityContext"]["readOnlyRootFilesystem"] and stateful["spec"]["template"]["spec"]["securityContext"]["runAsNonRoot"]
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    assert mounts == {claim["metadata"]["name"] for claim in stateful["spec"]["volumeClaimTemplates"]}
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"]:
        assert container[probe]["httpGet"]["port"] in ports
    service_monitor, pod_monitor = documents("monitoring.yaml")
    assert service_monitor["spec"]["selector"]["matchLabels"] == service["metadata"]["labels"]
    assert service_monitor["spec"]["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]
    # The pod monitor must not pick the pods that the service monitor has already.
    assert not pod_monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_manifests_are_valid_against_the_schemas_of_kubernetes():
    versions = ["1.28", "1.31", kubernetes_validate.latest_version()]
    for document in documents("fusebox.yaml"):
        for version in versions:
            kubernetes_validate.validate(document, version, strict=True)
    for document in documents("gateway.yaml"):
        for version in versions:
            kubernetes_validate.validate(document, version, strict=True)
    # The monitors are the Prometheus operator's own kinds, which no schema of Kubernetes has.
    assert {one["apiVersion"] for one in documents("monitoring.yaml")} == {"monitoring.coreos.com/v1"}


def test_probes_and_settings_of_the_manifests_work(launch):
    _, stateful, _ = documents("fusebox.yaml")
    (container,) = stateful["spec"]["template"]["spec"]["containers"]
    environment = {one["name"]: one["value"] for one in container["env"] if one["name"] != "FUSEBOX_DATA_DIR"}
    server = launch(environment)
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"]:
        assert server.get(container[probe]["httpGet"]["path"]).status == 200


def test_the_container_file_names_what_is_there(binary):
    text = (DEPLOY / "container/Containerfile").read_text()
    for source in re.findall(r"^COPY (?!--from)(\S+)", text, re.M):
        assert (ROOT / source).exists(), source
    assert re.search(r"^USER fusebox$", text, re.M) and "HEALTHCHECK" in text
    # What the binary needs at run time is what the second stage installs.
    packages = set(re.search(r"no-install-recommends (libsqlite3-0[^\\]+?) \\", text)[1].split())
    needed = {line.split()[0] for line in run("ldd", binary).stdout.splitlines() if re.search(r"sqlite3|zstd|protobuf-c|libedit|libz\.", line)}
    names = {"libsqlite3.so.0": "libsqlite3-0", "libz.so.1": "zlib1g", "libzstd.so.1": "libzstd1", "libprotobuf-c.so.1": "libprotobuf-c1", "libedit.so.2": "libedit2"}
    assert {names[name] for name in needed} <= packages


def container_steps():
    """The steps of the container file's last stage: (instruction, what follows it)."""
    text = re.sub(r"\\\n\s*", "", (DEPLOY / "container/Containerfile").read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    last = max(index for index, line in enumerate(lines) if line.startswith("FROM "))
    return [line.split(" ", 1) for line in lines[last:]]


def test_the_container_s_commands_work_as_a_script(binary, tmp_path, launch):
    """What builds the image is run in a folder, packages and users aside; what runs in it is run as it stands."""
    steps = container_steps()
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    for name in ["passwd", "group", "shadow", "gshadow"]:
        (root / "etc" / name).write_text("")
    (script,) = [text for instruction, text in steps if instruction == "RUN"]
    assert run("sh", "-n", "-c", script).returncode == 0
    packages = re.search(r"--no-install-recommends (.+?) &&", script)[1].split()
    known = run("apt-cache", "show", "--no-all-versions", *packages)
    assert {line.split()[1] for line in known.stdout.splitlines() if line.startswith("Package: ")} == set(packages), known.stderr
    for command in script.split("&&"):
        command = command.strip().replace(" /data", f" {root}/data").replace("-o fusebox -g fusebox ", "")
        if command.startswith("useradd"):
            if shutil.which("useradd") is None or os.geteuid() != 0:
                continue
            command = command.replace("useradd", f"useradd --prefix {root}")
        elif command.startswith(("apt-get", "rm ")):
            continue
        done = run("sh", "-c", command)
        assert done.returncode == 0, (command, done.stderr)
    assert (root / "data").stat().st_mode & 0o777 == 0o700
    environment = dict(pair.split("=", 1) for instruction, text in steps if instruction == "ENV" for pair in text.split())
    server = launch({**environment, "FUSEBOX_DATA_DIR": str(root / "data")}, folder=root / "data")
    (health,) = [json.loads(text[text.index("CMD ") + 4:]) for instruction, text in steps if instruction == "HEALTHCHECK"]
    health = [part.replace(":4318", f":{server.port}") for part in health]
    assert run(*health).returncode == 0
    (entry,), (command,) = ([json.loads(text) for instruction, text in steps if instruction == name] for name in ["ENTRYPOINT", "CMD"])
    assert entry == ["/usr/local/bin/fusebox"] and command == ["serve"]
    server.stop()
    assert run(*health).returncode != 0


def test_grafana_s_files_are_yaml_and_name_our_addresses():
    sources = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/fusebox.yml").read_text())["datasources"]
    urls = {source["type"]: source["url"] for source in sources}
    assert urls["tempo"].endswith(":4318/tempo") and urls["jaeger"].endswith(":4318/jaeger")
    assert yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/fusebox.yml").read_text())["providers"]


def test_an_alert_names_its_trace(fusebox):
    """The webhook of examples/, called as Alertmanager calls it by our route."""
    attributes = [("tool_name", "weather_api"), ("stage", "http_tool"), ("error.type", "timeout")]
    trace = wire.trace_id()
    assert fusebox.post(wire.batch(wire.span(trace=trace, attributes=attributes))).status == 200
    route = yaml.safe_load((DEPLOY / "prometheus/alertmanager.yml").read_text())
    assert {own["receiver"] for own in [route["route"], *route["route"]["routes"]]} == {own["name"] for own in route["receivers"]}
    receiver = subprocess.Popen(
        [sys.executable, ROOT / "examples/alert_webhook.py", "0"], stdout=subprocess.PIPE, text=True,
        env={"PATH": os.environ["PATH"], "FUSEBOX_URL": fusebox.url})
    try:
        port = receiver.stdout.readline().split(":")[1].strip()
        alerts = [
            {"status": "firing", "labels": {"alertname": "AgentToolTimeouts", "tool": "weather_api"}, "annotations": {"summary": "weather_api: 3 timeouts in 5m"}},
            {"status": "resolved", "labels": {"alertname": "AgentToolTimeouts", "tool": "weather_api"}, "annotations": {"summary": "over"}},
            {"status": "firing", "labels": {"alertname": "AgentToolTimeouts", "tool": "another"}, "annotations": {"summary": "unknown"}},
        ]
        request = urllib.request.Request(f"http://127.0.0.1:{port}/", json.dumps({"alerts": alerts}).encode())
        assert urllib.request.urlopen(request, timeout=20).status == 200
        assert receiver.stdout.readline() == f"firing AgentToolTimeouts: weather_api: 3 timeouts in 5m  {fusebox.url}/#/trace/{trace.hex()}\n"
        assert receiver.stdout.readline() == "resolved AgentToolTimeouts: over\n"
        assert receiver.stdout.readline() == "firing AgentToolTimeouts: unknown\n"
    finally:
        receiver.kill()
        receiver.wait()


def test_no_tile_shows_zero_where_nothing_is_known():
    """Each tile of the first row by promtool: nothing on an empty Prometheus, 0 where calls and breakers are known, births counted; no recording rule."""
    panels = json.loads((ROOT / "dashboards/fusebox.json").read_text())["panels"]
    tiles = {panel["title"]: panel["targets"][0]["expr"] for panel in panels if panel["type"] == "stat"}
    assert len(tiles) == 6 and not any("agent:" in query or "vector(" in query for query in tiles.values())
    filled = {title: query.replace("$service", ".*") for title, query in tiles.items()}
    counted = ["Timeouts, last hour", "Breaker opens, last hour", "Cooldown minutes, last hour"]
    known = [
        {"series": 'up{job="fusebox",instance="x"}', "values": "1x300"},
        {"series": 'agent_tool_calls_total{job="fusebox",instance="x",service_name="s",outcome="ok"}', "values": "0+1x300"},
        {"series": 'agent_breaker_instances{job="fusebox",instance="x",service_name="s",state="open"}', "values": "0x300"},
    ]
    born = [
        {"series": f'{family}{{job="fusebox",instance="x",service_name="s"}}', "values": "_x150 120x150"}
        for family in ["agent_tool_timeouts_total", "agent_breaker_opens_total", "agent_breaker_cooldown_seconds_total"]
    ]
    def expect(series, values):
        return {"interval": "30s", "input_series": series, "promql_expr_test": [
            {"expr": filled[title], "eval_time": "90m", "exp_samples": [] if value is None else [{"labels": "{}", "value": value}]}
            for title, value in zip(counted, values)]}
    tests = {"rule_files": [], "evaluation_interval": "30s", "tests": [
        expect([], [None] * 3), expect(known, [0, 0, 0]), expect(known + born, [120, 120, 2])]}
    done = subprocess.run([need("promtool"), "test", "rules", "/dev/stdin"], input=json.dumps(tests), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
