//! Readings of a text in which an encoded secret becomes visible.
//!
//! A secret may be broken over lines, JSON-escaped or percent-encoded. Instead of one detector per
//! encoding there is one detector and several *views*: the text with that encoding undone, plus the way
//! back from a position in the view to the bytes of the source.

use std::ops::Range;

/// Width from which a full line is taken to be hard-wrapped: PEM wraps at 64, MIME at 76, terminals at 80.
const WRAP_FROM: usize = 60;

/// A decoded reading of a source text.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) text: String,
    /// Sorted by `view`; each says where the text from here on comes from.
    pieces: Vec<Piece>,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    view: usize,
    source: usize,
    /// Source bytes of the one character this piece stands for; 0 for text copied as it is.
    escape: usize,
}

impl View {
    fn copy(&mut self, source: usize, text: &str) {
        if !text.is_empty() {
            self.pieces.push(Piece { view: self.text.len(), source, escape: 0 });
            self.text.push_str(text);
        }
    }

    fn decoded(&mut self, source: usize, length: usize, c: char) {
        self.pieces.push(Piece { view: self.text.len(), source, escape: length });
        self.text.push(c);
    }

    /// The source bytes behind a range of the view.
    pub(super) fn source(&self, range: &Range<usize>) -> Range<usize> {
        if range.is_empty() {
            let at = self.locate(range.start).0;
            return at..at;
        }
        let (start, _) = self.locate(range.start);
        let (last, escape) = self.locate(range.end - 1);
        start..last + escape.max(1)
    }

    fn locate(&self, at: usize) -> (usize, usize) {
        let index = self.pieces.partition_point(|p| p.view <= at);
        match index.checked_sub(1).map(|i| self.pieces[i]) {
            Some(p) if p.escape > 0 => (p.source, p.escape),
            Some(p) => (p.source + (at - p.view), 0),
            None => (at, 0),
        }
    }
}

/// Full lines joined with the line that follows; `None` when no line is full.
pub(super) fn unwrapped(text: &str) -> Option<View> {
    let mut view = View::default();
    let mut joined = false;
    let mut start = 0;
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let body = line.trim_end_matches(['\n', '\r']);
        if body.len() >= WRAP_FROM && line.len() > body.len() {
            view.copy(start, &text[start..offset + body.len()]);
            start = offset + line.len();
            joined = true;
        }
        offset += line.len();
    }
    view.copy(start, &text[start..]);
    joined.then_some(view)
}

/// Percent-encoding undone (RFC 3986 section 2.1); ASCII only, which covers every kind of secret.
pub(super) fn percent_decoded(text: &str) -> Option<View> {
    decoded(text, '%', |rest| {
        let hex = rest.get(1..3)?;
        let byte = u8::from_str_radix(hex, 16).ok()?;
        byte.is_ascii().then_some((3, char::from(byte)))
    })
}

/// JSON string escapes undone (RFC 8259 section 7), also doubled ones as in JSON inside JSON.
pub(super) fn json_unescaped(text: &str) -> Option<View> {
    decoded(text, '\\', |rest| {
        let slashes = rest.len() - rest.trim_start_matches('\\').len();
        let code = rest[slashes..].chars().next()?;
        let plain = match code {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            '"' | '/' => code,
            'u' => {
                let hex = rest.get(slashes + 1..slashes + 5)?;
                return char::from_u32(u32::from_str_radix(hex, 16).ok()?).map(|c| (slashes + 5, c));
            }
            _ => return None,
        };
        Some((slashes + 1, plain))
    })
}

fn decoded(text: &str, mark: char, escape: impl Fn(&str) -> Option<(usize, char)>) -> Option<View> {
    let mut view = View::default();
    let mut done = 0;
    let mut at = 0;
    while let Some(found) = text[at..].find(mark) {
        let here = at + found;
        if let Some((length, c)) = escape(&text[here..]) {
            view.copy(done, &text[done..here]);
            view.decoded(here, length, c);
            done = here + length;
            at = done;
        } else {
            at = here + mark.len_utf8();
        }
    }
    if view.pieces.is_empty() {
        return None;
    }
    view.copy(done, &text[done..]);
    Some(view)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_match_in_a_decoded_view_points_at_its_escaped_source() {
        let source = r#"{"m":"user\u003aname\/x"}"#;
        let view = json_unescaped(source).expect("escapes present");
        let at = view.text.find("user:name/x").expect("decoded");
        assert_eq!(&source[view.source(&(at..at + 11))], r"user\u003aname\/x");
    }

    #[test]
    fn a_match_across_a_wrap_covers_the_line_end_in_the_source() {
        let source = format!("{}ghp_\nabc rest", "x".repeat(60));
        let view = unwrapped(&source).expect("a full line");
        let at = view.text.find("ghp_abc").expect("joined");
        assert_eq!(&source[view.source(&(at..at + 7))], "ghp_\nabc");
    }

    proptest! {
        #[test]
        fn percent_decoding_points_back(text in "[a-c%0-9 ]{0,40}") {
            if let Some(view) = percent_decoded(&text) {
                for (i, c) in view.text.char_indices() {
                    let back = view.source(&(i..i + c.len_utf8()));
                    prop_assert!(text.get(back.clone()).is_some(), "{back:?} is not in {text:?}");
                }
                prop_assert_eq!(view.source(&(0..view.text.len())), 0..text.len());
            }
        }
    }
}
