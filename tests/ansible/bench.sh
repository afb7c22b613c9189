#!/bin/sh
# bench.sh [runs] [catalog]: what the collections cost beside the program, as bench.py tells; in a lab of its own, with
# the program as it is released and pinned packages. With SLOW=2s the lab's operators take so much longer over
# everything. The machine should have nothing else to do.
set -eu
cd "$(dirname "$0")/../.."
programs=$(tests/ansible/environment.sh tests/ansible/requirements.txt)
work=$(mktemp -d)
trap 'cargo lab down --name "bench-$$"; rm -rf "$work"' EXIT
cargo build --release --bin tenant
cargo lab up --name "bench-$$"
cargo lab env --name "bench-$$" > "$work/environment"
cargo lab env --name "bench-$$" --vars > "$work/lab.yml"
. "$work/environment"
if [ -n "${SLOW:-}" ]; then
    for operator in gitea-operator routes argocd mcp-operators workloads; do
        cargo lab misbehave --name "bench-$$" "$operator" "slow:$SLOW"
    done
fi
export LAB_VARS="$work/lab.yml" TENANT="${CARGO_TARGET_DIR:-target}/release/tenant"
"$programs/python" tests/ansible/bench.py "$@"
