"""A stand-in for the Sandbox API: it books, makes real namespaces on the lab's cluster, and takes them away again.

It follows the checklist of agnosticd-compat.md 6.7: tokens of two kinds, checks of the request, identical and
differing replays, a booking that becomes ready after some looks, credentials in the API's order, a new deployer token
at each look, names by the API's rule, deletion that is accepted twice and then unknown, and switches for its errors.
Not imitated: several clusters, selectors, rate limits, start and stop.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import json
import re
import secrets
import threading
import time
import uuid

LOOKS = ("initializing", "scheduling", "success")
ADMINISTRATOR = ("rhdp-serviceaccounts", "deployer-admin")
TARGET = "cluster_admin_agnosticd_sa_token"


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, code, message, **more):
        super().__init__(message)
        self.code, self.body = code, {"http_code": code, "message": message, **more}


class Tokens:
    """JSON web tokens of two kinds; the login token is good for nothing but an access token."""

    def __init__(self):
        self._key = secrets.token_bytes(32)

    def issue(self, kind, lifetime=3600):
        """A signed token."""
        now = int(time.time())
        claims = {"name": "tests", "kind": kind, "role": "app", "iat": now, "exp": now + lifetime}
        parts = [_b64(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
        return ".".join([*parts, self._signature(".".join(parts))])

    def check(self, header, kind):
        """Refuses whatever is not a valid token of this kind."""
        words = (header or "").split()
        signed, _, signature = (words[1] if len(words) == 2 and words[0] == "Bearer" else "").rpartition(".")
        if not signed or not hmac.compare_digest(self._signature(signed), signature):
            raise Refused(401, "Unauthorized")
        claims = json.loads(base64.urlsafe_b64decode(signed.split(".")[1] + "=="))
        if claims["kind"] != kind:
            raise Refused(401, f"Wrong token kind, {kind} token required")
        if claims["exp"] < time.time():
            raise Refused(401, "Unauthorized")

    def _signature(self, text):
        return _b64(hmac.new(self._key, text.encode(), hashlib.sha256).digest())


class SandboxApi:
    """The stand-in; `cluster` has `call(method, path, body)`, `url` and `domain`."""

    def __init__(self, cluster):
        self.cluster, self.tokens, self.placements = cluster, Tokens(), {}
        self.fault = None  # a code the next booking is refused with
        self._administrator()
        api = self
        handler = type("Handler", (_Handler,), {"api": api})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/api/v1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        """Stops answering, and takes the deployer's account away."""
        self._server.shutdown()
        self._server.server_close()
        self.cluster.call("DELETE", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/deployer-admin")
        self.cluster.call("DELETE", f"/api/v1/namespaces/{ADMINISTRATOR[0]}")

    def _administrator(self):
        namespace, account = ADMINISTRATOR
        self._create("/api/v1/namespaces", {"metadata": {"name": namespace}})
        self._create(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": account}})
        self._bind("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", "cluster-admin", account, namespace)

    def _create(self, path, body):
        code, answer = self.cluster.call("POST", path, body)
        if code not in (200, 201, 409):
            raise Refused(500, f"the cluster answers {code} to POST {path}: {answer.get('message')}")

    def _bind(self, path, role, account, namespace):
        subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
        self._create(path, {"metadata": {"name": account}, "roleRef": reference, "subjects": [subject]})

    def _token(self, namespace, account):
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        return self.cluster.call("POST", path, {"spec": {"expirationSeconds": 3600}})[1]["status"]["token"]

    def book(self, request):
        """POST /placements."""
        if self.fault:
            code, self.fault = self.fault, None
            raise Refused(code, {507: "Not enough AWS accounts available"}.get(code, "refused on request"))
        service = str(request.get("service_uuid", ""))
        if not _is_uuid(service) or not isinstance(request.get("resources"), list):
            raise Refused(400, "Bad request: payload doesn't pass OpenAPI spec", error_multiline=["service_uuid"])
        guid = (request.get("annotations") or {}).get("guid")
        if not guid:
            raise Refused(400, "annotations.guid is required")
        held = self.placements.get(service)
        if held and held["request"] != request:
            raise Refused(409, "UUID already in use by another placement")
        if held:
            return 200, {"http_code": 200, "message": "Placement already exists with identical request"}
        resources = [self._resource(request, guid, index) for index in range(len(request["resources"]))]
        placement = {"service_uuid": service, "annotations": request["annotations"], "resources": resources}
        self.placements[service] = {"request": request, "placement": placement, "looks": 0}
        return 202, {"http_code": 202, "message": "Placement Created", "Placement": {**placement, "status": LOOKS[0]}}

    def _resource(self, request, guid, index):
        wanted, service = request["resources"][index], request["service_uuid"]
        notes = {**wanted.get("annotations", {}), "guid": guid}
        number = f"-{index + 1}" if len(request["resources"]) > 1 else ""
        namespace = f"sandbox-{guid}{number}-{notes.get('namespace_suffix') or service}"[:63].rstrip("-")
        labels = {"serviceUuid": service, "guid": guid, "created-by": "sandbox-api"}
        self._create("/api/v1/namespaces", {"metadata": {"name": namespace, "labels": labels}})
        self._create(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "sandbox"}})
        bindings = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings"
        self._bind(bindings, "admin", "sandbox", namespace)
        if wanted.get("quota"):
            quota = {"metadata": {"name": "sandbox-quota"}, "spec": {"hard": wanted["quota"]}}
            self._create(f"/api/v1/namespaces/{namespace}/resourcequotas", quota)
        return {
            "kind": wanted["kind"], "name": f"{guid}{number}-{service}", "namespace": namespace, "annotations": notes,
            "ocp_cluster": "lab", "api_url": self.cluster.url, "ingress_domain": self.cluster.domain,
            "console_url": f"https://console-openshift-console.{self.cluster.domain}",
        }

    def look(self, service):
        """GET /placements/{uuid}: ready after some looks, with a new deployer token each time."""
        held = self._held(service)
        status = LOOKS[min(held["looks"], len(LOOKS) - 1)]
        held["looks"] += 1
        if held.get("deleting"):
            del self.placements[service]
            status = "deleting"
        password = held.setdefault("password", base64.urlsafe_b64encode(secrets.token_bytes(16)).decode())
        deployer = self._token(*ADMINISTRATOR) if status == "success" else None
        resources = [self._seen(one, status, deployer, password) for one in held["placement"]["resources"]]
        return 200, {**held["placement"], "resources": resources, "status": status}

    def _seen(self, resource, status, deployer, password):
        if status != "success":
            return {**resource, "status": status}
        user = f"sandbox-{resource['annotations']['guid']}"
        credentials = [
            {"kind": "KeycloakUser", "username": user, "password": password},
            {"kind": "ServiceAccount", "name": "sandbox", "token": self._token(resource["namespace"], "sandbox")},
            {"kind": "ServiceAccount", "name": ADMINISTRATOR[1], "token": deployer},
        ]
        deployer = {"deployer": {TARGET: f"{deployer}\n"}}
        return {**resource, "status": status, "credentials": credentials, "cluster_additional_vars": deployer}

    def delete(self, service):
        """DELETE /placements/{uuid}: accepted again and again until it is gone."""
        held = self._held(service)
        message = "Placement already marked for deletion" if held.get("deleting") else "Placement marked for deletion"
        for resource in [] if held.get("deleting") else held["placement"]["resources"]:
            self.cluster.call("DELETE", f"/api/v1/namespaces/{resource['namespace']}")
        held["deleting"] = True
        return 202, {"http_code": 202, "message": message}

    def _held(self, service):
        if not _is_uuid(service):
            raise Refused(400, "Invalid UUID format")
        if service not in self.placements:
            raise Refused(404, "Placement not found")
        return self.placements[service]


class _Handler(http.server.BaseHTTPRequestHandler):
    api: SandboxApi

    def _answer(self):
        try:
            code, body = self._route()
        except Refused as refused:
            code, body = refused.code, refused.body
        text = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_DELETE = _answer

    def _route(self):
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.removeprefix("/api/v1")
        if (self.command, path) == ("GET", "/ping"):
            return 200, {"message": "pong"}
        token = self.headers.get("Authorization")
        if (self.command, path) == ("GET", "/login"):
            self.api.tokens.check(token, "login")
            return 200, {"access_token": self.api.tokens.issue("access")}
        self.api.tokens.check(token, "access")
        if (self.command, path) == ("POST", "/placements"):
            if self.headers.get("Content-Type") != "application/json":
                raise Refused(415, "Unsupported Media Type")
            try:
                return self.api.book(json.loads(raw))
            except (ValueError, AttributeError) as error:
                raise Refused(400, "Bad request: payload doesn't pass OpenAPI spec") from error
        match = re.fullmatch(r"/placements/([^/]+)", path)
        if match and self.command == "GET":
            return self.api.look(match.group(1))
        if match and self.command == "DELETE":
            return self.api.delete(match.group(1))
        raise Refused(404, "Not Found")

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass


def _is_uuid(text):
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def _b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def variables(placement):
    """A ready placement as the governor hands it to a job (agnosticd-compat.md 6.6): the sandbox without `var` flat,
    the others each in a map of that name."""
    flat = {"sandboxes": placement["resources"]}
    for resource in placement["resources"]:
        ours = {
            f"sandbox_openshift_{name}": resource.get(key, "unknown")
            for name, key in (
                ("name", "name"), ("namespace", "namespace"), ("cluster", "ocp_cluster"), ("api_url", "api_url"),
                ("apps_domain", "ingress_domain"), ("console_url", "console_url"),
            )
        }
        for credential in resource["credentials"]:
            if credential["kind"] == "KeycloakUser":
                ours["sandbox_openshift_user"] = credential["username"]
                ours["sandbox_openshift_password"] = credential["password"]
            else:  # the last one wins
                ours["sandbox_openshift_api_token"] = ours["sandbox_openshift_api_key"] = credential["token"]
        ours["sandbox_openshift_credentials"] = resource["credentials"]
        ours.update(resource["cluster_additional_vars"]["deployer"])
        name = resource["annotations"].get("var", "main")
        flat.update(ours if name == "main" else {name: ours})
    return flat
