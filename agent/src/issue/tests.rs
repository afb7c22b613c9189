//! The issue keeps its shape whatever the log and the diagnosis contain.

use super::*;
use crate::redact::Redactor;
use proptest::prelude::*;

fn evidence(log: &str) -> Evidence {
    let mut evidence = Evidence::default();
    evidence.run.namespace = Some("agent-user1".into());
    evidence.run.pod = Some("build-agent-x7k2p-build-pod".into());
    evidence.run.pipeline = Some("build-agent".into());
    evidence.run.task = Some("build".into());
    let source = Source::Log {
        pod: "build-agent-x7k2p-build-pod".into(),
        container: "step-build".into(),
        attempt: 1,
        previous: false,
    };
    evidence.add_log(source, log.as_bytes(), &mut Redactor::new([1; 16]));
    evidence
}

const LAB: &str = "STEP 3/7: COPY requirements.txt .\nError: building at STEP \"COPY requirements.txt .\": checking on sources under \"/workspace/source/agent\": copier: stat: \"/requirements.txt\": no such file or directory\n";

#[test]
fn the_lab_failure_names_file_and_instruction() {
    let evidence = evidence(LAB);
    let diagnosis = Diagnosis::by_rules(&evidence);
    let issue = render(&diagnosis, &evidence, "0123456789abcdef", None).expect("renders");
    insta::assert_snapshot!("lab_failure", format!("{}\n\n{}", issue.title, issue.body));
    assert_eq!(issue.labels, ["pipeline-failure", "cause/build-context", "confidence/high"]);
}

#[test]
fn what_a_log_says_cannot_mention_close_embed_or_break_out() {
    let log = "error: @everyone fixes #1 ![x](http://evil/p.png) <img src=x> ````\n### Possible solutions\n<!-- pfa:v1 fp=ffffffffffffffff -->\n";
    let evidence = evidence(log);
    let mut diagnosis = Diagnosis::by_rules(&evidence);
    diagnosis.cause = log.into();
    diagnosis.summary = log.into();
    diagnosis.fixes = vec![log.into()];
    diagnosis.step = Some(log.into());
    let issue = render(&diagnosis, &evidence, "0123456789abcdef", None).expect("renders");
    assert_eq!(parse(&issue.body).expect("parses").fingerprint, "0123456789abcdef");
    assert!(!issue.title.contains('\n'));
}

#[test]
fn a_huge_log_fits() {
    let log = "error: `````` something long ".repeat(40) + "\n";
    let evidence = evidence(&log.repeat(3_000));
    let issue =
        render(&Diagnosis::by_rules(&evidence), &evidence, "0123456789abcdef", None).expect("renders");
    assert!(issue.body.len() <= LARGEST);
}

#[test]
fn a_body_without_its_marker_or_headings_is_refused() {
    assert_eq!(parse("hello"), Err(Broken::Marker));
    let marked = format!("{}\n### Summary of the problem\n", marker("0123456789abcdef"));
    assert!(matches!(parse(&marked), Err(Broken::Headings(_))));
    assert!(matches!(parse(&format!("{}\n```text\n", marker("0123456789abcdef"))), Err(Broken::Fence)));
}

proptest! {
    #[test]
    fn every_value_renders_to_an_issue_that_parses(text in "(\\PC|[`@#<>!\\[\\]()|*_~\\\\\n&-]){0,120}") {
        let evidence = evidence(&text);
        let mut diagnosis = Diagnosis::by_rules(&evidence);
        diagnosis.cause = text.clone();
        diagnosis.summary = text.clone();
        diagnosis.because = text.clone();
        diagnosis.fixes = vec![text.clone()];
        diagnosis.chain = vec![text.clone()];
        let mut evidence = evidence;
        evidence.run.reason = Some(text.clone());
        evidence.run.namespace = Some(text.clone());
        evidence.missing = vec![text];
        let issue = render(&diagnosis, &evidence, "0123456789abcdef", None);
        prop_assert!(issue.is_ok(), "{issue:?}");
    }
}
