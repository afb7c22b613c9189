//! What `--help` ends with: how each command is used.

pub(super) const EXAMPLES: &str = "\
Examples:
  tenant provision --guid x1 -e @order.yml           set up the tenant of order x1
  tenant provision --guid x1 -e @order.yml -e litellm_url=https://litellm.example.com
  tenant plan      --guid x1 -e @order.yml           what provision would do
  tenant status    --guid x1                         what is there, step by step
  tenant destroy   --guid x1                         remove it
  tenant provision --guids-from guids.txt -e @order.yml    many at once, with the same variables
  tenant list                                        all tenants of the cluster
  tenant extend    --guid x1 --for 24h               let it live longer
  tenant doctor    -e @order.yml                     is the cluster ready for this order?

The cluster is that of (first match): --api-url with --token-file, --kubeconfig; the order's
sandbox_openshift_api_url with cluster_admin_agnosticd_sa_token; K8S_AUTH_HOST with
K8S_AUTH_API_KEY; K8S_AUTH_KUBECONFIG; KUBECONFIG; ~/.kube/config.

Exit codes: 0 done, 2 the order or command line cannot be used, 3 access denied, 4 not ready
in time (run again to resume), 5 destroy left something behind (run it again), 6 a service
failed, 75 busy (try later), 130/143 interrupted (run again to resume).";

pub(super) const DESTROY_EXAMPLES: &str = "\
Examples:
  tenant destroy --guid x1 --dry-run      what would go, and what is there and stays
  tenant destroy --guid x1                the guid is enough: the rest is on record";

pub(super) const EXTEND_EXAMPLES: &str = "\
Examples:
  tenant extend --guid x1 --for 24h
  tenant extend --guid x1 --until 2026-12-24T18:00

A life is never shortened: a tenant that lives longer already is left as it is.";

pub(super) const LIST_EXAMPLES: &str = "\
Examples:
  tenant list -e @platform.yml
  tenant list --orphans -e @platform.yml      what has no record, with the command that removes it";

pub(super) const DOCTOR_EXAMPLES: &str = "\
Examples:
  tenant doctor --guid x1 -e @order.yml -e @platform.yml    before an order
  tenant doctor --kubeconfig FILE                           what can be told without an order
  tenant doctor --print-rbac | kubectl apply -f -           an account's rights, to the verb

The exit code is 0, or that of the worst a provision would end with: 2 a kind or a setting is
missing, 3 denied, 6 a service does not work. Warnings do not change it.";
