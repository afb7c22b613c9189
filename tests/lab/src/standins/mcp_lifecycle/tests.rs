use super::*;

fn spec() -> Value {
    json!({
        "source": { "type": "ContainerImage", "containerImage": { "ref": "example.test/gitea-mcp:1" } },
        "config": {
            "port": 8080,
            "arguments": ["/app/gitea-mcp", "-t", "http"],
            "env": [{ "name": "TOKEN", "valueFrom": { "secretKeyRef": { "name": "gitea-creds", "key": "token" } } }],
            "storage": [
                { "path": "/tmp", "permissions": "ReadWrite", "source": { "type": "EmptyDir", "emptyDir": {} } },
                { "path": "/etc/mcp", "source": { "type": "ConfigMap", "configMap": { "name": "config" } } },
            ],
        },
        "runtime": { "security": { "serviceAccountName": "gitea-sa" } },
    })
}

#[test]
fn nothing_is_rolled_out_before_all_it_names_is_there() {
    let found = |known: &'static [&'static str]| missing(&spec(), "ns", move |_, name| known.contains(&name));
    assert_eq!(found(&["config"]).unwrap(), "Secret 'gitea-creds' not found in namespace 'ns'");
    assert_eq!(found(&[]).unwrap(), "ConfigMap 'config' not found in namespace 'ns'");
    assert_eq!(found(&["config", "gitea-creds"]), None);
    let mut optional = spec();
    optional["config"]["env"][0]["valueFrom"]["secretKeyRef"]["optional"] = true.into();
    assert_eq!(missing(&optional, "ns", |_, name| name == "config"), None);
}

#[test]
fn a_pod_has_what_the_resource_says_and_the_operators_defaults_elsewhere() {
    let pod = pod(&spec());
    let container = &pod["containers"][0];
    assert_eq!(container["args"], json!(["/app/gitea-mcp", "-t", "http"]));
    assert_eq!(
        container["volumeMounts"][0],
        json!({ "name": "vol-0", "mountPath": "/tmp", "readOnly": false })
    );
    assert_eq!(container["volumeMounts"][1]["readOnly"], true);
    assert_eq!(pod["volumes"][1], json!({ "name": "vol-1", "configMap": { "name": "config" } }));
    assert_eq!(container["readinessProbe"]["tcpSocket"]["port"], 8080);
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(pod["serviceAccountName"], "gitea-sa");
    let mut given = spec();
    given["runtime"]["security"]["securityContext"] = json!({ "runAsNonRoot": true });
    assert_eq!(super::pod(&given)["containers"][0]["securityContext"], json!({ "runAsNonRoot": true }));
}

#[test]
fn conditions_say_what_keeps_a_server_from_being_ready() {
    let server: DynamicObject =
        serde_json::from_value(json!({ "metadata": { "name": "gitea", "generation": 3 }, "spec": spec() }))
            .unwrap();
    let key = ObjectKey::new(Kind::LifecycleServer, "ns", "gitea");
    for (state, accepted, ready, why) in [
        (State::Invalid("no".to_owned()), "False", "False", "ConfigurationInvalid"),
        (State::Unavailable { ready: 0 }, "True", "False", "DeploymentUnavailable"),
        (State::NotMcp { ready: 1, why: "404".to_owned() }, "True", "False", "MCPEndpointUnavailable"),
        (State::Available { ready: 1 }, "True", "True", "Available"),
        (State::ScaledToZero, "True", "True", "ScaledToZero"),
    ] {
        let status = state.status(&key, &server, false);
        let conditions = &status["conditions"];
        assert_eq!((&conditions[0]["status"], &conditions[1]["status"]), (&json!(accepted), &json!(ready)));
        assert_eq!(conditions[1]["reason"], why);
        assert_eq!(status["address"]["url"], "http://gitea.ns.svc.cluster.local:8080/mcp");
        assert!(same(&status, &state.status(&key, &server, false)) && !same(&status, &json!({})));
    }
}
