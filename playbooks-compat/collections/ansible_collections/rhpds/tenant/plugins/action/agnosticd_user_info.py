"""Reports messages and data to the person who ordered, and to the platform.

An implementation of its own of what AgnosticD's plugin of this name does (agnosticd-compat.md 4.2), for
playbooks that run without the collection agnosticd.core. Platforms that read job events look for tasks whose
action ends in this name, and find `msg`, `data` and `user` in their results.
"""

from __future__ import annotations

import json

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.rhpds.tenant.plugins.plugin_utils import variables
from ansible_collections.rhpds.tenant.plugins.plugin_utils.user_data import PROVISION, Files

display = Display()


class ActionModule(ActionBase):
    """Action `rhpds.tenant.agnosticd_user_info`."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset(["msg", "body", "data", "data_prefix", "user"])

    def run(self, tmp=None, task_vars=None):
        """Appends messages and bodies, merges data."""
        result = super().run(tmp, task_vars)
        args = self._task.args
        msg, body, user = args.get("msg"), args.get("body"), args.get("user")
        data = args.get("data")
        data = {} if data is None else data
        msg, body, user = (variables.plain(one) for one in (msg, body, user))
        if msg is not None and body is not None:
            return {**result, "failed": True, "msg": "msg and body are mutually exclusive"}
        if not isinstance(data, dict):
            return {**result, "failed": True, "msg": f"data must be a dictionary, not {type(data).__name__}"}
        try:
            data = json.loads(json.dumps(variables.plain(data)))
        except (TypeError, ValueError) as error:
            return {**result, "failed": True, "msg": f"data cannot be written as JSON: {error}"}
        if user is None:
            self._tell(result, msg, body)
        elif msg is not None or body is not None:
            result["msg" if msg is not None else "body"] = _joined(msg if msg is not None else body)
        result.update({"data": data} if data else {}, **({"user": str(user)} if user is not None else {}))
        if not self._task.check_mode:
            prefix = str(args.get("data_prefix") or "")
            self._write({f"{prefix}{key}": value for key, value in data.items()}, user, msg, body, task_vars or {})
        return result

    @staticmethod
    def _tell(result, msg, body):
        """Without a user, texts are shown under a mark that platforms search for."""
        for mark, text in (("user.info: ", msg), ("user.body: ", body)):
            if text is not None:
                marked = [f"{mark}{one}" for one in (text if isinstance(text, list) else [text])]
                result["msg"] = marked if isinstance(text, list) else marked[0]
                for line in marked:  # shown at any verbosity; the data, with passwords, are not
                    display.display(line)

    def _write(self, data, user, msg, body, task_vars):
        files = Files(self._directory(task_vars), self._action(task_vars))
        if user is not None:
            files.merge(data, str(user), _joined(msg), _joined(body))
            return
        for kind, text in (("info", msg), ("body", body)):
            if text is not None:
                files.append(kind, [str(one) for one in (text if isinstance(text, list) else [text])])
        if data:
            files.merge(data)

    def _directory(self, task_vars):
        for scope in (task_vars, _localhost(task_vars)):
            if scope.get("output_dir"):
                return str(self._templar.template(scope["output_dir"]))
        return str(task_vars.get("playbook_dir") or ".")

    def _action(self, task_vars):
        for scope in (task_vars, _localhost(task_vars)):
            try:
                action = self._templar.template(scope["ACTION"]) if "ACTION" in scope else None
            except (AnsibleError, RecursionError):
                action = None  # set from itself, as AgnosticD does: not set
            if action:
                return str(action)
        return PROVISION


def _localhost(task_vars):
    try:
        return task_vars["hostvars"]["localhost"]
    except (KeyError, TypeError, AnsibleError):
        return {}


def _joined(text):
    if text is None:
        return None
    return "\n".join(str(one) for one in text) if isinstance(text, list) else str(text)
