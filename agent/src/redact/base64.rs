//! Secrets inside base64: every long run of the alphabet is decoded and searched.

use std::ops::Range;

use super::{KINDS, plain};

/// Shorter runs cannot hold a secret of the shortest kind (16 characters).
const SHORTEST: usize = 22;
/// Kubernetes Secrets within Secrets: base64 of JSON of base64.
const DEPTH: usize = 3;

/// Maximal runs of the base64 alphabet (RFC 4648, sections 4 and 5) with their padding.
pub(super) fn runs(text: &str) -> impl Iterator<Item = Range<usize>> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            let start = at;
            while at < bytes.len() && value(bytes[at]).is_some() {
                at += 1;
            }
            let body = at;
            while at < bytes.len() && bytes[at] == b'=' && at - body < 2 {
                at += 1;
            }
            if body - start >= SHORTEST {
                return Some(start..at);
            }
            at = at.max(body + 1);
        }
        None
    })
}

/// The first secret a run decodes to, if any. The run may have other text of the alphabet stuck to its
/// front (a path, for example), so all four alignments are tried.
pub(super) fn secret(run: &str) -> Option<(usize, String)> {
    nested(run, DEPTH)
}

fn nested(run: &str, depth: usize) -> Option<(usize, String)> {
    let run = run.trim_end_matches('=').as_bytes();
    for align in 0..4.min(run.len()) {
        let Some(text) = printable(&run[align..]) else { continue };
        let mut first = None;
        plain(&text, |_, kind, value| {
            if first.as_ref().is_none_or(|(k, _)| kind < *k) {
                first = Some((kind, value.to_owned()));
            }
        });
        // `user:password`, the form of basic authentication, has no name that announces it.
        let found = first.or_else(|| if align == 0 { basic(&text) } else { None });
        if found.is_some() {
            return found;
        }
        if depth > 1 {
            for inner in runs(&text) {
                if let Some(found) = nested(&text[inner], depth - 1) {
                    return Some(found);
                }
            }
        }
    }
    None
}

/// Decoded text, if what comes out is text: a hex digest read as base64 gives bytes of all values.
fn printable(run: &[u8]) -> Option<String> {
    let sample = run.get(..16).unwrap_or(run);
    if !decode(sample)?.iter().all(|b| is_text(*b)) {
        return None;
    }
    let mut bytes = decode(run)?;
    let text_until = bytes.iter().position(|b| !is_text(*b)).unwrap_or(bytes.len());
    // Text glued behind the run may garble its end, not more.
    if text_until + 4 < bytes.len() && text_until < 24 {
        return None;
    }
    bytes.truncate(text_until);
    String::from_utf8(bytes).ok()
}

const fn is_text(b: u8) -> bool {
    matches!(b, b'\n' | b'\r' | b'\t' | 0x20..=0x7e)
}

fn basic(text: &str) -> Option<(usize, String)> {
    let (user, password) = text.trim_end().split_once(':')?;
    let token = |s: &str| !s.is_empty() && !s.contains(char::is_whitespace);
    let kind = KINDS.iter().position(|k| k.name == "authorization-header")?;
    let wordy = user.len() >= 3 && user.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-@$".contains(&b));
    (wordy && token(password) && password.len() >= 6).then(|| (kind, password.to_owned()))
}

fn decode(run: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(run.len() / 4 * 3 + 3);
    for group in run.chunks(4) {
        let mut bits = 0u32;
        for b in group {
            bits = bits << 6 | u32::from(value(*b)?);
        }
        bits <<= 6 * (4 - group.len());
        let [_, a, b, c] = bits.to_be_bytes();
        out.extend_from_slice(&[a, b, c][..group.len().saturating_sub(1)]);
    }
    Some(out)
}

const fn value(b: u8) -> Option<u8> {
    match b {
        b'A'..=b'Z' => Some(b - b'A'),
        b'a'..=b'z' => Some(b - b'a' + 26),
        b'0'..=b'9' => Some(b - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}
