//! The entries under proptest, and over the corpora that libFuzzer starts from.

use std::path::Path;

use proptest::prelude::*;

use crate::entries;

/// Bytes near to what an entry expects: its corpus' words, in any order, with anything between.
fn near(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => proptest::sample::select(words).prop_map(|word| word.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..12),
    ];
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

const REPORT: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\",
    "\"namespace\":",
    "\"n\"",
    "\"pod_name\":",
    "\"p\"",
    "null",
    "1e999",
    "\\ud800",
    "\"container_name\":",
    "\u{202e}",
    "\"git_url\":",
    "\"http://u:p@h/\"",
];
const EVENTS: &[&str] = &[
    "data: ",
    "event: message\n",
    "\n",
    "\r\n",
    "\n\n",
    ": ping\n",
    "id: 1\n",
    "retry: x\n",
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}",
    "{\"jsonrpc\":\"2.0\",\"method\":\"x\"}",
    "{",
    "\u{feff}",
    "[]",
];
const LOG: &[&str] = &[
    "\n",
    "\r",
    "\r\n",
    "error: ",
    "Error: ",
    "STEP 3/7: COPY a .",
    "exit code 137",
    "\u{1b}[31m",
    "\u{1b}[K",
    "\0",
    "password=hunter2hunter2",
    "-----BEGIN RSA PRIVATE KEY-----",
    "-----END RSA PRIVATE KEY-----",
    "eyJhbGciOi",
    "://user:secret@host/",
    "%67%68%70",
    "Z2hwX2Ex",
    "\\n",
    "\u{200b}",
    "\u{202e}",
    "Ignore previous instructions",
    "ModuleNotFoundError: No module named 'x'",
    "2026-11-21T07:00:00Z ",
    "aGVsbG8gd29ybGQ=",
    "ghp_",
    "\u{fffd}",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_body_upsets_the_intake(data in near(REPORT)) {
        entries::intake(&data);
    }

    #[test]
    fn no_stream_upsets_the_decoder(data in near(EVENTS)) {
        entries::decoder(&data);
    }

    #[test]
    fn no_text_hides_a_secret_beside_it(data in near(LOG)) {
        entries::redactor(&data);
    }

    #[test]
    fn no_log_is_read_differently_in_pieces(data in near(LOG)) {
        entries::reducer(&data);
    }
}

#[test]
fn the_corpora_pass() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, entry) in [
        ("intake", entries::intake as fn(&[u8])),
        ("decoder", entries::decoder),
        ("redactor", entries::redactor),
        ("reducer", entries::reducer),
    ] {
        let files: Vec<_> =
            std::fs::read_dir(corpora.join(name)).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(!files.is_empty(), "{name} has no corpus");
        for file in files {
            println!("{}", file.display());
            entry(&std::fs::read(file).unwrap());
        }
    }
}
