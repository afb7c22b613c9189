//! A model endpoint that is busy, broken, refusing, too small, silent or too dear.

use super::{
    super::{
        models::{Ailment, Character, Model},
        mutation::Mutation,
        scene::Scene,
    },
    Ground, Play, Wrong, named, reported,
};

pub(super) fn plays(ground: Ground<'_>, quick: bool) -> Vec<(String, Play<'_>)> {
    let mut ailments = vec![
        ("A24 the model answers 429, with Retry-After", Ailment::Busy(1)),
        ("A24 the model answers 429", Ailment::Status(429)),
        ("A24 the model answers 500", Ailment::Status(500)),
        ("A24 the model answers 503", Ailment::Status(503)),
        ("A24 the model answers 400", Ailment::Status(400)),
        ("A24 the model's answer breaks off", Ailment::Cut),
    ];
    if !quick {
        ailments.push(("A24 the model never answers", Ailment::Silence));
    }
    let mut plays: Vec<_> =
        ailments.into_iter().map(|(name, ailment)| named(name, fallback(ground, ailment))).collect();
    plays.extend([
        named("A24 the model refuses the key", refused(ground)),
        named("A24 the model's window is too small", small(ground)),
        named("A34 a report's budget ends in the middle", dear(ground)),
        named("A34 the budget of the namespace is spent", spent(ground)),
    ]);
    plays
}

/// The second model is asked, and believed.
async fn fallback(ground: Ground<'_>, ailment: Ailment) -> anyhow::Result<Vec<String>> {
    let model = Model::ailing(ailment, ground.cases).await?;
    let bench = ground.bench(Some(&model), &[]).await?;
    let (record, _) = reported(&bench, &bench.scene(ground.case("F04")?)?).await?;
    let mut wrong = Wrong::default();
    wrong.unless_outcome(&record, "created");
    let author = &record["diagnosis"]["author"];
    wrong.unless(author["name"] == "good", || format!("written by {author}"));
    let ill = model.seen().iter().filter(|body| body.contains("\"model\":\"ailing\"")).count();
    wrong.unless((1..=2).contains(&ill), || format!("{ill} requests to the model that fails"));
    Ok(wrong.0)
}

/// Another try with the same key is in vain.
async fn refused(ground: Ground<'_>) -> anyhow::Result<Vec<String>> {
    let model = Model::ailing(Ailment::Status(401), ground.cases).await?;
    let bench = ground.bench(Some(&model), &[]).await?;
    let (record, issue) = reported(&bench, &bench.scene(ground.case("F04")?)?).await?;
    let mut wrong = Wrong::default();
    wrong.unless_outcome(&record, "created");
    wrong.unless_category(&record, "dependency");
    wrong.unless(model.seen().len() == 1, || format!("{} requests", model.seen().len()));
    wrong.unless(issue.contains("by rules only"), || {
        "the issue does not say that no model was used".to_owned()
    });
    Ok(wrong.0)
}

/// The prompt shrinks until it fits.
async fn small(ground: Ground<'_>) -> anyhow::Result<Vec<String>> {
    let model = Model::ailing(Ailment::Short(9_000), ground.cases).await?;
    let bench = ground.bench(Some(&model), &[]).await?;
    let mut case = ground.case("F04")?.clone();
    let mut scene = bench.scene(&case)?;
    Mutation::Middle.apply(&mut scene, &mut case);
    let (record, _) = reported(&bench, &scene).await?;
    let mut wrong = Wrong::default();
    wrong.unless_outcome(&record, "created");
    let author = &record["diagnosis"]["author"];
    wrong.unless(author["name"] == "ailing", || format!("written by {author}"));
    let longest = model.seen().iter().map(String::len).max().unwrap_or_default();
    wrong.unless(longest > 9_000, || format!("nothing was tested: the longest prompt has {longest} bytes"));
    Ok(wrong.0)
}

async fn dear(ground: Ground<'_>) -> anyhow::Result<Vec<String>> {
    let model = Model::open(Character::Good, ground.cases).await?;
    let bench = ground.bench(Some(&model), &["--model-tokens", "1000"]).await?;
    let (record, issue) = reported(&bench, &bench.scene(ground.case("F01")?)?).await?;
    let mut wrong = Wrong::default();
    wrong.unless_outcome(&record, "created");
    wrong.unless_category(&record, "build-context");
    let why = record["degraded"].as_str().unwrap_or_default();
    wrong.unless(why.contains("budget"), || format!("degraded: {why:?}"));
    wrong.unless(model.seen().len() == 1, || format!("{} requests", model.seen().len()));
    wrong.unless(issue.contains("by rules only"), || {
        "the issue does not say that no model was used".to_owned()
    });
    Ok(wrong.0)
}

async fn spent(ground: Ground<'_>) -> anyhow::Result<Vec<String>> {
    let model = Model::open(Character::Good, ground.cases).await?;
    let bench = ground.bench(Some(&model), &["--tokens-per-hour", "1"]).await?;
    let case = ground.case("F04")?;
    let mut wrong = Wrong::default();
    let (record, _) = reported(&bench, &Scene::new(case, "f04-1", "first", "mtkhb0")?).await?;
    wrong.unless(record["diagnosis"]["author"]["kind"] == "model", || {
        "the first report has no model".to_owned()
    });
    let asked = model.seen().len();
    let (record, issue) = reported(&bench, &Scene::new(case, "f04-1", "second", "x7k2pq")?).await?;
    wrong.unless_outcome(&record, "created");
    wrong.unless_category(&record, "dependency");
    let why = record["degraded"].as_str().unwrap_or_default();
    wrong.unless(why.contains("budget"), || format!("degraded: {why:?}"));
    wrong.unless(issue.contains("by rules only"), || {
        "the issue does not say that no model was used".to_owned()
    });
    wrong.unless(model.seen().len() == asked, || "the model was asked again".to_owned());
    Ok(wrong.0)
}
