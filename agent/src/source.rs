//! The source that was built: files of the repository, for the model to look at.

use std::time::Duration;

use agent_mcp::{Arg, Capability, Effect};

use crate::dialogue::Repository;
use crate::evidence::Evidence;
use crate::filing::Tracker;
use crate::lines::clip;
use crate::redact::Redactor;

/// Files of the repository at the commit that was built, through the tracker's server: only where the run
/// was built from that very repository.
pub(crate) struct BuiltSource<'a> {
    tracker: Option<&'a Tracker>,
    revision: String,
}

impl<'a> BuiltSource<'a> {
    /// The repository behind a tracker, at the revision the evidence names.
    pub(crate) fn new(tracker: Option<&'a Tracker>, evidence: &Evidence) -> Self {
        let run = &evidence.run;
        let own = |t: &&Tracker| {
            let url =
                run.git_url.as_deref().unwrap_or_default().trim_end_matches(".git").trim_end_matches('/');
            url.ends_with(&format!("/{}", t.repository()))
        };
        let revision =
            run.commit.clone().or_else(|| run.git_revision.clone()).unwrap_or_else(|| "main".to_owned());
        Self { tracker: tracker.filter(own), revision }
    }

    async fn fetch(&self, path: &str) -> Result<String, String> {
        let Some(tracker) = self.tracker else { return Err("the repository is not available".to_owned()) };
        let repository = tracker.repository();
        let (owner, repo) = repository.split_once('/').unwrap_or_default();
        let args = [
            Arg::must(&["owner"], owner),
            Arg::must(&["repo"], repo),
            Arg::must(&["ref"], self.revision.as_str()),
            Arg::must(&["path", "filePath"], path),
        ];
        let text =
            tracker.client().call(Capability::FileRead, &args, Effect::Read, Duration::from_secs(10)).await;
        match text {
            // The model's wire is an exit: what leaves is redacted.
            Ok(text) => Ok(Redactor::new(crate::investigation::random_key()).text(&text)),
            Err(error) => Err(format!("not available: {}", clip(&error.to_string(), 200))),
        }
    }
}

impl Repository for BuiltSource<'_> {
    fn read<'a>(
        &'a self,
        path: &'a str,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<String, String>> + Send + 'a>> {
        Box::pin(self.fetch(path))
    }
}
