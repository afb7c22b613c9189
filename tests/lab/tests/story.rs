//! The whole story on a real node: order, Argo CD, pods, a failed pipeline, its issue, the fix, and the end.
//!
//! A test program of its own, as it wants the machine to itself. A machine that cannot have a node skips it, and says so
//! where nobody overlooks it.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use tenant_lab::{
    lab::Lab,
    skip::skipped,
    story::{MISSING, Story},
};

#[tokio::test]
async fn two_tenants_a_failed_pipeline_its_issue_the_fix_and_the_end() {
    let say = |text: &str| {
        // past the test harness, which shows what is printed only for failures
        io::stderr().write_all(text.as_bytes()).expect("standard error takes a notice");
    };
    if let Err(lacks) = Lab::possible() {
        return skipped("the story on a real node", &lacks.to_string());
    }
    let lab = Lab::full().await;
    let lab = lab.unwrap_or_else(|error| panic!("the full lab does not start: {error:#}"));
    let story = Story {
        state: lab.state(),
        tenant: tenant(),
        order: Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/order.yml"),
        folder: lab.state().folder(),
        tell: &|line| say(&format!("{line}\n")),
    };
    let played = story.play().await.unwrap_or_else(|error| panic!("{error:#}"));
    let issue = &played.issue;
    let file = MISSING.0.rsplit('/').next().expect("a path has a last part");
    assert!(issue.title.contains(file), "the issue does not name {file}: {} {}", issue.title, issue.text);
    story.end(&played).await.unwrap_or_else(|error| panic!("{error:#}"));
    lab.down().await.unwrap_or_else(|error| panic!("the lab does not go down: {error:#}"));
}

/// The program under test, which `cargo test --workspace` builds beside the lab's.
fn tenant() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_lab")).with_file_name("tenant");
    assert!(path.is_file(), "{} does not exist: run `cargo test --workspace`", path.display());
    path
}
