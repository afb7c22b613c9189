"""The variables of an order, rendered by Ansible, for `tenant` to read as one JSON document.

Ansible renders: it knows the catalog's other variables, its vaults, its filters. A variable of another role may
refer to a fact that nobody has set yet, and is left out then; any other is handed on as the name that is missing,
so that `tenant` says who needs it.
"""

from __future__ import annotations

import json
import re

from ansible.errors import AnsibleError, AnsibleUndefinedVariable
from ansible_collections.rhpds.tenant.plugins.plugin_utils.contract import NAMES, PREFIXES

# Selecting steps, the verb and the output files are the runner's business, not the order's.
RESERVED = frozenset(["ACTION", "agnosticd_action", "workloads", "remove_workloads", "output_dir"])

_KNOWN = frozenset(NAMES)
_TEMPLATE = re.compile(r"\{[{%#]")
_UNDEFINED = re.compile(r"'([A-Za-z_][A-Za-z0-9_]*)' is undefined")


class UnusableVariable(ValueError):
    """A variable Ansible itself cannot make sense of."""

    def __init__(self, name, error):
        super().__init__(f"variable `{name}` cannot be rendered: {first_line(error)}")


def first_line(error):
    """The first line of an error's text."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def rendered(task_vars, templar, role=None):
    """The variables of an order that are set, as plain JSON values; `role` is the role at work, if it is one of a
    catalog's, by its short name.

    Variables that begin with a role's prefix are handed on as well, known or not: `tenant` warns of those
    that look like typing errors.
    """
    omit = task_vars.get("omit")
    values = {}
    for name in sorted(task_vars):
        if name in RESERVED or not (name in _KNOWN or name.startswith(PREFIXES)):
            continue
        foreign = role is not None and name.startswith(PREFIXES) and not name.startswith(f"{role}_")
        value = one(name, task_vars[name], templar, omit if foreign else None)
        if value is not omit and not (isinstance(omit, str) and value == omit):
            values[name] = value
    return values


def one(name, value, templar, undefined=None):
    """One variable's value; `undefined` if it refers to something undefined and that is given. Raises
    UnusableVariable."""
    try:
        return literal(plain(templar.template(value)))
    except AnsibleUndefinedVariable as error:
        if undefined is not None:
            return undefined
        missing = _UNDEFINED.search(str(error))
        return "{{ %s }}" % missing.group(1) if missing else value
    except (AnsibleError, TypeError, ValueError, RecursionError) as error:
        raise UnusableVariable(name, error) from error


def plain(value):
    """The value without Ansible's types around it. Raises TypeError for what JSON has no word for."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return "".join(value)  # of exactly this type, and not one that Ansible has marked
    if isinstance(value, dict):
        return {plain(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(item) for item in value]
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(value)


def usable(value):
    """Text that says something: placements write `unknown` for what they do not know."""
    text = "" if value is None else str(value).strip()
    return "" if text == "unknown" else text


def literal(value):
    """The value in a form that `tenant` takes literally: text that looks like a template becomes a template
    that yields it."""
    if isinstance(value, str):
        return "{{ %s }}" % json.dumps(value) if _TEMPLATE.search(value) else value
    if isinstance(value, dict):
        return {key: literal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [literal(item) for item in value]
    return value
