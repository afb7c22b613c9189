"""Tells how a run of `rhpds.tenant.steps` ended: changed or not, step by step, or failed and why.

The run itself is hidden, because it carries passwords; this holds none.
"""

from __future__ import annotations

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Action `rhpds.tenant.outcome`."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset(["of"])

    def run(self, tmp=None, task_vars=None):
        """Passes the verdict on."""
        result = super().run(tmp, task_vars)
        run = self._task.args["of"]
        result.update(changed=bool(run.get("moved")), rc=run.get("code", 0), steps=run.get("steps", []))
        for warning in run.get("warnings", []):
            result.setdefault("warnings", []).append(str(warning))
        cause = run.get("cause") or (run.get("msg") if run.get("failed") else None)
        if cause:
            result.update(failed=True, msg=str(cause))
        elif run.get("notice"):
            result["msg"] = run["notice"]
        else:
            result["msg"] = _summary(result["steps"])
        return result


def _summary(steps):
    """`gitea-user changed, litellm-key unchanged`."""
    return ", ".join(f"{one['step']} {one['state']}" for one in steps) or "nothing to do"
