//! What runs beside containerd in the node's machine: kubelet, kube-proxy, kube-scheduler and the name server.
//! Settings: lab reference, section 4.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde_json::json;

use super::machine::{ADDRESS, Machine, PODS};
use crate::{builds::programs::Programs, files::private, processes::Program, resolver::Zone};

/// The node's name.
pub const NODE: &str = "lab-node";

/// The component names, as in `lab status` and `lab logs`.
pub const KUBELET: &str = "kubelet";
/// See [`KUBELET`].
pub const KUBE_PROXY: &str = "kube-proxy";
/// See [`KUBELET`].
pub const SCHEDULER: &str = "kube-scheduler";
/// See [`KUBELET`].
pub const COREDNS: &str = "coredns";

/// What the agents are told about the cluster.
#[derive(Debug)]
pub struct Cluster<'a> {
    /// The administrator's kubeconfig, as seen from the machine.
    pub administrator: &'a Path,
    /// The kubelet's own.
    pub kubelet: &'a Path,
    /// The cluster's authority.
    pub ca: &'a Path,
    /// containerd's address.
    pub runtime: &'a str,
    /// Zones that its name server answers for.
    pub hosts: &'a [Zone],
}

/// Starts the agents; nobody needs to wait for them. Returns the file of the name server's settings.
///
/// # Errors
/// When a file cannot be written or a program cannot be started.
pub fn start(
    programs: &Programs,
    directory: &Path,
    machine: &Machine,
    cluster: &Cluster<'_>,
) -> anyhow::Result<PathBuf> {
    let file = |name: &str, content: String| {
        let path = directory.join(name);
        private(&path, content).with_context(|| format!("write {}", path.display())).map(|()| path)
    };
    // pods that want the host's name server get none
    let resolver = file("resolv.conf", String::new())?;
    let kubelet = file("kubelet.json", kubelet_settings(directory, cluster, &resolver))?;
    let proxy = file("kube-proxy.json", proxy_settings(cluster.administrator))?;
    let zones = file("Corefile", zones(cluster))?;
    fs::create_dir_all(directory.join("kubelet")).context("make the kubelet's folder")?;
    let started = [
        Program {
            name: COREDNS.to_owned(),
            path: programs.coredns.clone(),
            arguments: vec!["-conf".into(), zones.clone().into()],
            directory: directory.to_owned(),
            environment: Vec::new(),
        },
        agent(
            programs,
            directory,
            SCHEDULER,
            [
                flag("kubeconfig", cluster.administrator),
                "--leader-elect=false".into(),
                "--authentication-skip-lookup=true".into(),
                // the defaults, 50 and 100, are what a crowd of pods would wait for
                "--kube-api-qps=500".into(),
                "--kube-api-burst=1000".into(),
            ],
        ),
        agent(programs, directory, KUBE_PROXY, [flag("config", &proxy)]),
        agent(
            programs,
            directory,
            KUBELET,
            [
                flag("config", &kubelet),
                flag("kubeconfig", cluster.kubelet),
                flag("root-dir", &directory.join("kubelet")),
                format!("--hostname-override={NODE}").into(),
                format!("--node-ip={ADDRESS}").into(),
            ],
        ),
    ];
    started.into_iter().try_for_each(|program| {
        let name = program.name.clone();
        machine.program(program).with_context(|| format!("start {name}"))
    })?;
    Ok(zones)
}

fn agent(
    programs: &Programs,
    directory: &Path,
    name: &str,
    flags: impl IntoIterator<Item = OsString>,
) -> Program {
    Program {
        name: name.to_owned(),
        path: programs.node.clone(),
        arguments: std::iter::once(OsString::from(name)).chain(flags).collect(),
        directory: directory.to_owned(),
        environment: Vec::new(),
    }
}

fn flag(name: &str, value: &Path) -> OsString {
    let mut flag = OsString::from(format!("--{name}="));
    flag.push(value);
    flag
}

fn kubelet_settings(directory: &Path, cluster: &Cluster<'_>, resolver: &PathBuf) -> String {
    let settings = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": cluster.ca},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": "/",
        "clusterDNS": [ADDRESS],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": cluster.runtime,
        // a machine that is nearly full is no reason to throw out a lab's pods or images
        "evictionHard": {"memory.available": "1%", "nodefs.available": "0%", "imagefs.available": "0%"},
        "failCgroupV1": false,
        "failSwapOn": false,
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        // a crowd of pods starts at once, and everything is on this machine
        "kubeAPIQPS": 500,
        "kubeAPIBurst": 1000,
        "maxPods": 240,
        "nodeStatusUpdateFrequency": "5s",
        "podLogsDir": directory.join("pod-logs"),
        "resolvConf": resolver,
        "serializeImagePulls": false,
        "syncFrequency": "10s",
    });
    settings.to_string()
}

fn proxy_settings(kubeconfig: &Path) -> String {
    let settings = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": kubeconfig},
        "clusterCIDR": PODS,
        "conntrack": {"maxPerCore": 0, "min": 0},
        "hostnameOverride": NODE,
        "iptables": {"minSyncPeriod": "0s", "syncPeriod": "30s"},
        "mode": "iptables",
    });
    settings.to_string()
}

/// Services and pods from the cluster, the given hosts, and nothing else: there is no internet.
fn zones(cluster: &Cluster<'_>) -> String {
    let services = format!(
        "cluster.local {{\n    errors\n    kubernetes cluster.local {{\n        kubeconfig {}\n        ttl 5\n    }}\n}}\n",
        cluster.administrator.display()
    );
    let hosts = cluster.hosts.iter().map(Zone::block);
    // settings that change are followed after two seconds, the shortest time there is
    let none =
        ". {\n    errors\n    reload 2s 1s\n    template ANY ANY {\n        rcode NXDOMAIN\n    }\n}\n";
    std::iter::once(services).chain(hosts).chain([none.to_owned()]).collect()
}
