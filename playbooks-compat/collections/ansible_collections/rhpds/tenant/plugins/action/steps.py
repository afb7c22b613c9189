"""Runs steps of a tenant's recipe: the order's variables in, the steps' results out.

Everything happens in this process and the program it starts; nothing is copied to a host. The result holds
the owner's passwords, so the task that uses this must have `no_log`; `rhpds.tenant.outcome` tells the rest.
"""

from __future__ import annotations

import json
import os

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.rhpds.tenant.plugins.plugin_utils import events, facts, program, variables, verb

display = Display()


class ActionModule(ActionBase):
    """Action `rhpds.tenant.steps`."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset(["only", "skip", "workloads"])

    def run(self, tmp=None, task_vars=None):
        """One run of the program. Failures of the order or the program are told in `cause`, never raised."""
        result = super().run(tmp, task_vars)
        result.update(moved=False, code=0, cause=None, warnings=[], steps=[], shares=[])
        self._task_vars = task_vars or {}
        try:
            asked = verb.verb_of(self._action(), self._flag("tenant_update_provisions"))
            result["verb"] = asked.name
            if asked.name is None:
                result["notice"] = asked.message
            else:
                self._work(asked.name, result)
        except (program.ProgramError, variables.UnusableVariable, verb.UnknownAction) as error:
            result.update(code=2, cause=f"{error} [exit 2: {events.MEANING[2]}]")
        except Exception as error:  # pylint: disable=broad-except
            # an exception would be hidden together with the task's secrets
            result.update(code=1, cause=f"rhpds.tenant.steps: {type(error).__name__}: {variables.first_line(error)}")
        return result

    def _setting(self, name, default=None):
        value = self._task_vars.get(name)
        value = default if value is None else self._templar.template(value)
        return default if value is None else value

    def _flag(self, name):
        return str(self._setting(name, False)).lower() in ("true", "yes", "on", "1")

    def _action(self):
        """ACTION, or agnosticd_action in its place. AgnosticD's software.yml sets ACTION from itself: unless
        the job sets it too, it refers to nothing, which is taken for not set."""
        for name in ("agnosticd_action", "ACTION"):
            try:
                action = self._setting(name)
            except (AnsibleError, RecursionError) as error:
                if "recursive" not in str(error).lower() and not isinstance(error, RecursionError):
                    raise variables.UnusableVariable(name, error) from error
                action = None
            if action is not None:
                return action
        return None

    def _work(self, verb_name, result):
        args = self._task.args
        only = list(args.get("only") or [])
        dry = self._task.check_mode
        command = verb.DRY[verb_name] if dry else verb_name
        environment = self._environment()
        words = program.command(
            str(self._setting("tenant_binary", "tenant")), self._setting("tenant_image"),
            str(self._setting("tenant_container_engine", "podman")), environment,
        )
        program.check_version(words, environment)
        limit = str(self._setting("tenant_timeout", "25m"))
        options = ["--output", "json", command, "--vars-file", "/dev/stdin", "--timeout", limit]
        options += ["--user-info", "none"] if command in (verb.PROVISION, verb.DESTROY) else []
        options += self._selection(only)
        options += [str(word) for word in self._setting("tenant_arguments", [])]
        order = variables.rendered(self._task_vars, self._templar, self._role())
        order.update(self._access_of_role())
        if args.get("workloads"):
            order["workloads"] = variables.plain(args["workloads"])
        run = events.Run()
        code, stderr = program.run(
            [*words, *options], environment, json.dumps(order), program.seconds(limit),
            lambda line: self._tell(run.follow(line)),
        )
        warnings, said = events.complaints(stderr)
        result.update(code=code, steps=run.steps, warnings=warnings + run.warnings, moved=run.changed)
        if code:
            result["cause"] = events.cause(code, run, said, stderr)
        elif command == verb.PROVISION:
            self._hand_over(run.result or {}, result)
        elif command != verb.DESTROY:
            self._look(verb_name, run.seen(only), result)

    def _selection(self, only):
        skip = [str(step) for step in self._task.args.get("skip") or []]
        return [*(["--only", ",".join(only)] if only else []), *(["--skip", ",".join(skip)] if skip else [])]

    def _access_of_role(self):
        """A role's own way to the cluster, `<role>_openshift_api_url` and `…_api_token`, in the order's place."""
        prefix = f"{self._role()}_openshift_api_"
        url, token = (variables.usable(self._setting(f"{prefix}{part}")) for part in ("url", "token"))
        if url and token:
            return {"sandbox_openshift_api_url": url, "cluster_admin_agnosticd_sa_token": token}
        return {}

    def _role(self):
        """The catalog's role that this runs in, without its collection; None in the role for the whole recipe."""
        names = [name.rsplit(".", 1)[-1] for name in self._task_vars.get("ansible_parent_role_names") or []]
        return next((name for name in names if name.startswith("ocp4_workload_")), None)

    def _environment(self):
        """Our own environment, and what `environment:` of the play, block or task adds to it."""
        added = {}
        self._compute_environment_string(added)
        omit = self._task_vars.get("omit")
        environment = dict(os.environ)
        environment.update((name, str(value)) for name, value in added.items() if value != omit)
        return environment

    @staticmethod
    def _tell(text):
        """Long runs stay visible: what ends is told at once, what is waited for with -v."""
        if text and ": waiting for " in text:
            display.v(f"tenant: {text}")
        elif text:
            display.display(f"tenant: {text}")

    @staticmethod
    def _hand_over(data, result):
        result["shares"] = events.shares(data)
        result["ansible_facts"] = facts.compatible(data.get("data", {}))

    def _look(self, verb_name, seen, result):
        """What a look found: the data of ACTION=status, or what a dry run would change."""
        result["steps"] = [
            {"step": one["step"], "state": one["state"], "summary": "; ".join(one.get("details", []))} for one in seen
        ]
        if not self._task.check_mode:
            data = {f"tenant_status_{one['step'].replace('-', '_')}": one["state"] for one in seen}
            result["shares"] = events.shares({"data": data})
            return
        matter = {verb.PROVISION: events.TO_DO, verb.DESTROY: events.TO_REMOVE}.get(verb_name, frozenset())
        result["moved"] = any(
            one["state"] in matter and (verb_name != verb.DESTROY or one["step"] not in events.SHARED) for one in seen
        )
