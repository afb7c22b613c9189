//! All cases with each scripted model: what a good one costs, and that no other spoils what the rules know.

use std::path::Path;

use super::{
    case::Case,
    grade::Verdict,
    models::{Character, INVENTED, Model},
    mutation::Mutation,
    suite::Bench,
    table::percentile,
    tracker::Generation,
};

/// Requests a report may cost, whatever the model does.
const MOST_CALLS: u64 = 6;
/// Tokens of half the reports, and of nineteen of twenty, with a model that knows what it does (agent reference,
/// section 5.3).
const TOKENS: (u64, u64) = (8_000, 16_000);
/// Cases between two looks at the tracker.
const BATCH: usize = 50;
/// No budget of the namespace or the day ends a row.
pub const UNLIMITED: [&str; 4] = ["--tokens-per-hour", "1000000000", "--tokens-per-day", "1000000000"];

/// A row of the table, and what is wrong with it.
pub struct Row {
    /// Its name.
    pub name: String,
    /// Its cases.
    pub verdicts: Vec<Verdict>,
    /// What must not be.
    pub complaints: Vec<String>,
}

/// Plays `cases` on an agent that asks a model of this character.
///
/// # Errors
/// When a part does not start, or the agent does not answer.
pub async fn play(
    program: &Path,
    character: Character,
    cases: &[Case],
    mutation: Mutation,
) -> anyhow::Result<Row> {
    let model = Model::open(character, cases).await?;
    let bench = Bench::start(program, Generation::C, model.setup(), &UNLIMITED).await?;
    let (mut verdicts, mut complaints) = (Vec::new(), Vec::new());
    for batch in cases.chunks(BATCH) {
        for (case, mut verdict) in batch.iter().zip(bench.play_all(batch, mutation).await?) {
            // What was sent counts, not what the agent says about it; where it names the model, it must say the same.
            let spent = model.spent_on(&case.id);
            if verdict.calls > 0 && (verdict.calls, verdict.tokens) != (spent.calls, spent.tokens) {
                complaints.push(format!(
                    "{}: the issue speaks of {} tokens in {} calls, it were {} in {}",
                    verdict.name, verdict.tokens, verdict.calls, spent.tokens, spent.calls
                ));
            }
            (verdict.calls, verdict.tokens) = (spent.calls, spent.tokens);
            verdicts.push(verdict);
        }
        let issues = bench.tracker.issues();
        if issues.len() != batch.len() {
            complaints.push(format!("{} issues of {} reports", issues.len(), batch.len()));
        }
        let all = issues.iter().map(|issue| format!("{}\n{}", issue["title"], issue["body"]));
        let text = all.collect::<String>();
        complaints.extend(
            INVENTED
                .iter()
                .filter(|made_up| text.contains(**made_up))
                .map(|made_up| format!("an issue speaks of {made_up}, which the model made up")),
        );
    }
    complaints.extend(verdicts.iter().filter(|verdict| !verdict.passed()).map(ToString::to_string));
    let over = verdicts.iter().filter(|verdict| verdict.calls > MOST_CALLS);
    complaints.extend(over.map(|verdict| format!("{}: {} requests", verdict.name, verdict.calls)));
    if character == Character::Good {
        complaints.extend(dear(&verdicts));
    }
    let mut name = format!("model {}", character.name());
    if mutation != Mutation::None {
        name = format!("{name}, {}", mutation.name());
    }
    let complaints = complaints.into_iter().map(|complaint| format!("{name}: {complaint}")).collect();
    Ok(Row { name, verdicts, complaints })
}

fn dear(verdicts: &[Verdict]) -> Option<String> {
    let (half, most) = (percentile(verdicts, 50, |v| v.tokens), percentile(verdicts, 95, |v| v.tokens));
    let calls = percentile(verdicts, 50, |v| v.calls);
    let good = half <= TOKENS.0 && most <= TOKENS.1 && (1..=2).contains(&calls);
    (!good).then(|| format!("{half} tokens, at most {most} with 19 of 20 reports, {calls} requests"))
}
