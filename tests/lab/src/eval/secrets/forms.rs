//! The forms in which a secret gets into a log.

use std::ops::Range;

use base64::Engine as _;
use serde_json::json;
use sha2::{Digest as _, Sha256};

/// A colour, put into the middle of words.
pub(super) const COLOUR: &str = "\u{1b}[31m";
/// Where terminals and MIME break lines.
const WIDTH: usize = 76;
/// Text is redacted in blocks; so much of it waits for the next one (`agent/src/redact.rs`).
const HELD: usize = 16 * 1024;
/// Length of the pieces that are looked for, and of those of short secrets.
const PIECE: usize = 12;
const SHORT: usize = 8;

/// How a secret is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    Plain,
    /// In base64, with what announces it.
    Base64,
    /// The same, wrapped.
    Base64Wrapped,
    /// Percent-encoded.
    Url,
    /// A string in JSON.
    Json,
    /// Broken where a line of 76 ends, in the middle of the secret.
    Wrapped,
    /// With colours between its letters.
    Coloured,
    /// Across the place where a text is cut: blocks of a log, the longest event, the longest parameter.
    Cut,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Plain,
        Self::Base64,
        Self::Base64Wrapped,
        Self::Url,
        Self::Json,
        Self::Wrapped,
        Self::Coloured,
        Self::Cut,
    ];

    /// Whether a secret can be written like that: what has lines of its own is not wrapped.
    pub(super) fn suits(self, secret: &str) -> bool {
        self != Self::Wrapped || !secret.contains('\n')
    }
}

/// A text with a secret in it.
#[derive(Clone, Debug)]
pub(super) struct Planted {
    /// The text.
    pub(super) text: String,
    /// Pieces of the secret; none of them may be seen again.
    pub(super) pieces: Vec<String>,
    /// Where the secret begins and how long it is.
    secret: Range<usize>,
}

impl Planted {
    /// The secret of a sample, made up for this form and place, in its text.
    pub(super) fn new(text: &str, secret: &str, form: Form, place: &str) -> Self {
        let (secret, made_up) = filled(secret, &format!("{text} {secret} {form:?} {place}"));
        let at = text.find('§').unwrap_or_default();
        let text = text.replace('§', &secret);
        let made_up: Vec<_> = made_up.into_iter().map(|range| range.start + at..range.end + at).collect();
        let mut pieces: Vec<_> = made_up.iter().flat_map(|range| pieces(&text[range.clone()])).collect();
        let whole = at..at + secret.len();
        let text = match form {
            Form::Plain | Form::Cut => text,
            Form::Url => format!("GET /?q={}", percent(&text)),
            Form::Json => json!({ "log": text }).to_string(),
            Form::Coloured => coloured(&text, &whole),
            Form::Wrapped => {
                let middle = whole.start + whole.len() / 2;
                wrapped(&format!("{} {text}", "-".repeat((WIDTH - 1).saturating_sub(middle))))
            }
            Form::Base64 | Form::Base64Wrapped => {
                let padded = format!("{text} {}", "and so on ".repeat(12));
                let encoded = base64::engine::general_purpose::STANDARD.encode(padded);
                for range in &made_up {
                    let inside = range.start.div_ceil(3) * 4..range.end / 3 * 4;
                    pieces.extend(encoded.get(inside).map(self::pieces).unwrap_or_default());
                }
                let encoded = if form == Form::Base64 { encoded } else { format!("\n{}", wrapped(&encoded)) };
                format!("data: {encoded}")
            }
        };
        Self { text, pieces, secret: whole }
    }
}

/// A text in which the border `at` runs through the secret, if the form asks for it.
pub(super) fn ahead(planted: &Planted, form: Form, at: usize) -> String {
    if form != Form::Cut {
        return planted.text.clone();
    }
    let middle = planted.secret.start + planted.secret.len() / 2;
    format!("{} {}", "x".repeat(at.saturating_sub(middle + 1)), planted.text)
}

/// A log in which the secret reaches over the border of two blocks, before the end of `log`.
pub(super) fn across_blocks(planted: &Planted, log: &str) -> String {
    let filler = "an ordinary line of a build log\n".repeat(5_000);
    let behind = planted.text.len() - planted.secret.start - planted.secret.len() / 2;
    let rest = HELD.saturating_sub(behind + log.len() + 2);
    format!("{filler}{}\n{}\n{log}", planted.text, &filler[..rest])
}

/// All pieces of one length; of a short secret shorter ones.
fn pieces(made_up: &str) -> Vec<String> {
    let length = if made_up.len() < 2 * PIECE { SHORT } else { PIECE };
    let bytes: Vec<char> = made_up.chars().collect();
    bytes.windows(length).map(|window| window.iter().collect()).collect()
}

/// A template with its open places filled, and where they are.
fn filled(template: &str, seed: &str) -> (String, Vec<Range<usize>>) {
    let (mut out, mut places) = (String::new(), Vec::new());
    let mut rest = template;
    while let Some((before, place, after)) = rest
        .split_once("${")
        .and_then(|(before, rest)| rest.split_once('}').map(|(place, after)| (before, place, after)))
    {
        out.push_str(before);
        let start = out.len();
        out.push_str(&made_up(place, &format!("{seed} {start}")));
        places.push(start..out.len());
        rest = after;
    }
    out.push_str(rest);
    (out, places)
}

/// So many letters of an alphabet that nobody has seen before; the same for the same seed.
fn made_up(place: &str, seed: &str) -> String {
    const DIGITS: &[u8] = b"0123456789";
    const LOWER: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
    const UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let (alphabet, length) = place.split_at(place.len().min(1));
    let length = length.parse().unwrap_or(32);
    let letters = |from: &[&[u8]]| {
        let from = from.concat();
        let blocks = (0u32..).flat_map(|block| Sha256::digest(format!("{seed} {block}")).to_vec());
        blocks.take(length).map(|byte| char::from(from[usize::from(byte) % from.len()])).collect::<String>()
    };
    match alphabet {
        "h" => letters(&[DIGITS, b"abcdef"]),
        "A" => letters(&[UPPER, DIGITS]),
        "l" => letters(&[LOWER, DIGITS]),
        "k" => letters(&[UPPER, b"234567"]),
        "u" => base64::engine::general_purpose::STANDARD
            .encode(format!("user:{}", letters(&[LOWER, UPPER, DIGITS]))),
        _ => letters(&[LOWER, UPPER, DIGITS]),
    }
}

fn wrapped(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(WIDTH).map(|line| line.iter().collect::<String>()).collect::<Vec<_>>().join("\n")
}

fn percent(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

fn coloured(text: &str, secret: &Range<usize>) -> String {
    let mut out = String::new();
    for (at, c) in text.char_indices() {
        if secret.contains(&at) && (at - secret.start) % 5 == 2 {
            out.push_str(COLOUR);
        }
        out.push(c);
    }
    out
}
