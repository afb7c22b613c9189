//! The name server of an existing cluster: `CoreDNS`, as kubeadm and kind install it, with its settings in a `ConfigMap`.
//!
//! The lab adds zones to the settings between two marks, and takes them out again.

use std::{net::IpAddr, time::Duration};

use anyhow::{Context as _, ensure};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::ConfigMap};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::polling;

/// Namespace and name of `CoreDNS`'s Deployment, and of its `ConfigMap`.
pub(crate) const NAME: (&str, &str) = ("kube-system", "coredns");
/// The settings' key in the `ConfigMap`.
pub(crate) const FILE: &str = "Corefile";

const BEGIN: &str = "# tenant-lab begins\n";
const END: &str = "# tenant-lab ends\n";

/// `CoreDNS` looks every half minute whether its settings have changed, after the kubelet has looked.
const FOLLOW_LIMIT: Duration = Duration::from_mins(3);

/// A zone in which every name has one address.
#[derive(Clone, Debug)]
pub struct Zone {
    /// Its name; the names below it are meant, too.
    pub name: String,
    /// The address.
    pub address: IpAddr,
}

impl Zone {
    /// It as a server block.
    pub(crate) fn block(&self) -> String {
        let Self { name, address } = self;
        format!(
            "{name} {{\n    errors\n    template IN A {{\n        answer \"{{{{ .Name }}}} 5 IN A {address}\"\n    }}\n    \
             template IN AAAA {{\n        rcode NOERROR\n    }}\n}}\n"
        )
    }
}

/// Settings without what the lab has added.
fn without(corefile: &str) -> String {
    let Some((before, rest)) = corefile.split_once(BEGIN) else { return corefile.to_owned() };
    let after = rest.split_once(END).map_or("", |(_, after)| after);
    format!("{before}{after}")
}

/// Settings with these zones added, and no others.
fn with(corefile: &str, zones: &[Zone]) -> String {
    let blocks: String = zones.iter().map(Zone::block).collect();
    format!("{BEGIN}{blocks}{END}{}", without(corefile))
}

/// Has the cluster's name server know the zones; returns once it answers this process, which runs in a pod.
///
/// # Errors
/// When the cluster has another name server, or it does not follow.
pub(crate) async fn lead(client: &Client, zones: &[Zone]) -> anyhow::Result<()> {
    let (namespace, name) = NAME;
    let found = set(client, |corefile| with(corefile, zones)).await?;
    ensure!(
        found,
        "the cluster has no {FILE} in ConfigMap {namespace}/{name}: its name server is not CoreDNS as kubeadm installs it"
    );
    for Zone { name, address } in zones {
        let host = format!("lab.{name}:80");
        let known = polling::until(FOLLOW_LIMIT, async || {
            let mut addresses = tokio::net::lookup_host(&host).await.ok()?;
            addresses.any(|known| known.ip() == *address).then_some(())
        });
        known.await.with_context(|| {
            format!("the cluster's name server does not say {address} for {host}: does it read {namespace}/{name}?")
        })?;
    }
    Ok(())
}

/// Takes the lab's zones out of the settings; nothing happens where there are none.
///
/// # Errors
/// When the API server refuses.
pub(crate) async fn leave(client: &Client) -> anyhow::Result<()> {
    set(client, without).await.map(drop)
}

/// Changes the settings; false if there are none.
async fn set(client: &Client, change: impl Fn(&str) -> String) -> anyhow::Result<bool> {
    let (namespace, name) = NAME;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let found = maps.get_opt(name).await.with_context(|| format!("read ConfigMap {namespace}/{name}"))?;
    let Some(known) = found.and_then(|map| map.data?.remove(FILE)) else { return Ok(false) };
    let wanted = change(&known);
    if wanted == known {
        return Ok(true);
    }
    let data = Patch::Merge(json!({"data": {FILE: wanted}}));
    maps.patch(name, &PatchParams::default(), &data).await.context("change the name server's settings")?;
    restart(client).await?;
    Ok(true)
}

/// New pods read the settings at once. Where no Deployment runs the name server, it follows by itself.
async fn restart(client: &Client) -> anyhow::Result<()> {
    let (namespace, name) = NAME;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    if deployments.get_opt(name).await.context("look for CoreDNS")?.is_none() {
        return Ok(());
    }
    deployments.restart(name).await.context("restart CoreDNS")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_added_once_and_taken_out_again() {
        let before = ".:53 {\n    errors\n    reload\n}\n";
        let zone = |name: &str| Zone { name: name.to_owned(), address: [10, 0, 0, 7].into() };
        let once = with(before, &[zone("apps.lab.test"), zone("github.com")]);
        assert!(once.ends_with(before) && once.contains("\ngithub.com {\n"), "{once}");
        assert!(once.contains("answer \"{{ .Name }} 5 IN A 10.0.0.7\""), "{once}");
        let again = with(&once, &[zone("apps.other.test")]);
        assert!(!again.contains("github.com") && again.contains("apps.other.test {"), "{again}");
        assert_eq!(without(&again), before);
        assert_eq!(without(before), before);
    }
}
