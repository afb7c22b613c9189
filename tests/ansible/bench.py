#!/usr/bin/env python3
"""Measures what the collection costs on top of the program, against a lab.

    tests/ansible/bench.sh [runs] [catalog]

Prints a table: wall and processor time, medians. Every way provisions a tenant and destroys it again, in turns, so
that a busy machine is unfair to all of them alike. `tenant --serial` is the critical path of a list of workloads, which
come one after another. `kubernetes.core` is the order's objects, written one by one by that collection's module; it
waits for nobody, so it is left out where `SLOW` says that the lab's operators take their time.
"""

from __future__ import annotations

import json
import math
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

PLAYBOOK = [sys.executable, "-m", "ansible", "playbook"]
WRITES = "kubernetes.core, objects only"
WALL, PROCESSOR, OWN = range(3)
HERE = pathlib.Path(__file__).resolve().parent
PLAYBOOKS = HERE.parents[1] / "playbooks-compat"


def measured(words, environment):
    """Seconds of a command that must succeed: wall, processor, and its own share of the wall time, if it tells."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    wall = time.monotonic() - began
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words[:3]))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    processor = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    return wall, processor, own_share(done.stdout, wall)


def own_share(output, wall):
    """The time in which `tenant --verbose --output json` says that no request was under way, its start and end included."""
    lines = (json.loads(line) for line in output.splitlines() if '"own_ms"' in line)
    accounts = (line["data"] for line in lines)
    return next((wall - (told["elapsed_ms"] - told["own_ms"]) / 1000 for told in accounts), math.nan)


def ways(tenant, catalog, variables, folder):
    """Name → commands of a provision and of a destroy."""
    order = ["-e", f"@{catalog}", "-e", f"@{variables}"]
    play = [*order, "-e", json.dumps({"output_dir": str(folder / "out"), "tenant_binary": str(tenant)})]
    framework = str(HERE / "framework.yml")
    empty = folder / "empty.yml"
    empty.write_text("- {hosts: localhost, connection: local, gather_facts: false, tasks: []}\n", encoding="utf-8")
    told = ["--verbose", "--output", "json"]
    yield "tenant", [str(tenant), "provision", *told, *order], [str(tenant), "destroy", *told, *order]
    yield (
        "tenant --serial",
        [str(tenant), "provision", "--serial", *order],
        [str(tenant), "destroy", "--serial", *order],
    )
    yield "an empty play", [*PLAYBOOK, str(empty)], [*PLAYBOOK, str(empty)]
    yield (
        "role rhpds.tenant.tenant",
        [*PLAYBOOK, str(PLAYBOOKS / "provision.yml"), *play],
        [*PLAYBOOK, str(PLAYBOOKS / "destroy.yml"), *play],
    )
    yield (
        "list of workloads",
        [*PLAYBOOK, framework, *play],
        [*PLAYBOOK, framework, *play, "-e", "direction=destroy"],
    )
    if os.environ.get("SLOW"):
        return
    objects = folder / "objects.yml"
    rendered = subprocess.run([tenant, "render", *order], capture_output=True, text=True, check=True).stdout
    # a masked secret is no base64; the values do not matter for the time it takes to write them
    objects.write_text(rendered.replace("'***'", "Kioq"), encoding="utf-8")
    write = [*PLAYBOOK, str(HERE / "same_writes.yml"), *play, "-e", f"written_objects={objects}"]
    yield WRITES, write, [*write, "-e", "written_state=absent"]


def main():
    """Runs and prints."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    catalog = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else HERE / "data" / "first.yml"
    tenant, variables = (pathlib.Path(os.environ[name]).resolve() for name in ("TENANT", "LAB_VARS"))
    environment = {**os.environ, "ANSIBLE_CONFIG": str(PLAYBOOKS / "ansible.cfg")}
    with tempfile.TemporaryDirectory() as directory:
        table = {name: (forth, back, [], []) for name, forth, back in ways(tenant, catalog, variables, pathlib.Path(directory))}
        for _ in range(runs):
            for forth, back, provisions, destroys in table.values():
                provisions.append(measured(forth, environment))
                destroys.append(measured(back, environment))
    print(f"{catalog.name}, {runs} runs, medians, seconds\n")
    print("| | provision | of it processor | destroy | of it processor |\n|---|---|---|---|---|")
    for name, (_, _, *columns) in table.items():
        cells = [f"{median(times, what):.1f}" for times in columns for what in (WALL, PROCESSOR)]
        print(f"| {name} | " + " | ".join(cells) + " |")
    if WRITES in table:
        print(f"\n{WRITES}, as a multiple of `tenant`:\n")
        print("| | wall time | own share of it | processor |\n|---|---|---|---|")
        for number, direction in enumerate(("provision", "destroy"), start=2):
            theirs, ours = table[WRITES][number], table["tenant"][number]
            parts = [(WALL, WALL), (WALL, OWN), (PROCESSOR, PROCESSOR)]
            cells = [f"{median(theirs, one) / median(ours, other):.0f} ×" for one, other in parts]
            print(f"| {direction} | " + " | ".join(cells) + " |")


def median(times, what):
    """The median of one of the figures `measured` gives."""
    return statistics.median(each[what] for each in times)


if __name__ == "__main__":
    main()
