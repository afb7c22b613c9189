//! Every variable we know: name, kind, one-line meaning, and whether it is secret.
//!
//! One table for the warnings about near misses, for `tenant help variables` and for the README. The names are
//! the upstream roles'; a variable that is accepted but has no effect here says so.
//!
//! Owner of `strsim`.

use std::{collections::HashSet, fmt, fmt::Write as _, sync::LazyLock};

mod access;
mod apps;
mod tenancy;

/// Kind of a variable's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A boolean; `yes`, `"no"`, 1 and the like are understood.
    Flag,
    /// A whole number, also as text.
    Integer,
    /// A list.
    List,
    /// A map.
    Map,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Flag => "flag",
            Self::Integer => "integer",
            Self::List => "list",
            Self::Map => "map",
        })
    }
}

/// Variables that belong together: those of one role, or of no role.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// What they are about.
    pub title: &'static str,
    /// What their names start with; empty for bare names.
    pub prefix: &'static str,
    /// The variables.
    pub rows: &'static [Row],
}

/// One variable of a group.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Its name without the group's prefix.
    pub suffix: &'static str,
    /// Kind of its value.
    pub kind: Kind,
    /// One line: what it means, and its default where there is one.
    pub meaning: &'static str,
    /// Whether its value must never be shown.
    pub secret: bool,
}

impl Group {
    /// The full name of one of the group's variables.
    pub fn name_of(&self, row: &Row) -> String {
        format!("{}{}", self.prefix, row.suffix)
    }
}

const fn row(suffix: &'static str, kind: Kind, meaning: &'static str) -> Row {
    Row { suffix, kind, meaning, secret: false }
}

const fn secret(suffix: &'static str, meaning: &'static str) -> Row {
    Row { suffix, kind: Kind::Text, meaning, secret: true }
}

/// All groups, in the order of the documentation.
pub fn groups() -> impl Iterator<Item = &'static Group> {
    access::GROUPS.iter().chain(tenancy::GROUPS).chain(apps::GROUPS)
}

static NAMES: LazyLock<Vec<String>> =
    LazyLock::new(|| groups().flat_map(|group| group.rows.iter().map(|row| group.name_of(row))).collect());

static SECRETS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    groups()
        .flat_map(|group| group.rows.iter().filter(|row| row.secret).map(|row| group.name_of(row)))
        .collect()
});

/// The names of all variables we know.
pub fn names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(String::as_str)
}

/// Whether the value at `path` must never be shown: a secret of the table, or a name that sounds like one.
pub fn is_secret(path: &str) -> bool {
    let sounds_secret = |part: &str| {
        let part = part.to_ascii_lowercase();
        ["password", "passwd", "token", "secret", "credential", "passphrase"]
            .iter()
            .any(|word| part.contains(word))
            || part == "key"
            || part.ends_with("_key")
    };
    path.split(['.', '[']).any(|part| SECRETS.contains(part) || sounds_secret(part))
}

/// The variable that was probably meant by `name`, if it is not one we know but nearly so.
///
/// Catalogs carry dozens of variables that are not for us. Names that start like ours count as near with up to
/// two wrong characters, others with one; a short name is never near.
pub fn near_miss(name: &str) -> Option<&'static str> {
    const SHORTEST: usize = 6;
    if name.len() < SHORTEST || names().any(|known| known == name) {
        return None;
    }
    let shares_prefix = groups().any(|group| !group.prefix.is_empty() && name.starts_with(group.prefix));
    let limit = if shares_prefix { 2 } else { 1 };
    names()
        .filter(|known| known.len().abs_diff(name.len()) <= limit)
        .map(|known| (strsim::osa_distance(known, name), known))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, known)| known)
}

/// The table as `AsciiDoc`, for the README.
pub fn asciidoc() -> String {
    let mut text = String::new();
    for group in groups() {
        let prefix = match group.prefix {
            "" => String::new(),
            prefix => format!(" (`{prefix}…`)"),
        };
        // writing to a string cannot fail
        let _ = writeln!(text, ".{}{prefix}\n[cols=\"3,1,5\"]\n|===", group.title);
        for row in group.rows {
            let secret = if row.secret { ", secret" } else { "" };
            let _ = writeln!(text, "|`{}` |{}{secret} |{}", row.suffix, row.kind, row.meaning);
        }
        text.push_str("|===\n\n");
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// The table as plain text, for `tenant help variables`.
pub fn plain() -> String {
    let mut text = String::new();
    for group in groups() {
        let _ = writeln!(text, "{}", group.title);
        for row in group.rows {
            let secret = if row.secret { ", secret" } else { "" };
            let _ = writeln!(text, "  {} ({}{secret})\n      {}", group.name_of(row), row.kind, row.meaning);
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_well_formed() {
        let mut seen = HashSet::new();
        for name in names() {
            assert!(seen.insert(name), "`{name}` is in the table twice");
            let fits = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            assert!(fits, "`{name}` cannot be the name of an Ansible variable");
        }
        for row in groups().flat_map(|group| group.rows) {
            let plain = !row.meaning.is_empty() && !row.meaning.contains('|') && !row.meaning.ends_with('.');
            assert!(plain, "meaning of {}", row.suffix);
        }
    }

    #[test]
    fn typing_errors_are_recognised_and_other_variables_are_not() {
        for (given, meant) in [
            ("ocp4_workload_showroom_namespac", Some("ocp4_workload_showroom_namespace")),
            ("ocp4_workload_litellm_virtual_keys_model", Some("ocp4_workload_litellm_virtual_keys_models")),
            ("litellm_ulr", Some("litellm_url")),
            ("sandbox_openshift_api_ur", Some("sandbox_openshift_api_url")),
            ("output_dirs", Some("output_dir")),
            ("guids", None),
            ("litellm_url", None),
            ("ocp4_workload_showroom_extra_feature", None),
            ("agnosticd_user_info", None),
            ("aws_region", None),
            ("worker_instance_count", None),
            ("openshift_api_port", None),
        ] {
            assert_eq!(near_miss(given), meant, "what `{given}` was meant for");
        }
    }

    /// Variables of the roles next door, as their `defaults/main.yml` spell them: none may cause a warning.
    #[test]
    fn ordinary_catalog_variables_stay_silent() {
        for name in [
            "__meta__",
            "anarchy_governor",
            "ansible_user",
            "base_domain",
            "bastion_instance_type",
            "cloud_tags",
            "cluster_workloads",
            "control_plane_instance_count",
            "default_key_name",
            "deployer",
            "install_ocp4",
            "ocp4_installer_version",
            "ocp4_workload_authentication_admin_user",
            "ocp4_workload_openshift_gitops_setup_cluster_admin",
            "ocp4_workload_pipelines_channel",
            "ocp4_workload_tenant_quay_namespace",
            "ocp4_workload_toolhive_namespace",
            "platform",
            "project_tag",
            "repo_method",
            "software_to_deploy",
            "subdomain_base_suffix",
            "update_packages",
            "user_count",
            "users",
            "worker_instance_type",
        ] {
            assert_eq!(near_miss(name), None, "`{name}` is nobody's typing error");
        }
    }

    #[test]
    fn secrets_are_recognised_by_table_and_by_sound() {
        for name in ["litellm_master_key", "common_password", "gitea.admin_password", "x[0].api_token"] {
            assert!(is_secret(name), "{name} is secret");
        }
        for name in ["guid", "litellm_url", "ocp4_workload_showroom_namespace"] {
            assert!(!is_secret(name), "{name} is not secret");
        }
    }

    #[test]
    fn tables_name_every_variable() {
        let (document, help) = (asciidoc(), plain());
        for group in groups() {
            for row in group.rows {
                assert!(document.contains(&format!("|`{}` |", row.suffix)), "{} in AsciiDoc", row.suffix);
                assert!(help.contains(&group.name_of(row)), "{} in the help", row.suffix);
            }
        }
    }
}
