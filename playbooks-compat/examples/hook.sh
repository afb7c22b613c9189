#!/bin/sh
# hook.sh GUID provision|destroy — for anything that can run a command: cron, a webhook, an operator of an event.
# ORDER and PLATFORM name the two variables files, OUTPUT the folder for user data.
set -eu
guid=$1 verb=$2
set -- --guid "$guid" -e "@${ORDER:?}" -e "@${PLATFORM:?}" --user-info files --output-dir "${OUTPUT:?}/$guid"
code=0
tenant "$verb" "$@" > /dev/null || code=$?
case $code in
4 | 75 | 130 | 143) # not ready in time, busy, interrupted: the next run resumes
    code=0
    tenant "$verb" "$@" > /dev/null || code=$?
    ;;
esac
exit "$code"
