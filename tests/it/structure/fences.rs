//! Each outside library that could leak everywhere has one owner in the programs' code, so that a breaking
//! release is the affair of few files. The lab and the tests are free.

use std::collections::BTreeSet;

use super::source::Source;

/// A library and where code may use it: folders end with `/`, all else is a file.
struct Fence {
    library: &'static str,
    owners: &'static [&'static str],
}

const fn fence(library: &'static str, owners: &'static [&'static str]) -> Fence {
    Fence { library, owners }
}

const CLUSTER: &[&str] = &["cli/src/cluster.rs", "cli/src/cluster/"];
const COMMAND_LINE: &[&str] = &[
    "agent/src/command.rs",
    "agent/src/command/",
    "agent/src/main.rs",
    "cli/src/args.rs",
    "cli/src/main.rs",
    "cli/src/program.rs",
];
const REPORT: &[&str] = &["cli/src/report.rs", "cli/src/report/"];
const TEMPLATES: &[&str] = &["cli/src/order/template.rs", "cli/src/order/template/"];

/// What a name may be used for stands beside it where the list of owners does not say it.
const FENCES: &[Fence] = &[
    fence("anstream", &["agent/src/main.rs", "cli/src/report/"]),
    fence("anstyle", REPORT),
    fence("async_openai", &["agent/src/model.rs", "agent/src/model/"]),
    fence("axum", &["agent/src/http.rs", "agent/src/http/"]),
    fence("bcrypt", &["cli/src/steps/app_project.rs"]),
    fence("clap", COMMAND_LINE),
    fence("clap_complete", &["cli/src/args.rs", "cli/src/program.rs"]),
    fence("console", REPORT),
    fence("getrandom", &["cli/kit/src/secret.rs"]),
    // manifests; the issue; the pages; suggestions of the rules
    fence(
        "handlebars",
        &[
            "agent/src/http/pages.rs",
            "agent/src/issue.rs",
            "agent/src/rules/catalogue.rs",
            "cli/src/manifest.rs",
        ],
    ),
    fence("hmac", &["agent/src/http/auth.rs"]),
    fence("hyper_rustls", &["cli/src/cluster/transport.rs"]),
    fence("hyper_util", &["agent/src/http/server.rs", "cli/src/cluster/transport.rs"]),
    fence("indicatif", REPORT),
    fence("k8s_openapi", CLUSTER),
    fence("kube", CLUSTER),
    fence("md5", TEMPLATES),
    fence("minijinja", TEMPLATES),
    fence("opentelemetry", &["agent/src/traces.rs"]),
    fence("opentelemetry_otlp", &["agent/src/traces.rs"]),
    fence("opentelemetry_sdk", &["agent/src/traces.rs"]),
    fence("prometheus_client", &["agent/src/metrics.rs"]),
    // clients come from `tenant_kit::http`; those who hold or are handed one name its types
    fence(
        "reqwest",
        &[
            "agent/mcp/src/",
            "agent/src/command/",
            "agent/src/http/review.rs",
            "agent/src/model.rs",
            "agent/src/traces.rs",
            "cli/kit/src/http.rs",
            "cli/src/services.rs",
            "cli/src/services/",
            "cli/src/tenant.rs",
        ],
    ),
    fence("rmcp", &["agent/mcp/src/"]),
    fence("rustls", &["cli/kit/src/crypto.rs"]),
    fence("serde_saphyr", &["cli/kit/src/yaml/"]),
    fence("serde_yaml", &["cli/kit/src/yaml.rs", "cli/kit/src/yaml/"]),
    fence("sha1", TEMPLATES),
    fence("sse_stream", &["agent/mcp/src/legacy.rs"]),
    // near misses of names: an order's variables, a recipe's steps, a log's words
    fence(
        "strsim",
        &["agent/src/rules/suggestion.rs", "cli/src/order/known.rs", "cli/workflow/src/recipe.rs"],
    ),
    fence("tower", &["agent/src/model.rs", "cli/src/cluster/transport.rs"]),
    fence("tower_http", &["agent/src/http.rs"]),
    fence("tracing_opentelemetry", &["agent/src/traces.rs"]),
    fence("tracing_subscriber", &["cli/kit/src/telemetry.rs"]),
];

fn owns(owner: &str, path: &str) -> bool {
    if owner.ends_with('/') { path.starts_with(owner) } else { path == owner }
}

#[test]
fn outside_libraries_stay_with_their_owners() {
    let mut strays = Vec::new();
    for source in Source::all().iter().filter(|source| !source.tests_only()) {
        for Fence { library, owners } in FENCES {
            if owners.iter().any(|owner| owns(owner, &source.path)) {
                continue;
            }
            for line in source.uses(library) {
                let owners = owners.join(", ");
                strays.push(format!("{}:{line} uses {library}, which belongs to {owners}", source.path));
            }
        }
    }
    assert!(strays.is_empty(), "{}", strays.join("\n"));
}

#[test]
fn every_owner_uses_its_library() {
    // the packages that are linked choose its version of the API by a feature
    let by_feature = ["k8s_openapi"];
    let sources = Source::all();
    let mut idle = Vec::new();
    for Fence { library, owners } in FENCES.iter().filter(|fence| !by_feature.contains(&fence.library)) {
        // `x.rs` and `x/` are one module, and so one owner
        let modules: BTreeSet<&str> =
            owners.iter().map(|owner| owner.trim_end_matches('/').trim_end_matches(".rs")).collect();
        for module in modules {
            let own = |path: &str| {
                let rest = path.strip_prefix(module);
                rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
            };
            let mut files = sources.iter().filter(|source| own(&source.path));
            if !files.any(|source| source.uses(library).next().is_some()) {
                idle.push(format!("{library}: {module} does not use it"));
            }
        }
    }
    assert!(idle.is_empty(), "{}", idle.join("\n"));
}
