"""Writes the list of variables the collection hands on, from `tenant variables` on stdin.

    target/debug/tenant variables | python3 tests/ansible/contract.py

With --check it compares instead, and fails when the list is out of date.
"""

from __future__ import annotations

import pathlib
import re
import sys

TARGET = pathlib.Path(__file__).parents[2] / (
    "playbooks-compat/collections/ansible_collections/rhpds/tenant/roles/run/vars/main.yml"
)
HEAD = """\
---
# The variables an order may set (`tenant variables`), handed on when they are set. Written by
# tests/ansible/contract.py; do not edit.
run_contract:
  # Whatever begins like a role's variables is handed on as well, so that typing errors are noticed.
  prefixes:
"""
ROLES = (
    "litellm_virtual_keys",
    "gitops_bootstrap",
    "ocpsandbox_argocd_user",
    "ocpsandbox_gitea_instance",
    "ocpsandbox_gitea_user",
    "ocpsandbox_keycloak_user",
    "ocpsandbox_mcp_user",
    "showroom",
    "tenant_gitea",
    "tenant_keycloak_user",
    "tenant_namespace",
    "tenant_openshift_gitops",
)


def written(listing):
    """The file's text for this listing."""
    names = re.findall(r"^  ([A-Za-z_][A-Za-z0-9_]*) \(", listing, re.MULTILINE)
    if not names:
        sys.exit("no variables on stdin: run `tenant variables` into this")
    prefixes = [f"ocp4_workload_{role}_" for role in ROLES]
    text = HEAD + "".join(f"    - {prefix}\n" for prefix in prefixes)
    return text + "  names:\n" + "".join(f"    - {name}\n" for name in names)


def main():
    """Writes or compares."""
    text = written(sys.stdin.read())
    if "--check" not in sys.argv:
        TARGET.write_text(text, encoding="utf-8")
    elif TARGET.read_text(encoding="utf-8") != text:
        sys.exit(f"{TARGET.name} is out of date: run `tenant variables | python3 tests/ansible/contract.py`")


if __name__ == "__main__":
    main()
