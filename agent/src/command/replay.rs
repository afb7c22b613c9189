//! `agent replay`: a recorded investigation again, offline, with today's rules or another model.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::diagnosis::Diagnosis;
use crate::issue;
use crate::recording::Recording;

/// Arguments of `agent replay`.
#[derive(Args, Debug)]
pub struct Replay {
    /// A recording: `<data>/evidence/<report>.json`.
    #[arg(value_name = "FILE")]
    pub recording: PathBuf,
    /// The model to ask besides the rules.
    #[command(flatten)]
    pub model: super::model::ModelArguments,
}

/// Why a recording cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The file cannot be read.
    #[error("read the recording {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The file is no recording of this version.
    #[error("{} is not a recording", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
    /// The issue text did not pass its own check.
    #[error("render the issue")]
    Issue(#[source] issue::Broken),
    /// The result cannot be written.
    #[error("write the result")]
    Write(#[source] std::io::Error),
}

impl Replay {
    /// The recording.
    pub fn read(&self) -> Result<Recording, ReplayError> {
        let path = || self.recording.clone();
        let bytes =
            std::fs::read(&self.recording).map_err(|source| ReplayError::Read { path: path(), source })?;
        serde_json::from_slice(&bytes).map_err(|source| ReplayError::Format { path: path(), source })
    }

    /// Print the issue the recording leads to.
    pub fn print(
        &self,
        diagnosis: &Diagnosis,
        recording: &Recording,
        out: &mut impl Write,
    ) -> Result<(), ReplayError> {
        let fingerprint = diagnosis.fingerprint(&recording.repository, &recording.evidence);
        let issue =
            issue::render(diagnosis, &recording.evidence, &fingerprint, None).map_err(ReplayError::Issue)?;
        writeln!(out, "{}\n\n{}", issue.title, issue.body).map_err(ReplayError::Write)
    }
}
