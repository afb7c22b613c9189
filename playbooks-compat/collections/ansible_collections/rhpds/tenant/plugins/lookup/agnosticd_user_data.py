"""Reads back what `agnosticd_user_info` wrote."""

from __future__ import annotations

DOCUMENTATION = """
name: agnosticd_user_data
short_description: Read user data of this order
description:
  - Reads a value from C(<action>-user-data.yaml) of the output directory, where C(agnosticd_user_info) put it.
options:
  _terms:
    description: Names of values; C(*) stands for the whole map.
    required: true
  action:
    description: The ACTION whose data are read.
    type: str
    default: provision
  user:
    description: Read the share of this user.
    type: str
"""

EXAMPLES = """
- name: Show where the guide is
  ansible.builtin.debug:
    msg: "{{ lookup('rhpds.tenant.agnosticd_user_data', 'lab_ui_url') }}"
"""

RETURN = """
_raw:
  description: The values; nothing for a name that is not there, and an empty map for C(*).
  type: list
  elements: raw
"""

from ansible.plugins.lookup import LookupBase
from ansible_collections.rhpds.tenant.plugins.plugin_utils.user_data import Files


class LookupModule(LookupBase):
    """Lookup `rhpds.tenant.agnosticd_user_data`."""

    def run(self, terms, variables=None, **kwargs):
        """One value per term."""
        self.set_options(var_options=variables, direct=kwargs)
        found = variables or {}
        directory = found.get("output_dir") or found.get("playbook_dir") or "."
        data = Files(str(self._templar.template(directory)), self.get_option("action")).read()
        if self.get_option("user") is not None:
            data = (data.get("users") or {}).get(self.get_option("user")) or {}
        return [data if term == "*" else data.get(term) for term in terms]
