//! The stand-ins on a real control plane: what the product relies on, in both directions.

mod world;

use kube::api::DynamicObject;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tenant_lab::{
    builds::crds,
    faults::{Behaviour, StandIn},
};

use crate::world::{
    APP_PROJECT, APPLICATION, APPLICATION_SET, ARGOCD, CLAIM, DEFINITION, DEPLOYMENT, GITEA,
    LIFECYCLE_SERVER, MCP_SERVER, NAMESPACE, ROUTE, SECRET, World, has_condition, is_healthy, text,
};

#[tokio::test]
async fn a_gitea_resource_is_a_real_gitea_until_it_is_deleted() {
    let (world, user) = (World::enter().await, "user-g1");
    world.tenant(user).await;
    world.gitea(user).await;
    let namespace = format!("gitea-{user}");
    let complete = |resource: &DynamicObject| {
        let flags = ["adminSetupComplete", "userSetupComplete", "repoMigrationComplete"];
        flags.iter().all(|flag| resource.data["status"][flag] == true)
            && has_condition(resource, &[("type", "Successful"), ("status", "True")])
    };
    let resource = world.until(GITEA, &namespace, "gitea", "complete", complete).await;

    let status = &resource.data["status"];
    let url = text(&status["giteaRoute"], status);
    assert_eq!(url, format!("https://gitea-{namespace}.{}", world.lab.state().domain));
    let whoami = async |user: &str, password: &Value| -> Value {
        let request = world.http.get(format!("{url}/api/v1/user"));
        let answer = request.basic_auth(user, password.as_str()).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{user} cannot log in");
        answer.json().await.unwrap()
    };
    assert_eq!(whoami("gitea-admin", &status["adminPassword"]).await["is_admin"], true);
    assert_eq!(whoami(user, &status["userPassword"]).await["is_admin"], false);
    let repository = format!("/api/v1/repos/{user}/mcp/contents/tenant");
    assert_eq!(world.status(&format!("gitea-{namespace}"), &repository).await, 200);
    world
        .until(CLAIM, &namespace, "gitea-pvc", "bound", |claim| claim.data["status"]["phase"] == "Bound")
        .await;

    let runs = async || {
        let giteas = world.lab.snapshot().await.unwrap().inventory.gitea;
        giteas.into_iter().find(|gitea| gitea.name.contains(user))
    };
    let content = runs().await.expect("the instance is in the inventory").content;
    assert_eq!(content, [format!("repo {user}/mcp"), "user gitea-admin".into(), format!("user {user}")]);

    world.delete(GITEA, &namespace, "gitea").await;
    world.gone(DEPLOYMENT, &namespace, "gitea").await;
    world.gone(ROUTE, &namespace, "gitea").await;
    assert_eq!(world.status(&format!("gitea-{namespace}"), "/").await, 503);
    world.leave(user).await;
    assert_eq!(runs().await, None, "the process outlives its resource");
}

#[tokio::test]
async fn an_application_set_deploys_and_takes_everything_back() {
    let (world, user) = (World::enter().await, "user-a1");
    let (namespace, application) = (format!("librechat-{user}"), format!("librechat-{user}"));
    world.tenant(user).await;
    world.librechat(user, |_| {}).await;
    let waiting = |application: &DynamicObject| {
        let status = &application.data["status"];
        status["sync"]["status"] == "Synced" && status["health"]["status"] == "Progressing"
    };
    world.until(APPLICATION, ARGOCD, &application, "waiting for its Secret", waiting).await;
    assert_eq!(world.status(&format!("librechat-{namespace}"), "/api/user").await, 503);

    world.librechat_secret(user).await;
    world.until(APPLICATION, ARGOCD, &application, "healthy", is_healthy).await;
    let up_to_date =
        |set: &DynamicObject| has_condition(set, &[("type", "ResourcesUpToDate"), ("status", "True")]);
    world.until(APPLICATION_SET, ARGOCD, &format!("{user}-librechat"), "up to date", up_to_date).await;
    assert_eq!(world.status(&format!("librechat-{namespace}"), "/api/user").await, 401);

    world.delete(APPLICATION_SET, ARGOCD, &format!("{user}-librechat")).await;
    world.gone(APPLICATION, ARGOCD, &application).await;
    world.gone(DEPLOYMENT, &namespace, "librechat").await;
    world.gone(ROUTE, &namespace, "librechat").await;
    world.leave(user).await;
}

#[tokio::test]
async fn what_argocd_refuses_is_in_the_conditions() {
    let (world, user) = (World::enter().await, "user-c1");
    let (set, application) = (format!("{user}-librechat"), format!("librechat-{user}"));
    for suffix in ["agent", "gitea", "librechat", "mcp-gitea", "mcp-openshift"] {
        world.apply(NAMESPACE, "", &format!("{suffix}-{user}"), json!({})).await;
    }
    let set_says = async |reason: &str, message: &str| {
        let fields =
            [("type", "ErrorOccurred"), ("status", "True"), ("reason", reason), ("message", message)];
        world.until(APPLICATION_SET, ARGOCD, &set, reason, |set| has_condition(set, &fields)).await
    };
    world.librechat(user, |_| {}).await;
    set_says("ApplicationValidationError", "which does not exist").await;
    world.project(user).await;
    let null = |set: &mut Value| set["spec"]["generators"][0]["list"]["elements"][0]["key"] = Value::Null;
    world.librechat(user, null).await;
    set_says("ApplicationGenerationFromParamsError", "error parsing value as string").await;

    let application_says = async |condition: &str, message: &str| {
        let fields = [("type", condition), ("message", message)];
        world.until(APPLICATION, ARGOCD, &application, message, |found| has_condition(found, &fields)).await
    };
    let spec = |set: &mut Value, pointer: &str, value: &str| {
        *set["spec"]["template"]["spec"].pointer_mut(pointer).unwrap() = value.into();
    };
    world.librechat(user, |set| spec(set, "/destination/namespace", "default")).await;
    application_says("InvalidSpecError", "do not match any of the allowed destinations").await;
    world.librechat(user, |set| spec(set, "/source/path", "helm/nothing")).await;
    application_says("ComparisonError", "app path does not exist").await;
    world.librechat(user, |set| spec(set, "/source/targetRevision", "v999")).await;
    application_says("ComparisonError", "no revision").await;
    world.librechat(user, |set| spec(set, "/source/repoURL", "https://github.com/no/where")).await;
    application_says("ComparisonError", "repository not found").await;

    world.librechat_secret(user).await;
    world.librechat(user, |_| {}).await;
    world.until(APPLICATION, ARGOCD, &application, "healthy after all", is_healthy).await;
    world.delete(APPLICATION_SET, ARGOCD, &set).await;
    world.gone(APPLICATION, ARGOCD, &application).await;
    world.leave(user).await;
}

#[tokio::test]
async fn an_application_whose_project_is_gone_stays_until_it_is_back() {
    let (world, user) = (World::enter().await, "user-p1");
    let application = format!("librechat-{user}");
    world.tenant(user).await;
    world.librechat_secret(user).await;
    world.librechat(user, |_| {}).await;
    world.until(APPLICATION, ARGOCD, &application, "healthy", is_healthy).await;

    world.delete(APP_PROJECT, ARGOCD, &format!("appproject-{user}")).await;
    world.delete(APPLICATION_SET, ARGOCD, &format!("{user}-librechat")).await;
    let stuck = |found: &DynamicObject| has_condition(found, &[("type", "DeletionError")]);
    world.until(APPLICATION, ARGOCD, &application, "stuck", stuck).await;
    world.until(DEPLOYMENT, &format!("librechat-{user}"), "librechat", "kept", |_| true).await;

    world.project(user).await;
    world.gone(APPLICATION, ARGOCD, &application).await;
    world.gone(DEPLOYMENT, &format!("librechat-{user}"), "librechat").await;
    world.leave(user).await;
}

#[tokio::test]
async fn an_mcp_server_is_ready_when_its_pods_are_and_goes_with_all_it_made() {
    let (world, user) = (World::enter().await, "user-m1");
    let namespace = format!("mcp-gitea-{user}");
    world.tenant(user).await;
    let secret = json!({ "name": "gitea-creds", "key": "token", "targetEnvName": "GITEA_ACCESS_TOKEN" });
    let spec = json!({ "image": "docker.gitea.com/gitea-mcp-server:0.4.0", "transport": "streamable-http",
        "mcpPort": 8000, "secrets": [secret] });
    world.apply(MCP_SERVER, &namespace, "gitea", json!({ "spec": spec })).await;
    let in_phase = async |phase: &str| {
        world
            .until(MCP_SERVER, &namespace, "gitea", phase, |found| found.data["status"]["phase"] == phase)
            .await
    };
    in_phase("Pending").await;
    world.apply(SECRET, &namespace, "gitea-creds", json!({ "data": { "token": "dG9rZW4=" } })).await;
    let server = in_phase("Ready").await;
    let url = format!("http://mcp-gitea-proxy.{namespace}.svc.cluster.local:8080/mcp");
    assert_eq!(server.data["status"]["url"], url);
    world.delete(MCP_SERVER, &namespace, "gitea").await;
    world.gone(DEPLOYMENT, &namespace, "gitea").await;
    world.leave(user).await;
}

#[tokio::test]
async fn the_lifecycle_operator_says_what_is_missing_and_rolls_out_what_is_complete() {
    let (world, user) = (World::enter().await, "user-l1");
    world.tenant(user).await;
    let (namespace, definition) = (format!("mcp-gitea-{user}"), "mcpservers.mcp.x-k8s.io");
    world.apply(DEFINITION, "", definition, crds::mcp_lifecycle()).await;
    let established =
        |found: &DynamicObject| has_condition(found, &[("type", "Established"), ("status", "True")]);
    world.until(DEFINITION, "", definition, "established", established).await;
    let token = json!({ "name": "gitea-creds", "key": "token" });
    let spec = json!({
        "source": { "type": "ContainerImage",
            "containerImage": { "ref": "docker.gitea.com/gitea-mcp-server:1.8.0" } },
        "config": { "port": 8080, "arguments": ["/app/gitea-mcp", "-t", "http", "-port", "8080"],
            "env": [{ "name": "GITEA_ACCESS_TOKEN", "valueFrom": { "secretKeyRef": token } }] },
    });
    world.apply(LIFECYCLE_SERVER, &namespace, "gitea", json!({ "spec": spec })).await;
    let refused = |found: &DynamicObject| {
        let said = found.data["status"]["conditions"][0]["message"].as_str().unwrap_or_default();
        has_condition(found, &[("type", "Accepted"), ("status", "False"), ("reason", "Invalid")])
            && said.starts_with("Secret 'gitea-creds' not found")
    };
    world.until(LIFECYCLE_SERVER, &namespace, "gitea", "refused for its Secret", refused).await;
    world.apply(SECRET, &namespace, "gitea-creds", json!({ "data": { "token": "dG9rZW4=" } })).await;
    let available = |found: &DynamicObject| {
        has_condition(found, &[("type", "Ready"), ("status", "True"), ("reason", "Available")])
    };
    let server = world.until(LIFECYCLE_SERVER, &namespace, "gitea", "available", available).await;
    let url = format!("http://gitea.{namespace}.svc.cluster.local:8080/mcp");
    assert_eq!(server.data["status"]["address"]["url"], url);
    world.delete(LIFECYCLE_SERVER, &namespace, "gitea").await;
    world.gone(DEPLOYMENT, &namespace, "gitea").await;
    world.leave(user).await;
}

#[tokio::test]
async fn faults_change_one_tenant_only_and_end_when_they_are_taken_back() {
    let (world, user) = (World::enter().await, "user-f1");
    let (namespace, application) = (format!("librechat-{user}"), format!("librechat-{user}"));
    world.tenant(user).await;
    world.librechat_secret(user).await;
    world.lab.misbehave(StandIn::Workloads, Behaviour::Failing(503), Some(&namespace));
    world.librechat(user, |_| {}).await;
    let pods_missing = |found: &DynamicObject| {
        found.data["status"]["health"]["message"].as_str().is_some_and(|text| text.contains("0 of 1"))
    };
    world.until(APPLICATION, ARGOCD, &application, "waiting for its image", pods_missing).await;
    world.lab.misbehave(StandIn::Workloads, Behaviour::Normal, Some(&namespace));
    world.until(APPLICATION, ARGOCD, &application, "healthy", is_healthy).await;

    let host = format!("librechat-{namespace}");
    world.lab.misbehave(StandIn::Router, Behaviour::Failing(502), Some(&host));
    assert_eq!(world.status(&host, "/").await, 502);
    world.lab.misbehave(StandIn::Router, Behaviour::Absent, Some(&host));
    let url = format!("https://{host}.{}/", world.lab.state().domain);
    assert!(world.http.get(&url).send().await.is_err(), "a router that is absent has answered");
    world.lab.misbehave(StandIn::Router, Behaviour::Normal, Some(&host));
    assert_eq!(world.status(&host, "/").await, 200);

    world.delete(APPLICATION_SET, ARGOCD, &format!("{user}-librechat")).await;
    world.gone(APPLICATION, ARGOCD, &application).await;
    world.leave(user).await;
}

#[tokio::test]
async fn a_host_belongs_to_one_route_at_a_time() {
    let (world, user) = (World::enter().await, "user-r1");
    world.tenant(user).await;
    let (first, second) = (format!("agent-{user}"), format!("librechat-{user}"));
    let host = format!("claimed-{user}.{}", world.lab.state().domain);
    let route = |host: &str| json!({ "spec": { "host": host, "to": { "kind": "Service", "name": "none" } } });
    let admitted = |status: &'static str, reason: &'static str| {
        move |route: &DynamicObject| {
            let condition = &route.data["status"]["ingress"][0]["conditions"][0];
            condition["type"] == "Admitted"
                && condition["status"] == status
                && condition["reason"].as_str().unwrap_or_default() == reason
        }
    };
    // Of two claims in the same second either may win, as on OpenShift; never both, never none.
    for namespace in [&first, &second] {
        world.apply(ROUTE, namespace, "mine", route(&host)).await;
    }
    let refused = admitted("False", "HostAlreadyClaimed");
    let loser = world.until_either(ROUTE, [&first, &second], "mine", "refused", &refused).await;
    let winner = if loser == first { &second } else { &first };
    world.until(ROUTE, winner, "mine", "admitted", admitted("True", "")).await;
    world.delete(ROUTE, winner, "mine").await;
    world.until(ROUTE, &loser, "mine", "admitted in its turn", admitted("True", "")).await;

    let long = json!({ "spec": { "to": { "kind": "Service", "name": "none" } } });
    world.apply(ROUTE, &first, &"n".repeat(63), long).await;
    let too_long = admitted("False", "InvalidHost");
    world.until(ROUTE, &first, &"n".repeat(63), "too long", too_long).await;
    world.leave(user).await;
}

#[tokio::test]
async fn keycloak_takes_a_user_by_the_secret_of_its_operator() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let (world, user) = (World::enter().await, "user-k1");
    let secret = world.until(SECRET, "keycloak", "keycloak-initial-admin", "there", |_| true).await;
    let field = |name: &str| {
        let encoded = text(&secret.data["data"][name], &"keycloak-initial-admin");
        String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap()
    };
    let base = format!("https://sso.{}", world.lab.state().domain);
    let token = async |realm: &str, name: &str, password: &str| {
        let form = [
            ("client_id", "admin-cli"),
            ("grant_type", "password"),
            ("username", name),
            ("password", password),
        ];
        let url = format!("{base}/realms/{realm}/protocol/openid-connect/token");
        let answer = world.http.post(url).form(&form).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    assert_eq!(token("master", &field("username"), "wrong").await.0, 401);
    let (status, answer) = token("master", &field("username"), &field("password")).await;
    assert_eq!((status, &answer["expires_in"]), (200, &json!(60)));
    let bearer = text(&answer["access_token"], &"token").to_owned();

    let users = format!("{base}/admin/realms/sso/users");
    let create = async || {
        let body = json!({ "username": user, "enabled": true, "email": format!("{user}@example.com") });
        world.http.post(&users).bearer_auth(&bearer).json(&body).send().await.unwrap()
    };
    let created = create().await;
    assert_eq!(created.status(), 201);
    let id = created.headers()["location"].to_str().unwrap().rsplit('/').next().unwrap().to_owned();
    assert_eq!(create().await.status(), 409);
    let password = json!({ "type": "password", "temporary": false, "value": "its own" });
    let reset = world.http.put(format!("{users}/{id}/reset-password")).bearer_auth(&bearer).json(&password);
    assert_eq!(reset.send().await.unwrap().status(), 204);
    assert_eq!(token("sso", user, "its own").await.0, 200);
    let other_realm = world.http.get(format!("{base}/admin/realms/other/users")).bearer_auth(&bearer);
    assert_eq!(other_realm.send().await.unwrap().status(), 404);
    assert_eq!(world.http.get(&users).send().await.unwrap().status(), 401);
    for status in [204, 404] {
        let delete = world.http.delete(format!("{users}/{id}")).bearer_auth(&bearer);
        assert_eq!(delete.send().await.unwrap().status(), status);
    }
}
