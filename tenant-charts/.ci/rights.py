"""What the charts' service accounts may do, read from the stored renderings in tests/charts, with the reasons.

Reasons are data: `rights.json` of a chart has one for each rule that one of its cases renders, under the rule's name
as the table shows it, and one for each account without any. A rule without a reason is a fault, and so is a reason
without a rule. tests/it/rights.rs asks a real API server whether the tables are right.
"""

import json
import re

import cases

RBAC = ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "ServiceAccount")
HEAD = "| Account | Where | Verbs | Resources | Why |\n|---|---|---|---|---|"


def scalar(text):
    """A flow value: a list, a map or a word."""
    text = text.strip()
    if text.startswith("["):
        return [scalar(item) for item in text[1:-1].split(",") if item.strip()]
    return text.strip("\"'")


def parsed(lines):
    """The part of YAML that rights are rendered in: maps and lists by indentation, flow lists, no multi-line text."""
    if not lines:
        return None
    indent = lines[0][0]
    if lines[0][1].startswith("- "):
        items = []
        for depth, text in lines:
            if depth == indent and text.startswith("- "):
                items.append([(indent + 2, text[2:])])
            else:
                items[-1].append((depth, text))
        return [parsed(item) if re.match(r"[\w.]+:( |$)", item[0][1]) else scalar(item[0][1]) for item in items]
    found, at = {}, 0
    while at < len(lines):
        key, _, value = lines[at][1].partition(":")
        end = at + 1
        while end < len(lines) and (lines[end][0] > indent or lines[end][0] == indent and lines[end][1].startswith("-")):
            end += 1
        found[key] = scalar(value) if value.strip() else parsed(lines[at + 1 : end])
        at = end
    return found


def objects(rendering):
    """Objects of a rendering that are about rights."""
    for document in rendering.split("---\n"):
        kind = re.search(r"^kind: (\w+)$", document, re.M)
        if kind and kind[1] in RBAC:
            lines = [line for line in document.splitlines() if line.strip() and not line.lstrip().startswith("#")]
            yield parsed([(len(line) - len(line.lstrip()), line.strip()) for line in lines])


def named(rule, namespaces):
    """Verbs and resources of a rule, as `kubectl auth can-i --list` calls them."""
    resources = [
        resource + (f".{group}" if group else "") for group in rule["apiGroups"] for resource in rule["resources"]
    ]
    names = ["<namespace>" if name in namespaces else name for name in rule.get("resourceNames", [])]
    suffix = f" named {', '.join(names)}" if names else ""
    return ", ".join(sorted(rule["verbs"])), ", ".join(resources) + suffix


def granted(rendering):
    """(account, where, verbs, resources) of each rule; accounts without any have none."""
    everything = list(objects(rendering))
    namespaces = {one["metadata"]["namespace"] for one in everything if "namespace" in one["metadata"]}
    roles = {(one["kind"], one["metadata"]["name"], one["metadata"].get("namespace")): one for one in everything}
    accounts = {one["metadata"]["name"] for one in everything if one["kind"] == "ServiceAccount"}
    rights = []
    for one in everything:
        if not one["kind"].endswith("Binding"):
            continue
        own, role = one["metadata"].get("namespace"), one["roleRef"]
        for subject in one["subjects"]:
            if subject["kind"] != "ServiceAccount":
                continue
            where = "cluster" if own is None else "own" if own == subject["namespace"] else "listed"
            inner = roles.get((role["kind"], role["name"], own if role["kind"] == "Role" else None))
            rules = [named(rule, namespaces) for rule in inner["rules"]] if inner else []
            rules = rules or [("those of", f"ClusterRole {role['name']}")]
            rights += [(subject["name"], where, *rule) for rule in rules]
            accounts.discard(subject["name"])
    return rights, accounts


def place(places, listed):
    """Where a rule holds, in words; `listed` when the chart's values list namespaces."""
    if "cluster" in places:
        return "the cluster"
    return "the namespaces its values list, by default its own" if listed else "its own namespace"


def table(chart):
    """The chart's table and what is wrong with it; no table for a chart without accounts."""
    file = chart / "rights.json"
    reasons = json.loads(file.read_text()) if file.exists() else {"rules": {}, "nothing": {}}
    rules, idle, busy = {}, set(), set()
    for snapshot in sorted((cases.CASES / chart.name).glob("*.snap")):
        rights, accounts = granted(snapshot.read_text())
        idle |= accounts
        for account, where, verbs, resources in rights:
            busy.add(account)
            who, places = rules.setdefault((verbs, resources), (set(), set()))
            who.add(account)
            places.add(where)
    lines, faults, used = [HEAD], [], set()
    listed = any("listed" in places for _, places in rules.values())
    for (verbs, resources), (who, places) in rules.items():
        rule = f"{verbs} {resources}"
        used.add(rule)
        why = reasons["rules"].get(rule)
        faults += [] if why else [f"rights.json has no reason for the rule: {rule}"]
        accounts = ", ".join(f"`{account}`" for account in sorted(who))
        cells = ", ".join(f"`{resource}`" for resource in resources.split(", "))
        lines.append(f"| {accounts} | {place(places, listed)} | {verbs} | {cells} | {why} |")
    for account in sorted(idle - busy):
        why = reasons["nothing"].get(account)
        faults += [] if why else [f"rights.json does not say why {account} needs no rights"]
        lines.append(f"| `{account}` | nowhere | none | none, and no token in the pod | {why} |")
    faults += [f"rights.json has a reason for what is not rendered: {rule}" for rule in reasons["rules"] if rule not in used]
    faults += [f"rights.json: {account} has rights" for account in reasons["nothing"] if account not in idle - busy]
    return ("\n".join(lines) if len(lines) > 1 else ""), faults
