//! The README says what the code does: commands that parse, tables that are complete, files that exist.

use std::collections::BTreeSet;

use clap::{CommandFactory as _, Parser as _, error::ErrorKind};
use tenant_cli::{args::Cli, order::known, steps::DEFAULT_RECIPE};
use tenant_lab::faults::StandIn;

use crate::checkout;

const PATH: &str = "README.adoc";
/// Between these lines stands what is made from the code.
const MADE: &str = "// made by: TENANT_README=write cargo test -p acceptance readme\n";
const MADE_END: &str = "// end of what is made\n";

/// The section under a heading, up to the next one.
fn section<'a>(readme: &'a str, heading: &str) -> &'a str {
    let start = readme.find(&format!("\n{heading}\n"));
    let start = start.unwrap_or_else(|| panic!("{PATH} has no section {heading:?}")) + heading.len() + 2;
    let rest = &readme[start..];
    &rest[..rest.find("\n==").unwrap_or(rest.len())]
}

/// The first cells, without backquotes, of a section's table rows whose first cell is code.
fn first_cells(section: &str) -> Vec<&str> {
    section.lines().filter_map(|line| Some(line.strip_prefix("|`")?.split_once('`')?.0)).collect()
}

/// What stands between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The words of a shell's line, up to a comment. Quotes are the single ones.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![];
    for (part, literal) in line.split('\'').zip([false, true].into_iter().cycle()) {
        if literal {
            words.push(part.to_owned());
        } else {
            let part = part.split(" #").next().unwrap_or(part);
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

#[test]
fn the_tables_of_variables_are_those_of_the_code() {
    let readme = checkout::read(PATH);
    let (before, rest) = readme.split_once(MADE).expect("the README has a place for the variables");
    let (found, after) = rest.split_once(MADE_END).expect("the place for the variables ends");
    let made = known::asciidoc();
    if std::env::var_os("TENANT_README").is_some_and(|how| how == "write") {
        let whole = [before, MADE, &made, MADE_END, after].concat();
        std::fs::write(checkout::root().join(PATH), whole).expect("the README can be written");
        return;
    }
    let stale = made.lines().zip(found.lines()).find(|(made, found)| made != found);
    assert!(
        made == found,
        "{PATH} is not up to date, write it anew: {}first difference: {stale:?}",
        &MADE[3..]
    );
}

#[test]
fn every_command_line_of_tenant_parses() {
    let readme = checkout::read(PATH);
    let lines: Vec<&str> = readme.lines().filter_map(|line| line.strip_prefix("$ tenant ")).collect();
    assert!(lines.len() >= 10, "the README shows how `tenant` is used: {lines:?}");
    for line in lines {
        // up to a pipe: what follows is another program
        let command = words(line.split(" | ").next().unwrap_or(line));
        let parsed = Cli::try_parse_from(std::iter::once("tenant".to_owned()).chain(command));
        if let Err(error) = parsed
            && error.kind() != ErrorKind::DisplayHelp
        {
            panic!("the README says `tenant {line}`:\n{error}");
        }
    }
}

#[test]
fn every_command_and_every_long_option_named_exists() {
    let readme = checkout::read(PATH);
    let mut tenant = Cli::command();
    tenant.build();
    let options = |command: &clap::Command| {
        let longs =
            command.get_arguments().filter_map(|argument| Some(format!("--{}", argument.get_long()?)));
        longs.collect::<Vec<_>>()
    };
    let known: BTreeSet<String> =
        options(&tenant).into_iter().chain(tenant.get_subcommands().flat_map(options)).collect();
    let lab = checkout::read("tests/lab/src/args.rs");
    for code in quoted(&readme) {
        let text = code.split_whitespace().collect::<Vec<_>>();
        match text[..] {
            ["tenant", command, ..] if !command.starts_with(['-', '…']) => {
                assert!(tenant.find_subcommand(command).is_some(), "`{code}` is no command of `tenant`");
            }
            [option, ..] if option.starts_with("--") => {
                let of_lab = lab.contains(&format!(") {}:", &option[2..]));
                assert!(known.contains(option) || of_lab, "`{code}`: there is no such option");
            }
            _ => {}
        }
    }
}

#[test]
fn the_table_of_steps_is_the_recipe() {
    let readme = checkout::read(PATH);
    assert_eq!(
        first_cells(section(&readme, "=== Steps")),
        DEFAULT_RECIPE,
        "the steps, in the recipe's order"
    );
}

#[test]
fn the_needs_in_the_table_of_steps_are_those_of_the_code() {
    let readme = checkout::read(PATH);
    for row in section(&readme, "=== Steps").lines().filter(|line| line.starts_with("|`")) {
        let cells: Vec<&str> = row.split('|').collect();
        let step = cells[1].trim().trim_matches('`');
        let source = checkout::read(&format!("cli/src/steps/{}.rs", step.replace('-', "_")));
        let needs = source
            .split_once("fn needs(")
            .and_then(|(_, rest)| Some(rest.split_once("&[")?.1.split_once(']')?.0));
        let declared: Vec<&str> = needs.unwrap_or_default().split('"').skip(1).step_by(2).collect();
        assert_eq!(quoted(cells[2]).collect::<Vec<_>>(), declared, "what `{step}` needs, in {PATH}");
    }
}

#[test]
fn the_table_of_exit_codes_is_complete() {
    let readme = checkout::read(PATH);
    let source = checkout::read("cli/src/exit.rs");
    let codes: Vec<&str> =
        source.lines().filter_map(|line| line.trim().split_once(" = ")?.1.strip_suffix(',')).collect();
    assert!(codes.contains(&"143"), "the exit codes are not where they were: {codes:?}");
    assert_eq!(first_cells(section(&readme, "=== Exit codes")), codes);
}

#[test]
fn every_stand_in_and_every_version_is_in_the_table() {
    let readme = checkout::read(PATH);
    let table = section(&readme, "== What is real and what stands in");
    for stand_in in StandIn::ALL.into_iter().filter(|stand_in| *stand_in != StandIn::Gitea) {
        let name = stand_in.name();
        assert!(table.contains(&format!("(`{name}`)")), "the stand-in `{name}` is not in the table");
    }
    let modules = ["controlplane", "crds", "gitea"]
        .map(|module| checkout::read(&format!("tests/lab/go/{module}/go.mod")));
    for named in quoted(table).filter_map(|code| code.split_once("@v")) {
        let line = format!("{} v{}", named.0, named.1);
        assert!(modules.iter().any(|module| module.contains(&line)), "no go.mod requires {line}");
    }
}

#[test]
fn every_file_named_exists() {
    let readme = checkout::read(PATH);
    let tops = ["agent/", "cli/", "playbooks-compat/", "tenant-charts/", "tests/", ".ci/"];
    for path in quoted(&readme).filter(|code| tops.iter().any(|top| code.starts_with(top))) {
        assert!(checkout::root().join(path).exists(), "`{path}` does not exist");
    }
}
