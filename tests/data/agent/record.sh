#!/usr/bin/env bash
# Records the logs of the agent's evaluation: real tools, made to fail.
#
#   bash tests/data/agent/record.sh                 everything (Debian 12, root; a few minutes)
#   bash tests/data/agent/record.sh git pip-conflict  one group of record/, or single logs
#
# Every `record NAME TOOL VERSION` runs the command on its standard input in a fresh folder that stands for
# /workspace/source, and writes what the command printed to logs/NAME.log and tool, version, exit code and the
# command itself to logs/NAME.yaml. Nothing in a log is written by hand; only what depends on the machine is replaced,
# see `scrub`: the folder, the home directory, ports, and the hosts of package registries.
#
# apt-get install apache2-utils buildah busybox-static docker-registry gcc gcc-12-locales git golang maven nodejs npm openssl
#   openjdk-17-jdk-headless python3-venv skopeo; cargo from rustup. The group `cluster` wants a running lab
#   (`cargo lab up`) and kubectl.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
logs=$here/logs
root=$(mktemp -d)
work=$root/workspace/source
wanted=("$@")
services=()
# What a local server is called in the logs.
alias=registry.example:5000
finish() { for pid in "${services[@]}"; do kill "$pid" 2>/dev/null; done; umount "$root/small" 2>/dev/null; rm -rf "$root"; }
trap finish EXIT
export HOME=${HOME:-/root} LC_ALL=C.UTF-8 NO_COLOR=1 CARGO_TERM_COLOR=never CARGO_TERM_PROGRESS_WHEN=never
export GIT_TERMINAL_PROMPT=0 GIT_CONFIG_NOSYSTEM=1 GOFLAGS=-buildvcs=false
unset "${!PIP_@}" CARGO_TARGET_DIR CARGO_INCREMENTAL
export npm_config_userconfig=/dev/null

# Whether a log is wanted: all are, or it or its group was named.
wants() { ((${#wanted[@]} == 0)) || [[ " ${wanted[*]} " == *" $1 "* || " ${wanted[*]} " == *" $group "* ]]; }

# An empty folder to work in.
fresh() { rm -rf "$work"; mkdir -p "$work"; cd "$work" || exit 1; }

scrub() {
  sed -E -e "s#$root##g" -e 's#/root/\.pyenv/versions/[0-9.]+#/usr/local#g' -e 's#/root/#/home/build/#g' \
    -e 's#registry\.npm[a-z]+\.org#npm.example#g' -e 's#(files\.python[a-z]+|py[p]i)\.org#pypi.example#g' \
    -e 's#repo\.maven\.[a-z]+\.org#maven.example#g' -e 's#(proxy|sum)\.go[a-z]+\.org#goproxy.example#g' \
    -e 's#(index|static)\.crate[s]\.io#crates.example#g' -e "s#(127\.0\.0\.1|localhost):[0-9]{4,5}#$alias#g" \
    -e "s#host='localhost', port=[0-9]+#host='${alias%%:*}', port=443#g" -e "s#target host name 'localhost'#target host name '${alias%%:*}'#g" \
    -e "s#not localhost\$#not ${alias%%:*}#" \
    -e 's#/tmp/[A-Za-z0-9._-]+/#/tmp/build/#g'
}

record() {
  local name=$1 tool=$2 version=$3 command code
  command=$(cat)
  wants "$name" || return 0
  bash -c "$prelude"$'\n'"$command" >"$root/raw" 2>&1
  code=$?
  scrub <"$root/raw" >"$logs/$name.log"
  {
    echo "tool: $tool"
    echo "version: '$(eval "$version" 2>&1 | head -1 | sed "s/\x1b\[[0-9;]*m//g; s/'//g" | scrub)'"
    echo "exit: $code"
    echo "command: |"
    scrub <<<"$command" | sed 's/^/  /'
  } >"$logs/$name.yaml"
  echo "$name: exit $code, $(wc -l <"$logs/$name.log") lines"
}

# Commands see these functions.
prelude=$(cat <<'P'
buildah() { command buildah --storage-driver vfs "$@"; }
tools="-v /usr:/usr:ro -v /lib:/lib:ro -v /lib64:/lib64:ro -v /etc/ssl:/etc/ssl:ro -v /etc/alternatives:/etc/alternatives:ro"
build() { buildah bud --isolation chroot --pull=never $tools ${mounts:-} "$@"; }
P
)
eval "$prelude"

# The base image of the builds: a busybox; the machine's own /usr is mounted beside it, so that RUN finds the real pip,
# go, npm and mvn.
base() {
  command -v buildah >/dev/null || return 1
  buildah inspect --type image quay.io/example/base:1 >/dev/null 2>&1 && return
  local container mounted applet
  container=$(buildah from scratch)
  mounted=$(buildah mount "$container")
  mkdir -p "$mounted"/{bin,usr,lib,lib64,etc,tmp,proc,sys,dev,root,var/tmp,opt/app-root}
  cp /usr/bin/busybox "$mounted/bin/busybox"
  for applet in sh cat ls mkdir echo env true false cp rm chmod; do ln -s busybox "$mounted/bin/$applet"; done
  echo 'root:x:0:0:root:/root:/bin/sh' >"$mounted/etc/passwd"
  buildah config --env PATH=/opt/app-root/bin:/usr/local/go/bin:/usr/bin:/bin "$container"
  buildah commit -q "$container" quay.io/example/base:1 >/dev/null
  buildah rm "$container" >/dev/null
}

for file in "$here"/record/*.sh; do
  group=$(basename "$file" .sh)
  names="$group $(sed -nE 's/^ *record ([a-z0-9-]+) .*/\1/p' "$file" | tr '\n' ' ')"
  ((${#wanted[@]} == 0)) || [[ " $names " =~ \ ($(IFS='|' && echo "${wanted[*]}"))\  ]] || continue
  source "$file"
done
