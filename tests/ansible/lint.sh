#!/bin/sh
# ansible-lint (production profile) over everything, and ansible-test sanity over the collection with code, in a
# virtual environment with pinned packages. Sanity tests install their own tools from the Python package index.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
PATH=$("$top/tests/ansible/environment.sh" "$top/tests/ansible/lint-requirements.txt"):$PATH
export ANSIBLE_CONFIG="$top/playbooks-compat/ansible.cfg"

for collection in "$top"/playbooks-compat/collections/ansible_collections/*/*/; do
    (cd "$collection" && ansible-lint --offline --profile production)
done
(cd "$top/playbooks-compat" && ansible-lint --offline --profile production \
    provision.yml destroy.yml lifecycle.yml tasks ../tests/ansible/framework.yml ../tests/ansible/same_writes.yml)

# ansible-test wants a checkout of its own, below ansible_collections
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -R "$top/playbooks-compat/collections/ansible_collections" "$work/"
cd "$work/ansible_collections/rhpds/tenant"
git init -q . && git add -A .
# its virtual environments get pip from Python itself instead of from a download
cache="$HOME/.ansible/test/cache"
mkdir -p "$cache"
[ -e "$cache/get_pip_24_2.py" ] || cat > "$cache/get_pip_24_2.py" << 'END'
import subprocess
import sys

subprocess.run([sys.executable, "-m", "ensurepip", "--default-pip"], check=True)
END
ansible-test sanity --python "$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
