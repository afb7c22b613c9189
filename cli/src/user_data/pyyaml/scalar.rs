//! Texts: which styles can hold one, and how each style writes it.

use std::fmt::Write as _;

use super::{Emitter, WIDTH};

/// The styles that can hold a text; double quotes always can.
pub(super) struct Styles {
    pub(super) plain: bool,
    pub(super) single_quoted: bool,
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_blank(c: char) -> bool {
    is_break(c) || matches!(c, '\0' | ' ' | '\t' | '\r')
}

/// Whether there is a line break in the text.
pub(super) fn has_break(text: &str) -> bool {
    text.contains(is_break)
}

/// What PyYAML's `analyze_scalar` allows outside of flow collections.
pub(super) fn styles(text: &str) -> Styles {
    let chars: Vec<char> = text.chars().collect();
    let (Some(&first), Some(&last)) = (chars.first(), chars.last()) else {
        return Styles { plain: true, single_quoted: true };
    };
    let mut indicators = text.starts_with("---") || text.starts_with("...");
    let mut special = false;
    let mut breaks = false;
    let mut break_then_space = false;
    let mut space_then_break = false;
    for (index, &c) in chars.iter().enumerate() {
        let before = index.checked_sub(1).map(|index| chars[index]);
        let blank_follows = chars.get(index + 1).is_none_or(|next| is_blank(*next));
        indicators |= match c {
            '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@'
            | '`'
                if index == 0 =>
            {
                true
            }
            '?' | '-' if index == 0 => blank_follows,
            ':' => blank_follows,
            '#' => before.is_some_and(is_blank),
            _ => false,
        };
        special |= !(c == '\n' || (' '..='~').contains(&c));
        breaks |= is_break(c);
        break_then_space |= c == ' ' && before.is_some_and(is_break);
        space_then_break |= is_break(c) && before == Some(' ');
    }
    let edges = |c: char| c == ' ' || is_break(c);
    let spaced = edges(first) || edges(last);
    Styles {
        plain: !(indicators || special || breaks || spaced),
        single_quoted: !(special || break_then_space || space_then_break),
    }
}

impl Emitter {
    /// Without quotes. Such a text has no line breaks.
    pub(super) fn plain(&mut self, text: &str, fold: bool) {
        if text.is_empty() {
            return;
        }
        if !self.whitespace {
            self.push(" ");
        }
        self.whitespace = false;
        self.indention = false;
        for run in runs(text) {
            if run == " " && fold && self.column > WIDTH {
                self.start_line();
                self.whitespace = false;
                self.indention = false;
            } else {
                self.push(run);
            }
        }
    }

    pub(super) fn single_quoted(&mut self, text: &str, fold: bool) {
        self.indicator("'", true, false, false);
        let mut at = 0;
        for run in runs(text) {
            let (inside, end) = (at > 0, at + run.len() == text.len());
            at += run.len();
            if run.starts_with('\n') {
                // one break more than are meant: folding takes it away again
                self.line_break();
                run.chars().for_each(|_| self.line_break());
                self.start_line();
            } else if run == " " && fold && self.column > WIDTH && inside && !end {
                self.start_line();
            } else {
                self.push(&run.replace('\'', "''"));
            }
        }
        self.indicator("'", false, false, false);
    }

    pub(super) fn double_quoted(&mut self, text: &str, fold: bool) {
        self.indicator("\"", true, false, false);
        let chars: Vec<char> = text.chars().collect();
        let mut start = 0;
        for end in 0..=chars.len() {
            let current = chars.get(end).copied();
            let ordinary = current.is_some_and(|c| (' '..='~').contains(&c) && c != '"' && c != '\\');
            if !ordinary {
                self.push_all(&chars[start..end.max(start)]);
                start = start.max(end);
                if let Some(c) = current {
                    self.push(&escape(c));
                    start = end + 1;
                }
            }
            let within = end > 0 && end + 1 < chars.len();
            let foldable = current == Some(' ') || start >= end;
            if fold && within && foldable && self.column + end > WIDTH + start {
                self.push_all(&chars[start..end.max(start)]);
                self.push("\\");
                start = start.max(end);
                self.start_line();
                self.whitespace = false;
                self.indention = false;
                if chars.get(start) == Some(&' ') {
                    self.push("\\");
                }
            }
        }
        self.indicator("\"", false, false, false);
    }

    fn push_all(&mut self, chars: &[char]) {
        self.push(&chars.iter().collect::<String>());
    }
}

/// The text cut into runs of spaces, runs of line breaks, and runs of anything else. Used only for ASCII texts,
/// whose only line break is `\n`.
fn runs(text: &str) -> impl Iterator<Item = &str> {
    let class = |c: char| match c {
        ' ' => 0,
        '\n' => 1,
        _ => 2,
    };
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = class(rest.chars().next()?);
        let end = rest.find(|c| class(c) != first).unwrap_or(rest.len());
        let (run, tail) = rest.split_at(end);
        rest = tail;
        Some(run)
    })
}

fn escape(c: char) -> String {
    let short = match c {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ => {
            let mut text = String::new();
            let code = u32::from(c);
            // writing to a string cannot fail
            let _ = match code {
                0..=0xff => write!(text, "\\x{code:02X}"),
                0x100..=0xffff => write!(text, "\\u{code:04X}"),
                _ => write!(text, "\\U{code:08X}"),
            };
            return text;
        }
    };
    format!("\\{short}")
}
