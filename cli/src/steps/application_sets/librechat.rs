//! Values of LibreChat's own chart (provisioning.md 2.5.2), and LibreChat's configuration inside them.

use serde_json::{Map, Value, json};

use super::{servers, values::Settings};
use crate::names::Names;

pub(super) fn values(names: &Names, settings: &Settings, credentials_revision: &str) -> Value {
    json!({
        "fullnameOverride": "librechat",
        "credentialsRevision": credentials_revision,
        "podSecurityContext": {"fsGroup": null},
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": false,
            "runAsUser": null,
        },
        "librechat": {
            "configYamlContent": format!("{:#}", configuration(names, settings)),
            // registration stays closed: on a public host strangers would spend the tenant's key
            "configEnv": {"ALLOW_REGISTRATION": "false", "ALLOW_EMAIL_LOGIN": "true"},
        },
        "ingress": {"enabled": false},
        "resources": {
            "requests": {"cpu": "100m", "memory": "256Mi"},
            "limits": {"cpu": "1", "memory": "2Gi"},
        },
        "volumes": [{"name": "logs", "emptyDir": {}}, {"name": "logs-root", "emptyDir": {}}],
        "volumeMounts": [
            {"name": "logs", "mountPath": "/app/api/logs"},
            {"name": "logs-root", "mountPath": "/app/logs"},
        ],
        "global": {"compatibility": {"openshift": {"adaptSecurityContext": "force"}}},
        "mongodb": {
            "image": {"tag": "8.0.20"},
            "global": {"compatibility": {"openshift": {"adaptSecurityContext": "force"}}},
        },
        "meilisearch": {
            "image": {"repository": "docker.io/getmeili/meilisearch", "tag": "v1.7.3"},
            "resources": {
                "requests": {"cpu": "100m", "memory": "256Mi"},
                "limits": {"cpu": "1", "memory": "1Gi"},
            },
            "podSecurityContext": {
                "runAsNonRoot": false,
                "runAsUser": null,
                "runAsGroup": null,
                "fsGroup": null,
                "fsGroupChangePolicy": null,
            },
            "securityContext": {},
        },
    })
}

/// `librechat.yaml`; `${CUSTOM_MODEL_KEY}` is filled in by LibreChat from its environment.
fn configuration(names: &Names, settings: &Settings) -> Value {
    let server = |one| json!({"type": "streamable-http", "url": servers::url(names, one)});
    let servers: Map<String, Value> =
        names.mcp_servers().iter().map(|one| (one.name().to_owned(), server(*one))).collect();
    json!({
        "version": "1.3.1",
        "cache": true,
        "mcpServers": servers,
        "endpoints": {"custom": [{
            "name": "LiteMaaS",
            "apiKey": "${CUSTOM_MODEL_KEY}",
            "baseURL": "${CUSTOM_MODEL_URL}",
            "models": {"default": settings.models, "fetch": true},
            "titleConvo": false,
            "summarize": false,
            "forcePrompt": false,
            "modelDisplayLabel": "LiteMaaS",
            "capabilities": ["tools"],
            "dropParams": ["user", "frequency_penalty", "presence_penalty"],
        }]},
    })
}
