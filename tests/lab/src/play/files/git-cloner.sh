#!/bin/sh
# Clones $GIT_REPO_URL at $GIT_REPO_REF to /showroom/repo; a folder as the first argument takes the place of /showroom.
set -eu

repository=${1:-/showroom}/repo
rm -rf "$repository"
git clone --quiet "$GIT_REPO_URL" "$repository"
git -C "$repository" checkout --quiet "$GIT_REPO_REF"
echo "$GIT_REPO_URL is at $(git -C "$repository" rev-parse HEAD)"
