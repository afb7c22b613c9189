use insta::assert_snapshot;
use secrecy::SecretString;
use tenant_workflow::{
    report::Ended,
    step::{Failure, Seen, StepError},
    walk::Verb,
};

use super::*;
use crate::report::{
    printer::{Format, Surroundings, Verbosity},
    script::Screen,
};

fn seen(state: State, details: &[&str]) -> Ending {
    Ending::Seen(Seen::new(state, details.iter().map(ToString::to_string)))
}

fn look() -> Report {
    let steps = [
        ("namespaces", seen(State::Present, &[])),
        (
            "app-project",
            seen(State::Drifted, &["destinations: 5 instead of 6", "sourceRepos: `*` is too wide"]),
        ),
        ("gitea-instance", seen(State::NotReady, &["Gitea gitea-user-x1/gitea: it has no address yet"])),
        ("gitea-user", seen(State::Absent, &["user user-x1", "repository user-x1/mcp"])),
        ("litellm-key", Ending::Failed(StepError::new(Failure::Service, "list keys").because("502"))),
        ("console-embed", Ending::Skipped("this cluster has no console".to_owned())),
        ("showroom", Ending::NotStarted(Failure::TimedOut)),
    ];
    let steps = steps.map(|(step, ending)| Ended { step, ending, took: Duration::ZERO });
    Report { verb: Verb::Look, steps: steps.into(), took: Duration::ZERO }
}

fn plain(table: &Table, width: Option<usize>) -> String {
    anstream::adapter::strip_str(&table.render(width, &Redactor::new())).to_string()
}

#[test]
fn status() {
    assert_snapshot!(plain(&Table::status(&look()), None), @"
    STEP            STATE      DETAILS
    namespaces      present
    app-project     drifted    destinations: 5 instead of 6
                               sourceRepos: `*` is too wide
    gitea-instance  not ready  Gitea gitea-user-x1/gitea: it has no address yet
    gitea-user      absent     user user-x1
                               repository user-x1/mcp
    litellm-key     unknown    list keys: 502
    console-embed   skipped    this cluster has no console
    showroom        unknown    not looked at: the run had stopped
    ");
}

#[test]
fn plan() {
    assert_snapshot!(plain(&Table::plan(&look()), None), @"
    STEP            ACTION   DETAILS
    namespaces      nothing
    app-project     change   destinations: 5 instead of 6
                             sourceRepos: `*` is too wide
    gitea-instance  wait     Gitea gitea-user-x1/gitea: it has no address yet
    gitea-user      create   user user-x1
                             repository user-x1/mcp
    litellm-key     unknown  list keys: 502
    console-embed   skip     this cluster has no console
    showroom        unknown  not looked at: the run had stopped
    ");
}

#[test]
fn list() {
    let now: Timestamp = "2026-11-05T12:00:00Z".parse().unwrap();
    let tenant = |guid: &str, created: Option<&str>, state: &str| Tenant {
        guid: guid.to_owned(),
        user: format!("user-{guid}"),
        created: created.map(|at| at.parse().unwrap()),
        ends: created.map(|_| "2026-11-05T18:00:00Z".parse().unwrap()),
        namespaces: 6,
        state: state.to_owned(),
        holder: None,
    };
    let held = Holder {
        guid: "held".to_owned(),
        name: "extend on host, process 7".to_owned(),
        since: Some("2026-11-05T11:59:58Z".parse().unwrap()),
    };
    let over = Some("2026-11-05T11:59:59Z".parse().unwrap());
    let tenants = [
        tenant("x1", Some("2026-11-02T08:30:00Z"), "provisioned"),
        tenant("another-guid", Some("2026-11-05T11:56:30Z"), "failed"),
        tenant("ahead", Some("2026-11-05T12:00:05Z"), "provisioned"),
        tenant("lost", None, "no record"),
        Tenant { ends: over, holder: Some(held), ..tenant("held", Some("2026-11-02T08:30:00Z"), "ready") },
    ];
    assert_snapshot!(plain(&Table::list(&tenants, now), None), @"
    GUID          USER               CREATED               AGE         ENDS                  NAMESPACES  STATE        HELD BY
    x1            user-x1            2026-11-02 08:30 UTC  3 d 3 h     2026-11-05 18:00 UTC  6           provisioned  -
    another-guid  user-another-guid  2026-11-05 11:56 UTC  3 min 30 s  2026-11-05 18:00 UTC  6           failed       -
    ahead         user-ahead         2026-11-05 12:00 UTC  0 ms        2026-11-05 18:00 UTC  6           provisioned  -
    lost          user-lost          unknown                           -                     6           no record    -
    held          user-held          2026-11-02 08:30 UTC  3 d 3 h     over                  6           ready        extend on host, process 7 (since 2026-11-05 11:59:58 UTC)
    ");
}

#[test]
fn a_terminal_cuts_and_a_pipe_does_not() {
    let table = Table::status(&look());
    let (cut, whole) = (plain(&table, Some(30)), plain(&table, None));
    assert!(cut.lines().all(|line| line.chars().count() <= 30), "{cut}");
    assert_eq!(cut.lines().filter(|line| line.ends_with('…')).count(), 9, "{cut}");
    assert!(whole.contains("sourceRepos: `*` is too wide"), "{whole}");
    let screen = Screen::new(Surroundings::default(), Verbosity::Normal, Format::Text);
    screen.printer.table(&table);
    assert_eq!(screen.stdout(), whole);
}

#[test]
fn an_empty_table_has_its_headings() {
    assert_eq!(
        plain(&Table::list([], Timestamp::UNIX_EPOCH), None),
        "GUID  USER  CREATED  AGE  ENDS  NAMESPACES  STATE  HELD BY\n"
    );
}

#[test]
fn secrets_are_masked() {
    let redactor = Redactor::new();
    redactor.learn(&SecretString::from("hunter\n22"));
    let mut table = Table::new(&["A", "B"]);
    table.row(["hunter\n22".to_owned(), "one\nand hunter\n22\ntwo".to_owned()]);
    let text = anstream::adapter::strip_str(&table.render(None, &redactor)).to_string();
    assert_snapshot!(text, @"
    A    B
    ***  one
         and ***
         two
    ");
}
