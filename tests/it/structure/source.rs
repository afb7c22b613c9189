//! Rust source as text: enough of a scanner to tell code from comments and literals, and nothing more.

use std::{iter::Peekable, path::Path, str::Chars};

use crate::checkout;

/// A file of Rust code, comments and the contents of literals blanked. Lines and columns stay.
pub(crate) struct Source {
    /// From the top of the repository.
    pub(crate) path: String,
    /// The code.
    pub(crate) code: String,
}

impl Source {
    /// All Rust files under version control.
    pub(crate) fn all() -> Vec<Self> {
        let rust = |path: &String| Path::new(path).extension().is_some_and(|extension| extension == "rs");
        let paths = checkout::tracked().into_iter().filter(rust);
        paths.map(|path| Self { code: code(&checkout::read(&path)), path }).collect()
    }

    /// Whether the file is tests or benchmarks only, by where it lies.
    pub(crate) fn tests_only(&self) -> bool {
        let folders = ["/benches/", "/tests/"];
        self.path.starts_with("tests/")
            || self.path.ends_with("/tests.rs")
            || folders.iter().any(|folder| self.path.contains(folder))
    }

    /// The lines, counted from 1, in which the code uses the outside library `name`.
    pub(crate) fn uses(&self, name: &str) -> impl Iterator<Item = usize> {
        let lines = self.code.lines().zip(1..);
        lines.filter(move |(line, _)| names_library(line, name)).map(|(_, number)| number)
    }

    /// The lines, counted from 1, that contain `text`.
    pub(crate) fn lines_with(&self, text: &str) -> impl Iterator<Item = usize> {
        let lines = self.code.lines().zip(1..);
        lines.filter(move |(line, _)| line.contains(text)).map(|(_, number)| number)
    }
}

/// Whether a line says `name::…`, `use name;`, `use name as …` or `use {name, …}`, and not `other::name`.
fn names_library(line: &str, name: &str) -> bool {
    let import = line.trim_start().starts_with("use ") || line.trim_start().starts_with("pub use ");
    line.match_indices(name).any(|(at, _)| {
        let (before, after) = (&line[..at], line[at + name.len()..].trim_start());
        let starts =
            !before.ends_with(|last: char| last.is_alphanumeric() || matches!(last, '_' | ':' | '.'));
        let whole = !line[at + name.len()..].starts_with(|next: char| next.is_alphanumeric() || next == '_');
        let bare = import && (after.starts_with([';', ',', '}']) || after.starts_with("as "));
        let absolute = before.ends_with("::") && !before[..before.len() - 2].ends_with(char::is_alphanumeric);
        (starts || absolute) && whole && (after.starts_with("::") || bare && !before.contains("::"))
    })
}

/// The code of a source text: comments and what is in literals become blanks, line breaks stay.
fn code(text: &str) -> String {
    let mut scanner = Scanner { rest: text.chars().peekable(), code: String::with_capacity(text.len()) };
    scanner.run();
    scanner.code
}

struct Scanner<'a> {
    rest: Peekable<Chars<'a>>,
    code: String,
}

impl Scanner<'_> {
    fn run(&mut self) {
        while let Some(next) = self.rest.next() {
            match (next, self.rest.peek().copied()) {
                ('/', Some('/')) => self.line_comment(),
                ('/', Some('*')) => self.block_comment(),
                ('"', _) => match self.raw_hashes() {
                    Some(hashes) => self.raw_string(hashes),
                    None => self.quoted('"'),
                },
                ('\'', _) if self.opens_character() => self.quoted('\''),
                _ => self.code.push(next),
            }
        }
    }

    /// One character that is no code.
    fn blank(&mut self, character: char) {
        self.code.push(if character == '\n' { '\n' } else { ' ' });
    }

    fn line_comment(&mut self) {
        while let Some(next) = self.rest.next_if(|next| *next != '\n') {
            self.blank(next);
        }
    }

    /// Block comments nest.
    fn block_comment(&mut self) {
        let mut depth = 0_u32;
        let mut before = '/';
        while let Some(next) = self.rest.next() {
            self.blank(next);
            match (before, next) {
                ('/', '*') => (depth, before) = (depth + 1, ' '),
                ('*', '/') => (depth, before) = (depth - 1, ' '),
                _ => before = next,
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// The number of `#` between `r` and the quote just read; `None` when this is no raw string.
    fn raw_hashes(&self) -> Option<usize> {
        let before = self.code.trim_end_matches('#');
        let prefix = before.strip_suffix('r')?;
        let prefix = prefix.strip_suffix(['b', 'c']).unwrap_or(prefix);
        let name = prefix.ends_with(|last: char| last.is_alphanumeric() || last == '_');
        (!name).then_some(self.code.len() - before.len())
    }

    fn raw_string(&mut self, hashes: usize) {
        self.code.push('"');
        let mut closing = None;
        while let Some(next) = self.rest.next() {
            self.blank(next);
            closing = match (next, closing) {
                ('"', _) => Some(0),
                ('#', Some(found)) => Some(found + 1),
                _ => None,
            };
            if closing == Some(hashes) {
                return;
            }
        }
    }

    /// A string or character with escapes; the opening quote has been read.
    fn quoted(&mut self, quote: char) {
        self.code.push(quote);
        while let Some(next) = self.rest.next() {
            if next == quote {
                self.code.push(quote);
                return;
            }
            self.blank(next);
            if next == '\\'
                && let Some(escaped) = self.rest.next()
            {
                self.blank(escaped);
            }
        }
    }

    /// Whether the quote just read opens a character, and not a lifetime or a label.
    fn opens_character(&self) -> bool {
        let mut ahead = self.rest.clone();
        match ahead.next() {
            Some('\\') => true,
            Some(_) => ahead.next() == Some('\''),
            None => false,
        }
    }
}

#[test]
fn comments_and_literals_are_no_code() {
    for (text, expected) in [
        ("a // kube::b\nc", "a /          \nc"),
        ("a /* x /* y */ z */ b", "a                     b"),
        (r#"f("kube::x \" y") + 1"#, r#"f("             ") + 1"#),
        (r##"r#"a "b" c"# + 1"##, r#"r#"           + 1"#),
        ("<'a>(b: &'a str) + '\"' + 'x'", "<'a>(b: &'a str) + ' ' + ' '"),
        ("'\\'' + '\\u{41}' + b'\"'", "'  ' + '      ' + b' '"),
        ("for\"x\"", "for\" \""),
        ("\"open", "\"    "),
    ] {
        let found = code(text);
        let squeezed = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(squeezed(&found.replace('/', "")), squeezed(&expected.replace('/', "")), "{text}");
        assert_eq!(found.lines().count(), text.lines().count(), "{text}");
    }
}

#[test]
fn a_library_is_told_from_a_module_of_the_same_name() {
    for line in [
        "use kube::Api;",
        "let a: kube::Client;",
        "use kube;",
        "use kube as k;",
        "use ::kube::Api;",
        "f(&kube::x)",
    ] {
        assert!(names_library(line, "kube"), "{line}");
    }
    for line in
        ["use crate::kube::Api;", "kube_runtime::x", "my_kube::x", "self.kube", "kube.get()", "let kube = 1;"]
    {
        assert!(!names_library(line, "kube"), "{line}");
    }
}
