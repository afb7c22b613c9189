//! Checks of the suites that a machine cannot make.

use std::io::{self, Write as _};

/// Says that a check was not made, and why. Written past the test harness, which shows what is printed only for
/// failures.
///
/// # Panics
/// When standard error takes nothing.
pub fn skipped(check: &str, reason: &str) {
    let notice = format!("\n!!! SKIPPED: {check} was not run.\n{reason}\n\n");
    io::stderr().write_all(notice.as_bytes()).expect("standard error takes a notice");
}
