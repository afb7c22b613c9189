#!/usr/bin/env python3
"""Runs a catalog of the Sandbox API against a lab: booked at the stand-in, provisioned in the placement's namespaces,
destroyed, and the placement released. Called as check.py is.
"""

from __future__ import annotations

import json
import os
import ssl
import time
import unittest
import urllib.error
import urllib.request
import uuid

import yaml
from check import DATA, HERE, PLAYBOOKS, Catalogs, Lab
from sandbox_api import SandboxApi, variables

PARTS = {"agent": None, "librechat": "librechat", "mcp-openshift": "mcp_openshift", "mcp-gitea": "mcp_gitea",
         "gitea": "gitea", "showroom": "showroom"}


def call(method, url, token, body=None, context=None, content_type="application/json"):
    """Status and document of one request."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": content_type}
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, context=context, timeout=60) as answer:
            text = answer.read().decode()
            return answer.status, json.JSONDecoder().raw_decode(text)[0] if text else {}  # a watch has many
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


class Cluster:
    """The lab's cluster, as the stand-in needs it."""

    def __init__(self, lab):
        self.url, self.domain = lab.known["sandbox_openshift_api_url"], lab.known["openshift_cluster_ingress_domain"]
        self._token = lab.known["cluster_admin_agnosticd_sa_token"]
        self._tls = ssl.create_default_context(cafile=os.environ.get("K8S_AUTH_SSL_CA_CERT"))

    def call(self, method, path, body=None):
        """Status and document of one request to the API server."""
        return call(method, f"{self.url}{path}", self._token, body, self._tls)

    def names(self, guid):
        """The namespaces of an order."""
        found = self.call("GET", f"/api/v1/namespaces?labelSelector=guid={guid}")[1]["items"]
        return sorted(one["metadata"]["name"] for one in found)


class Placements(Catalogs):
    """Orders on the Sandbox API's pools."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cluster = Cluster(cls.lab)
        cls.api = SandboxApi(cls.cluster)
        cls.addClassCleanup(cls.api.close)
        cls.token = call("GET", f"{cls.api.url}/login", cls.api.tokens.issue("login"))[1]["access_token"]

    def request(self, guid):
        resources = [
            {"kind": "OcpSandbox", "annotations": {"namespace_suffix": part, **({"var": var} if var else {})}}
            for part, var in PARTS.items()
        ]
        return {"service_uuid": str(uuid.uuid4()), "annotations": {"guid": guid}, "resources": resources}

    def ask(self, method, path, body=None, **more):
        return call(method, f"{self.api.url}{path}", self.token, body, **more)

    def test_the_stand_in_behaves_as_the_api(self):
        wrong = call("GET", f"{self.api.url}/placements/{uuid.uuid4()}", self.api.tokens.issue("login"))
        self.assertEqual((401, "Wrong token kind, access token required"), (wrong[0], wrong[1]["message"]))
        request = self.request("standin")
        place = f"/placements/{request['service_uuid']}"
        self.assertEqual(self.ask("GET", place)[0], 404)
        self.assertEqual(self.ask("GET", "/placements/no-uuid")[0], 400)
        self.assertEqual(self.ask("POST", "/placements", request, content_type="text/plain")[0], 415)
        self.assertEqual(self.ask("POST", "/placements", {**request, "annotations": {}})[0], 400)
        self.api.fault = 507
        self.assertEqual(self.ask("POST", "/placements", request)[0], 507)
        self.assertEqual(self.ask("POST", "/placements", request)[0], 202)
        self.assertEqual(self.ask("POST", "/placements", request)[0], 200)
        self.assertEqual(self.ask("POST", "/placements", {**request, "reservation": "x"})[0], 409)
        seen = [self.ask("GET", place)[1] for _ in range(4)]
        self.assertEqual([one["status"] for one in seen], ["initializing", "scheduling", "success", "success"])
        tokens = [one["resources"][0]["cluster_additional_vars"]["deployer"] for one in seen[2:]]
        self.assertNotEqual(*tokens)
        self.assertEqual(self.cluster.names("standin")[0], "sandbox-standin-1-agent")
        self.assertEqual([self.ask("DELETE", place)[0] for _ in range(2)], [202, 202])
        self.ask("GET", place)
        self.assertEqual(self.ask("GET", place)[0], 404)

    def test_an_order_lives_in_its_placement(self):
        for how in (HERE / "framework.yml", PLAYBOOKS / "provision.yml"):
            with self.subTest(how.name):
                self.placed(how, "destroy.yml" if how.name == "provision.yml" else None)

    def placed(self, how, back):
        request, output = self.request("placed"), self.output()
        place = f"/placements/{request['service_uuid']}"
        self.assertEqual(self.ask("POST", "/placements", request)[0], 202)
        while (placement := self.ask("GET", place)[1])["status"] != "success":
            pass
        order = output / "order.yml"
        # as the governor does it: catalog, LiteLLM's share of the platform, placement
        litellm = {name: value for name, value in self.lab.known.items() if name.startswith("litellm_")}
        catalog = yaml.safe_load((DATA / "placed.yml").read_text(encoding="utf-8"))
        order.write_text(json.dumps({**catalog, **litellm, **variables(placement)}), encoding="utf-8")
        namespaces = self.cluster.names("placed")
        played = self.play(how, order, output)
        self.good(played, changed=True)
        self.good(self.play(how, order, output), changed=False)
        data = yaml.safe_load((output / "provision-user-data.yaml").read_text(encoding="utf-8"))
        own = data["users"]["sandbox-placed"]
        self.assertEqual(own["librechat_password"], placement["resources"][0]["credentials"][0]["password"])
        self.assertIn("sandbox-placed-2-librechat", own["librechat_url"])
        self.assertNotIn("keycloak-user: changed", played.text)
        self.assertEqual(self.cluster.names("placed"), namespaces)
        undo = {"direction": "destroy"} if back is None else {}
        self.good(self.play(how if back is None else PLAYBOOKS / back, order, output, **undo), changed=True)
        self.assertEqual(self.cluster.names("placed"), namespaces, "the placement's namespaces are not ours to delete")
        self.assertEqual(self.ask("DELETE", place)[0], 202)
        self.ask("GET", place)
        deadline = time.monotonic() + 60
        while self.cluster.names("placed") and time.monotonic() < deadline:
            self.cluster.call("GET", "/api/v1/namespaces?labelSelector=guid=placed&watch=true&timeoutSeconds=1")
        self.assertEqual(self.cluster.names("placed"), [])

    def play(self, playbook, catalog, output, **extra):
        platform, self.lab.vars = self.lab.vars, catalog  # the placement is all the platform says
        try:
            return self.lab.play(playbook, catalog, output, **extra)
        finally:
            self.lab.vars = platform


def load_tests(loader, _tests, _pattern):
    """The placements only: the catalogs have a program of their own."""
    own = [name for name in vars(Placements) if name.startswith("test_")]
    return unittest.TestSuite(Placements(name) for name in own)


if __name__ == "__main__":
    unittest.main()
