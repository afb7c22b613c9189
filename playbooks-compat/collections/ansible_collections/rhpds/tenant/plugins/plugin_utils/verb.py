"""From the ACTION of a job to what is asked of `tenant`.

Platforms send more values than roles know: AgnosticV says `destroy`, AgnosticD's own playbook `remove`, older
catalogs `create`, and `start`, `stop`, `update` come although a tenant has nothing to start. Roles of the
first generations looked for one exact word and did nothing, successfully, on any other.
"""

from __future__ import annotations

from dataclasses import dataclass

PROVISION = "provision"
DESTROY = "destroy"
STATUS = "status"

VERBS = {
    "provision": PROVISION,
    "create": PROVISION,
    "destroy": DESTROY,
    "remove": DESTROY,
    "status": STATUS,
}

# Sent by platforms around the life of an order; a tenant has nothing to do then, and must not fail.
IDLE = ("start", "stop", "update")

# What a dry run asks for instead.
DRY = {PROVISION: "plan", DESTROY: STATUS, STATUS: STATUS}


class UnknownAction(ValueError):
    """An ACTION nobody sends; most likely a typing error."""

    def __init__(self, action):
        known = ", ".join([*VERBS, *IDLE])
        what = f"ACTION `{action}` is not known" if action else "ACTION is empty"
        super().__init__(f"{what}: use one of {known}")


@dataclass(frozen=True)
class Verb:
    """What to do: `name` is None when there is nothing to do, and `message` says why."""

    name: str | None
    message: str = ""


def verb_of(action, update_provisions=False):
    """The verb of an ACTION; an undefined one (None) means provision.

    Raises UnknownAction.
    """
    if action is None:
        return Verb(PROVISION)
    text = str(action).strip()
    if text == "update" and update_provisions:
        return Verb(PROVISION)
    if text in IDLE:
        return Verb(None, f"{text} is not implemented: a tenant has nothing to {text}")
    if text not in VERBS:
        raise UnknownAction(text)
    return Verb(VERBS[text])
