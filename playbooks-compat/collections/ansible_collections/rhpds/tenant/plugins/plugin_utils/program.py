"""The program `tenant`: where it is, whether it fits, and how it is run.

The order goes in through a pipe and the results come back through one: no file holds a secret, no command line
shows one, and a killed job leaves nothing to clean up.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import subprocess
import threading

# The oldest program whose events and options this collection understands.
MINIMUM = (0, 1, 0)

# Variables of the environment that say where the cluster is; a container is told these and no others.
PASSED = re.compile(r"^(K8S_AUTH_|TENANT_)|^(KUBECONFIG|HTTPS?_PROXY|NO_PROXY|https?_proxy|no_proxy)$")
# Those that name a file, which the container must see.
FILES = ("K8S_AUTH_KUBECONFIG", "K8S_AUTH_SSL_CA_CERT", "KUBECONFIG", "TENANT_INGRESS_CA")

# Seconds the program has beyond its own deadline, to stop in order.
GRACE = 60

_VERSION = re.compile(r"^tenant (\d+)\.(\d+)\.(\d+)")
_PR_SET_PDEATHSIG = 1


class ProgramError(RuntimeError):
    """The program cannot be found, is not the right one, or cannot be started."""


def command(binary, image, engine, environment):
    """The words that start the program."""
    if image:
        found = shutil.which(engine)
        if not found:
            raise ProgramError(
                f"`{engine}` is needed to run tenant from {image} and is not on PATH: "
                "install it, or name another one with tenant_container_engine"
            )
        words = [found, "run", "--rm", "--interactive", "--network=host"]
        for name in sorted(name for name in environment if PASSED.search(name)):
            words += ["--env", name]
        for path in sorted({environment[name] for name in FILES if environment.get(name)}):
            words += ["--volume", f"{path}:{path}:ro"]
        return [*words, image, "tenant"]
    found = shutil.which(os.path.expanduser(binary), path=environment.get("PATH"))
    if not found:
        where = "does not exist or is not executable" if os.sep in binary else "is not on PATH"
        raise ProgramError(
            f"the program `{binary}` {where}: install tenant, or set tenant_binary to its path or "
            "tenant_image to an image that has it"
        )
    return [found]


def check_version(words, environment):
    """Makes sure that the program is tenant, and new enough. Returns its version."""
    try:
        done = subprocess.run(
            [*words, "--version"], env=environment, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=300, check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ProgramError(f"`{words[0]}` cannot be run: {error}") from error
    found = _VERSION.match(done.stdout)
    if not found:
        said = (done.stdout or done.stderr).strip().splitlines()
        raise ProgramError(
            f"`{words[0]}` is not the program tenant: it answers --version with "
            f"`{said[-1] if said else ''}` (exit {done.returncode})"
        )
    version = tuple(int(part) for part in found.groups())
    if version < MINIMUM or version[0] > MINIMUM[0]:
        wanted = ".".join(map(str, MINIMUM))
        raise ProgramError(
            f"`{words[0]}` is tenant {'.'.join(map(str, version))}, and this collection works with "
            f"{wanted} up to the next major version: install that one, or set tenant_binary or tenant_image"
        )
    return version


def seconds(text):
    """A time as `tenant --timeout` takes it, in seconds. Raises ProgramError."""
    match = re.fullmatch(r"(\d+)([smh]?)", str(text).strip())
    if not match or not int(match.group(1)):
        raise ProgramError(f"tenant_timeout is `{text}`: give a time as 90s, 25m or 1h")
    return int(match.group(1)) * {"": 1, "s": 1, "m": 60, "h": 3600}[match.group(2)]


def run(words, environment, order, limit, on_line):
    """Runs the program: `order` (text) goes in, each line of stdout goes to `on_line` as it comes.

    Returns the exit code and all of stderr. A program that outlives `limit` seconds and a grace is stopped.
    """
    try:
        process = subprocess.Popen(
            words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, errors="replace", preexec_fn=_end_with_parent,
        )
    except OSError as error:
        raise ProgramError(f"`{words[0]}` cannot be run: {error}") from error
    complaints = []
    helpers = [
        threading.Thread(target=_feed, args=(process.stdin, order), daemon=True),
        threading.Thread(target=lambda: complaints.extend(process.stderr), daemon=True),
    ]
    guard = threading.Timer(limit + GRACE, process.terminate)
    try:
        for helper in (*helpers, guard):
            helper.start()
        for line in process.stdout:
            on_line(line)
        code = process.wait()
        helpers[1].join()
    finally:
        guard.cancel()
        _stop(process)
    return (128 - code if code < 0 else code), "".join(complaints)


def _feed(pipe, order):
    try:
        with pipe:
            pipe.write(order)
    except BrokenPipeError:
        pass  # it ended before it had read everything, and says why itself


def _stop(process):
    """Asks a program that still runs to stop where a later run can resume, and ends it if it does not."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _end_with_parent():
    """In the new process: SIGTERM when the job is killed, so that it never works on unseen."""
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    except (AttributeError, OSError):
        pass  # Linux only; elsewhere signals reach the process group
