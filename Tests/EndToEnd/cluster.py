"""A stand-in for a Kubernetes API server: services, endpoint slices and leases of one namespace.

It answers as the real one does, as far as a client can tell: versions and uids, conflicts, what is missing, strict bodies held against the
schemas that Kubernetes publishes (by kubernetes_validate), immutable fields, preconditions, label selectors.
"""

import base64
import collections
import datetime
import http.server
import ipaddress
import json
import re
import ssl
import threading
import time
import urllib.parse

import kubernetes_validate

RESOURCES = {
    "services": ("/api/v1", "v1", "Service"),
    "endpointslices": ("/apis/discovery.k8s.io/v1", "discovery.k8s.io/v1", "EndpointSlice"),
    "leases": ("/apis/coordination.k8s.io/v1", "coordination.k8s.io/v1", "Lease"),
}
REASONS = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict", 410: "Expired", 422: "Invalid",
           429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable"}
Seen = collections.namedtuple("Seen", "at verb resource name status token body")


class Refused(Exception):
    def __init__(self, code, message, reason=None, headers=None):
        super().__init__(message)
        self.code, self.reason, self.headers = code, reason or REASONS[code], headers or {}


class Cluster:
    """One API server with one namespace. `troubles` are answered first, one a request: (code, headers), or a function of the request."""

    def __init__(self, namespace="models", token="t-1", certificate=None, key=None, authority=None):
        self.namespace = namespace
        self.tokens = {token}
        self.objects = {}
        self.seen = []
        self.troubles = []
        self.forbidden = set()
        self.count = 100
        self.lock = threading.RLock()
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = lambda self: owner._serve(self)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            if authority:
                context.load_verify_locations(authority)
                context.verify_mode = ssl.CERT_REQUIRED
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.scheme = "https"
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def kubeconfig(self, path, is_inline=False, cluster=None, user=None, token=None):
        """Writes the file by which a client finds it; PEM files of `cluster` and `user` by their names, or inline as most tools write them."""
        def files(named):
            if is_inline:
                return {f"{key}-data": base64.b64encode(file.read_bytes()).decode() for key, file in named.items()}
            return {key: str(file) for key, file in named.items()}

        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "x",
            "clusters": [{"name": "c", "cluster": {"server": self.url, **files(cluster or {})}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": self.namespace}}],
            "users": [{"name": "u", "user": {**files(user or {}), **({"token": token} if token else {})}}]}))
        return str(path)

    # What is there

    def get(self, resource, name):
        with self.lock:
            return self.objects.get((resource, name))

    def names(self, resource):
        with self.lock:
            return sorted(name for kind, name in self.objects if kind == resource)

    def put(self, resource, name, value):
        """Somebody else writes."""
        with self.lock:
            self._store(resource, name, value, self.objects.get((resource, name)))

    def remove(self, resource, name):
        with self.lock:
            del self.objects[resource, name]

    def ready(self, name):
        found = self.get("endpointslices", name)
        return found and found["endpoints"][0]["conditions"]["ready"]

    # Answering

    def _serve(self, handler):
        url = urllib.parse.urlsplit(handler.path)
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        verb = {"GET": "get", "POST": "create", "PUT": "update", "DELETE": "delete", "PATCH": "patch"}[handler.command]
        token = (handler.headers.get("Authorization") or "").removeprefix("Bearer ")
        match = next((
            (resource, found) for resource, (prefix, _, _) in RESOURCES.items()
            if (found := re.fullmatch(f"{prefix}/namespaces/([^/]+)/{resource}(?:/([^/]+))?", url.path))), None)
        resource, name = (match[0], match[1][2]) if match else (url.path, None)
        if verb == "get" and name is None:
            verb = "list"
        headers = {}
        with self.lock:
            try:
                trouble = self.troubles.pop(0) if self.troubles else None
                if token not in self.tokens:
                    raise Refused(401, "Unauthorized")
                if (verb, resource) in self.forbidden or match is None:
                    raise Refused(403, f'{resource} is forbidden: User "system:serviceaccount:models:gateway" cannot {verb} resource')
                if callable(trouble):
                    trouble(self)
                elif trouble:
                    raise Refused(trouble[0], f"a trouble of {trouble[0]}", headers=trouble[1])
                status, value = self._perform(verb, resource, name, match[1][1], urllib.parse.parse_qs(url.query), body, handler.headers)
            except Refused as refused:
                status, headers = refused.code, refused.headers
                value = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": str(refused),
                         "reason": refused.reason, "code": status}
            self.seen.append(Seen(time.monotonic(), verb, resource, name, status, token, body))
        data = json.dumps(value).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(data)))
        for key, text in headers.items():
            handler.send_header(key, text)
        handler.end_headers()
        handler.wfile.write(data)

    def _perform(self, verb, resource, name, namespace, query, body, headers):
        _, version, kind = RESOURCES[resource]
        if verb in ("create", "update") and headers["Content-Type"] != "application/json":
            raise Refused(400, "the body is of no type that is understood")
        if verb == "list":
            selector = dict(part.split("=", 1) for part in query.get("labelSelector", [""])[0].split(",") if part)
            items = [value for (other, _), value in self.objects.items() if other == resource
                     and all(value["metadata"].get("labels", {}).get(key) == text for key, text in selector.items())]
            limit = int(query.get("limit", ["0"])[0]) or len(items)
            return 200, {"kind": f"{kind}List", "apiVersion": version, "metadata": {"resourceVersion": str(self.count)}, "items": items[:limit]}
        there = self.objects.get((resource, name))
        if verb == "create":
            if namespace != self.namespace:
                raise Refused(404, f'namespaces "{namespace}" not found')
            value = self._checked(resource, body)
            name = value["metadata"]["name"]
            if (resource, name) in self.objects:
                raise Refused(409, f'{resource} "{name}" already exists', "AlreadyExists")
            if value["metadata"].get("resourceVersion"):
                raise Refused(400, "resourceVersion should not be set on objects to be created")
            return 201, self._store(resource, name, value, None)
        if there is None:
            raise Refused(404, f'{resource} "{name}" not found')
        if verb == "get":
            return 200, there
        if verb == "update":
            value = self._checked(resource, body)
            if value["metadata"]["name"] != name:
                raise Refused(400, "the name of the object does not match the name on the URL")
            wanted = value["metadata"].get("resourceVersion")
            if wanted and wanted != there["metadata"]["resourceVersion"]:
                raise Refused(409, f'Operation cannot be fulfilled on {resource} "{name}": the object has been modified; please apply your changes '
                                   'to the latest version and try again')
            if value["metadata"].get("uid", there["metadata"]["uid"]) != there["metadata"]["uid"]:
                raise Refused(409, "Precondition failed: UID in precondition and in object meta differ")
            if value.get("addressType") != there.get("addressType"):
                raise Refused(422, "addressType: field is immutable")
            if resource == "services" and value["spec"].get("clusterIP") != there["spec"].get("clusterIP"):
                raise Refused(422, "spec.clusterIP: may not change once set")
            return 200, self._store(resource, name, value, there)
        if verb == "delete":
            preconditions = json.loads(body).get("preconditions", {}) if body else {}
            for key in ("uid", "resourceVersion"):
                if preconditions.get(key, there["metadata"][key]) != there["metadata"][key]:
                    raise Refused(409, f"Precondition failed: {key} in precondition and in object meta differ")
            del self.objects[resource, name]
            return 200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
        raise Refused(400, f"nobody asked for {verb}")

    def _checked(self, resource, body):
        _, version, kind = RESOURCES[resource]
        try:
            value = json.loads(body)
        except ValueError as error:
            raise Refused(400, f"{error}") from None
        if (value.get("apiVersion"), value.get("kind")) != (version, kind):
            raise Refused(400, f"this is no {kind}")
        # As the real one would with strict field validation; what a server adds itself is not in the schemas' way.
        try:
            kubernetes_validate.validate(value, kubernetes_validate.latest_version(), strict=True)
        except (kubernetes_validate.ValidationError, kubernetes_validate.InvalidSchemaError) as error:
            raise Refused(422, f"{error}") from None
        self._check_rules(resource, value)
        return value

    def _check_rules(self, resource, value):
        """Rules that are not in the schemas."""
        name = value["metadata"]["name"]
        pattern = r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?" if resource == "services" else r"[a-z0-9]([-a-z0-9]{0,251}[a-z0-9])?"
        if not re.fullmatch(pattern, name):
            raise Refused(422, f"metadata.name: {name!r} is none")
        for key, text in value["metadata"].get("labels", {}).items():
            if not re.fullmatch(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?", text):
                raise Refused(422, f"metadata.labels: {key}={text!r}")
        if resource == "endpointslices":
            for endpoint in value["endpoints"]:
                for text in endpoint["addresses"]:
                    address = ipaddress.ip_address(text)
                    if address.version != {"IPv4": 4, "IPv6": 6}[value["addressType"]] or address.is_loopback or address.is_link_local:
                        raise Refused(422, f"endpoints: {text} is no address of an endpoint")
        if resource == "leases":
            # MicroTime is read with exactly six digits.
            datetime.datetime.strptime(value["spec"]["renewTime"], "%Y-%m-%dT%H:%M:%S.%fZ")
            if not re.search(r"\.\d{6}Z$", value["spec"]["renewTime"]) or value["spec"]["leaseDurationSeconds"] < 1:
                raise Refused(422, "spec: no lease")

    def _store(self, resource, name, value, there):
        self.count += 1
        value = json.loads(json.dumps(value))
        metadata = value["metadata"]
        metadata["uid"] = there["metadata"]["uid"] if there else f"00000000-0000-0000-0000-{self.count:012}"
        metadata["creationTimestamp"] = there["metadata"]["creationTimestamp"] if there else "2026-11-30T10:00:00Z"
        metadata["resourceVersion"] = str(self.count)
        if resource == "services":
            spec = value["spec"]
            # As the real one fills in what is left out.
            spec.setdefault("clusterIP", f"10.96.0.{self.count % 250 + 1}")
            spec.setdefault("clusterIPs", [spec["clusterIP"]])
            spec.setdefault("sessionAffinity", "None")
            spec.setdefault("ipFamilies", ["IPv4"])
            spec.setdefault("ipFamilyPolicy", "SingleStack")
            spec.setdefault("internalTrafficPolicy", "Cluster")
            value.setdefault("status", {"loadBalancer": {}})
        self.objects[resource, name] = value
        return value
