#!/bin/sh
# run.sh [provision|destroy|status|start|stop] [ansible-playbook arguments…]
#
# From a shell: GUID, CLUSTER_ADMIN_TOKEN and LITELLM_MASTER_KEY of the environment become variables of the order.
# Variables of a file named secrets.yml, in the folder this is called from or in its tests/e2e, are added when it
# is there.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
action=provision
case ${1-} in
'' | -*) ;;
*)
    action=$1
    shift
    ;;
esac

case $action in
provision) playbook=provision.yml ;;
destroy | remove) playbook=destroy.yml action=destroy ;;
status | start | stop | update) playbook=lifecycle.yml ;;
cluster-provision)
    echo "cluster-provision is not here: operators and Keycloak are installed once per cluster, by the platform's own tools" >&2
    exit 1
    ;;
*)
    echo "Unknown action: $action" >&2
    exit 1
    ;;
esac

for secrets in secrets.yml tests/e2e/secrets.yml; do
    [ -f "$secrets" ] && set -- -e "@$secrets" "$@"
done

ANSIBLE_CONFIG=${ANSIBLE_CONFIG:-$here/ansible.cfg}
export ANSIBLE_CONFIG
# the environment is read inside of Ansible: nothing of it shows on a command line
exec ansible-playbook "$here/$playbook" -e "ACTION=$action" -e "@$here/vars/environment.yml" "$@"
