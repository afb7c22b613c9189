//! Where an Application comes from: asked of the real Gitea that holds the repository.
//!
//! In-cluster addresses (`http://{service}.{namespace}.svc…`) lead to the tenant's own Gitea,
//! `https://github.com/…` to the lab's second one, hosts of Routes to whatever is behind them. As there are
//! no credentials, private repositories are not found.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::{Client, StatusCode, Url};
use serde_json::Value;

use crate::{
    platform::{Backend, Platform},
    standins::{cluster::Cluster, router},
};

const PATIENCE: Duration = Duration::from_secs(10);

/// What was found under a path of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Chart {
    /// The commit.
    pub(super) revision: String,
    /// File names under `templates/`.
    pub(super) templates: Vec<String>,
}

/// Looks into repositories.
pub(super) struct Repositories {
    platform: Platform,
    cluster: Cluster,
    client: Client,
}

impl Repositories {
    pub(super) fn new(platform: &Platform, cluster: &Cluster) -> anyhow::Result<Self> {
        let client = Client::builder().no_proxy().timeout(PATIENCE).build().context("build a client")?;
        Ok(Self { platform: platform.clone(), cluster: cluster.clone(), client })
    }

    /// Finds the chart; the error is the text of a `ComparisonError`.
    pub(super) async fn find(&self, source: &Value) -> Result<Chart, String> {
        let text = |field: &str| source[field].as_str().unwrap_or_default();
        let failed = |why: &str| {
            let repository = text("repoURL");
            format!(
                "Failed to load target state: failed to generate manifest for source 1 of 1: \
                 rpc error: code = Unknown desc = {repository}: {why}"
            )
        };
        let (base, repository) = self.locate(text("repoURL")).map_err(|why| failed(&why))?;
        let revision = match text("targetRevision") {
            "" => "HEAD",
            revision => revision,
        };
        let path = text("path").trim_start_matches("./").trim_matches('/');
        let api = |rest: &[&str]| {
            let mut url = base.clone();
            if let Ok(mut segments) = url.path_segments_mut() {
                segments.clear().extend(["api", "v1", "repos"]).extend(repository.split('/'));
                segments.extend(rest.iter().flat_map(|part| part.split('/')).filter(|part| !part.is_empty()));
            }
            url
        };
        let mut commit = api(&["git", "commits", revision]);
        commit.set_query(Some("stat=false&verification=false&files=false"));
        let commit = self.get(commit).await.map_err(|why| failed(&why))?;
        let Some(commit) = commit else {
            return Err(failed(&format!("repository not found, or no revision {revision:?} in it")));
        };
        let list = |inner: &str| {
            let mut url = api(&["contents", path, inner]);
            url.query_pairs_mut().append_pair("ref", revision);
            url
        };
        let names = |listing: &Value| -> Vec<String> {
            let items = listing.as_array().into_iter().flatten();
            items.filter_map(|item| item["name"].as_str().map(str::to_owned)).collect()
        };
        let Some(listing) = self.get(list("")).await.map_err(|why| failed(&why))?.filter(Value::is_array)
        else {
            return Err(failed(&format!("{path}: app path does not exist")));
        };
        let mut chart =
            Chart { revision: commit["sha"].as_str().unwrap_or(revision).to_owned(), templates: Vec::new() };
        if names(&listing).iter().any(|name| name == "templates") {
            let templates = self.get(list("templates")).await.map_err(|why| failed(&why))?;
            chart.templates = templates.map(|templates| names(&templates)).unwrap_or_default();
        }
        Ok(chart)
    }

    /// The answer; `None` when there is no such thing.
    async fn get(&self, url: Url) -> Result<Option<Value>, String> {
        let answer = self.client.get(url).send().await.map_err(|_| "connection refused".to_owned())?;
        match answer.status() {
            StatusCode::OK => answer.json().await.map(Some).map_err(|_| "unreadable answer".to_owned()),
            StatusCode::NOT_FOUND => Ok(None),
            status => Err(format!("unexpected status {status}")),
        }
    }

    /// The Gitea that answers for the address, and `owner/repository`.
    fn locate(&self, address: &str) -> Result<(Url, String), String> {
        let (host, repository) =
            split(address).ok_or_else(|| format!("invalid repository URL {address:?}"))?;
        let backend = if host == "github.com" {
            Some(Backend::Address(self.platform.forge.address))
        } else if let Some((service, namespace)) = in_cluster(&host) {
            self.platform.backends.get(namespace, service)
        } else {
            let target = router::target(&self.cluster, &host);
            target.and_then(|(namespace, service)| self.platform.backends.get(&namespace, &service))
        };
        let Some(Backend::Address(address)) = backend else {
            return Err(format!("dial tcp: lookup {host}: no such host"));
        };
        let base = Url::parse(&format!("http://{address}")).map_err(|error| error.to_string())?;
        Ok((base, repository))
    }
}

/// Host and `owner/repository` of an http address.
fn split(address: &str) -> Option<(String, String)> {
    let url = Url::parse(address).ok()?;
    if !["http", "https"].contains(&url.scheme()) {
        return None;
    }
    let path = url.path().trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    (path.split('/').count() == 2).then(|| (url.host_str().unwrap_or_default().to_owned(), path.to_owned()))
}

/// Service and namespace of a cluster-internal host name.
fn in_cluster(host: &str) -> Option<(&str, &str)> {
    let name = host.strip_suffix(".cluster.local").unwrap_or(host).strip_suffix(".svc")?;
    name.split_once('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart_or_refused() {
        let internal = "http://gitea.gitea-x1.svc.cluster.local:3000/user-x1/mcp.git";
        let (host, repository) = split(internal).unwrap();
        assert_eq!(repository, "user-x1/mcp");
        assert_eq!(in_cluster(&host), Some(("gitea", "gitea-x1")));
        assert_eq!(in_cluster("gitea.gitea-x1.svc"), Some(("gitea", "gitea-x1")));
        assert_eq!(in_cluster("github.com"), None);
        for address in
            ["", "git@github.com:a/b.git", "https://github.com/a", "ssh://h/a/b", "https://h/a/b/c"]
        {
            assert!(split(address).is_none(), "{address}");
        }
    }
}
