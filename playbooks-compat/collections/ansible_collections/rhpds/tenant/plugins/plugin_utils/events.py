"""What `tenant -o json` tells while it runs, followed to its end.

Lines are events of the engine, and one result. Secrets are masked in events; only the result of `provision`
holds those its owner is meant to know.
"""

from __future__ import annotations

import json

# Exit codes, for people (README.adoc, "Exit codes").
MEANING = {
    2: "the order cannot be used; nothing was touched",
    3: "access denied",
    4: "not ready in time; run again to resume",
    5: "something is left; run destroy again",
    6: "a service failed",
    75: "busy; try again later",
    130: "interrupted; run again to resume",
    143: "interrupted; run again to resume",
}

# States in which provision would have something to do, and destroy something to remove.
TO_DO = frozenset(["absent", "drifted"])
TO_REMOVE = frozenset(["present", "drifted", "not-ready"])
# Belongs to the cluster; a destroy leaves it alone.
SHARED = frozenset(["console-embed"])


class Run:
    """One run of the program, as far as it has told."""

    def __init__(self):
        self.steps = []
        self.warnings = []
        self.failures = []
        self.changed = False
        self.result = None

    def follow(self, line):
        """Takes a line in; returns what people should see of it, if anything."""
        try:
            event = json.loads(line)
        except ValueError:
            return None
        if not isinstance(event, dict):
            return None
        kind, step = event.get("kind"), event.get("step")
        if kind == "result":
            self.result = event.get("data")
        elif kind == "step-finished":
            outcome = event.get("outcome") or {}
            change, summary = outcome.get("change"), outcome.get("summary", "")
            self._end(step, change, summary)
            self.changed = self.changed or change == "changed"
            return f"{step}: {change}: {summary} ({event.get('took_ms', 0) / 1000:.1f} s)"
        elif kind == "step-skipped":
            self._end(step, "skipped", event.get("reason", ""))
        elif kind in ("step-failed", "step-blocked"):
            cause = told(event.get("errors") or [], event.get("hint"))
            self._end(step, "failed" if kind == "step-failed" else "blocked", cause)
            if kind == "step-failed":
                self.failures.append(f"{step}: {cause}")
                return f"{step}: failed: {cause}"
            if not self.failures:
                self.failures.append(f"{step}: blocked by {event.get('by')}: {cause}")
        elif kind == "step-warning":
            self.warnings.append(f"{step}: {event.get('text')}")
        elif kind == "step-waiting":
            return f"{step}: waiting for {event.get('what')}: {event.get('seen')}"
        return None

    def _end(self, step, state, summary):
        self.steps.append({"step": step, "state": state, "summary": summary})

    def seen(self, only):
        """The states a look found, of the steps in `only` (of all, when empty): what such steps lean on is
        looked at as well."""
        found = (self.result or {}).get("steps", []) if isinstance(self.result, dict) else []
        return [one for one in found if not only or one["step"] in only]


def shares(data):
    """User data as arguments of `agnosticd_user_info`, one set per scope: everyone's, then each user's.

    One message per user, because platforms keep one only; bodies apart, because they go with no message.
    """
    sets = [{"msg": data.get("messages"), "data": data.get("data")}, {"body": data.get("body")}]
    for user, own in (data.get("users") or {}).items():
        sets.append({"user": user, "msg": "\n".join(own.get("msg") or []), "data": own.get("data")})
        sets.append({"user": user, "body": "\n".join(own.get("body") or [])})
    told_something = [{key: value for key, value in one.items() if value} for one in sets]
    return [one for one in told_something if set(one) - {"user"}]


def told(errors, hint):
    """An error's chain in one line."""
    chain = ": ".join(errors) or "for no reason given"
    return f"{chain} ({hint})" if hint else chain


def complaints(stderr):
    """Warnings, and the one-line cause, from what the program wrote to stderr."""
    warnings, chain, hint = [], [], None
    for line in stderr.splitlines():
        text = line.strip()
        if text.startswith("warning: "):
            warnings.append(text.removeprefix("warning: "))
        elif text.startswith("error: "):
            chain.append(text.removeprefix("error: "))
        elif text.startswith("caused by: "):
            chain.append(text.removeprefix("caused by: "))
        elif text.startswith("hint: "):
            hint = text.removeprefix("hint: ")
    return warnings, (told(chain, hint) if chain else None)


def cause(code, run, said, stderr):
    """Why a run failed, in one line."""
    text = "; ".join(run.failures) or said
    if not text:
        lines = [line.strip() for line in stderr.splitlines() if line.strip()]
        text = lines[-1] if lines else "the program said nothing"
    return f"{text} [exit {code}: {MEANING.get(code, 'failed')}]"
