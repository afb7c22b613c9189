//! Read an issue body back, as a reader would, and refuse what must not be in it.

/// Start of the hidden first line; `v1` is the version of the format.
pub const MARKER: &str = "<!-- pfa:v1 fp=";

/// The third-level headings the pipeline's users know, in their order.
const HEADINGS: [&str; 4] =
    ["Cluster/namespace location", "Summary of the problem", "Detailed error/code", "Possible solutions"];

/// The hidden line that makes an issue findable.
pub fn marker(fingerprint: &str) -> String {
    format!("{MARKER}{fingerprint} -->")
}

/// What a body says about itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Parsed {
    /// Fingerprint in the marker.
    pub fingerprint: String,
    /// Text of the fenced block with the excerpt.
    pub excerpt: String,
}

/// Why a body must not be filed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Broken {
    /// The template failed.
    #[error("render the issue template: {0}")]
    Template(String),
    /// The first line is not a marker with the right fingerprint.
    #[error("the first line of the issue is not its marker")]
    Marker,
    /// The headings are not the expected ones.
    #[error("the headings of the issue are {0:?}")]
    Headings(Vec<String>),
    /// A fence is not closed.
    #[error("a code block of the issue is not closed")]
    Fence,
    /// HTML, an image, a mention or an issue reference outside of code.
    #[error("the issue contains active markup: {0}")]
    Active(String),
    /// Larger than a server should be asked to take.
    #[error("the issue has {0} bytes")]
    Size(usize),
}

/// Check a body. Lines inside fences and text inside code spans may contain anything.
pub fn parse(body: &str) -> Result<Parsed, Broken> {
    if body.len() > super::LARGEST {
        return Err(Broken::Size(body.len()));
    }
    let mut lines = body.lines();
    let fingerprint = lines
        .next()
        .and_then(|l| l.strip_prefix(MARKER)?.strip_suffix(" -->"))
        .filter(|fp| fp.len() == 16 && fp.bytes().all(|b| b.is_ascii_hexdigit()))
        .ok_or(Broken::Marker)?;
    let mut headings = Vec::new();
    let mut excerpt = String::new();
    let mut fence: Option<usize> = None;
    for line in lines {
        let ticks = line.len() - line.trim_start_matches('`').len();
        match fence {
            Some(open) if ticks >= open && line[ticks..].trim().is_empty() => fence = None,
            Some(_) => {
                excerpt.push_str(line);
                excerpt.push('\n');
            }
            // An info string holds no backtick (`CommonMark` 4.5): else the line is a code span.
            None if ticks >= 3 && !line[ticks..].contains('`') => fence = Some(ticks),
            None => {
                if let Some(heading) = line.strip_prefix("### ") {
                    headings.push(heading.to_owned());
                }
                inert(&without_code(line))?;
            }
        }
    }
    if fence.is_some() {
        return Err(Broken::Fence);
    }
    if headings != HEADINGS {
        return Err(Broken::Headings(headings));
    }
    Ok(Parsed { fingerprint: fingerprint.to_owned(), excerpt })
}

/// A line without its code spans (`CommonMark` 6.1: a span ends at a run of the same length).
fn without_code(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('`') {
        let escaped = (at - rest[..at].trim_end_matches('\\').len()) % 2 == 1;
        out.push_str(&rest[..at]);
        let run = rest[at..].len() - rest[at..].trim_start_matches('`').len();
        let body = &rest[at + run..];
        let end = if escaped { None } else { closing(body, run) };
        rest = match end {
            Some(end) => &body[end + run..],
            None => body,
        };
    }
    out + rest
}

fn closing(body: &str, run: usize) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = body[at..].find('`') {
        let start = at + found;
        let length = body[start..].len() - body[start..].trim_start_matches('`').len();
        if length == run {
            return Some(start);
        }
        at = start + length;
    }
    None
}

fn inert(text: &str) -> Result<(), Broken> {
    let follows = |mark: char, test: fn(char) -> bool| {
        text.match_indices(mark).any(|(i, _)| text[i + mark.len_utf8()..].starts_with(test))
    };
    let active = follows('<', |c| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?'))
        || follows('@', char::is_alphanumeric)
        || follows('#', |c| c.is_ascii_digit())
        || text.contains("![")
        || text.replace("\\]", "").contains("](");
    if active { Err(Broken::Active(crate::lines::clip(text, 120))) } else { Ok(()) }
}
