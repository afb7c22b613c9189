#!/usr/bin/env python3
"""Runs the collection against a lab: every catalog of `data`, forth and back, twice each way.

    cargo test --workspace -- ansible

or, by hand, with a Python that has the packages of requirements.txt:

    eval "$(cargo lab env)"; cargo lab env --vars > lab.yml
    export LAB_VARS=lab.yml SNAPSHOT="cargo lab snapshot" TENANT=target/debug/tenant
    python3 tests/ansible/check.py [-k name] [-v]

`SNAPSHOT` is the command that prints everything the lab holds: what is left after a destroy is compared with what was
there before. With REWRITE=1 the golden files are written instead of compared.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import unittest

import yaml  # comes with ansible

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE / "data"
GOLDEN = HERE / "golden"
PLAYBOOKS = HERE.parents[1] / "playbooks-compat"
PROJECT = "AppProject created"
CATALOGS = ("first", "second", "third", "multi-user", "jinja", "vaulted")


class Lab:
    """The lab the tests run against."""

    def __init__(self):
        self.vars = pathlib.Path(os.environ["LAB_VARS"]).resolve()
        self.tenant = pathlib.Path(os.environ["TENANT"]).resolve()
        self.known = yaml.safe_load(self.vars.read_text(encoding="utf-8"))

    def timeless(self, text):
        """Text with the lab's addresses, and the key it made up, replaced by those of the golden files."""
        for name, example in (
            ("sandbox_openshift_api_url", "https://api.cluster.example.com:6443"),
            ("openshift_cluster_ingress_domain", "apps.cluster.example.com"),
            ("litellm_url", "https://litellm.example.com"),
        ):
            text = text.replace(self.known[name], example)
        text = re.sub(r"\bsk-[0-9a-f]{16,}", "sk-example", text)
        return re.sub(r"\b[0-9a-f]{64}\b", "hash-of-the-key", text)

    def snapshot(self):
        """Everything the lab holds."""
        done = subprocess.run(shlex.split(os.environ["SNAPSHOT"]), stdout=subprocess.PIPE, text=True, check=True)
        return json.loads(done.stdout)

    def play(self, playbook, catalog, output, *flags, **extra):
        """Runs a playbook for a catalog; `extra` are variables."""
        words = [sys.executable, "-m", "ansible", "playbook", str(playbook), *flags]
        words += ["-e", f"@{catalog}", "-e", f"@{self.vars}"]
        words += ["-e", json.dumps({"output_dir": str(output), "tenant_binary": str(self.tenant), **extra})]
        words += ["--vault-password-file", str(DATA / "vault-password")]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(PLAYBOOKS / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        return Played(subprocess.run(words, capture_output=True, text=True, env=environment, check=False))


class Played:
    """How a playbook ended."""

    def __init__(self, done):
        self.code = done.returncode
        self.text = done.stdout + done.stderr
        recap = re.search(r"changed=(\d+)", self.text)
        self.changed = int(recap.group(1)) if recap else None
        fatal = re.search(r"^fatal: .*?=> (\{.*\})$", self.text, re.MULTILINE)
        self.failure = json.loads(fatal.group(1)) if fatal else {}


class Catalogs(unittest.TestCase):
    """Every catalog, as AgnosticD walks it, in one go, and by the program alone."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.rewrite = os.environ.get("REWRITE") == "1"

    def output(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        return pathlib.Path(directory.name)

    def good(self, played, changed=None):
        self.assertEqual(played.code, 0, played.text)
        if changed is not None:
            self.assertEqual(played.changed > 0, changed, f"something changed: {played.changed}\n{played.text}")

    def same_as_golden(self, catalog, output, listed=True):
        """Compares the user data. Messages come in the order of the workloads when these are `listed`; else in that of
        the recipe, and the project's among them, which not every role that makes one reports."""
        for kind in ("info", "data"):
            name = f"provision-user-{kind}.yaml"
            found = self.lab.timeless((output / name).read_text(encoding="utf-8"))
            golden = GOLDEN / catalog / name
            if self.rewrite and listed:
                golden.parent.mkdir(parents=True, exist_ok=True)
                golden.write_text(found, encoding="utf-8")
            expected = golden.read_text(encoding="utf-8")
            if not listed and kind == "info":
                found = sorted(line for line in found.splitlines() if line in expected or PROJECT not in line)
                expected = sorted(expected.splitlines())
            self.assertEqual(found, expected, f"{catalog}: {name}")
            self.assertEqual(os.readlink(output / f"user-{kind}.yaml"), name)

    def forth_and_back(self, name):
        catalog, output, before = DATA / f"{name}.yml", self.output(), self.lab.snapshot()
        framework = HERE / "framework.yml"
        self.addCleanup(self.lab.play, PLAYBOOKS / "destroy.yml", catalog, self.output())
        self.good(self.lab.play(framework, catalog, output), changed=True)
        self.same_as_golden(name, output)
        again = self.lab.play(framework, catalog, output)
        self.good(again, changed=False)
        self.same_as_golden(name, output)
        for secret in (self.lab.known["litellm_master_key"], self.lab.known["cluster_admin_agnosticd_sa_token"]):
            self.assertNotIn(secret, again.text)
        back = {"direction": "destroy"}
        self.good(self.lab.play(framework, catalog, output, **back), changed=True)
        self.good(self.lab.play(framework, catalog, output, **back), changed=False)
        self.assertEqual(self.lab.snapshot(), before)

    def in_one_go(self, name):
        catalog, output, before = DATA / f"{name}.yml", self.output(), self.lab.snapshot()
        self.addCleanup(self.lab.play, PLAYBOOKS / "destroy.yml", catalog, self.output())
        self.good(self.lab.play(PLAYBOOKS / "provision.yml", catalog, output), changed=True)
        self.same_as_golden(name, output, listed=False)
        self.good(self.lab.play(PLAYBOOKS / "destroy.yml", catalog, output), changed=True)
        self.assertEqual(self.lab.snapshot(), before)

    def test_the_program_alone_gives_the_same(self):
        catalog, output = DATA / "first.yml", self.output()
        words = [self.lab.tenant, "provision", "-e", f"@{catalog}", "-e", f"@{self.lab.vars}", "--output-dir", output]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        self.addCleanup(subprocess.run, [words[0], "destroy", *words[2:-2]], capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.same_as_golden("first", output, listed=False)
        self.good(self.lab.play(HERE / "framework.yml", catalog, output), changed=False)

    def test_a_dry_run_touches_nothing_and_says_what_would_change(self):
        before, output = self.lab.snapshot(), self.output()
        order = (DATA / "second.yml", output / "none")
        played = self.lab.play(PLAYBOOKS / "provision.yml", *order, "--check", "-v")
        self.good(played, changed=True)
        self.assertIn("gitea-instance absent", played.text)
        self.good(self.lab.play(PLAYBOOKS / "destroy.yml", *order, "--check"), changed=False)
        self.assertEqual(self.lab.snapshot(), before)
        self.assertFalse((output / "none").exists(), "a dry run made the output directory")

    def test_actions_without_work_succeed(self):
        output = self.output()
        for action in ("start", "stop", "update"):
            played = self.lab.play(PLAYBOOKS / "lifecycle.yml", DATA / "jinja.yml", output, ACTION=action)
            self.good(played, changed=False)
        played = self.lab.play(PLAYBOOKS / "lifecycle.yml", DATA / "jinja.yml", output, ACTION="status")
        self.good(played, changed=False)
        data = (output / "status-user-data.yaml").read_text(encoding="utf-8")
        self.assertIn("tenant_status_litellm_key: absent\n", data)

    def test_broken_orders_fail_with_one_line_and_touch_nothing(self):
        before = self.lab.snapshot()
        for one in yaml.safe_load((DATA / "broken.yml").read_text(encoding="utf-8")):
            with self.subTest(one["name"]):
                played = self.lab.play(PLAYBOOKS / "provision.yml", DATA / "second.yml", self.output(), **one["change"])
                self.assertNotEqual(played.code, 0)
                self.assertIn(one["says"], played.failure.get("msg", ""), played.text)
                self.assertNotIn("\n", played.failure["msg"])
                self.assertNotIn("Traceback", played.text)
        self.assertEqual(self.lab.snapshot(), before)

    def test_a_program_that_is_not_ours_is_told(self):
        directory = self.output()
        for answer, says in (("tenant 0.0.9", "is tenant 0.0.9"), ("Terraform v1", "is not the program tenant")):
            program = directory / "tenant"
            program.write_text(f"#!/bin/sh\necho '{answer}'\n", encoding="utf-8")
            program.chmod(0o755)
            played = self.lab.play(
                PLAYBOOKS / "provision.yml", DATA / "jinja.yml", directory, tenant_binary=str(program)
            )
            self.assertIn(says, played.failure.get("msg", ""), played.text)
        played = self.lab.play(PLAYBOOKS / "provision.yml", DATA / "jinja.yml", directory, tenant_binary="no-such")
        self.assertIn("`no-such` is not on PATH", played.failure.get("msg", ""), played.text)

    def test_an_image_is_run_by_the_engine_without_secrets_on_its_command_line(self):
        directory = self.output()
        engine = directory / "engine"
        engine.write_text(
            f'#!/bin/sh\necho "$@" >> {directory}/words\nwhile [ "$1" != tenant ]; do shift; done\nshift\n'
            f'exec {self.lab.tenant} "$@"\n',
            encoding="utf-8",
        )
        engine.chmod(0o755)
        settings = {"tenant_image": "quay.io/rhpds/tenant:0.1.0", "tenant_container_engine": str(engine)}
        settings["ACTION"] = "status"
        played = self.lab.play(PLAYBOOKS / "lifecycle.yml", DATA / "jinja.yml", directory, **settings)
        self.good(played)
        words = (directory / "words").read_text(encoding="utf-8")
        self.assertIn("run --rm --interactive", words)
        for name in ("litellm_master_key", "cluster_admin_agnosticd_sa_token"):
            self.assertNotIn(self.lab.known[name], words)

    def test_a_teams_own_workload_runs_among_ours(self):
        catalog, output, before = DATA / "mixed.yml", self.output(), self.lab.snapshot()
        framework = HERE / "framework.yml"
        self.addCleanup(self.lab.play, PLAYBOOKS / "destroy.yml", catalog, self.output(), workloads=[])
        self.good(self.lab.play(framework, catalog, output), changed=True)
        banner = self.lab.snapshot()["objects"].get("configmaps librechat-user-mixed/site-banner")
        text = f"Ask virtkey-mixed at {self.lab.known['openshift_cluster_ingress_domain']}"
        self.assertEqual(banner and banner["data"], {"text": text}, "the role reads the facts of those before it")
        self.good(self.lab.play(framework, catalog, output, direction="destroy"), changed=True)
        self.assertEqual(self.lab.snapshot(), before)

    def test_destroy_of_what_was_never_finished(self):
        catalog, output, before = DATA / "unfinished.yml", self.output(), self.lab.snapshot()
        framework = HERE / "framework.yml"
        self.addCleanup(self.lab.play, PLAYBOOKS / "destroy.yml", catalog, self.output())
        played = self.lab.play(framework, catalog, output)
        self.assertEqual(played.code, 2, played.text)
        self.assertIn("gitea-user: migrate https://github.com/rhpds/no-such-repository", played.failure["msg"])
        self.assertEqual(played.failure["rc"], 6, played.text)
        self.assertIsNone(re.search(r"^tenant: litellm-key", played.text, re.MULTILINE), "the first failure ends the play")
        self.good(self.lab.play(framework, catalog, output, direction="destroy"), changed=True)
        self.assertEqual(self.lab.snapshot(), before)

    def test_destroy_of_what_never_was(self):
        self.good(self.lab.play(PLAYBOOKS / "destroy.yml", DATA / "third.yml", self.output()), changed=False)


def _add(name):
    def forth_and_back(self):
        self.forth_and_back(name)

    def in_one_go(self):
        self.in_one_go(name)

    word = name.replace("-", "_")
    setattr(Catalogs, f"test_{word}_as_agnosticd_walks_it", forth_and_back)
    setattr(Catalogs, f"test_{word}_in_one_go", in_one_go)


for _name in CATALOGS:
    _add(_name)

if __name__ == "__main__":
    unittest.main()
