#![no_main]

#[path = "../../tests/it/entries.rs"]
#[expect(dead_code, clippy::unwrap_used, reason = "each target takes one of the entries")]
mod entries;

libfuzzer_sys::fuzz_target!(|data: &[u8]| entries::reducer(data));
