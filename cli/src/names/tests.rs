use serde_json::json;

use super::*;

fn vars(value: Value) -> Vars {
    let Value::Object(map) = value else { panic!("a map of variables is expected, got {value}") };
    map.into_iter().collect()
}

fn derived(guid: &str, order: Value) -> Result<Names, NameError> {
    let vars = vars(order);
    Names::derive(super::guid(Some(guid), &vars)?, &vars, &Findings::default())
}

fn refusal(guid: &str, order: Value) -> String {
    derived(guid, order).map_or_else(|error| error.to_string(), |names| format!("derived {names:?}"))
}

#[test]
fn everything_follows_from_the_guid() {
    let names = derived("x1", json!({})).unwrap();
    let namespaces: Vec<_> = names.namespaces().map(|(part, name)| format!("{part}={name}")).collect();
    assert_eq!(
        namespaces,
        [
            "agent=agent-user-x1",
            "librechat=librechat-user-x1",
            "mcp-openshift=mcp-openshift-user-x1",
            "mcp-gitea=mcp-gitea-user-x1",
            "gitea=gitea-user-x1",
            "showroom=showroom-user-x1",
        ]
    );
    assert_eq!(names.app_project(), "appproject-user-x1");
    assert_eq!(names.scc(), "user-x1-mcpserver-scc");
    assert_eq!(names.cluster_quota(), "tenant-user-x1");
    assert_eq!(names.role_binding("admin"), "admin-user-x1");
    assert_eq!(names.key_alias(), "virtkey-x1");
    assert_eq!(names.gitea_token(), "mcp");
    assert_eq!(names.gitea_internal_url(), "http://gitea.gitea-user-x1.svc.cluster.local:3000");
    assert_eq!(names.host(Component::Librechat, "apps.test"), "librechat-librechat-user-x1.apps.test");
    let all = |names: Vec<&ObjectName>| names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    assert_eq!(
        all(names.applications().collect()),
        "mcp-openshift-user-x1 mcp-gitea-user-x1 librechat-config-user-x1 librechat-user-x1 agent-user-x1"
    );
    assert_eq!(
        all(names.application_sets().collect()),
        "user-x1-mcp-openshift user-x1-mcp-gitea user-x1-librechat-config user-x1-librechat user-x1-agent"
    );
    assert_eq!(names.selector(), "app.kubernetes.io/managed-by=tenant,tenant.rhpds.io/guid=x1");
    assert_eq!(
        Value::Object(names.labels()),
        json!({"app.kubernetes.io/managed-by": "tenant", "tenant.rhpds.io/guid": "x1"})
    );
}

#[test]
fn a_chosen_server_has_a_namespace_and_an_application_and_others_have_none() {
    let names = derived("x1", json!({MCP_SERVERS: ["kubeflow", "openshift"]})).unwrap();
    let parts: Vec<&str> = names.namespaces().map(|(part, _)| part).collect();
    assert_eq!(parts, ["agent", "librechat", "mcp-openshift", "mcp-kubeflow", "gitea", "showroom"]);
    let applications: Vec<_> = names.applications().map(ToString::to_string).collect();
    assert_eq!(applications[..2], ["mcp-openshift-user-x1", "mcp-kubeflow-user-x1"]);
    assert_eq!(applications.len(), 5);
    let unchosen: Vec<_> = names.unchosen().map(ToString::to_string).collect();
    assert_eq!(unchosen, ["mcp-gitea-user-x1", "mcp-rhoai-user-x1"]);

    // neither a catalog's list of namespaces nor a record of earlier servers brings one back
    let vars = vars(json!({
        MCP_SERVERS: "openshift",
        "ocp4_workload_tenant_namespace_suffixes": ["agent", "mcp-gitea", "devspace"],
        "mcp_rhoai_namespace": "mcp-openshift-user-x1",
    }));
    let recorded = [("mcp-kubeflow".to_owned(), "sandbox-x1-kf".to_owned())];
    let findings = Findings { recorded: recorded.into(), ..Findings::default() };
    let names = Names::derive(super::guid(Some("x1"), &vars).unwrap(), &vars, &findings).unwrap();
    let parts: Vec<&str> = names.namespaces().map(|(part, _)| part).collect();
    assert_eq!(parts, ["agent", "librechat", "mcp-openshift", "gitea", "showroom", "devspace"]);
    // what another part lives in is nobody's to remove
    let unchosen: Vec<_> = names.unchosen().map(ToString::to_string).collect();
    assert_eq!(unchosen, ["mcp-gitea-user-x1", "sandbox-x1-kf"]);
}

#[test]
fn guids_that_look_like_something_else_work() {
    for guid in ["no", "1e3", "0123", "null", "a", "0"] {
        let names = derived(guid, json!({})).unwrap_or_else(|error| panic!("{guid}: {error}"));
        assert_eq!(names.username().as_str(), format!("user-{guid}"));
    }
}

#[test]
fn impossible_guids_say_which_name_would_break() {
    let long = "a".repeat(31);
    for (guid, expected) in [
        ("", "guid `` is impossible: it must not be empty"),
        ("X1", "guid `X1` is impossible: it must consist of `a-z`, `0-9` and `-`, without 'X'"),
        ("x_1", "guid `x_1` is impossible: it must consist of `a-z`, `0-9` and `-`, without '_'"),
        ("x 1", "guid `x 1` is impossible: it must consist of `a-z`, `0-9` and `-`, without ' '"),
        ("-x", "guid `-x` is impossible: it must start and end with a letter or digit"),
        ("ü", "guid `ü` is impossible: it must consist of `a-z`, `0-9` and `-`, without 'ü'"),
        (
            long.as_str(),
            "guid `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` is impossible: the first label of mcp-openshift's host would \
             be `mcp-openshift-mcp-openshift-user-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa`, and it must have at most 63 \
             characters, not 64",
        ),
    ] {
        assert_eq!(refusal(guid, json!({})), expected);
    }
    assert!(derived(&"a".repeat(30), json!({})).is_ok(), "30 characters are the most that fit");
}

#[test]
fn flag_and_variable_must_agree_on_the_guid() {
    let both = vars(json!({"guid": "x1"}));
    assert_eq!(guid(None, &both).unwrap().as_str(), "x1");
    assert_eq!(guid(Some("x1"), &both).unwrap().as_str(), "x1");
    assert_eq!(
        guid(Some("x2"), &both).unwrap_err().to_string(),
        "--guid is `x2`, but the variable `guid` (default) is `x1`; give one of them"
    );
    assert_eq!(guid(None, &vars(json!({}))), Err(NameError::NoGuid));
}

#[test]
fn explicit_names_win_over_conventions() {
    let names = derived(
        "x1",
        json!({
            "guid": "x1",
            "ocp4_workload_ocpsandbox_mcp_user_username": "mcpuser-{{ guid }}",
            "ocp4_workload_showroom_namespace": "guide-{{ guid }}",
            "gitea_namespace": "loses",
            "gitea": {"sandbox_openshift_namespace": "sandbox-x1-5-gitea"},
            "librechat_namespace": "sandbox-x1-2-librechat",
            "sandbox_openshift_namespace": "sandbox-x1-1-user",
            "ocp4_workload_litellm_virtual_keys_alias_format": "key-of-{{ guid }}",
            "ocp4_workload_ocpsandbox_mcp_user_gitea_internal_url": "http://gitea:3000/",
        }),
    )
    .unwrap();
    assert_eq!(names.username().as_str(), "mcpuser-x1");
    for (component, expected) in [
        (Component::Showroom, "guide-x1"),
        (Component::Gitea, "sandbox-x1-5-gitea"),
        (Component::Librechat, "sandbox-x1-2-librechat"),
        (Component::Agent, "sandbox-x1-1-user"),
        (Component::McpGitea, "mcp-gitea-mcpuser-x1"),
    ] {
        assert_eq!(names.namespace(component).as_str(), expected, "namespace of {component}");
    }
    assert_eq!(names.key_alias(), "key-of-x1");
    assert_eq!(names.gitea_internal_url(), "http://gitea:3000");
}

#[test]
fn the_primary_namespace_alone_says_nothing_about_the_agent() {
    let names = derived("x1", json!({"sandbox_openshift_namespace": "sandbox-x1-abc"})).unwrap();
    assert_eq!(names.namespace(Component::Agent).as_str(), "agent-user-x1");
}

#[test]
fn all_three_generations_name_the_user_and_the_project() {
    for (order, user, project) in [
        (json!({"ocp4_workload_tenant_keycloak_username": "b1"}), "b1", "appproject-b1"),
        (json!({"ocp4_workload_ocpsandbox_argocd_user_username": "a1"}), "a1", "appproject-a1"),
        (json!({"sandbox_openshift_user": "sandbox-x1"}), "sandbox-x1", "appproject-sandbox-x1"),
        (json!({"ocp4_workload_ocpsandbox_argocd_user_project_prefix": "p-"}), "user-x1", "p-user-x1"),
        (json!({"ocp4_workload_tenant_openshift_gitops_user_project_prefix": "p"}), "user-x1", "p-user-x1"),
        (json!({"ocp4_workload_ocpsandbox_mcp_user_argocd_project": "own"}), "user-x1", "own"),
        (json!({"sandbox_openshift_user": "unknown"}), "user-x1", "appproject-user-x1"),
    ] {
        let names = derived("x1", order.clone()).unwrap();
        assert_eq!((names.username().as_str(), names.app_project()), (user, project), "order {order}");
    }
}

#[test]
fn the_third_generation_can_have_its_own_convention_and_more_namespaces() {
    let order = json!({
        "tenant_naming": "username-suffix",
        "ocp4_workload_tenant_namespace_suffixes": [{"suffix": "librechat"}, {"suffix": "tools", "quota": {}}],
    });
    let names = derived("x1", order).unwrap();
    assert_eq!(names.namespace(Component::Librechat).as_str(), "user-x1-librechat");
    let last = names.namespaces().last().map(|(part, name)| (part.to_owned(), name.to_string()));
    assert_eq!(last, Some(("tools".to_owned(), "user-x1-tools".to_owned())));
    assert_eq!(names.namespaces().count(), 7);
    assert_eq!(
        refusal("x1", json!({"tenant_naming": "other"})),
        "`tenant_naming` (default) cannot be used: expected `suffix-username` or `username-suffix`"
    );
}

#[test]
fn a_shared_gitea_is_not_the_tenants_namespace() {
    let shared = derived("x1", json!({"ocp4_workload_tenant_gitea_user_namespace": "gitea"})).unwrap();
    assert!(shared.gitea_shared(), "`gitea` is not named after the tenant");
    assert_eq!(shared.namespace(Component::Gitea).as_str(), "gitea");
    assert!(shared.namespaces().all(|(part, _)| part != "gitea"), "and must not be created or deleted");
    let own = derived("x1", json!({"ocp4_workload_tenant_gitea_user_namespace": "gitea-x1"})).unwrap();
    assert!(!own.gitea_shared() && own.namespaces().count() == 6, "`gitea-x1` is the tenant's");
}

#[test]
fn the_record_wins_and_discovery_loses_to_the_order() {
    let order = vars(json!({"librechat_namespace": "from-order", "showroom_namespace": "from-order-2"}));
    let findings = Findings {
        username: Some("recorded".to_owned()),
        recorded: BTreeMap::from([
            ("librechat".to_owned(), "from-record".to_owned()),
            ("tools".to_owned(), "tools-of-record".to_owned()),
        ]),
        discovered: BTreeMap::from([
            ("showroom".to_owned(), "sandbox-x1-6-showroom".to_owned()),
            ("gitea".to_owned(), "sandbox-x1-5-gitea".to_owned()),
        ]),
    };
    let names = Names::derive(Guid::new("x1").unwrap(), &order, &findings).unwrap();
    assert_eq!(names.username().as_str(), "recorded");
    assert_eq!(names.namespace(Component::Librechat).as_str(), "from-record");
    assert_eq!(names.namespace(Component::Showroom).as_str(), "from-order-2");
    assert_eq!(names.namespace(Component::Gitea).as_str(), "sandbox-x1-5-gitea");
    assert!(names.namespaces().any(|(_, name)| name.as_str() == "tools-of-record"), "got {names:?}");
}

#[test]
fn impossible_names_of_the_order_blame_the_variable() {
    for (order, expected) in [
        (
            json!({"ocp4_workload_showroom_namespace": "Show_Room"}),
            "`ocp4_workload_showroom_namespace` (default) is impossible: the namespace of showroom would be \
             `Show_Room`, and it must consist of `a-z`, `0-9` and `-`, without 'S'",
        ),
        (
            json!({"ocp4_workload_tenant_keycloak_username": "a@b"}),
            "`ocp4_workload_tenant_keycloak_username` (default) is impossible: the username would be `a@b`, and it \
             must consist of `a-z`, `0-9` and `-`, without '@'",
        ),
    ] {
        assert_eq!(refusal("x1", order), expected);
    }
    let long = "librechat-".repeat(6);
    let host = refusal("x1", json!({"librechat_namespace": format!("{long}x")}));
    assert!(host.contains("first label of librechat's host"), "got {host}");
}

#[test]
fn disagreeing_user_names_are_warned_about() {
    let names = derived(
        "x1",
        json!({"ocp4_workload_tenant_keycloak_username": "a", "ocp4_workload_tenant_gitea_username": "b"}),
    )
    .unwrap();
    assert_eq!(
        names.warnings(),
        ["`ocp4_workload_tenant_gitea_username` (default) names user `b`; `a` of \
          `ocp4_workload_tenant_keycloak_username` is used everywhere"]
    );
}

proptest::proptest! {
    /// Whatever the guid and the user's name: either all names are valid, or nothing is made of them.
    #[test]
    fn derived_names_are_always_valid(guid in "[a-z0-9-]{1,40}|\\PC{0,12}", user in "[a-z0-9-]{0,40}|\\PC{0,8}") {
        if let Ok(names) = derived(&guid, json!({"ocp4_workload_tenant_keycloak_username": user})) {
            let mut all: Vec<String> = names.namespaces().map(|(_, name)| name.to_string()).collect();
            all.extend(names.applications().chain(names.application_sets()).map(ToString::to_string));
            all.extend([names.app_project(), names.scc(), names.cluster_quota()].map(str::to_owned));
            all.extend(Component::ALL.map(|part| names.host(part, "d").trim_end_matches(".d").to_owned()));
            for name in all {
                proptest::prop_assert_eq!(label::check(&name), Ok(()), "{}", name);
            }
        }
    }
}
