#!/bin/sh
# Gitea with the settings the operator has put at $GITEA_APP_INI; its data are on the claim.
set -eu

exec gitea --config "${GITEA_APP_INI:-/home/gitea/conf/app.ini}" --work-path "${GITEA_WORK_DIR:-/gitea-repositories}" web
