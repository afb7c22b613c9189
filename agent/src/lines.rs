//! Raw bytes of a log into clean, redacted, numbered lines, in bounded memory.

use crate::redact::{RedactStream, Redactor, floor_boundary};
use crate::text::Decoder;

/// What is kept of the start of a long line, in bytes.
const LINE_HEAD: usize = 4 * 1024;
/// What is kept of its end: tools put the reason there.
const LINE_TAIL: usize = 1024;

/// Streaming reader: bytes in, lines out through a callback `(number from 1, line)`.
#[derive(Debug)]
pub struct LineReader<'r> {
    decoder: Decoder,
    redact: RedactStream<'r>,
    line: Line,
    number: u64,
    bytes: u64,
}

impl<'r> LineReader<'r> {
    /// A reader that counts removed secrets into `redactor`.
    pub fn new(redactor: &'r mut Redactor) -> Self {
        Self {
            decoder: Decoder::default(),
            redact: RedactStream::new(redactor),
            line: Line::default(),
            number: 0,
            bytes: 0,
        }
    }

    /// Add bytes; calls `each` for every line that is complete by now.
    pub fn push(&mut self, bytes: &[u8], mut each: impl FnMut(u64, &str)) {
        self.bytes += bytes.len() as u64;
        let text = self.decoder.push(bytes);
        let text = self.redact.push(&text);
        self.split(&text, &mut each);
    }

    /// End of the log; the last line need not end in a newline. Returns lines and bytes read.
    pub fn finish(mut self, mut each: impl FnMut(u64, &str)) -> (u64, u64) {
        let rest = self.decoder.finish();
        let mut text = self.redact.push(&rest);
        text.push_str(&self.redact.finish());
        self.split(&text, &mut each);
        if !self.line.is_empty() {
            self.number += 1;
            each(self.number, &self.line.take());
        }
        (self.number, self.bytes)
    }

    fn split(&mut self, text: &str, each: &mut impl FnMut(u64, &str)) {
        let mut pieces = text.split('\n');
        let mut piece = pieces.next();
        while let Some(part) = piece {
            piece = pieces.next();
            if piece.is_none() {
                self.line.push(part);
                break;
            }
            self.number += 1;
            // The usual case needs no copy: the whole line lies in this piece of text.
            if self.line.is_empty() && part.len() <= LINE_HEAD && !part.contains('\r') {
                each(self.number, part);
            } else {
                self.line.push(part);
                each(self.number, &self.line.take());
            }
        }
    }
}

/// One line under construction: its head, a bounded tail, and how much lies between.
#[derive(Debug, Default)]
struct Line {
    head: String,
    tail: String,
    left_out: usize,
}

impl Line {
    fn is_empty(&self) -> bool {
        self.head.is_empty()
    }

    fn push(&mut self, text: &str) {
        // A lone carriage return starts the line over: progress bars show their last state.
        let text = text.strip_suffix('\r').unwrap_or(text);
        let text = match text.rfind('\r') {
            Some(at) => {
                *self = Self::default();
                &text[at + 1..]
            }
            None => text,
        };
        let room = LINE_HEAD.saturating_sub(self.head.len());
        let at = floor_boundary(text, room);
        self.head.push_str(&text[..at]);
        let rest = &text[at..];
        if rest.is_empty() {
            return;
        }
        self.tail.push_str(&rest[floor_boundary(rest, rest.len().saturating_sub(LINE_TAIL))..]);
        self.left_out += rest.len();
        if self.tail.len() > 2 * LINE_TAIL {
            let cut = floor_boundary(&self.tail, self.tail.len() - LINE_TAIL);
            self.tail.drain(..cut);
        }
    }

    fn take(&mut self) -> String {
        let line = std::mem::take(self);
        match line.left_out.checked_sub(line.tail.len()) {
            Some(gap) if gap > 0 => format!("{} … {gap} bytes left out … {}", line.head, line.tail),
            _ => line.head + &line.tail,
        }
    }
}

/// Shorten to at most `limit` bytes on a character boundary, with an ellipsis where something is gone.
pub fn clip(text: &str, limit: usize) -> String {
    if text.len() <= limit { text.to_owned() } else { format!("{}…", &text[..floor_boundary(text, limit)]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(log: &[u8], chunk: usize) -> Vec<String> {
        let mut redactor = Redactor::new([0; 16]);
        let mut reader = LineReader::new(&mut redactor);
        let mut lines = Vec::new();
        for piece in log.chunks(chunk) {
            reader.push(piece, |n, l| {
                assert_eq!(n, lines.len() as u64 + 1);
                lines.push(l.to_owned());
            });
        }
        reader.finish(|_, l| lines.push(l.to_owned()));
        lines
    }

    #[test]
    fn a_progress_bar_shows_its_last_state_and_crlf_is_a_line_end() {
        assert_eq!(read(b"10%\r50%\r100% done\r\nnext\n", 5), ["100% done", "next"]);
    }

    #[test]
    fn a_giant_line_keeps_head_and_tail() {
        let log = format!("start {} the reason\nnext", "x".repeat(20_000_000));
        let lines = read(log.as_bytes(), 65_536);
        assert!(lines[0].starts_with("start x") && lines[0].ends_with("the reason"), "{}", lines[0].len());
        assert!(lines[0].len() < 2 * LINE_HEAD);
        assert_eq!(lines[1], "next");
    }

    proptest! {
        #[test]
        fn chunk_size_does_not_matter(log in "([a-z ]{0,12}\r?\n){0,12}[a-z]{0,5}", chunk in 1usize..40) {
            prop_assert_eq!(read(log.as_bytes(), chunk), read(log.as_bytes(), 1 << 20));
        }
    }
}
