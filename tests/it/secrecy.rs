//! No secret of a run is anywhere but in Secrets, in what LiteLLM and others were told, and in the data the tenant's
//! owner is handed.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use k8s_openapi::api::core::v1::{Event, Secret};
use kube::{Api, api::ListParams};
use tenant_cli::exit::ExitCode;
use tenant_lab::faults::{Behaviour, StandIn};

use crate::{
    program::Ended,
    world::{World, order_file},
};

/// Values nobody may read, by what they are.
struct Secrets(Vec<(String, String)>);

impl Secrets {
    /// Everything the record keeps, the tokens and keys in the tenant's namespaces, and the platform's own.
    async fn of(world: &World, guid: &str) -> Self {
        let client = world.client().await;
        let records: Api<Secret> = Api::namespaced(client.clone(), "tenant-system");
        let record = records.get(&format!("tenant-{guid}")).await.expect("there is a record");
        let mut found: Vec<_> = entries(&record).filter(|(name, _)| !name.ends_with("tenant.json")).collect();
        assert!(found.len() >= 10, "the record keeps {} secrets only", found.len());
        for (namespace, name) in [("mcp-gitea", "gitea-creds"), ("gitea", "gitea-passwords")] {
            let secrets: Api<Secret> = Api::namespaced(client.clone(), &format!("{namespace}-user-{guid}"));
            found.extend(entries(&secrets.get(name).await.unwrap_or_else(|error| panic!("{name}: {error}"))));
        }
        let secrets: Api<Secret> = Api::namespaced(client, "keycloak");
        let admin = secrets.get("keycloak-initial-admin").await.expect("Keycloak has an admin");
        found.extend(entries(&admin).filter(|(name, _)| name.ends_with("password")));
        found.push(("the deployer's token".to_owned(), world.lab().state().token.clone()));
        found.push(("LiteLLM's master key".to_owned(), world.lab().state().litellm_master_key.clone()));
        // what is shorter is no secret of ours: a user name, an address of one letter
        found.retain(|(_, value)| value.len() >= 12 && !value.starts_with("http"));
        Self(found)
    }

    /// Fails the test if `text` contains any of them, plain or encoded.
    #[track_caller]
    fn absent_from(&self, place: &str, text: &str) {
        for (name, value) in &self.0 {
            let encoded = BASE64.encode(value);
            let hidden = encoded.trim_end_matches('=');
            // the last character of an encoding depends on what follows the value
            let hidden = &hidden[..hidden.len() - 1];
            let escaped = serde_json::to_string(value).expect("text is JSON");
            for form in [value.as_str(), hidden, escaped.trim_matches('"')] {
                assert!(!text.contains(form), "{place} contains {name}");
            }
        }
    }

    #[track_caller]
    fn absent_from_stderr(&self, ended: &Ended) {
        self.absent_from("stderr", &ended.stderr);
    }
}

fn entries(secret: &Secret) -> impl Iterator<Item = (String, String)> {
    let name = secret.metadata.name.clone().unwrap_or_default();
    let data = secret.data.clone().unwrap_or_default();
    data.into_iter().filter_map(move |(key, value)| {
        Some((format!("Secret {name}, {key}"), String::from_utf8(value.0).ok()?))
    })
}

#[tokio::test]
async fn secrets_stay_where_they_belong() {
    let world = World::shared().await;
    let guid = "hush1";
    let mut command_lines = Vec::new();
    let running = world.provision(guid, "order.yml").arg("-vv").start();
    command_lines.push(running.command_line());
    let provisioned = running.wait_with(|running| command_lines.push(running.command_line()));
    let provisioned = provisioned.expect(ExitCode::Done);
    let secrets = Secrets::of(world, guid).await;
    secrets.absent_from_stderr(&provisioned);
    for line in command_lines {
        secrets.absent_from("a process's arguments", &line);
    }

    let snapshot = world.snapshot().await;
    for (key, mut object) in snapshot.objects {
        if key.starts_with("secrets ") {
            continue;
        }
        // the operator writes passwords into the status, and nothing can be done about it from outside
        if key.starts_with("gitea.pfe.rhpds.com ")
            && let Some(fields) = object.as_object_mut()
        {
            fields.remove("status");
        }
        secrets.absent_from(&key, &object.to_string());
    }
    let events: Api<Event> = Api::all(world.client().await);
    for event in events.list(&ListParams::default()).await.unwrap() {
        secrets.absent_from("an event", &serde_json::to_string(&event).unwrap());
    }

    for command in ["status", "plan", "render", "list"] {
        let program = match command {
            "list" => world.program().arg("list").vars(world.platform()),
            "render" => world.program().args(["render", "--guid", guid]).vars(&order_file("order.yml")),
            _ => world.command(command, guid).vars(&order_file("order.yml")),
        };
        for output in ["text", "json"] {
            let ended = program.clone().args(["-vv", "-o", output]).run().expect(ExitCode::Done);
            secrets.absent_from_stderr(&ended);
            secrets.absent_from(&format!("stdout of {command} -o {output}"), &ended.stdout);
        }
    }

    let again = world.provision(guid, "order.yml").args(["-vv", "-o", "json"]).run().expect(ExitCode::Done);
    secrets.absent_from_stderr(&again);
    let (results, events): (Vec<&str>, Vec<&str>) =
        again.stdout.lines().partition(|line| line.contains(r#""kind":"result","of":"provision""#));
    secrets.absent_from("the JSON events", &events.join("\n"));
    assert!(results.len() == 1 && results[0].contains("litellm_virtual_key"), "{again}");

    let destroyed = world.destroy(guid).args(["-vv", "-o", "json"]).run().expect(ExitCode::Done);
    secrets.absent_from_stderr(&destroyed);
    secrets.absent_from("the events of destroy", &destroyed.stdout);
}

#[tokio::test]
async fn secrets_stay_where_they_belong_when_things_fail() {
    let world = World::shared().await;
    let guid = "hush2";
    world.provision(guid, "order.yml").run().expect(ExitCode::Done);
    let secrets = Secrets::of(world, guid).await;
    for stand_in in [StandIn::Keycloak, StandIn::Gitea, StandIn::Litellm] {
        for behaviour in [Behaviour::Failing(400), Behaviour::Failing(401), Behaviour::Wrong] {
            world.misbehave(stand_in, behaviour, guid);
            let ended = world.provision(guid, "order.yml").arg("-vv").within("3s").run();
            secrets.absent_from_stderr(&ended);
            if ended.code() != Some(0) {
                secrets.absent_from("stdout", &ended.stdout);
            }
        }
        world.misbehave(stand_in, Behaviour::Normal, guid);
    }
    world.destroy_without_trace(guid).await;
}

#[tokio::test]
async fn errors_do_not_quote_what_the_order_keeps_secret() {
    let world = World::shared().await;
    let hidden = "correct-horse-battery-staple";
    for vars in [
        serde_json::json!({"common_password": {"nested": hidden}}),
        serde_json::json!({"common_password": format!("{{{{ '{hidden}' | no_such_filter }}}}")}),
        serde_json::json!({"litellm_url": "no address", "common_password": hidden}),
        serde_json::json!({"litellm_master_key": [hidden]}),
    ] {
        let file = world.write("secretive.json", &vars.to_string());
        let ended = world.provision("hush3", "order.yml").vars(&file).arg("-vv").run();
        assert_ne!(ended.code(), Some(0), "{vars} was accepted: {ended}");
        assert!(!ended.stderr.contains(hidden), "the error quotes a secret: {ended}");
    }
    world.destroy_without_trace("hush3").await;
}
