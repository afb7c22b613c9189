//! Every kind in every encoding, and what must survive.

use super::*;
use proptest::prelude::*;

const KEY: [u8; 16] = [7; 16];

/// (kind, the text it appears in, the secret itself)
fn samples() -> Vec<(&'static str, String, String)> {
    #[derive(serde::Deserialize)]
    struct Sample {
        kind: String,
        #[serde(default = "alone")]
        text: String,
        secret: String,
    }
    fn alone() -> String {
        "§".to_owned()
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/agent/secrets.yaml");
    let text = std::fs::read_to_string(path).expect("the samples are there");
    let samples: Vec<Sample> = tenant_kit::yaml::from_str(&text).expect("the samples are readable");
    let known = |kind: &str| kinds().find(|k| *k == kind).unwrap_or_else(|| panic!("no kind {kind}"));
    let filled = samples.iter().map(|sample| {
        let secret = filled(&sample.secret);
        (known(&sample.kind), sample.text.replace('§', &secret), secret)
    });
    filled.collect()
}

/// A secret with something in the places that the samples leave open.
fn filled(template: &str) -> String {
    let Some((before, rest)) = template.split_once("${") else { return template.to_owned() };
    let (place, after) = rest.split_once('}').expect("a place is closed");
    let (alphabet, length) = place.split_at(1);
    let length = length.parse().expect("a place has a length");
    let letters = |from: &str| from.chars().cycle().take(length).collect::<String>();
    let a = "aB3dE5gH7jK9mN2pQ4sT6vW8";
    let value = match alphabet {
        "a" => letters(a),
        "A" => letters(a).to_uppercase(),
        "l" => letters(a).to_lowercase(),
        "h" => letters("3f9a1c7e5b2d8064"),
        "k" => letters("IOSFODNN7WXYZ2QE"),
        "u" => base64(&format!("user:{}", letters(a))),
        other => panic!("no alphabet {other}"),
    };
    format!("{before}{value}{}", filled(after))
}

fn redact(text: &str) -> String {
    Redactor::new(KEY).text(text)
}

/// No run of eight characters of the secret may survive (four for a short password).
fn assert_gone(kind: &str, encoding: &str, secret: &str, out: &str) {
    let bytes: Vec<char> = secret.chars().collect();
    let window = if bytes.len() < 20 { 6 } else { 12 };
    for piece in bytes.windows(window) {
        let piece: String = piece.iter().collect();
        let fixed = ["-----BEGIN", "PRIVATE KEY", "services/T0", "webhookb2", "PRIVATE"];
        let structural = piece.contains('\n') || fixed.iter().any(|f| piece.contains(f));
        assert!(structural || !out.contains(&piece), "{kind}, {encoding}: {piece:?} survives in\n{out}");
    }
    assert!(out.contains("<secret:"), "{kind}, {encoding}: nothing was redacted in\n{out}");
}

fn base64(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in text.as_bytes().chunks(3) {
        let bits = group.iter().fold(0u32, |acc, b| acc << 8 | u32::from(*b)) << (8 * (3 - group.len()));
        for i in 0..4 {
            let sextet = usize::try_from(bits >> (18 - 6 * i) & 63).unwrap();
            out.push(if i <= group.len() { char::from(ALPHABET[sextet]) } else { '=' });
        }
    }
    out
}

fn wrap(text: &str, width: usize) -> String {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(width).map(|c| c.iter().collect::<String>()).collect::<Vec<_>>().join("\n")
}

fn percent(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

#[test]
fn the_table_covers_at_least_forty_kinds_and_each_has_a_sample() {
    let sampled: std::collections::BTreeSet<_> = samples().into_iter().map(|s| s.0).collect();
    let missing: Vec<_> = kinds().filter(|k| !sampled.contains(k)).collect();
    assert!(missing.is_empty(), "kinds without a sample: {missing:?}");
    assert!(kinds().count() >= 40);
}

#[test]
fn every_pattern_compiles() {
    for index in 0..KINDS.len() {
        pattern(index);
    }
}

#[test]
fn every_kind_is_redacted_plain_and_named() {
    for (kind, text, secret) in samples() {
        let out = redact(&text);
        assert_gone(kind, "plain", &secret, &out);
        assert!(out.contains(&format!("<secret:{kind}:")), "{kind}: named otherwise in {out}");
    }
}

#[test]
fn every_kind_is_redacted_in_base64() {
    for (kind, text, _) in samples() {
        let encoded = base64(&text);
        assert_gone(kind, "base64", &encoded, &redact(&format!("data: {encoded}")));
    }
}

#[test]
fn every_kind_is_redacted_in_wrapped_base64() {
    for (kind, text, _) in samples() {
        let encoded = base64(&format!("{text} {}", "some more text to make it long ".repeat(3)));
        let out = redact(&format!("blob\n{}\n", wrap(&encoded, 76)));
        assert_gone(kind, "base64 wrapped at 76", &encoded[..64], &out);
    }
}

#[test]
fn every_kind_is_redacted_percent_encoded() {
    for (kind, text, secret) in samples() {
        let out = redact(&format!("GET /?q={}", percent(&text)));
        assert_gone(kind, "percent", &percent(&secret), &out);
    }
}

#[test]
fn every_kind_is_redacted_in_json() {
    for (kind, text, secret) in samples() {
        let line = serde_json::json!({ "log": text }).to_string();
        let escaped = serde_json::json!(secret).to_string();
        assert_gone(kind, "JSON", escaped.trim_matches('"'), &redact(&line));
    }
}

#[test]
fn every_kind_is_redacted_when_wrapped_at_any_column() {
    for (kind, text, secret) in samples().into_iter().filter(|s| !s.1.contains('\n')) {
        for shift in (0..76).step_by(5) {
            let wrapped = wrap(&format!("{} {text}", "-".repeat(shift)), 76);
            let out = redact(&wrapped);
            assert_gone(kind, &format!("wrapped at 76, shifted {shift}"), &secret, &out);
        }
    }
}

#[test]
fn a_secret_on_any_chunk_border_is_redacted_whole() {
    for (kind, text, secret) in samples() {
        let back = secret.len() / 2;
        let mut redactor = Redactor::new(KEY);
        let mut stream = RedactStream::new(&mut redactor);
        let filler = "an ordinary line of a build log\n".repeat(4700);
        let mut log = filler[..128 * 1024 - back.min(1000)].to_owned();
        log.extend(["\n", &text, "\n"]);
        log.push_str(&filler[..24 * 1024]);
        let mut out = String::new();
        for piece in log.as_bytes().chunks(4093) {
            out.push_str(&stream.push(std::str::from_utf8(piece).expect("ASCII")));
        }
        out.push_str(&stream.finish());
        assert_gone(kind, &format!("chunk border {back}"), &secret, &out);
        assert_eq!(out.lines().count(), log.lines().count(), "{kind}: line numbers moved");
    }
}

#[test]
fn one_secret_has_one_placeholder_within_a_report_and_another_in_the_next() {
    let text = format!("a {t} b {t}", t = format!("ghp_{}", "a1".repeat(18)));
    let out = redact(&text);
    let marks: Vec<_> = out.match_indices("<secret:").map(|(i, _)| &out[i..i + 25]).collect();
    assert_eq!(marks.len(), 2);
    assert_eq!(marks[0], marks[1]);
    assert_ne!(out, Redactor::new([8; 16]).text(&text));
}

#[test]
fn benign_identifiers_survive() {
    let benign = [
        "quay.io/app@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "commit 4b825dc642cb6eb9a060e54bf8d69288fbee4904 in refs/heads/main",
        "go: github.com/stretchr/testify@v1.9.0: verifying: h1:HtqpIVDClZ4nwg75+f6Lvsy/wHu+3BoSGCbBAcpTsTg=",
        "integrity sha512-v2kDEe57lecTulaDIuNTPy3Ry4gLGJ6Z1O3vE1krgXZNrsQ+LFTGHVxVjcXPs17LhbZVGedAJv8XZ1tvj5FvSg==",
        "pod build-agent-mtkhb0-build-pod-retry2 uid 123e4567-e89b-12d3-a456-426614174000",
        "error: invalid token: expired",
        "Error: secret \"gitea-token\" not found",
        "password: authentication failed for user bob.",
        "export TOKEN=$(cat /var/run/secrets/token) PASSWORD=${DB_PASSWORD}",
        "Downloading https://files.example/packages/ab/cd/0123456789abcdef0123456789abcdef/x-1.0-py3-none-any.whl",
        "Collecting urllib3<3,>=1.21.1 (from requests->-r requirements.txt (line 3))",
        "/usr/local/lib/python3.11/site-packages/tokenizers/implementations/base_tokenizer.py",
        "serviceaccount system:serviceaccount:tenant-a:pipeline cannot delete resource pods",
        "secretKeyRef: name: litellm-key",
        "unexpected token: RUNN",
        "npm ERR! code ERESOLVE",
        "STEP 5/7: COPY requirements.txt .",
        "tokens used: 1234, token_count=5678",
    ];
    let touched: Vec<_> = benign.iter().filter(|b| redact(b) != **b).map(|b| redact(b)).collect();
    assert!(touched.is_empty(), "redacted though benign: {touched:#?}");
}

#[test]
fn a_private_key_without_an_end_is_redacted_to_the_end() {
    let out = redact(&format!(
        "x\n-----BEGIN PRIVATE KEY-----\n{}\n",
        "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcw".repeat(9)
    ));
    assert!(!out.contains("MIIEvQIBADANB"), "{out}");
}

proptest! {
    #[test]
    fn redaction_never_panics_and_keeps_line_counts(text in "\\PC{0,80}(\n|%4|\\\\n|://a:b@|password=|eyJ|\\PC){0,20}") {
        prop_assert_eq!(redact(&text).matches('\n').count(), text.matches('\n').count());
    }
}
