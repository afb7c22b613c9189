"""Starts the user data files of a job, as AgnosticD's set-up does (agnosticd-compat.md 4.1).

An ACTION nobody knows is refused here already: it would become part of their names.
"""

from __future__ import annotations

from ansible.plugins.action import ActionBase
from ansible_collections.rhpds.tenant.plugins.plugin_utils.user_data import Files
from ansible_collections.rhpds.tenant.plugins.plugin_utils.verb import UnknownAction, verb_of


class ActionModule(ActionBase):
    """Action `rhpds.tenant.user_data_files`."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset(["directory", "action", "preserve"])

    def run(self, tmp=None, task_vars=None):
        """Makes directory, files and links; empties the files of this action."""
        result = super().run(tmp, task_vars)
        args = self._task.args
        directory, action = str(args["directory"]), str(args["action"])
        preserve = str(args.get("preserve", False)).lower() in ("true", "yes", "on", "1")
        result.update(changed=False, directory=directory)
        try:
            verb_of(action)
            if not self._task.check_mode:
                Files(directory, action).prepare(preserve)
        except UnknownAction as error:
            result.update(failed=True, msg=str(error))
        except OSError as error:
            result.update(failed=True, msg=f"the user data files cannot be made in {directory}: {error}")
        return result
