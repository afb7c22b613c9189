"""The user data files of an output directory, as AgnosticD keeps them (agnosticd-compat.md 4.1, 4.2).

`<action>-user-info.yaml` lists messages, `<action>-user-body.yaml` bodies, one line each; `<action>-user-data.yaml`
is one map, rewritten as a whole. Files that are made here are not for everyone's eyes: they hold passwords.
"""

from __future__ import annotations

import contextlib
import json
import os

import yaml

FILE_MODE = 0o660
DIRECTORY_MODE = 0o775
PROVISION = "provision"


class Files:
    """The files of one action in one directory."""

    def __init__(self, directory, action):
        self.directory = directory
        self.action = action

    def path(self, kind, action=None):
        """The file of a kind: `info`, `body` or `data`."""
        return os.path.join(self.directory, f"{action or self.action}-user-{kind}.yaml")

    def make_directory(self):
        """Makes the directory if it is missing."""
        if not os.path.isdir(self.directory):
            os.makedirs(self.directory, exist_ok=True)
            os.chmod(self.directory, DIRECTORY_MODE)

    def prepare(self, preserve):
        """Starts the files of a job: those of the provision exist, links point to them, the action's own are
        empty unless `preserve`."""
        self.make_directory()
        for kind in ("info", "data"):
            _touch(self.path(kind, PROVISION))
            link = os.path.join(self.directory, f"user-{kind}.yaml")
            target = os.path.basename(self.path(kind, PROVISION))
            if not os.path.islink(link) or os.readlink(link) != target:
                with contextlib.suppress(FileNotFoundError):
                    os.remove(link)
                os.symlink(target, link)
            if not preserve:
                _replace(self.path(kind), "---\n")

    def append(self, kind, texts):
        """Adds lines to the messages or the bodies."""
        self.make_directory()
        with _opened(self.path(kind), "a") as file:
            file.writelines(f"- {json.dumps(text)}\n" for text in texts)

    def read(self):
        """The map of data; empty when there is none."""
        return read(self.path("data"))

    def write(self, data):
        """Replaces the map of data."""
        self.make_directory()
        _replace(self.path("data"), yaml.safe_dump(data, default_flow_style=False, explicit_start=True))

    def merge(self, data, user=None, message=None, body=None):
        """Merges `data` at the top, or with message and body into one user's share."""
        held = self.read()
        if user is None:
            held.update(data)
        else:
            users = held.setdefault("users", {})
            own = users.setdefault(user, {})
            own.update(data)
            for key, text in (("msg", message), ("body", body)):
                if text is not None:
                    own[key] = f"{own[key]}\n{text}" if own.get(key) else text
        self.write(held)


def read(path):
    """The map in a file; empty when there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            return yaml.safe_load(file) or {}
    except FileNotFoundError:
        return {}


def _opened(path, how):
    return open(path, how, encoding="utf-8", opener=lambda name, flags: os.open(name, flags, FILE_MODE))


def _touch(path):
    with _opened(path, "a"):
        pass


def _replace(path, text):
    """Replaces a file at once; one that is there keeps its mode."""
    mode = FILE_MODE
    with contextlib.suppress(FileNotFoundError):
        mode = os.stat(path).st_mode & 0o777
    new = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.{os.getpid()}")
    with _opened(new, "w") as file:
        file.write(text)
    os.chmod(new, mode)
    os.replace(new, path)
