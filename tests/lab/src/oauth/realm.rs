//! Who may log in where: the realms of the lab's real Keycloak, as its Admin REST API takes them.

use serde_json::{Value, json};

use crate::keycloak::Applicant;

/// What tokens must name as their audience: a value of the chart's stored case.
pub const AUDIENCE: &str = "mcp";
/// The realm the cluster trusts.
pub const TRUSTED: &str = "lab";
/// One like it that nobody trusts.
pub const FOREIGN: &str = "elsewhere";
/// A user in the tenant's group.
pub const STUDENT: &str = "student";
/// A user in no group.
pub const STRANGER: &str = "stranger";
/// The tenant's group: the chart's stored case names it, behind the API server's prefix.
const GROUP: &str = "mcpuser-x1";
/// There is no one to guess it: Keycloak listens on loopback and ends with its test.
const PASSWORD: &str = "lab-password-of-everybody";

/// Ways to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogIn {
    /// Tokens for the MCP server, good for five minutes.
    Usual,
    /// Tokens for the MCP server, good for ten seconds.
    Brief,
    /// Tokens for somebody else.
    Misdirected,
}

impl LogIn {
    fn client(self) -> &'static str {
        match self {
            Self::Usual => "librechat",
            Self::Brief => "brief",
            Self::Misdirected => "misdirected",
        }
    }

    /// Somebody who logs in this way.
    pub fn of<'a>(self, realm: &'a str, user: &'a str) -> Applicant<'a> {
        Applicant { realm, client: self.client(), user, password: PASSWORD }
    }

    fn representation(self) -> Value {
        let mut mappers = vec![mapper(
            "groups",
            "oidc-group-membership-mapper",
            &json!({"claim.name": "groups", "full.path": "false", "access.token.claim": "true"}),
        )];
        if self != Self::Misdirected {
            let audience = json!({"included.custom.audience": AUDIENCE, "access.token.claim": "true"});
            mappers.push(mapper("audience", "oidc-audience-mapper", &audience));
        }
        let attributes = match self {
            Self::Brief => json!({"access.token.lifespan": "10"}),
            Self::Usual | Self::Misdirected => json!({}),
        };
        json!({
            "clientId": self.client(), "publicClient": true, "directAccessGrantsEnabled": true,
            "standardFlowEnabled": false, "attributes": attributes, "protocolMappers": mappers,
        })
    }
}

fn mapper(name: &str, kind: &str, config: &Value) -> Value {
    json!({"name": name, "protocol": "openid-connect", "protocolMapper": kind, "config": config})
}

/// A realm with everybody in it and every way to log in. Without address and full name, Keycloak's default
/// profile takes an account for half set up and lets nobody in.
pub(super) fn representation(realm: &str) -> Value {
    let user = |name: &str, groups: &[String]| {
        json!({
            "username": name, "enabled": true, "firstName": name, "lastName": "Lab",
            "email": format!("{name}@lab.test"), "emailVerified": true, "groups": groups,
            "credentials": [{"type": "password", "value": PASSWORD, "temporary": false}],
        })
    };
    let clients = [LogIn::Usual, LogIn::Brief, LogIn::Misdirected].map(LogIn::representation);
    json!({
        "realm": realm, "enabled": true, "groups": [{"name": GROUP}], "clients": clients,
        "users": [user(STUDENT, &[format!("/{GROUP}")]), user(STRANGER, &[])],
    })
}

/// What makes an API server take the tokens of a realm: the form of the chart's README.
pub(super) fn authentication(issuer: &str, ca: &str) -> Value {
    json!({
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AuthenticationConfiguration",
        "jwt": [{
            "issuer": {"url": issuer, "audiences": [AUDIENCE], "certificateAuthority": ca},
            "claimMappings": {
                "username": {"claim": "preferred_username", "prefix": "sso:"},
                "groups": {"claim": "groups", "prefix": "sso:"},
            },
        }],
    })
}
