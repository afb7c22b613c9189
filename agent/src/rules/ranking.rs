//! Of all that was found, what is the cause?

use super::matcher::Hit;

/// Order hits by how well they explain the failure, best first.
///
/// A signature that says why beats one that says only that something failed; then its weight decides,
/// lowered for lines that call themselves warnings; then the earlier line, because errors cascade.
pub fn best(hits: &[Hit]) -> Vec<&Hit> {
    let mut ranked: Vec<_> = hits.iter().filter_map(|h| score(h).map(|s| (s, h))).collect();
    ranked.sort_by(|(a, x), (b, y)| b.cmp(a).then(x.line.cmp(&y.line)));
    ranked.into_iter().map(|(_, h)| h).collect()
}

/// How well a hit explains the failure; `None` if its signature is not in the catalogue.
pub fn score(hit: &Hit) -> Option<i32> {
    let signature = hit.record()?;
    let mut score = i32::from(signature.weight);
    if signature.generic {
        score -= 100;
    }
    if signature.symptom {
        score -= 40;
    }
    if is_warning(&hit.text) {
        score -= 45;
    }
    Some(score)
}

/// A line that announces itself as a warning, a note, or an attempt that will be repeated.
pub(super) fn is_warning(line: &str) -> bool {
    // The last of them: pip gives up after it, and then blames the package.
    if line.contains("Retry(total=0") {
        return false;
    }
    let start: String = line.trim_start().chars().take(60).collect::<String>().to_ascii_lowercase();
    let marks =
        ["warn", "[warn", "warning:", "npm warn", "note:", "info:", "[info]", "debug", "deprecat", "hint:"];
    marks.iter().any(|m| start.starts_with(m))
        || ["level=warn", "retrying (retry(", " warning: ", "will retry", "ignoring"]
            .iter()
            .any(|m| start.contains(m))
}
