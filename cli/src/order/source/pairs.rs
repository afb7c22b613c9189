//! `key=value` text as Ansible's `parse_kv` takes it apart.
//!
//! Words end at white space outside of quotes and of Jinja brackets; backslash escapes are decoded; a value
//! loses its quotes only when they enclose the whole of it. Unlike Ansible, which drops a word without `=`
//! silently, it is an error here.

/// Why a text of pairs was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PairError {
    /// A quote that is never closed.
    #[error("a quotation mark is never closed; quote the whole argument for the shell")]
    OpenQuote,
    /// `{{` without `}}`.
    #[error("a `{{{{`, `{{%` or `{{#` is never closed")]
    OpenJinja,
    /// A word without `=`, by its position.
    #[error("word {0} is not `name=value`; quote values with spaces: -e 'name=\"two words\"'")]
    NoEquals(usize),
    /// Nothing before the `=`, by the position of the word.
    #[error("word {0} has no name before its `=`")]
    NoName(usize),
}

/// Takes `text` apart, in order; repeated names are kept, the last is to win.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, PairError> {
    let mut pairs = Vec::new();
    for (index, word) in words(text)?.into_iter().enumerate() {
        let word = decoded(&word);
        let at = equals(&word).ok_or(PairError::NoEquals(index + 1))?;
        let name = word[..at].trim();
        if name.is_empty() {
            return Err(PairError::NoName(index + 1));
        }
        pairs.push((name.to_owned(), unquoted(word[at + 1..].trim()).to_owned()));
    }
    Ok(pairs)
}

/// Position of the first `=` that no backslash precedes.
fn equals(word: &str) -> Option<usize> {
    word.match_indices('=').map(|(at, _)| at).find(|at| !word[..*at].ends_with('\\'))
}

fn words(text: &str) -> Result<Vec<String>, PairError> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote: Option<char> = None;
    let mut jinja = 0_usize;
    let mut chars = text.chars().peekable();
    let mut escaped = false;
    while let Some(c) = chars.next() {
        if c.is_whitespace() && quote.is_none() && jinja == 0 {
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            escaped = false;
            continue;
        }
        word.push(c);
        if matches!(c, '"' | '\'') && !escaped && jinja == 0 {
            match quote {
                None => quote = Some(c),
                Some(open) if open == c => quote = None,
                Some(_) => {}
            }
        }
        if quote.is_none() {
            match (c, chars.peek()) {
                ('{', Some('{' | '%' | '#')) => {
                    jinja += 1;
                    word.extend(chars.next());
                }
                ('}' | '%' | '#', Some('}')) if jinja > 0 => {
                    jinja -= 1;
                    word.extend(chars.next());
                }
                _ => {}
            }
        }
        escaped = c == '\\' && !escaped;
    }
    if quote.is_some() {
        return Err(PairError::OpenQuote);
    }
    if jinja > 0 {
        return Err(PairError::OpenJinja);
    }
    if !word.is_empty() {
        words.push(word);
    }
    Ok(words)
}

/// Decodes the backslash escapes of a Python string literal; anything else stays as it is.
fn decoded(word: &str) -> String {
    let mut out = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        let Some((c, length)) = escape(tail) else {
            out.push('\\');
            rest = tail;
            continue;
        };
        out.push(c);
        rest = &tail[length..];
    }
    out.push_str(rest);
    out
}

/// The character an escape stands for and its length, given the text after the backslash.
fn escape(tail: &str) -> Option<(char, usize)> {
    let hex = |digits: usize| -> Option<(char, usize)> {
        let code = u32::from_str_radix(tail.get(1..=digits)?, 16).ok()?;
        Some((char::from_u32(code)?, digits + 1))
    };
    match tail.chars().next()? {
        'x' => hex(2),
        'u' => hex(4),
        'U' => hex(8),
        'a' => Some(('\u{7}', 1)),
        'b' => Some(('\u{8}', 1)),
        'f' => Some(('\u{c}', 1)),
        'n' => Some(('\n', 1)),
        'r' => Some(('\r', 1)),
        't' => Some(('\t', 1)),
        'v' => Some(('\u{b}', 1)),
        c @ ('\\' | '\'' | '"') => Some((c, 1)),
        '0'..='7' => {
            let length = tail.bytes().take(3).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
            Some((char::from_u32(u32::from_str_radix(&tail[..length], 8).ok()?)?, length))
        }
        _ => None,
    }
}

fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap_or_else(|error| panic!("{text:?} was refused: {error}"))
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// Results of `ansible.parsing.splitter.parse_kv`.
    #[test]
    fn pairs_are_split_as_ansible_splits_them() {
        for (text, expected) in [
            ("guid=x1", &[("guid", "x1")][..]),
            ("a=1 b=2\nc=3", &[("a", "1"), ("b", "2"), ("c", "3")]),
            ("a=\"two words\" b='it is'", &[("a", "two words"), ("b", "it is")]),
            ("a=b\"c d\"e", &[("a", "b\"c d\"e")]),
            ("a={{ b ~ 'c d' }} e=f", &[("a", "{{ b ~ 'c d' }}"), ("e", "f")]),
            ("url=https://h/?x=1", &[("url", "https://h/?x=1")]),
            ("a=", &[("a", "")]),
            ("a='line\\nbreak'", &[("a", "line\nbreak")]),
            ("a=\\u00e9", &[("a", "é")]),
            ("a=C:\\dir", &[("a", "C:\\dir")]),
            ("models=[\"a\",\"b\"]", &[("models", "[\"a\",\"b\"]")]),
            ("", &[]),
        ] {
            assert_eq!(parsed(text), pairs(expected), "splitting {text:?}");
        }
    }

    #[test]
    fn broken_pairs_say_what_is_missing() {
        assert_eq!(parse("a='b"), Err(PairError::OpenQuote));
        assert_eq!(parse("a={{ b"), Err(PairError::OpenJinja));
        assert_eq!(parse("a=1 two words"), Err(PairError::NoEquals(2)));
        assert_eq!(parse("=1"), Err(PairError::NoName(1)));
    }

    proptest::proptest! {
        #[test]
        fn garbage_never_panics(text in "[a-c='\"\\\\{}%#xu0-9 ]{0,40}|.{0,30}") {
            let _ = parse(&text);
        }
    }
}
