//! Redaction of a text of any length in bounded memory.

use super::{LONGEST, Redactor, find, floor_boundary};

/// Text is searched in blocks of at least this many bytes.
const BLOCK: usize = 128 * 1024;

/// Feed a text in pieces; what comes out is redacted, whatever the borders cut through.
///
/// The last [`LONGEST`] bytes are held back, so that a secret reaching over a border is seen whole with
/// the next block.
#[derive(Debug)]
pub struct RedactStream<'r> {
    redactor: &'r mut Redactor,
    held: String,
}

impl<'r> RedactStream<'r> {
    /// A stream that counts into `redactor`.
    pub fn new(redactor: &'r mut Redactor) -> Self {
        Self { redactor, held: String::new() }
    }

    /// Add text; returns what is certain by now, possibly nothing.
    pub fn push(&mut self, text: &str) -> String {
        self.held.push_str(text);
        if self.held.len() < BLOCK + LONGEST {
            return String::new();
        }
        let mut findings = find(&self.held);
        let cut = cut(&self.held, self.held.len() - LONGEST);
        // Whole or not at all: a secret that begins before the cut moves it behind itself.
        let cut = findings.iter().filter(|f| f.range.start < cut).map(|f| f.range.end).fold(cut, usize::max);
        findings.retain(|f| f.range.end <= cut);
        let out = self.redactor.replace(&self.held[..cut], &findings);
        self.held.drain(..cut);
        out
    }

    /// End of the text.
    pub fn finish(&mut self) -> String {
        let rest = std::mem::take(&mut self.held);
        self.redactor.text(&rest)
    }
}

/// Where to cut at or before `at`: after a line, else after a blank, else anywhere.
fn cut(text: &str, at: usize) -> usize {
    let at = floor_boundary(text, at);
    let from = floor_boundary(text, at.saturating_sub(LONGEST));
    let near = &text[from..at];
    let after = |i: usize| from + i + 1;
    near.rfind('\n').or_else(|| near.rfind(' ')).map_or(at, after)
}
