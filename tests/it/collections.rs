//! What `playbooks-compat` repeats of the code: the variables it hands on, and the defaults of its roles.

use std::fmt::Write as _;

use tenant_cli::{exit::ExitCode, order::known};

use crate::{checkout, program::Program, world::order_file};

const COLLECTIONS: &str = "playbooks-compat/collections/ansible_collections";
const CONTRACT: &str =
    "playbooks-compat/collections/ansible_collections/rhpds/tenant/plugins/plugin_utils/contract.py";
const HEAD: &str = r#""""The variables an order may set (`tenant variables`), handed on when they are set.

Made by: TENANT_README=write cargo test -p acceptance collections
"""

from __future__ import annotations
"#;

/// The catalogs' roles, as paths from the top.
fn roles() -> Vec<String> {
    let tasks = |path: String| Some(path.strip_suffix("/tasks/main.yml")?.to_owned());
    let roles = checkout::tracked().into_iter().filter_map(tasks);
    roles.filter(|path| path.starts_with(COLLECTIONS) && path.contains("/roles/ocp4_workload_")).collect()
}

fn name(role: &str) -> &str {
    role.rsplit_once('/').map_or(role, |(_, name)| name)
}

#[test]
fn the_variables_handed_on_are_those_of_the_code() {
    let roles = roles();
    let known = roles.iter().map(|role| format!("{}_", name(role)));
    let mut prefixes: Vec<_> =
        known.filter(|prefix| known::groups().any(|group| group.prefix == prefix)).collect();
    prefixes.sort();
    let tuple = |title: &str, name: &str, items: &mut dyn Iterator<Item = &str>| {
        let mut text = format!("\n# {title}\n{name} = (\n");
        for item in items {
            writeln!(text, "    \"{item}\",").expect("a String takes everything");
        }
        text + ")\n"
    };
    let made = [
        HEAD,
        &tuple(
            "Whatever begins like a role's variables is handed on as well, so that typing errors are noticed.",
            "PREFIXES",
            &mut prefixes.iter().map(String::as_str),
        ),
        &tuple("The variables by name.", "NAMES", &mut known::names()),
    ]
    .concat();
    if std::env::var_os("TENANT_README").is_some_and(|how| how == "write") {
        std::fs::write(checkout::root().join(CONTRACT), made).expect("the list can be written");
        return;
    }
    assert!(checkout::read(CONTRACT) == made, "{CONTRACT} is not up to date; its head says how it is made");
}

/// A role's defaults reach the program as if the order had set them. So one role that disagrees with the program would
/// make a list of workloads set up another tenant than the program alone.
#[test]
fn the_defaults_of_the_roles_are_those_of_the_program() {
    let folder = tempfile::tempdir().expect("a folder for the program");
    let render = |order: &str, role: Option<&String>| {
        let program = Program::new(folder.path()).args(["render", "--guid", "x1"]);
        let defaults = role.map(|role| checkout::root().join(role).join("defaults/main.yml"));
        let program = defaults.into_iter().fold(program, |program, file| program.vars(&file));
        let program = program.vars(&order_file(order)).vars(&order_file("platform.yml"));
        program.arg("-e").arg("guid=x1").run().expect(ExitCode::Done)
    };
    let mut compared = 0;
    for order in ["../ansible/data/first.yml", "../ansible/data/second.yml", "../ansible/data/third.yml"] {
        let (alone, workloads) = (render(order, None), checkout::read(&format!("tests/data/{order}")));
        for role in roles().iter().filter(|role| workloads.contains(&format!(".{}\n", name(role)))) {
            let with = render(order, Some(role));
            let differs = alone.stdout.lines().zip(with.stdout.lines()).find(|(alone, with)| alone != with);
            assert!(
                alone.stdout == with.stdout,
                "{role}/defaults/main.yml changes what {order} renders, first here: {differs:?}"
            );
            compared += 1;
        }
    }
    assert!(compared > 12, "the catalogs list the roles: {compared} compared");
}
