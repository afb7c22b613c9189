//! One thing the doctor found.

use serde_json::{Value, json};
use tenant_workflow::step::{Failure, StepError};

/// One thing found, in one line, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which check found it: `kinds`, `rights`, `litellm`, …
    pub check: &'static str,
    /// What it means for orders.
    pub verdict: Verdict,
    /// What was found.
    pub says: String,
    /// What the reader can do; always there unless all is well.
    pub remedy: Option<String>,
}

/// What a finding means for orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Orders work, but not as well as they could.
    Warning,
    /// Orders end with this.
    Problem(Failure),
    /// Not known: something that was not given is needed to look.
    Unchecked,
}

impl Verdict {
    /// In a word or two.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Warning => "warning",
            Self::Problem(_) => "problem",
            Self::Unchecked => "not checked",
        }
    }
}

impl Finding {
    /// All is well.
    pub fn good(check: &'static str, says: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Good, says: says.into(), remedy: None }
    }

    /// Could be better.
    pub fn warning(check: &'static str, says: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Warning, says: says.into(), remedy: Some(remedy.into()) }
    }

    /// Orders would fail in this way.
    pub fn problem(
        check: &'static str,
        failure: Failure,
        says: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { check, verdict: Verdict::Problem(failure), says: says.into(), remedy: Some(remedy.into()) }
    }

    /// Nobody looked, for want of something.
    pub fn unchecked(check: &'static str, says: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Unchecked, says: says.into(), remedy: Some(remedy.into()) }
    }

    /// What was tried failed.
    pub fn failed(check: &'static str, error: &StepError) -> Self {
        let remedy = error.hint.clone().unwrap_or_else(|| "see what the service's own log says".to_owned());
        Self::problem(check, error.failure, error.chain().join(": "), remedy)
    }

    /// Of what class it is, if it is a problem.
    pub fn failure(&self) -> Option<Failure> {
        match self.verdict {
            Verdict::Problem(failure) => Some(failure),
            Verdict::Good | Verdict::Warning | Verdict::Unchecked => None,
        }
    }

    /// As a document.
    pub fn json(&self) -> Value {
        let Self { check, verdict, says, remedy } = self;
        let verdict = verdict.word().replace(' ', "-");
        json!({"check": check, "verdict": verdict, "says": says, "remedy": remedy})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_becomes_a_problem_of_its_class_with_cause_and_remedy() {
        let error =
            StepError::new(Failure::Denied, "list keys").because("it answered 401").hint("renew the key");
        let found = Finding::failed("litellm", &error);
        assert_eq!(found.failure(), Some(Failure::Denied));
        assert_eq!(
            (found.says.as_str(), found.remedy.as_deref()),
            ("list keys: it answered 401", Some("renew the key"))
        );
        assert!(Finding::failed("x", &StepError::new(Failure::Service, "y")).remedy.is_some());
    }

    #[test]
    fn a_document_has_a_word_without_blanks() {
        let found = Finding::unchecked("litellm", "no address", "give one");
        assert_eq!(found.json()["verdict"], "not-checked");
        assert_eq!(found.failure(), None);
    }
}
