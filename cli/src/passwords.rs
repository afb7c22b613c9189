//! The passwords of a tenant: given ones win, others are random and stay the same (in the record).

use secrecy::SecretString;
use tenant_kit::secret::random_password;

use crate::{
    order::{VarError, Vars},
    record::{self, Record},
};

/// Passwords an order gives.
#[derive(Debug, Clone, Default)]
pub struct Given {
    user: Option<SecretString>,
    gitea: Option<SecretString>,
    gitea_admin: Option<SecretString>,
    librechat: Option<SecretString>,
    argo_cd: Option<SecretString>,
}

/// The passwords chosen for a tenant.
#[derive(Debug, Clone)]
pub struct Passwords {
    /// Login in the realm.
    pub user: SecretString,
    /// The user in Gitea.
    pub gitea: SecretString,
    /// Gitea's admin.
    pub gitea_admin: SecretString,
    /// LibreChat.
    pub librechat: SecretString,
    /// The local account in Argo CD.
    pub argo_cd: SecretString,
}

impl Given {
    /// Reads the order's variables. `common_password` stands in for every login of the user, but never for
    /// Gitea's admin: a student who knows it would own the instance (provisioning.md 9, defect 19).
    ///
    /// # Errors
    ///
    /// When a variable cannot be rendered.
    pub fn read(vars: &Vars) -> Result<Self, VarError> {
        let common = "common_password";
        Ok(Self {
            user: vars.secret(&[
                "ocp4_workload_tenant_keycloak_user_password",
                "ocp4_workload_ocpsandbox_keycloak_user_password",
                "sandbox_openshift_password",
                common,
            ])?,
            gitea: vars.secret(&[
                "ocp4_workload_tenant_gitea_user_password",
                "ocp4_workload_tenant_gitea_password",
                "ocp4_workload_ocpsandbox_gitea_user_password",
                "ocp4_workload_ocpsandbox_mcp_user_gitea_user_password",
                common,
            ])?,
            gitea_admin: vars.secret(&[
                "ocp4_workload_tenant_gitea_admin_password",
                "ocp4_workload_ocpsandbox_gitea_instance_admin_password",
            ])?,
            librechat: vars.secret(&["ocp4_workload_ocpsandbox_mcp_user_librechat_password", common])?,
            argo_cd: vars.secret(&["ocp4_workload_tenant_openshift_gitops_user_password", common])?,
        })
    }

    /// Chooses every password and key of a tenant, before anything is created with them. Logins for which the
    /// order says nothing share the user's password: a student keeps one in mind.
    pub async fn choose(self, record: &Record) -> Passwords {
        let user = record.choose("user-password", self.user, random_password).await;
        let gitea = record.choose("gitea-password", self.gitea, || user.clone()).await;
        let librechat = record.choose("librechat-password", self.librechat, || user.clone()).await;
        let argo_cd = record.choose("argo-cd-password", self.argo_cd, || user.clone()).await;
        let gitea_admin = record.choose("gitea-admin-password", self.gitea_admin, random_password).await;
        for name in LIBRECHAT_KEYS {
            record.choose(&format!("librechat-{name}"), None, record::hex64).await;
        }
        record.choose("librechat-creds-iv", None, record::hex32).await;
        Passwords { user, gitea, gitea_admin, librechat, argo_cd }
    }
}

impl Passwords {
    /// `text` instead of every password and key, for objects that are only shown: digests of them in the objects
    /// stay the same from one look to the next.
    pub async fn placeholders(text: &SecretString, record: &Record) -> Self {
        let given = || Some(text.clone());
        for name in LIBRECHAT_KEYS {
            record.choose(&format!("librechat-{name}"), given(), record::hex64).await;
        }
        record.choose("librechat-creds-iv", given(), record::hex32).await;
        let all = Given {
            user: given(),
            gitea: given(),
            gitea_admin: given(),
            librechat: given(),
            argo_cd: given(),
        };
        all.choose(record).await
    }
}

/// LibreChat's keys, distinct and of the length it documents.
const LIBRECHAT_KEYS: [&str; 4] = ["creds-key", "jwt-secret", "jwt-refresh-secret", "meili-master-key"];
