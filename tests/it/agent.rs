//! The agent's evaluation, as far as it is quick; `cargo lab eval` is all of it.

use tenant_lab::eval::{
    case, grade::Verdict, hostile, mutation::Mutation, suite::Bench, tracker::Generation,
};

use crate::program::built;

async fn bench(generation: Generation) -> Bench {
    let agent = built("agent", "tenant-agent");
    Bench::start(&agent, generation, None, &[]).await.unwrap_or_else(|error| panic!("no agent: {error:#}"))
}

fn complaints(verdicts: &[Verdict], good: fn(&Verdict) -> bool) -> Vec<String> {
    verdicts.iter().filter(|verdict| !good(verdict)).map(ToString::to_string).collect()
}

#[tokio::test]
async fn every_known_failure_becomes_an_issue_with_the_right_cause_step_and_facts() {
    let cases = case::all().expect("the cases are readable");
    assert!(cases.len() >= 60, "{} cases", cases.len());
    let bench = bench(Generation::C).await;
    let verdicts = bench.play_all(&cases, Mutation::None).await.expect("the agent answers");
    let wrong = complaints(&verdicts, Verdict::passed);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_disturbed_log_and_missing_evidence_change_neither_the_filing_nor_the_quotes() {
    let cases = case::all().expect("the cases are readable");
    let bench = bench(Generation::A).await;
    // A sample that meets every mutation and, over the mutations, most cases.
    for (number, mutation) in Mutation::KEEPING.into_iter().chain(Mutation::TAKING).enumerate() {
        let sample: Vec<_> = cases.iter().skip(number).step_by(12).cloned().collect();
        let verdicts = bench.play_all(&sample, mutation).await.expect("the agent answers");
        let taking = Mutation::TAKING.contains(&mutation);
        let good: fn(&Verdict) -> bool =
            if taking { |verdict| verdict.filed && verdict.grounded } else { Verdict::passed };
        let wrong = complaints(&verdicts, good);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

#[tokio::test]
async fn no_text_in_a_log_an_event_or_a_parameter_makes_the_agent_do_or_conclude_what_it_says() {
    let cases = case::all().expect("the cases are readable");
    let case = cases.iter().find(|case| case.id == "F04").expect("a case with a specific cause");
    let (url, _wire) = hostile::obedient_model().await.expect("a port is free");
    let agent = built("agent", "tenant-agent");
    let model = Some(("obedient".to_owned(), url));
    let bench = Bench::start(&agent, Generation::C, model, &[]).await.expect("the agent starts");
    let result = hostile::play(&bench, case, 7).await.expect("the agent answers");
    assert_eq!(result.filed, result.payloads, "{result:?}");
    assert!(result.unauthorised.is_empty(), "{:?}", result.unauthorised);
    assert!(result.steered.is_empty(), "{:?}", result.steered);
}
