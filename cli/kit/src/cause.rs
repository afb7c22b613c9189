//! The words of a transport error that help its reader.

use std::{error::Error, io};

/// The innermost cause of an error: where transport errors say what has happened. A connection that ended too early is
/// told the same way by whichever layer has noticed.
pub fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    let mut broken = false;
    loop {
        let kind = last.downcast_ref::<io::Error>().map(io::Error::kind);
        broken |= matches!(
            kind,
            Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
        );
        match last.source() {
            Some(source) => last = source,
            None => break,
        }
    }
    let text = last.to_string();
    if broken || BROKEN.iter().any(|known| text.contains(known)) {
        return "the connection broke off".to_owned();
    }
    text
}

/// How hyper says it (its `Error`, `IncompleteMessage` and the decoder's end of file).
const BROKEN: [&str; 2] =
    ["connection closed before message completed", "end of file before message length reached"];

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("send the request")]
    struct Outer(#[source] io::Error);

    #[test]
    fn the_innermost_words_count_and_a_broken_connection_is_called_that() {
        let refused = Outer(io::Error::other("no route to host"));
        assert_eq!(innermost(&refused), "no route to host");
        let closed =
            io::Error::new(io::ErrorKind::UnexpectedEof, "peer closed connection without close_notify");
        assert_eq!(innermost(&Outer(closed)), "the connection broke off");
        let incomplete = io::Error::other("connection closed before message completed");
        assert_eq!(innermost(&Outer(incomplete)), "the connection broke off");
    }
}
