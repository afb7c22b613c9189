//! Each chart installed alone, by the commands of its README as they stand there.

use std::{fs, time::Duration};

use kube::Client;
use tenant_lab::{polling, snapshot::Snapshot};

use crate::{
    settled::until_settled,
    terminal::Terminal,
    world::{World, checkout},
};

/// What a chart's README has its reader type.
struct Readme {
    chart: String,
    commands: String,
}

impl Readme {
    /// Of all charts that can be installed, by name.
    fn all() -> Vec<Self> {
        let folders = fs::read_dir(checkout("tenant-charts")).expect("there are charts");
        let names = folders.map(|entry| entry.expect("a folder can be read").file_name());
        let mut charts: Vec<_> = names.filter_map(|name| name.into_string().ok()).collect();
        charts.sort();
        charts.into_iter().filter_map(Self::of).collect()
    }

    /// The first indented lines with a command of helm's.
    fn of(chart: String) -> Option<Self> {
        let text = fs::read_to_string(checkout("tenant-charts").join(&chart).join("README.md")).ok()?;
        let lines: Vec<_> = text.lines().collect();
        let mut blocks = lines.split(|line| !line.starts_with("    ")).map(|block| block.join("\n"));
        let calls = |block: &String| block.contains("helm install ") || block.contains("helm template ");
        let commands = blocks.find(calls)?;
        Some(Self { chart, commands })
    }

    /// The word after one of the commands' words.
    fn word_after(&self, word: &str) -> &str {
        let mut words = self.commands.split_whitespace().skip_while(|one| *one != word).skip(1);
        words.next().unwrap_or_else(|| panic!("{} has no {word}: {}", self.chart, self.commands))
    }

    fn namespace(&self) -> &str {
        self.word_after("--namespace")
    }
}

/// Puts what the READMEs' commands read where they read it.
pub(crate) fn prepare(terminal: &Terminal) {
    let digits = |count: usize| "0123456789abcdef".repeat(count / 16);
    terminal.write("url", "http://litellm.example.com/v1");
    terminal.write("key", "sk-0");
    terminal.write("token", "a-token");
    terminal.write("user_data.yml", "user: somebody\n");
    let keys = [("CREDS_KEY", 64), ("CREDS_IV", 32), ("JWT_SECRET", 64), ("JWT_REFRESH_SECRET", 64)];
    let keys = keys.into_iter().chain([("MEILI_MASTER_KEY", 64), ("DEFAULT_USER_PASSWORD", 32)]);
    let keys = keys.map(|(name, count)| format!("{name}={}\n", digits(count)));
    let others = [
        ("CUSTOM_MODEL_URL", "http://litellm.example.com/v1"),
        ("CUSTOM_MODEL_KEY", "sk-0"),
        ("DEFAULT_USER_NAME", "somebody"),
        ("DEFAULT_USER_EMAIL", "somebody@example.com"),
    ];
    let others = others.map(|(name, value)| format!("{name}={value}\n"));
    terminal.write("librechat.env", &keys.chain(others).collect::<String>());
}

/// Fails the test unless every handshake of the namespace has found tools.
pub(crate) async fn have_tools(terminal: &Terminal, namespace: &str, servers: &[&str]) {
    let logs =
        format!("kubectl logs --namespace {namespace} --selector app.kubernetes.io/component=handshake");
    let said = terminal.run(&logs).await;
    for server in servers {
        let url = format!("http://mcp-{server}-proxy.{namespace}.svc:8080/mcp: MCP ");
        let line = said.lines().find_map(|line| line.strip_prefix(&url)?.strip_suffix(" tools"));
        let count = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
        assert!(count.is_some_and(|count: usize| count > 0), "{server} has no tools: {said}");
    }
}

/// Uninstalls these releases (chart and namespace), then removes the namespaces, in which nothing may be left but Secrets,
/// which are the READMEs' readers' own; nothing may be left elsewhere either.
pub(crate) async fn remove(world: &World, terminal: &Terminal, releases: &[(&str, &str)], before: &Snapshot) {
    let mut namespaces: Vec<&str> = releases.iter().map(|(_, namespace)| *namespace).collect();
    namespaces.sort_unstable();
    namespaces.dedup();
    for (chart, namespace) in releases.iter().rev() {
        terminal.run(&format!("helm uninstall {chart} --namespace {namespace} --wait")).await;
    }
    let left = async || {
        let now = world.snapshot().await;
        // a node's sign of life comes when the node has been up for a while
        let is_new = |key: &&String| !before.objects.contains_key(*key) && !key.starts_with("leases.");
        let is_theirs = |key: &&String| {
            namespaces.iter().any(|namespace| {
                let own = ["configmaps {}/kube-root-ca.crt", "serviceaccounts {}/default", "namespaces {}"];
                key.starts_with(&format!("secrets {namespace}/"))
                    || own.iter().any(|own| own.replace("{}", namespace) == ***key)
            })
        };
        now.objects.keys().filter(is_new).filter(|key| !is_theirs(key)).cloned().collect::<Vec<_>>()
    };
    let mut seen = Vec::new();
    let gone = polling::until(Duration::from_mins(1), async || {
        seen = left().await;
        seen.is_empty().then_some(())
    });
    assert!(gone.await.is_some(), "helm uninstall leaves {seen:#?}");
    terminal.run(&format!("kubectl delete namespace {}", namespaces.join(" "))).await;
}

#[tokio::test]
async fn each_chart_installs_alone_by_its_readme_serves_and_goes_without_trace() {
    let Some(world) = World::turn().await else { return };
    let client: Client = world.client().await;
    let before = world.snapshot().await;
    let terminal = Terminal::open(&world);
    prepare(&terminal);
    let (rendered, installed): (Vec<_>, Vec<_>) =
        Readme::all().into_iter().partition(|readme| readme.commands.contains("helm template "));
    for readme in &rendered {
        let output =
            terminal.run(&format!("{{\n{}\n}} | kubectl apply --dry-run=server -f -", readme.commands)).await;
        assert!(output.lines().count() >= 5, "{} renders too little: {output}", readme.chart);
    }
    for readme in &installed {
        terminal.run(&readme.commands).await;
        assert_eq!(readme.word_after("install"), readme.chart, "the release is called as the chart");
    }
    let releases: Vec<_> =
        installed.iter().map(|readme| (readme.chart.as_str(), readme.namespace())).collect();
    assert!(releases.len() >= 8 && !rendered.is_empty(), "READMEs without commands: {releases:?}");
    let mut namespaces: Vec<_> = releases.iter().map(|(_, namespace)| *namespace).collect();
    namespaces.dedup();
    until_settled(&client, &namespaces).await;
    for (chart, namespace) in &releases {
        if let Some(server) = chart.strip_prefix("mcp-") {
            have_tools(&terminal, namespace, &[server]).await;
        }
    }
    remove(&world, &terminal, &releases, &before).await;
}
