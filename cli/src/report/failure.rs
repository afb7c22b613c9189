//! How an error is told: what failed, why, and what to do about it.

use std::error::Error;

use tenant_kit::secret::Redactor;

use super::{
    entry::Tone,
    wording::{chain, line},
};

/// ```text
/// error: read the variables of the order
///   caused by: open /orders/x1.yml
///   caused by: No such file or directory
/// hint: check the path behind `-e @`
/// ```
///
/// Secrets are masked; the styles are left for the printer to strip.
pub(super) fn lines(redactor: &Redactor, error: &(dyn Error + 'static), hint: Option<&str>) -> Vec<String> {
    let messages: Vec<String> =
        std::iter::successors(Some(error), |&error| error.source()).map(ToString::to_string).collect();
    let mut messages = chain(redactor, messages.iter().map(String::as_str)).into_iter();
    let style = Tone::Bad.style();
    let what = messages.next().unwrap_or_else(|| "for no reason given".to_owned());
    let mut lines = vec![format!("{style}error{style:#}: {what}")];
    lines.extend(messages.map(|cause| format!("  caused by: {cause}")));
    let style = Tone::Calm.style();
    lines.extend(hint.map(|hint| format!("{style}hint{style:#}: {}", line(redactor, hint))));
    lines
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use secrecy::SecretString;
    use tenant_workflow::step::{Failure, StepError};

    use crate::report::{
        printer::{Format, Surroundings, Verbosity},
        script::Screen,
    };

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Link {
        text: &'static str,
        #[source]
        source: Option<Box<Link>>,
    }

    fn error() -> Link {
        let refused = Link { text: "connection refused", source: None };
        let sent = Link { text: "send POST /key/generate: connection refused", source: Some(refused.into()) };
        Link { text: "create the LiteLLM key\nof tenant x1", source: Some(sent.into()) }
    }

    #[test]
    fn an_error_with_causes_and_a_hint() {
        let screen = Screen::new(Surroundings::default(), Verbosity::Quiet, Format::Json);
        screen.printer.failure(&error(), Some("is LiteLLM up?"));
        assert_snapshot!(screen.stderr(), @r"
        error: create the LiteLLM key of tenant x1
          caused by: send POST /key/generate: connection refused
        hint: is LiteLLM up?
        ");
        assert_eq!(screen.stdout(), "");
    }

    #[test]
    fn an_error_alone() {
        let screen = Screen::new(Surroundings::default(), Verbosity::Normal, Format::Text);
        screen.printer.failure(&Link { text: "no guid given", source: None }, None);
        assert_eq!(screen.stderr(), "error: no guid given\n");
    }

    #[test]
    fn an_error_with_nothing_to_say() {
        let screen = Screen::new(Surroundings::default(), Verbosity::Normal, Format::Text);
        screen.printer.failure(&Link { text: "\n", source: None }, None);
        assert_eq!(screen.stderr(), "error: for no reason given\n");
    }

    #[test]
    fn secrets_are_masked() {
        let screen = Screen::new(Surroundings::default(), Verbosity::Normal, Format::Text);
        screen.printer.redactor().learn(&SecretString::from("hunter22"));
        let error = StepError::new(Failure::Denied, "log in with hunter22").because("bad: hunter22");
        screen.printer.failure(&error, Some("hunter22 is wrong"));
        assert_snapshot!(screen.stderr(), @r"
        error: log in with ***
          caused by: bad: ***
        hint: *** is wrong
        ");
    }
}
