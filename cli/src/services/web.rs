//! Plain web requests: is a page up, and how to put a word into a URL.

use reqwest::Method;

use super::{Service, ServiceError};

/// HTTP status of `GET base/path`.
///
/// # Errors
///
/// When nothing answers.
pub async fn status(service: &Service, path: &str) -> Result<u16, ServiceError> {
    let operation = format!("GET {path}");
    service.send(&operation, Method::GET, path, |request| request).await.map(|answer| answer.status)
}

/// HTTP status of `GET base/path`, asked once: whatever answers is there.
///
/// # Errors
///
/// When nothing answers.
pub async fn answers(service: &Service, path: &str) -> Result<u16, ServiceError> {
    service.once(&format!("GET {path}"), path).await
}

/// A word as one segment or value of a URL.
pub fn encoded(word: &str) -> String {
    word.bytes().fold(String::with_capacity(word.len()), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            other => {
                use std::fmt::Write as _;
                write!(out, "%{other:02X}").expect("writing to a string succeeds");
            }
        }
        out
    })
}
