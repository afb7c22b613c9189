//! Untrusted text into Markdown that stays text.

use crate::text::is_visible;

/// Text for a sentence: one line, no markup, no mention, no issue reference, no HTML.
///
/// Gitea looks for `@name` and `closes #n` in the rendered text, where an escape or an entity is gone
/// again; a word joiner (U+2060) after the sign is not, and is invisible.
/// Text between a pair of backticks becomes a code span.
pub(super) fn prose(text: &str) -> String {
    let pieces: Vec<_> = text.split('`').collect();
    if pieces.len() % 2 == 0 {
        return plain(text).trim().to_owned();
    }
    let mut out = String::new();
    for (i, piece) in pieces.iter().enumerate() {
        if i % 2 == 0 || piece.trim().is_empty() {
            out.push_str(&plain(piece));
        } else {
            // Two spans side by side would be read as one with a longer delimiter.
            if out.ends_with('`') {
                out.push(' ');
            }
            out.push_str(&code(piece));
        }
    }
    out.trim().to_owned()
}

fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '@' => out.push_str("@\u{2060}"),
            '#' => out.push_str("#\u{2060}"),
            '!' => out.push_str("!\u{2060}"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' => {
                out.push('\\');
                out.push(c);
            }
            c if is_visible(c) => out.push(c),
            _ => {}
        }
    }
    // A bare address would become a link; with a joiner it stays what the log said.
    out.replace("://", ":\u{2060}//")
}

/// Text as an inline code span. Pipes are escaped for tables; backticks get a longer delimiter.
pub(super) fn code(text: &str) -> String {
    let one_line: String = text
        .chars()
        .map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c })
        .filter(|c| is_visible(*c))
        .collect();
    let one_line = one_line.trim().replace('|', "¦");
    if one_line.is_empty() {
        return "-".to_owned();
    }
    let ticks = "`".repeat(longest_run(&one_line) + 1);
    let pad = if one_line.starts_with('`') || one_line.ends_with('`') { " " } else { "" };
    format!("{ticks}{pad}{one_line}{pad}{ticks}")
}

/// Text as a fenced block.
pub(super) fn fence(text: &str) -> String {
    let ticks = "`".repeat(longest_run(text).max(2) + 1);
    let clean: String = text.chars().filter(|c| is_visible(*c) && *c != '\r').collect();
    format!("{ticks}text\n{}\n{ticks}", clean.trim_end_matches('\n'))
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}
