"""The cases in tests/charts, and charts rendered with them as Argo CD renders them."""

import os
import pathlib
import re
import subprocess
import sys

CHARTS = pathlib.Path(__file__).resolve().parent.parent
CASES = CHARTS.parent / "tests" / "charts"
HELM = os.environ.get("HELM", "helm")
# The cluster charts are rendered for: the lab's, whichever the build of Helm takes for usual.
KUBERNETES = "1.34.4"


def run(*command, text=None):
    """Runs a command; whether it went well, what it printed, and what it complained of."""
    command = [str(word) for word in command]
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        sys.exit(f"{command[0]} is not on the PATH; HELM and KUBECTL may say where they are")
    return done.returncode == 0, done.stdout, done.stderr


def rendered():
    """Cases that render, each with its chart."""
    return [(CHARTS / case.parent.name, case) for case in sorted(CASES.glob("*/*.yaml")) if not refusal(case)]


def refused():
    """Cases that must not render, each with its chart and what is to be said."""
    cases = [(CHARTS / case.parent.name, case, refusal(case)) for case in sorted(CASES.glob("*/*.yaml"))]
    return [(chart, case, says) for chart, case, says in cases if says]


def refusal(case):
    """What has to be said when the values of a case are refused; empty when they are good."""
    return directive(case, "says") if case.name.endswith(".refused.yaml") else ""


def directive(case, name):
    """What a case says about itself in a comment."""
    line = re.search(rf"^# {name}: (.*)$", case.read_text(), re.M)
    return line[1] if line else ""


def namespace(chart):
    """Namespace a chart is rendered for."""
    return f"{chart.name}-test"


def template(chart, case=None, extra=()):
    """Renders a chart: whether it went well, and the manifests or the complaint."""
    arguments = ["template", chart.name, chart, "--namespace", namespace(chart), "--kube-version", KUBERNETES, *extra]
    if case:
        arguments += ["--values", case]
        for version in directive(case, "api-versions").split():
            arguments += ["--api-versions", version]
    good, manifests, complaint = run(HELM, *arguments)
    return good, manifests if good else complaint.strip()
