//! A Gitea that refuses, fails, or does what it is asked and does not say so.

use super::{
    super::{mcp::Trouble, suite::Bench, tracker::Generation},
    Ground, Play, Wrong, named, reported,
};

/// Answers that a repetition does not change, as gitea-mcp passes them on.
const FINAL: [(&str, &str); 6] = [
    ("401", "create user1/mcp/issue err: 401 Unauthorized: user does not exist"),
    (
        "403",
        "create user1/mcp/issue err: token does not have at least one of required scope(s): [write:issue]",
    ),
    ("404", "create user1/mcp/issue err: 404 Not Found: The target couldn't be found."),
    ("410 issues disabled", "create user1/mcp/issue err: 410 Gone: repo is archived or issues are disabled"),
    ("413", "create user1/mcp/issue err: 413 Request Entity Too Large"),
    ("422", "create user1/mcp/issue err: 422 Unprocessable Entity: [Title]: MaxSize"),
];

/// Answers that are worth another try.
const PASSING: [(&str, &str); 3] = [
    ("429", "create user1/mcp/issue err: 429 Too Many Requests: rate limit"),
    ("500", "create user1/mcp/issue err: 500 Internal Server Error"),
    ("502", "create user1/mcp/issue err: 502 Bad Gateway"),
];

pub(super) fn plays(ground: Ground<'_>, quick: bool) -> Vec<(String, Play<'_>)> {
    let mut plays = Vec::new();
    for generation in [Generation::A, Generation::B, Generation::C] {
        let name = |what: &str| {
            format!("A27 the issue is written and the answer is {what}, gitea-mcp {generation:?}")
        };
        plays.push(named(name("502"), ambiguous(ground, generation, Trouble::Ambiguous)));
        if !quick {
            plays.push(named(name("silence"), ambiguous(ground, generation, Trouble::Swallowed)));
        }
    }
    for (status, text) in FINAL {
        plays.push(named(format!("A28 Gitea answers {status}"), refused(ground, text)));
    }
    for (status, text) in PASSING {
        plays.push(named(format!("A28 Gitea answers {status}"), later(ground, text)));
    }
    plays.push(named("A28 Gitea refuses the labels", unlabelled(ground)));
    plays
}

async fn ambiguous(
    ground: Ground<'_>,
    generation: Generation,
    trouble: Trouble,
) -> anyhow::Result<Vec<String>> {
    let bench = Bench::start(ground.program, generation, None, &[]).await?;
    bench.gitea.trouble(Some("create"), trouble);
    let (record, _) = reported(&bench, &bench.scene(ground.case("F04")?)?).await?;
    let mut wrong = Wrong::default();
    wrong.unless_outcome(&record, "created");
    wrong.unless_issues(&bench, 1);
    wrong.unless(bench.tracker.comments().is_empty(), || "a comment was written".to_owned());
    wrong.unless(bench.gitea.calm() == 0, || "nothing was tested".to_owned());
    Ok(wrong.0)
}

/// Told as it is; once somebody has put it right, the same report is filed.
async fn refused(ground: Ground<'_>, text: &'static str) -> anyhow::Result<Vec<String>> {
    let bench = ground.bench(None, &[]).await?;
    bench.gitea.trouble(Some("create"), Trouble::Refusal(text));
    let (record, _) = reported(&bench, &bench.scene(ground.case("F04")?)?).await?;
    let mut wrong = Wrong::default();
    wrong.unless_outcome(&record, "failed");
    let reason = record["reason"].as_str().unwrap_or_default();
    wrong.unless(reason.contains(text), || format!("the reason is {reason:?}"));
    wrong.unless_issues(&bench, 0);
    let answer = record["result"].as_str().unwrap_or_default();
    wrong.unless(!answer.contains("Issue created"), || format!("the caller is told {answer:?}"));
    let id = record["report_id"].as_str().unwrap_or_default();
    let retry = bench.service.http().post(format!("{}/reports/{id}/retry", bench.service.url));
    retry.send().await?;
    wrong.unless_outcome(&bench.service.outcome(id).await?, "created");
    wrong.unless_issues(&bench, 1);
    Ok(wrong.0)
}

/// The caller is told that it waits; then it is filed, once.
async fn later(ground: Ground<'_>, text: &'static str) -> anyhow::Result<Vec<String>> {
    let bench = ground.bench(None, &[]).await?;
    bench.gitea.trouble(Some("create"), Trouble::Refusal(text));
    let (record, _) = reported(&bench, &bench.scene(ground.case("F04")?)?).await?;
    let mut wrong = Wrong::default();
    wrong.unless_outcome(&record, "queued");
    let id = record["report_id"].as_str().unwrap_or_default();
    wrong.unless_outcome(&bench.service.outcome(id).await?, "created");
    wrong.unless_issues(&bench, 1);
    Ok(wrong.0)
}

async fn unlabelled(ground: Ground<'_>) -> anyhow::Result<Vec<String>> {
    let bench = ground.bench(None, &[]).await?;
    let text = "create user1/mcp/label err: 422 Unprocessable Entity";
    bench.gitea.trouble(Some("label_write"), Trouble::Refusal(text));
    let (record, _) = reported(&bench, &bench.scene(ground.case("F04")?)?).await?;
    let mut wrong = Wrong::default();
    wrong.unless_outcome(&record, "created");
    wrong.unless_issues(&bench, 1);
    wrong.unless(bench.gitea.calm() == 0, || "nothing was tested".to_owned());
    Ok(wrong.0)
}
