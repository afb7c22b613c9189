#!/bin/sh
# environment.sh REQUIREMENTS: prints the folder of programs of a virtual environment with these packages. It is made
# the first time, from the Python package index, and kept in the lab's cache. Needs python3 with venv.
set -eu
cache=${TENANT_LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tenant-lab}
key=$({ python3 --version && cat "$1"; } | sha256sum | cut -c 1-16)
environment=$cache/python/$key
mkdir -p "$cache/python"
exec 9> "$cache/python/lock"
flock 9
if [ ! -e "$environment/complete" ]; then
    rm -rf "$environment"
    python3 -m venv "$environment" >&2
    "$environment/bin/pip" install --quiet --no-compile --disable-pip-version-check -r "$1" >&2
    touch "$environment/complete"
fi
echo "$environment/bin"
