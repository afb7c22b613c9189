//! Bytes of unknown origin into clean UTF-8 text.
//!
//! A build log may be UTF-8, UTF-16, half a binary, or coloured by a terminal program. Everything
//! behind this module may rely on: valid UTF-8, no terminal escapes, no control characters other than
//! newline and tab (a carriage return survives and is resolved by [`crate::lines`]), no characters that
//! reorder or hide text.

/// Which bytes the stream turned out to carry; decided on its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Unknown,
    Utf8,
    Utf16 { big_endian: bool },
}

/// Where the terminal-escape reader stands (ECMA-48 section 5.4: CSI, and OSC ended by BEL or ST).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    None,
    Start,
    Csi,
    String,
    StringEnd,
}

/// Streaming decoder: push chunks of any size, borders anywhere.
#[derive(Debug)]
pub struct Decoder {
    encoding: Encoding,
    escape: Escape,
    carry: Vec<u8>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { encoding: Encoding::Unknown, escape: Escape::None, carry: Vec::new() }
    }
}

impl Decoder {
    /// Decode one chunk; an incomplete character at its end waits for the next.
    pub fn push(&mut self, chunk: &[u8]) -> String {
        let joined;
        let bytes = if self.carry.is_empty() {
            chunk
        } else {
            let mut whole = std::mem::take(&mut self.carry);
            whole.extend_from_slice(chunk);
            joined = whole;
            &joined
        };
        if self.encoding == Encoding::Unknown {
            if bytes.len() < 4 {
                self.carry = bytes.to_vec();
                return String::new();
            }
            self.encoding = sniff(bytes);
        }
        match self.encoding {
            Encoding::Utf16 { big_endian } => self.utf16(bytes, big_endian),
            Encoding::Unknown | Encoding::Utf8 => self.utf8(bytes),
        }
    }

    /// End of input: what is left of an incomplete character becomes U+FFFD.
    pub fn finish(&mut self) -> String {
        let rest = std::mem::take(&mut self.carry);
        let text = String::from_utf8_lossy(&rest).into_owned();
        self.clean(&text)
    }

    fn utf8(&mut self, bytes: &[u8]) -> String {
        let cut = bytes.len() - incomplete_tail(bytes);
        self.carry = bytes[cut..].to_vec();
        let text = String::from_utf8_lossy(&bytes[..cut]);
        self.clean(&text)
    }

    fn utf16(&mut self, bytes: &[u8], big_endian: bool) -> String {
        let pairs = bytes.chunks_exact(2);
        self.carry = pairs.remainder().to_vec();
        let units = pairs.map(|p| {
            let pair = [p[0], p[1]];
            if big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
        });
        let text: String =
            char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
        self.clean(&text)
    }

    fn clean(&mut self, text: &str) -> String {
        if self.escape == Escape::None && text.bytes().all(is_plain) {
            return text.to_owned();
        }
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            self.step(c, &mut out);
        }
        out
    }

    fn step(&mut self, c: char, out: &mut String) {
        self.escape = match (self.escape, c) {
            // The second pattern: intermediate bytes of a two-byte escape such as `ESC ( B`.
            (Escape::None, '\u{1b}') | (Escape::Start, ' '..='/') => Escape::Start,
            (Escape::None, '\u{9b}') | (Escape::Start, '[') | (Escape::Csi, '\u{20}'..='\u{3f}') => {
                Escape::Csi
            }
            (Escape::None, c) => {
                if is_visible(c) {
                    out.push(c);
                }
                Escape::None
            }
            (Escape::Start, ']' | 'P' | 'X' | '^' | '_') => Escape::String,
            // A line end inside an unfinished escape belongs to the log, not to the escape.
            (Escape::Csi | Escape::String | Escape::Start, '\n') => {
                out.push('\n');
                Escape::None
            }
            (Escape::String, '\u{1b}') => Escape::StringEnd,
            (Escape::String, c) if c != '\u{7}' => Escape::String,
            (Escape::Start | Escape::Csi | Escape::String | Escape::StringEnd, _) => Escape::None,
        };
    }
}

/// Clean a text that is at hand as a whole.
pub fn clean(bytes: &[u8]) -> String {
    let mut decoder = Decoder::default();
    let mut text = decoder.push(bytes);
    text.push_str(&decoder.finish());
    text
}

/// Bytes that need no look at all: printable ASCII, newline, tab. UTF-8 lead bytes take the slow path,
/// because the characters that hide text (bidi, tags, zero width) are among them.
const fn is_plain(b: u8) -> bool {
    matches!(b, b'\n' | b'\t' | b'\r' | 0x20..=0x7e)
}

/// Characters that may stay: no C0/C1 controls, no bidi controls (U+202A..202E, U+2066..2069, U+200E/F,
/// U+061C), no zero-width characters or BOM, no Unicode tags (U+E0000..E007F), which smuggle text past
/// the eye of a reader.
pub fn is_visible(c: char) -> bool {
    match c {
        '\n' | '\t' | '\r' => true,
        '\u{61c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}'
        | '\u{feff}'
        | '\u{e0000}'..='\u{e007f}' => false,
        c => !c.is_control(),
    }
}

fn sniff(bytes: &[u8]) -> Encoding {
    match bytes {
        [0xff, 0xfe, ..] => Encoding::Utf16 { big_endian: false },
        [0xfe, 0xff, ..] => Encoding::Utf16 { big_endian: true },
        // No byte-order mark, but ASCII in two-byte units: PowerShell writes such files.
        [a, 0, b, 0, ..] if *a != 0 && *b != 0 => Encoding::Utf16 { big_endian: false },
        [0, a, 0, b, ..] if *a != 0 && *b != 0 => Encoding::Utf16 { big_endian: true },
        _ => Encoding::Utf8,
    }
}

/// Length of an unfinished UTF-8 sequence at the end of `bytes` (0 to 3).
fn incomplete_tail(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(3) {
        let b = bytes[bytes.len() - back];
        if b & 0b1100_0000 == 0b1000_0000 {
            continue;
        }
        let need = match b {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        return if need > back { back } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn terminal_colours_and_titles_disappear_and_text_stays() {
        let log = b"\x1b[31mERROR\x1b[0m: \x1b]0;title\x07disk full\x1b(B\n";
        assert_eq!(clean(log), "ERROR: disk full\n");
    }

    #[test]
    fn characters_that_reorder_or_hide_text_disappear() {
        assert_eq!(clean("a\u{202e}b\u{e0041}c\u{200b}d\u{feff}e".as_bytes()), "abcde");
    }

    #[test]
    fn utf16_with_and_without_mark_is_read() {
        let le: Vec<u8> = "error: Größe".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(clean(&le), "error: Größe");
        let mut be = vec![0xfe, 0xff];
        be.extend("error: Größe".encode_utf16().flat_map(u16::to_be_bytes));
        assert_eq!(clean(&be), "error: Größe");
    }

    proptest! {
        #[test]
        fn chunk_borders_do_not_matter(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..200) {
            // The first four bytes decide the encoding, so the whole is fed the same way.
            let at = at.min(bytes.len());
            let mut d = Decoder::default();
            let mut parts = d.push(&bytes[..at]);
            parts.push_str(&d.push(&bytes[at..]));
            parts.push_str(&d.finish());
            prop_assert_eq!(parts, clean(&bytes));
        }

        #[test]
        fn output_is_always_visible(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(clean(&bytes).chars().all(is_visible));
        }
    }
}
