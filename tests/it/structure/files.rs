//! Files: where they may lie, how long they may be, what they may not say.

use std::collections::BTreeSet;

use super::source::Source;
use crate::checkout;

/// The top level, dotfiles aside.
const TOP: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "Containerfile",
    "LICENSE",
    "README.adoc",
    "agent",
    "cli",
    "playbooks-compat",
    "tenant-charts",
    "tests",
];

/// Lines of a source file. The aim is 400; this is where it stops being an aim.
const LONGEST: usize = 500;

/// Names that say nothing.
const EMPTY_NAMES: &[&str] = &["common", "helper", "helpers", "manager", "misc", "mod", "util", "utils"];

#[test]
fn the_top_level_is_the_one_of_the_design() {
    let tracked = checkout::tracked();
    let top: BTreeSet<&str> = tracked.iter().map(|path| path.split('/').next().unwrap_or(path)).collect();
    let others: Vec<_> = top.iter().filter(|name| !name.starts_with('.') && !TOP.contains(name)).collect();
    assert!(others.is_empty(), "these do not belong at the top level: {others:?}");
    let missing: Vec<_> = TOP.iter().filter(|name| !top.contains(*name)).collect();
    assert!(missing.is_empty(), "these are missing at the top level: {missing:?}");
}

#[test]
fn source_files_are_short_and_have_names_that_say_something() {
    let mut wrong = Vec::new();
    for source in Source::all() {
        let lines = source.code.lines().count();
        if lines > LONGEST {
            wrong.push(format!("{} has {lines} lines; at most {LONGEST}", source.path));
        }
        let name =
            source.path.rsplit('/').next().and_then(|file| file.strip_suffix(".rs")).unwrap_or_default();
        if EMPTY_NAMES.contains(&name) {
            wrong.push(format!("{}: the name says nothing", source.path));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_is_left_to_do_or_left_out() {
    let mut wrong = Vec::new();
    for source in Source::all() {
        for unfinished in ["todo!", "unimplemented!", "#[ignore", "#[allow(", "dbg!("] {
            wrong.extend(
                source.lines_with(unfinished).map(|line| format!("{}:{line} has {unfinished}", source.path)),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
