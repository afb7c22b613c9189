#!/bin/sh
# Gitea as in the operator's pod: settings from its ConfigMap, data on the claim, and the administrator it is given.
set -eu

export HOME=/tmp/home
mkdir -p "$HOME"
# Gitea wants to write to its settings
config=/tmp/app.ini
cp "${GITEA_SETTINGS:-/home/gitea/conf/app.ini}" "$config"
# Git under Gitea does not read the system's settings, which say where the lab's GitHub is
git_home=$(sed -n 's/^HOME_PATH = //p' "$config")
mkdir -p "$git_home"
[ -e "$git_home/.gitconfig" ] || [ ! -e /etc/gitconfig ] || cp /etc/gitconfig "$git_home/.gitconfig"
attempts=0
until gitea migrate --config "$config"; do
  attempts=$((attempts + 1))
  [ "$attempts" -lt 60 ] || exit 1
  sleep 1
done
if ! gitea admin user list --admin --config "$config" | grep -qw "$GITEA_ADMIN_USERNAME"; then
  gitea admin user create --admin --username "$GITEA_ADMIN_USERNAME" --password "$GITEA_ADMIN_PASSWORD" \
    --email "$GITEA_ADMIN_USERNAME@lab.test" --must-change-password=false --config "$config"
fi
exec gitea web --config "$config"
