//! One agent, several tenants: each namespace's failures go to its own repository and nowhere else.

use std::sync::Arc;

use serde_json::{Value, json};
use tenant_agent::filing::Tracker;
use tenant_agent::investigation::Investigator;
use tenant_agent::routes::Routes;

use crate::double::start;
use crate::{agent_with, body, client, issues, lab, report};

#[tokio::test]
async fn each_namespace_has_a_tracker_of_its_own() {
    let (one, first) = start(lab("build-agent-mtkhb0")).await;
    let (two, second) = start(lab("build-agent-mtkhb0")).await;
    let tracker = |url: &str, owner: &str| Tracker::new(client(url, "gitea"), owner.into(), "mcp".into());
    let routes =
        Routes::to(Some(tracker(&one, "user1"))).with("agent-user2", Arc::new(tracker(&two, "user2")));
    let (agent, _) = agent_with(&one, None, |i| Investigator { routes, ..i }).await;
    let mut of_second = body("build-agent-mtkhb0");
    of_second["namespace"] = json!("agent-user2");
    let answers = [report(&agent, &body("build-agent-mtkhb0")).await, report(&agent, &of_second).await];
    for (answer, world, namespace, other) in [
        (&answers[0], &first, "agent-user1", "agent-user2"),
        (&answers[1], &second, "agent-user2", "agent-user1"),
    ] {
        assert_eq!(answer["outcome"], "created", "{answer}");
        let texts: Vec<_> = issues(world).iter().map(Value::to_string).collect();
        assert_eq!(texts.len(), 1, "one issue for {namespace}");
        assert!(texts[0].contains(namespace) && !texts[0].contains(other), "{}", texts[0]);
    }
    assert_ne!(
        answers[0]["fingerprint"], answers[1]["fingerprint"],
        "the repository is part of the identity"
    );
}
