"""What the gateway tells a Kubernetes cluster of its models, against a stand-in for the API server."""

import json
import pathlib
import shutil
import time

import pytest
import yaml

import model_server as does
from certificates import Authority
from cluster import Cluster
from server import poll
from test_gateway import Gateway, backend  # noqa: F401

ADDRESS = "192.0.2.10"


@pytest.fixture
def cluster():
    server = Cluster()
    yield server
    server.close()


class Told(Gateway):
    def slice(self, model="m"):
        return f"model-{model}-192-0-2-10-{self.port}"

    def lease(self):
        return f"model-gateway-192-0-2-10-{self.port}"

    def fail(self, backend):
        """Makes the model one that cannot be called."""
        backend.behave(does.status(500))
        assert self.stream()[0] == 500

    def kubernetes(self):
        return self.status()["kubernetes"]

    def in_sync(self, seconds=20):
        return poll("the cluster knows", lambda: self.kubernetes()["in_sync"], seconds)


@pytest.fixture
def tell(launch, tmp_path, backend, cluster):
    """Starts a server that tells the stand-in of its model `m`."""

    def start(environment=None, kubeconfig=None, models=None, token="t-1", **section):
        folder = tmp_path / "gateway"
        folder.mkdir(exist_ok=True)
        if not section.get("account_dir"):
            section["kubeconfig"] = kubeconfig or cluster.kubeconfig(tmp_path / "kubeconfig", token=token)
        model = {"backends": [{"name": "b", "url": backend.url, "kind": "vllm"}], "fuses": {"first_token_s": 5}, "retry": {"max": 0}}
        gateway = {"port": 0, "models": models or {"m": model}, "kubernetes": {"address": ADDRESS, **section}}
        (folder / "fusebox.yaml").write_text(json.dumps({"gateway": gateway, "breaker": {"threshold": 1, "cooldown_s": 60}}))
        return Told(launch(environment, (), folder))

    return start


def test_each_model_is_a_service_and_a_slice_that_says_whether_it_is_ready_and_both_go_when_the_gateway_stops(tell, cluster, backend):
    stand = tell()
    stand.in_sync()
    shown = stand.fusebox.run("gateway", "status", "--url", f"http://127.0.0.1:{stand.port}").stdout
    assert b"Kubernetes, namespace models: the cluster knows the models" in shown
    service = cluster.get("services", "model-m")
    assert "selector" not in service["spec"] and service["spec"]["ports"][0]["port"] == stand.port
    found = cluster.get("endpointslices", stand.slice())
    assert found["metadata"]["labels"]["kubernetes.io/service-name"] == "model-m"
    assert found["addressType"] == "IPv4" and found["endpoints"][0]["addresses"] == [ADDRESS]
    # The Service finds the endpoint's port by its name.
    assert found["ports"][0]["name"] == service["spec"]["ports"][0]["name"] and found["ports"][0]["port"] == stand.port
    poll("it is ready", lambda: cluster.ready(stand.slice()))
    backend.close()
    poll("it is not ready", lambda: cluster.ready(stand.slice()) is False)
    assert stand.get("/-/ready")[0] == 503
    assert stand.fusebox.metrics().value("fusebox_gateway_kubernetes_in_sync") == 1
    stand.fusebox.stop()
    assert not cluster.objects
    # The slice goes before the Service, and the lease last.
    assert [one.resource for one in cluster.seen if one.verb == "delete"] == ["endpointslices", "services", "leases"]
    assert all(one.status < 300 or (one.verb, one.status) == ("get", 404) for one in cluster.seen), cluster.seen


def test_the_lease_is_renewed_as_a_sign_of_life(tell, cluster):
    stand = tell(heartbeat_s=1)
    first = poll("there is a lease", lambda: cluster.get("leases", stand.lease()))["spec"]
    assert first["holderIdentity"] == f"{ADDRESS}:{stand.port}" and first["leaseDurationSeconds"] == 3
    poll("it is renewed", lambda: cluster.get("leases", stand.lease())["spec"]["renewTime"] > first["renewTime"])
    assert cluster.get("leases", stand.lease())["spec"]["acquireTime"] == first["acquireTime"]
    # A sign of life writes nothing that every node of a cluster would have to hear of.
    assert len([one for one in cluster.seen if one.resource == "endpointslices" and one.verb == "update"]) <= 1


def test_the_role_of_the_manifest_has_the_rights_that_are_used_and_no_others(tell, cluster, backend):
    path = pathlib.Path(__file__).resolve().parents[2] / "deploy/kubernetes/gateway.yaml"
    _, role, *_ = yaml.safe_load_all(path.read_text())
    rights = {(verb, resource) for rule in role["rules"] for verb in rule["verbs"] for resource in rule["resources"]}
    # One of an earlier start, at another port.
    cluster.put("services", "model-m", {
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "model-m", "labels": {"app.kubernetes.io/managed-by": "fusebox-gateway", "team": "a"}},
        "spec": {"ports": [{"name": "http", "protocol": "TCP", "port": 1, "targetPort": 1}]}})
    stand = tell(heartbeat_s=1)
    stand.in_sync()
    service = cluster.get("services", "model-m")
    assert service["spec"]["ports"][0]["port"] == stand.port and service["metadata"]["labels"]["team"] == "a"
    stand.fail(backend)
    poll("the slice is written again", lambda: ("update", "endpointslices") in {(one.verb, one.resource) for one in cluster.seen})
    poll("the lease is renewed", lambda: ("update", "leases") in {(one.verb, one.resource) for one in cluster.seen})
    stand.fusebox.stop()
    # A Service is made where there is none.
    assert {(one.verb, one.resource) for one in cluster.seen} | {("create", "services")} == rights


def test_a_service_that_another_gateway_uses_stays(tell, cluster):
    stand = tell()
    stand.in_sync()
    theirs = json.loads(json.dumps(cluster.get("endpointslices", stand.slice())))
    theirs["metadata"]["name"] = "model-m-192-0-2-11-4320"
    cluster.put("endpointslices", "model-m-192-0-2-11-4320", theirs)
    stand.fusebox.stop()
    assert cluster.names("services") == ["model-m"] and cluster.names("endpointslices") == ["model-m-192-0-2-11-4320"]


def test_a_service_of_somebody_else_is_left_as_it_is_and_gets_no_endpoint(tell, cluster):
    cluster.put("services", "model-m", {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "model-m"}, "spec": {"selector": {"app": "x"}}})
    before = cluster.get("services", "model-m")
    stand = tell()
    poll("it is seen", lambda: "no gateway made" in (stand.kubernetes()["trouble"] or ""))
    poll("the lease is there", lambda: cluster.names("leases"))
    assert cluster.get("services", "model-m") == before and not cluster.names("endpointslices")
    assert stand.fusebox.metrics().value("fusebox_gateway_kubernetes_in_sync") == 0
    stand.fusebox.stop()
    assert cluster.get("services", "model-m") == before


def conflict(resource):
    """Somebody writes between the reading and the writing."""
    def trouble(cluster):
        for name in cluster.names(resource):
            cluster.put(resource, name, cluster.get(resource, name))
    return trouble


def test_who_wrote_meanwhile_is_read_again_before_anything_is_written(tell, cluster, backend):
    stand = tell()
    stand.in_sync()
    poll("it is ready", lambda: cluster.ready(stand.slice()))
    cluster.troubles = [conflict("endpointslices")]
    stand.fail(backend)
    poll("it is not ready", lambda: cluster.ready(stand.slice()) is False)
    writes = [(one.verb, one.status) for one in cluster.seen if one.resource == "endpointslices"]
    place = writes.index(("update", 409))
    assert writes[place + 1:place + 3] == [("get", 200), ("update", 200)]


def test_what_somebody_removed_is_made_again(tell, cluster, backend):
    stand = tell()
    stand.in_sync()
    poll("it is ready", lambda: cluster.ready(stand.slice()))
    cluster.remove("endpointslices", stand.slice())
    # It is seen with the next writing.
    stand.fail(backend)
    poll("it is there again", lambda: cluster.ready(stand.slice()) is False)
    writes = [(one.verb, one.status) for one in cluster.seen if one.resource == "endpointslices"]
    assert writes[-2:] == [("update", 404), ("create", 201)]


@pytest.mark.parametrize("trouble, least", [
    ((429, {"Retry-After": "2"}), 2), ((503, {}), 0.5), ((500, {}), 0.5), ((410, {}), 0), ((401, {}), 0.5)])
def test_an_answer_of_trouble_is_waited_out_and_what_is_there_is_read_again(tell, cluster, trouble, least):
    cluster.troubles = [trouble]
    stand = tell()
    stand.in_sync()
    assert cluster.seen[0].status == trouble[0] and cluster.seen[1].at - cluster.seen[0].at >= least
    assert cluster.seen[1].verb == "get"
    code = str(trouble[0])
    assert stand.fusebox.metrics().value("fusebox_gateway_kubernetes_requests_total", verb="get", kind="Service", code=code) == 1


def test_what_it_may_not_do_is_told_and_not_asked_all_the_time(tell, cluster):
    cluster.forbidden = {("create", "endpointslices")}
    stand = tell()
    poll("it is told", lambda: "forbidden" in (stand.kubernetes()["trouble"] or ""))
    time.sleep(1.5)
    assert len([one for one in cluster.seen if one.status == 403]) == 1
    poll("the rest is there", lambda: cluster.names("services") and cluster.names("leases"))


def test_a_pods_token_is_read_again_when_it_was_renewed(launch, tell, cluster, backend, tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    authority = Authority(tmp_path, "authority")
    certificate, key = authority.issue("server", 1)
    secured = Cluster(certificate=certificate, key=key)
    try:
        account = tmp_path / "account"
        account.mkdir()
        (account / "token").write_text("t-1\n")
        (account / "namespace").write_text("models")
        shutil.copy(authority.certificate, account / "ca.crt")
        stand = tell(
            environment={"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(secured.port)}, account_dir=str(account),
            heartbeat_s=1)
        stand.in_sync()
        secured.tokens = {"t-2"}
        poll("it is not known any more", lambda: "does not know who asks" in (stand.kubernetes()["trouble"] or ""))
        (account / "token").write_text("t-2")
        stand.in_sync()
        assert secured.seen[-1].token == "t-2"
        stand.fusebox.stop()
        assert not secured.objects
    finally:
        secured.close()


@pytest.mark.parametrize("is_inline", [False, True])
def test_a_client_certificate_of_a_kubeconfig_is_shown(tell, tmp_path, is_inline):
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    authority = Authority(tmp_path, "authority")
    certificate, key = authority.issue("server", 1)
    own, own_key = authority.issue("client", 2)
    secured = Cluster(token="", certificate=certificate, key=key, authority=authority.certificate)
    try:
        path = secured.kubeconfig(
            tmp_path / "k", is_inline, {"certificate-authority": authority.certificate}, {"client-certificate": own, "client-key": own_key})
        stand = tell(kubeconfig=path)
        stand.in_sync()
        stand.fusebox.stop()
        assert not secured.objects
    finally:
        secured.close()


def test_an_api_server_that_is_away_keeps_nobody_from_serving_or_stopping(tell, cluster, tmp_path):
    path = cluster.kubeconfig(tmp_path / "kubeconfig", token="t-1")
    cluster.close()
    stand = tell(kubeconfig=path)
    poll("it is told", lambda: "no answer" in (stand.kubernetes()["trouble"] or ""))
    assert stand.stream()[0] == 200
    stand.fusebox.stop()


def test_models_whose_names_no_service_can_have_are_told_too(tell, cluster, backend):
    def model(name):
        return {"backends": [{"name": name, "url": backend.url}], "fuses": {"first_token_s": "none"}}

    stand = tell(models={name: model(f"b{index}") for index, name in enumerate(["Qwen/Qwen3-8B", "*", "x" * 100])}, pod="p-0", pod_uid="1f3a")
    stand.in_sync()
    names = cluster.names("services")
    assert len(names) == 3 and "model-any" in names and stand.kubernetes()["services"][1] == "model-any"
    owner = cluster.get("leases", stand.lease())["metadata"]["ownerReferences"]
    assert owner == [{"apiVersion": "v1", "kind": "Pod", "name": "p-0", "uid": "1f3a"}]


def test_a_configuration_that_cannot_be_used_is_refused(tell, cluster, tmp_path):
    stand = tell()
    path = tmp_path / "bad.yaml"
    path.write_text("gateway:\n  kubernetes:\n    address: 10.0.0.7\n    kubecfg: x\n")
    done = stand.fusebox.run("config", "check", "--config", str(path))
    assert done.returncode == 2 and b"(line 4): there is no setting 'gateway.kubernetes.kubecfg'" in done.stderr
    path.write_text("gateway:\n  kubernetes:\n    address: 10.0.0.7\n    kubeconfig: /no/such/file\n")
    done = stand.fusebox.run("config", "check", "--config", str(path))
    assert done.returncode == 2 and b"/no/such/file cannot be read" in done.stderr
