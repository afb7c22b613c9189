//! Variables of the roles that make a tenant: login, namespaces, Argo CD project, Gitea, LLM key.

use super::{
    Group,
    Kind::{Flag, Integer, List, Map, Text},
    Row, row, secret,
};

const API_URL: Row = row("openshift_api_url", Text, "API server for this role only");
const API_TOKEN: Row = secret("openshift_api_token", "token for this role only");
const KEYCLOAK_NAMESPACE: Row = row("keycloak_namespace", Text, "where Keycloak runs (`keycloak`)");
const KEYCLOAK_SECRET: Row = row(
    "keycloak_admin_secret",
    Text,
    "name of the Secret with the administrator (`keycloak-initial-admin`)",
);
const IMAGE: Row = row("image", Text, "image of Gitea (`quay.io/rhpds/gitea`)");
const IMAGE_TAG: Row = row("image_tag", Text, "its tag (`1.25.4`)");
const POSTGRESQL_IMAGE: Row = row("postgresql_image", Text, "image of its database");
const POSTGRESQL_IMAGE_TAG: Row = row("postgresql_image_tag", Text, "its tag");
const VOLUME_SIZE: Row = row("volume_size", Text, "size of Gitea's volume (`2Gi`)");
const POSTGRESQL_VOLUME_SIZE: Row =
    row("postgresql_volume_size", Text, "size of the database's volume (`2Gi`)");
const ADMIN_USER: Row = row("admin_user", Text, "Gitea's administrator (`gitea-admin`)");
const ADMIN_PASSWORD: Row =
    secret("admin_password", "the administrator's password (`common_password`, else random)");
const GITEA_NAMESPACE: Row = row("namespace", Text, "namespace of Gitea");
const GITEA_USERNAME: Row = row("username", Text, "the tenant's user");
const GITEA_PASSWORD: Row = secret("password", "the user's password (`common_password`, else random)");
const REPOSITORIES: Row =
    row("repositories", List, "repositories to migrate: maps of `name`, `repo` (URL) and `private`");

pub(super) const GROUPS: &[Group] = &[
    Group {
        title: "Keycloak user, first generation",
        prefix: "ocp4_workload_ocpsandbox_keycloak_user_",
        rows: &[
            row("username", Text, "login name (`user-<guid>`)"),
            secret("password", "its password (`common_password`, else random)"),
            KEYCLOAK_NAMESPACE,
            KEYCLOAK_SECRET,
            row("keycloak_realm", Text, "realm (`sso`)"),
            API_URL,
            API_TOKEN,
        ],
    },
    Group {
        title: "Keycloak user",
        prefix: "ocp4_workload_tenant_keycloak_user_",
        rows: &[
            secret("password", "its password (`common_password`, else random)"),
            KEYCLOAK_NAMESPACE,
            KEYCLOAK_SECRET,
            row("keycloak_realm", Text, "realm (`sso`)"),
            API_URL,
            API_TOKEN,
        ],
    },
    Group {
        title: "Keycloak user, names without `_user_`",
        prefix: "ocp4_workload_tenant_",
        rows: &[
            row("keycloak_username", Text, "login name (`user-<guid>`)"),
            row("username", Text, "accepted; no role reads it"),
        ],
    },
    Group {
        title: "Namespaces",
        prefix: "ocp4_workload_tenant_namespace_",
        rows: &[
            row("username", Text, "user the namespaces belong to"),
            row("prefix", Text, "name used instead of the user's: `<suffix>-<prefix>`"),
            row(
                "suffixes",
                List,
                "namespaces: suffixes, or maps of `suffix`, `quota`, `limit_range`, `metadata`",
            ),
            row("role", Text, "ClusterRole of the user in each namespace (`admin`)"),
            row("default_metadata", Map, "labels and annotations of every namespace"),
            row(
                "use_cluster_quota",
                Flag,
                "one ClusterResourceQuota instead of one quota per namespace (true)",
            ),
            row("default_quota", Map, "hard limits of the quota"),
            row("default_limit_range", Map, "`default` and `defaultRequest` of containers"),
            row("quota", Map, "`default_quota` under its older name"),
            row("limit_range", Map, "`default_limit_range` under its older name"),
            row("namespaces", List, "suffixes under their oldest name"),
            API_URL,
            API_TOKEN,
        ],
    },
    Group {
        title: "Argo CD project, first generation",
        prefix: "ocp4_workload_ocpsandbox_argocd_user_",
        rows: &[
            row("username", Text, "user the project belongs to"),
            row("namespace", Text, "namespace of Argo CD (`openshift-gitops`)"),
            row("project_prefix", Text, "what the project's name starts with (`appproject-`)"),
            row(
                "cluster_resource_whitelist",
                List,
                "cluster-scoped kinds allowed: maps of `group` and `kind`",
            ),
            row("extra_destinations", List, "more destinations: maps of `namespace` and `server`"),
            API_URL,
            API_TOKEN,
        ],
    },
    Group {
        title: "Argo CD project and account",
        prefix: "ocp4_workload_tenant_openshift_gitops_",
        rows: &[
            row("namespace", Text, "namespace of Argo CD (`openshift-gitops`)"),
            row("argocd_cr_name", Text, "name of the ArgoCD resource (`openshift-gitops`)"),
            row("user", Text, "user of the project and name of the account"),
            secret("user_password", "the account's password (`common_password`, else random)"),
            row("user_project_prefix", Text, "first part of the project's name (`appproject`)"),
            row(
                "user_cluster_resource_whitelist",
                List,
                "cluster-scoped kinds allowed: maps of `group` and `kind`",
            ),
            API_URL,
            API_TOKEN,
        ],
    },
    Group {
        title: "Gitea instance, first generation",
        prefix: "ocp4_workload_ocpsandbox_gitea_instance_",
        rows: &[
            GITEA_NAMESPACE,
            IMAGE,
            IMAGE_TAG,
            POSTGRESQL_IMAGE,
            POSTGRESQL_IMAGE_TAG,
            VOLUME_SIZE,
            POSTGRESQL_VOLUME_SIZE,
            ADMIN_USER,
            ADMIN_PASSWORD,
            API_URL,
            API_TOKEN,
        ],
    },
    Group {
        title: "Gitea user, first generation",
        prefix: "ocp4_workload_ocpsandbox_gitea_user_",
        rows: &[
            GITEA_NAMESPACE,
            ADMIN_USER,
            ADMIN_PASSWORD,
            GITEA_USERNAME,
            GITEA_PASSWORD,
            REPOSITORIES,
            API_URL,
            API_TOKEN,
        ],
    },
    Group {
        title: "Gitea instance and user",
        prefix: "ocp4_workload_tenant_gitea_",
        rows: &[
            GITEA_NAMESPACE,
            IMAGE,
            IMAGE_TAG,
            POSTGRESQL_IMAGE,
            POSTGRESQL_IMAGE_TAG,
            VOLUME_SIZE,
            POSTGRESQL_VOLUME_SIZE,
            ADMIN_USER,
            ADMIN_PASSWORD,
            GITEA_USERNAME,
            GITEA_PASSWORD,
            REPOSITORIES,
            API_URL,
            API_TOKEN,
        ],
    },
    Group {
        title: "Gitea user on a shared instance",
        prefix: "ocp4_workload_tenant_gitea_user_",
        rows: &[
            GITEA_NAMESPACE,
            row("instance", Text, "name of the Gitea resource (`gitea`)"),
            GITEA_USERNAME,
            GITEA_PASSWORD,
            row("email", Text, "the user's address (`<username>@example.com`)"),
            REPOSITORIES,
            row("semaphore_name", Text, "Secret that keeps concurrent runs apart (`gitea-operations-lock`)"),
            row("semaphore_retries", Integer, "accepted; waits have one deadline"),
            row("semaphore_delay_min", Integer, "accepted; waits have one deadline"),
            row("semaphore_delay_max", Integer, "accepted; waits have one deadline"),
            row("semaphore_stale_timeout", Integer, "seconds after which a lock is taken over (600)"),
            API_URL,
            API_TOKEN,
        ],
    },
    Group {
        title: "LLM proxy",
        prefix: "",
        rows: &[
            row("litellm_url", Text, "base URL of LiteLLM (required for its step)"),
            secret("litellm_master_key", "its master key (required for its step)"),
        ],
    },
    Group {
        title: "LLM key",
        prefix: "ocp4_workload_litellm_virtual_keys_",
        rows: &[
            row("models", List, "models the key may use"),
            row("duration", Text, "life of the key (`30d`)"),
            row("alias_format", Text, "alias of the key (`virtkey-<guid>`)"),
            row(
                "user_id_format",
                Text,
                "owner of the key (`email`, `requester_email`, `requester`, else `<guid>@lab.opentlc.com`)",
            ),
            row("metadata", Map, "recorded with the key"),
            row("api_timeout", Integer, "seconds a call may take (30)"),
            row("retry_count", Integer, "accepted; calls are retried within the deadline"),
            row("retry_delay", Integer, "accepted; calls are retried within the deadline"),
            row("verify_ssl", Flag, "verify the proxy's certificate (true)"),
            row("max_budget", Integer, "budget of the key (none)"),
            row("include_docling", Flag, "allow the document model as well (false)"),
            row("docling_model", Text, "name of that model (`Docling`)"),
            row("store_key_in_facts", Flag, "accepted; no effect"),
            row("display_key", Flag, "accepted; keys are never printed to logs"),
            row("enable_user_info_messages", Flag, "report the key in messages (true)"),
            row("enable_user_info_data", Flag, "accepted; the user data always have the key"),
            row("user_info_messages", List, "accepted; the messages are the usual ones"),
            row("delete_method", Text, "accepted; keys are deleted by alias"),
            row("key_id", Text, "accepted; keys are deleted by alias"),
            row("multi_user", Flag, "accepted; one key per tenant"),
            row("user_count", Integer, "number of users of the multi-user mode; accepted"),
            row("user_base", Text, "user names of the multi-user mode (`user`); accepted"),
            row("user_email_domain", Text, "domain of their addresses (`lab.opentlc.com`); accepted"),
            row("write_bastion_profile", Flag, "accepted; there is no bastion"),
            row("bastion_group", Text, "accepted; there is no bastion"),
            row("force_db_delete", Flag, "accepted; keys are deleted through the API only"),
            row("postgres_pod", Text, "accepted; keys are deleted through the API only"),
            row("postgres_db", Text, "accepted; keys are deleted through the API only"),
            row("namespace", Text, "accepted; keys are deleted through the API only"),
            row("subscription_package", Text, "accepted; no role reads it"),
            row("catch_all", Flag, "accepted; a switch of the catalog, not of this role"),
        ],
    },
];
