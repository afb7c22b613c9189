//! Checks that the shared cluster lets Showroom show the console in a frame. Changes nothing: the routers are
//! everybody's, and a tenant's order must never roll them out anew (provisioning.md 9, defects 37 to 39).

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _, try_join};
use serde_json::Value;
use tenant_workflow::{
    scope::Scope,
    step::{Outcome, RevertAfter, Seen, State, Step, StepError, StepId},
};

use crate::{
    cluster::{INGRESS_CONTROLLER, ObjectRef, ROUTE},
    rights::{Right, Verb},
    tenant::Tenant,
};

/// What the step does at the API server.
pub const RIGHTS: &[Right] = &[
    Right::on(INGRESS_CONTROLLER, &[Verb::Get]).named(&["default"]),
    Right::on(ROUTE, &[Verb::Get]).named(&["oauth-openshift"]),
];

/// The step.
pub struct ConsoleEmbed {
    tenant: Arc<Tenant>,
}

impl ConsoleEmbed {
    /// The step for a tenant.
    pub fn new(tenant: Arc<Tenant>) -> Self {
        Self { tenant }
    }

    /// What keeps the console out of frames; nothing when all is well.
    async fn obstacles(&self) -> Result<Vec<String>, StepError> {
        let controller = ObjectRef::new(INGRESS_CONTROLLER, "openshift-ingress-operator", "default");
        let login = ObjectRef::new(ROUTE, "openshift-authentication", "oauth-openshift");
        let (controller, login) =
            try_join(self.tenant.cluster.get(&controller), self.tenant.cluster.get(&login)).await?;
        let mut obstacles = Vec::new();
        let headers =
            controller.as_ref().map(|found| &found.data["spec"]["httpHeaders"]["actions"]["response"]);
        obstacles.extend(header_obstacles(headers.unwrap_or(&Value::Null), &self.tenant.domain));
        let termination = login.as_ref().and_then(|route| route.data["spec"]["tls"]["termination"].as_str());
        if termination != Some("reencrypt") {
            obstacles.push(format!(
                "Route openshift-authentication/oauth-openshift is {}, not reencrypt: its headers stay as they are",
                termination.unwrap_or("missing")
            ));
        }
        Ok(obstacles)
    }
}

/// provisioning.md 2.6 #7: `X-Frame-Options` deleted, and a policy that lets the cluster's own hosts frame.
fn header_obstacles(actions: &Value, domain: &str) -> Vec<String> {
    let action = |name: &str| {
        let mut actions = actions.as_array().into_iter().flatten();
        actions.find(|action| action["name"].as_str().is_some_and(|found| found.eq_ignore_ascii_case(name)))
    };
    let mut obstacles = Vec::new();
    if action("X-Frame-Options").is_none_or(|found| found["action"]["type"] != "Delete") {
        obstacles.push("the default IngressController does not delete X-Frame-Options".to_owned());
    }
    let policy = action("Content-Security-Policy").and_then(|found| found["action"]["set"]["value"].as_str());
    if policy.is_none_or(|policy| !policy.contains("frame-ancestors") || !policy.contains(domain)) {
        obstacles.push(format!("the default IngressController sets no frame-ancestors for *.{domain}"));
    }
    obstacles
}

impl Step for ConsoleEmbed {
    fn id(&self) -> StepId {
        "console-embed"
    }

    fn title(&self) -> &'static str {
        "console in a frame (check only)"
    }

    fn revert_after(&self) -> RevertAfter {
        RevertAfter::Only(&[])
    }

    fn skipped(&self) -> Option<String> {
        let openshift = self.tenant.cluster.serves(&INGRESS_CONTROLLER) && self.tenant.has_routes();
        (!openshift).then(|| "no OpenShift console here".to_owned())
    }

    fn probe<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<Seen, StepError>> {
        async move {
            let obstacles = self.obstacles().await?;
            if obstacles.is_empty() {
                return Ok(Seen::new(State::Present, ["the console can be framed".to_owned()]));
            }
            // the cluster's business, not the tenant's: nothing of the order is amiss
            Ok(Seen::new(State::Present, obstacles))
        }
        .boxed()
    }

    fn foresee<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<Seen, StepError>> {
        async move { Ok(Seen::new(State::Absent, ["belongs to the cluster".to_owned()])) }.boxed()
    }

    fn apply<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<Outcome, StepError>> {
        async move {
            let obstacles = self.obstacles().await?;
            for obstacle in &obstacles {
                scope.warn(obstacle);
            }
            Ok(Outcome::unchanged(match obstacles.len() {
                0 => "the console can be framed",
                _ => "the console tab of the lab guide will stay empty (see warnings)",
            }))
        }
        .boxed()
    }

    fn revert<'a>(&'a self, _scope: &'a Scope) -> BoxFuture<'a, Result<Outcome, StepError>> {
        async move { Ok(Outcome::unchanged("belongs to the cluster")) }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn headers_of_a_prepared_cluster_are_no_obstacle() {
        let actions = json!([
            {"name": "X-Frame-Options", "action": {"type": "Delete"}},
            {"name": "Content-Security-Policy", "action": {"type": "Set", "set": {
                "value": "frame-ancestors 'self' https://*.apps.example.com"}}},
        ]);
        assert_eq!(header_obstacles(&actions, "apps.example.com"), [""; 0]);
        assert_eq!(header_obstacles(&actions, "apps.other.com").len(), 1);
        assert_eq!(header_obstacles(&Value::Null, "apps.example.com").len(), 2);
    }
}
