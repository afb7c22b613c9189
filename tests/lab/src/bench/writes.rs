//! The writes of one provision, taken down so that they can be sent again: what `tenant render` names, as the
//! cluster holds it.

use std::collections::HashMap;

use anyhow::{Context as _, bail};
use futures::future::try_join_all;
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, Patch, PatchParams},
    core::{ApiResource, GroupVersionKind},
    discovery::pinned_kind,
};
use serde_json::{Map, Value, json};

/// Field manager of `tenant`.
const MANAGER: &str = "tenant";
/// Namespace of its records.
const RECORDS: &str = "tenant-system";

/// One object as it is applied.
pub(super) struct Write {
    pub(super) api: Api<DynamicObject>,
    /// To reach the same kind in another namespace.
    kind: (Client, ApiResource),
    pub(super) name: String,
    pub(super) body: Value,
    manager: String,
}

/// Every object one tenant consists of.
pub(super) struct Writes {
    /// Its record.
    pub(super) record: Write,
    /// Its namespaces.
    pub(super) namespaces: Vec<Write>,
    /// What is in them from the start, and the quota over them.
    pub(super) content: Vec<Write>,
    /// The Argo CD project, and the account in two objects that are not the tenant's own.
    pub(super) project: Vec<Write>,
    /// The shares in those two objects.
    pub(super) shares: Vec<Write>,
    /// The Gitea resource and its Secret.
    pub(super) gitea: Vec<Write>,
    /// Security constraints and the Secret with the Gitea token.
    pub(super) servers: Vec<Write>,
    /// What the applications read.
    pub(super) secrets: Vec<Write>,
    /// The `ApplicationSets`.
    pub(super) sets: Vec<Write>,
    /// The lab guide.
    pub(super) guide: Vec<Write>,
}

impl Write {
    /// Applies the object.
    pub(super) async fn apply(&self) -> anyhow::Result<()> {
        self.send(&self.body).await
    }

    /// Applies nothing at all in its place, which withdraws a share of a shared object.
    pub(super) async fn withdraw(&self) -> anyhow::Result<()> {
        let Value::Object(mut body) = self.body.clone() else { return Ok(()) };
        body.retain(|key, _| matches!(key.as_str(), "apiVersion" | "kind" | "metadata"));
        self.send(&body.into()).await
    }

    async fn send(&self, body: &Value) -> anyhow::Result<()> {
        let parameters = PatchParams::apply(&self.manager).force();
        let applied = self.api.patch(&self.name, &parameters, &Patch::Apply(body)).await;
        applied.map(drop).with_context(|| format!("apply {} {}", self.body["kind"], self.name))
    }

    /// Deletes the object.
    pub(super) async fn delete(&self) -> anyhow::Result<()> {
        let deleted = self.api.delete(&self.name, &DeleteParams::background()).await;
        deleted.map(drop).with_context(|| format!("delete {} {}", self.body["kind"], self.name))
    }

    /// The object as it is now, if it is there.
    pub(super) async fn read(&self) -> anyhow::Result<Option<DynamicObject>> {
        let read = self.api.get_opt(&self.name).await;
        read.with_context(|| format!("read {} {}", self.body["kind"], self.name))
    }

    /// The same for another tenant: its guid in the place of this one's, wherever that stands.
    fn of(&self, guid: &str, other: &str) -> Self {
        let body = self.body.to_string().replace(guid, other);
        let body: Value = serde_json::from_str(&body).expect("a guid holds nothing that JSON escapes");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (client, resource) = &self.kind;
        Self {
            api: located(client, resource, &body),
            kind: self.kind.clone(),
            name: text(&body["metadata"]["name"]),
            manager: self.manager.replace(guid, other),
            body,
        }
    }

    /// A kind, as in manifests.
    pub(super) fn is(&self, kind: &str) -> bool {
        self.body["kind"] == kind
    }

    fn data(&self, key: &str) -> Option<&str> {
        self.body["data"][key].as_str()
    }

    /// An entry of a Secret.
    pub(super) fn entry(&self, key: &str) -> anyhow::Result<String> {
        use base64::Engine as _;
        let value = self.data(key).with_context(|| format!("Secret {} has no {key}", self.name))?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(value)?;
        String::from_utf8(bytes).context("a Secret's entry is no text")
    }
}

impl Writes {
    /// Takes down the writes of the tenant `guid`, which exists; `rendered` gives the objects of a step.
    pub(super) async fn read(
        client: &Client,
        guid: &str,
        rendered: impl Fn(&str) -> anyhow::Result<Vec<Value>>,
    ) -> anyhow::Result<Self> {
        let mut reader = Reader { client, kinds: HashMap::new() };
        let mut step = async |name: &str| reader.writes(rendered(name)?).await;
        let (namespaces, content) =
            step("namespaces").await?.into_iter().partition(|write: &Write| write.is("Namespace"));
        let project = step("app-project").await?;
        let gitea = step("gitea-instance").await?;
        let servers = step("mcp-servers").await?;
        let (sets, secrets) =
            step("application-sets").await?.into_iter().partition(|write: &Write| write.is("ApplicationSet"));
        let guide = step("showroom").await?;
        let record = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"namespace": RECORDS, "name": format!("tenant-{guid}")},
        });
        let mut record = reader.write(record).await?;
        let live = record.read().await?.context("the tenant has no record")?;
        record.body["metadata"]["labels"] = json!(live.metadata.labels);
        let shares = reader.shares(guid).await?;
        Ok(Self { record, namespaces, content, project, shares, gitea, servers, secrets, sets, guide })
    }

    /// The same for another tenant.
    pub(super) fn of(&self, guid: &str, other: &str) -> Self {
        let all = |writes: &[Write]| writes.iter().map(|write| write.of(guid, other)).collect();
        Self {
            record: self.record.of(guid, other),
            namespaces: all(&self.namespaces),
            content: all(&self.content),
            project: all(&self.project),
            shares: all(&self.shares),
            gitea: all(&self.gitea),
            servers: all(&self.servers),
            secrets: all(&self.secrets),
            sets: all(&self.sets),
            guide: all(&self.guide),
        }
    }

    /// How many objects these are.
    pub(super) fn count(&self) -> usize {
        let lists = [
            &self.namespaces,
            &self.content,
            &self.project,
            &self.shares,
            &self.gitea,
            &self.servers,
            &self.secrets,
            &self.sets,
            &self.guide,
        ];
        1 + lists.iter().map(|list| list.len()).sum::<usize>()
    }
}

/// Finds where kinds are served, once each.
struct Reader<'a> {
    client: &'a Client,
    kinds: HashMap<GroupVersionKind, ApiResource>,
}

impl Reader<'_> {
    async fn writes(&mut self, objects: Vec<Value>) -> anyhow::Result<Vec<Write>> {
        let mut writes = Vec::new();
        for object in objects {
            writes.push(self.write(object).await?);
        }
        Ok(writes)
    }

    /// How an object is applied; the entries of a Secret are those in the cluster.
    async fn write(&mut self, body: Value) -> anyhow::Result<Write> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (api_version, kind) = (text(&body["apiVersion"]), text(&body["kind"]));
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", &api_version));
        let gvk = GroupVersionKind::gvk(group, version, &kind);
        if !self.kinds.contains_key(&gvk) {
            let (resource, _) =
                pinned_kind(self.client, &gvk).await.with_context(|| format!("find {kind}"))?;
            self.kinds.insert(gvk.clone(), resource);
        }
        let resource = &self.kinds[&gvk];
        let api = located(self.client, resource, &body);
        let kind = (self.client.clone(), resource.clone());
        let name = text(&body["metadata"]["name"]);
        let mut write = Write { api, kind, name, body, manager: MANAGER.to_owned() };
        if write.is("Secret") {
            let Some(live) = write.read().await? else { bail!("Secret {} is not there", write.name) };
            write.body["data"] = live.data["data"].clone();
        }
        Ok(write)
    }

    /// What the tenant's own field manager holds in objects that are not the tenant's.
    async fn shares(&mut self, guid: &str) -> anyhow::Result<Vec<Write>> {
        let manager = format!("tenant-{guid}");
        let mut shares = Vec::new();
        for (api_version, kind, name, at) in [
            ("argoproj.io/v1beta1", "ArgoCD", "openshift-gitops", "/spec/extraConfig"),
            ("v1", "Secret", "argocd-secret", "/data"),
        ] {
            let body = json!({
                "apiVersion": api_version, "kind": kind,
                "metadata": {"namespace": "openshift-gitops", "name": name},
            });
            let Ok(mut write) = self.write(body).await else { continue }; // not OpenShift GitOps
            let Some(live) = write.read().await? else { continue };
            let entries = live.data.pointer(at).and_then(Value::as_object);
            let account = format!("accounts.user-{guid}");
            let own: Map<String, Value> = entries
                .into_iter()
                .flatten()
                .filter(|(key, _)| key.starts_with(&account))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            let (top, below) = at[1..].split_once('/').unwrap_or((&at[1..], ""));
            write.body[top] = if below.is_empty() { json!(own) } else { json!({below: own}) };
            shares.push(Write { manager: manager.clone(), ..write });
        }
        Ok(shares)
    }
}

/// Where an object is reached.
fn located(client: &Client, resource: &ApiResource, body: &Value) -> Api<DynamicObject> {
    match body["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, resource),
        None => Api::all_with(client.clone(), resource),
    }
}

/// Applies objects at once.
pub(super) async fn apply(writes: impl IntoIterator<Item = &Write>) -> anyhow::Result<()> {
    try_join_all(writes.into_iter().map(Write::apply)).await.map(drop)
}

/// Deletes objects at once.
pub(super) async fn delete(writes: impl IntoIterator<Item = &Write>) -> anyhow::Result<()> {
    try_join_all(writes.into_iter().map(Write::delete)).await.map(drop)
}
