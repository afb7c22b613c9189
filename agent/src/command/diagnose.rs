//! `agent diagnose` and `agent rules`: the quickest way to try the agent.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::diagnosis::Diagnosis;
use crate::evidence::{Evidence, Intake, Source};
use crate::issue;
use crate::redact::Redactor;
use crate::rules::catalogue;

/// Bytes read at a time.
const CHUNK: usize = 64 * 1024;

/// Arguments of `agent diagnose`.
#[derive(Args, Debug)]
pub struct Diagnose {
    /// The log to read; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    pub log: PathBuf,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// Print the issue as it would be filed (Markdown) instead of the diagnosis.
    #[arg(long)]
    pub issue: bool,
    /// Name of the pipeline, for the title.
    #[arg(long, value_name = "NAME")]
    pub pipeline: Option<String>,
    /// Name of the task within the pipeline, for the title.
    #[arg(long, value_name = "NAME")]
    pub task: Option<String>,
    /// Name of the failing step, if the log is that of one step.
    #[arg(long, value_name = "NAME")]
    pub step: Option<String>,
    /// The model to ask besides the rules.
    #[command(flatten)]
    pub model: super::model::ModelArguments,
}

/// Output formats.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// One JSON object for programs; its `version` changes when its shape does.
    Json,
}

/// Arguments of `agent rules`.
#[derive(Args, Debug)]
pub struct Rules {
    /// How to print the list.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// Why `agent diagnose` ended without a diagnosis.
#[derive(Debug, thiserror::Error)]
pub enum DiagnoseError {
    /// The log cannot be read.
    #[error("read the log {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The result cannot be written.
    #[error("write the result")]
    Write(#[source] std::io::Error),
    /// The issue text did not pass its own check.
    #[error("render the issue")]
    Issue(#[source] issue::Broken),
}

/// The JSON form of the result.
#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    fingerprint: &'a str,
    diagnosis: &'a Diagnosis,
    run: &'a crate::evidence::RunFacts,
    lines: u64,
    lines_kept: usize,
    redactions: &'a std::collections::BTreeMap<String, u64>,
    instruction_like_lines: usize,
}

impl Diagnose {
    /// Read the log into evidence.
    pub fn evidence(&self) -> Result<Evidence, DiagnoseError> {
        let mut evidence = Evidence::default();
        evidence.run.pipeline.clone_from(&self.pipeline);
        evidence.run.task.clone_from(&self.task);
        evidence.run.step.clone_from(&self.step);
        let mut redactor = Redactor::new([0; 16]);
        let mut intake = Intake::new(&mut redactor);
        let failed = |source| DiagnoseError::Read { path: self.log.clone(), source };
        let mut input = open(&self.log).map_err(failed)?;
        let mut chunk = vec![0; CHUNK];
        loop {
            match input.read(&mut chunk).map_err(failed)? {
                0 => break,
                n => intake.push(&chunk[..n]),
            }
        }
        let name =
            if self.log == Path::new("-") { "standard input".into() } else { self.log.display().to_string() };
        let container = self.step.as_ref().map(|s| format!("step-{s}")).unwrap_or_default();
        let source = Source::Log { pod: name, container, attempt: 1, previous: false };
        let item = intake.finish("E1".to_owned(), source);
        evidence.add(item, &redactor);
        Ok(evidence)
    }

    /// Print a diagnosis of the evidence.
    pub fn print(
        &self,
        diagnosis: &Diagnosis,
        evidence: &Evidence,
        out: &mut impl Write,
    ) -> Result<(), DiagnoseError> {
        let fingerprint = diagnosis.fingerprint("-", evidence);
        if self.issue {
            let issue =
                issue::render(diagnosis, evidence, &fingerprint, None).map_err(DiagnoseError::Issue)?;
            return match self.output {
                Output::Text => writeln!(out, "{}\n\n{}", issue.title, issue.body),
                Output::Json => serde_json::to_writer_pretty(&mut *out, &issue)
                    .map_err(Into::into)
                    .and_then(|()| writeln!(out)),
            }
            .map_err(DiagnoseError::Write);
        }
        match self.output {
            Output::Text => text(diagnosis, evidence, out),
            Output::Json => json(diagnosis, evidence, &fingerprint, out),
        }
        .map_err(DiagnoseError::Write)
    }
}

impl Rules {
    /// Print the catalogue.
    pub fn print(&self, out: &mut impl Write) -> std::io::Result<()> {
        let signatures = catalogue().signatures();
        if self.output == Output::Json {
            let list: Vec<_> = signatures
                .iter()
                .map(|s| serde_json::json!({ "id": s.id, "category": s.category, "weight": s.weight, "generic": s.generic }))
                .collect();
            serde_json::to_writer_pretty(&mut *out, &list)?;
            return writeln!(out);
        }
        for signature in signatures {
            writeln!(out, "{:<34} {:<20} {:>3}", signature.id, signature.category.name(), signature.weight)?;
        }
        writeln!(out, "{} signatures", signatures.len())
    }
}

fn open(path: &Path) -> std::io::Result<Box<dyn Read>> {
    if path == Path::new("-") {
        Ok(Box::new(std::io::stdin().lock()))
    } else {
        Ok(Box::new(std::fs::File::open(path)?))
    }
}

fn json(
    diagnosis: &Diagnosis,
    evidence: &Evidence,
    fingerprint: &str,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let report = Report {
        version: 1,
        fingerprint,
        diagnosis,
        run: &evidence.run,
        lines: evidence.items.iter().map(|i| i.excerpt.total).sum(),
        lines_kept: evidence.items.iter().map(|i| i.excerpt.lines.len()).sum(),
        redactions: &evidence.redactions,
        instruction_like_lines: evidence.items.iter().map(|i| i.instructions.len()).sum(),
    };
    serde_json::to_writer_pretty(&mut *out, &report)?;
    writeln!(out)
}

fn text(diagnosis: &Diagnosis, evidence: &Evidence, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "Cause       {}", diagnosis.cause)?;
    let signature = diagnosis.signature.as_deref().unwrap_or("no signature");
    writeln!(out, "Category    {} ({signature})", diagnosis.category.name())?;
    if let Some(step) = &diagnosis.step {
        writeln!(out, "Step        {step}")?;
    }
    writeln!(out, "Confidence  {}, because {}", diagnosis.confidence.name(), diagnosis.because)?;
    for citation in diagnosis.citations.iter().take(1) {
        writeln!(out, "\nLine {} of {}", citation.line, citation.source)?;
        if let Some(item) = evidence.item(&citation.item) {
            for line in item.excerpt.around(citation.line, 3, 2) {
                let mark = if line.number == citation.line { '>' } else { ' ' };
                writeln!(out, "{mark} {:>6} {}", line.number, line.text)?;
            }
        }
    }
    writeln!(out, "\nWhat to do")?;
    for (i, fix) in diagnosis.fixes.iter().enumerate() {
        writeln!(out, "  {}. {fix}", i + 1)?;
    }
    if !evidence.redactions.is_empty() {
        let kinds: Vec<_> = evidence.redactions.iter().map(|(k, n)| format!("{n} {k}")).collect();
        writeln!(
            out,
            "\nSecrets removed: {}. Whoever can read the log knows them: rotate them.",
            kinds.join(", ")
        )?;
    }
    if evidence.items.iter().any(|i| !i.instructions.is_empty()) {
        writeln!(out, "\nThe log contains instruction-like text; it was treated as data.")?;
    }
    Ok(())
}
