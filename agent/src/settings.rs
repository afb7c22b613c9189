//! The only reader of secrets in the environment. Everything else arrives as arguments, which clap reads
//! from the environment too, so that nothing secret can be an argument.

use secrecy::SecretString;

/// A variable that is no argument of its own: an older name of one.
#[expect(clippy::disallowed_methods, reason = "this module is the one reader of the environment")]
pub fn plain(name: &str) -> Option<String> {
    std::env::var(name).ok().map(|v| v.trim().to_owned()).filter(|v| !v.is_empty())
}

/// The secret in variable `name`, or in the file that `name_FILE` names; blanks at the ends are dropped,
/// because mounted files tend to end in a newline.
#[expect(clippy::disallowed_methods, reason = "this module is the one reader of the environment")]
pub fn secret(name: &str) -> Option<SecretString> {
    let direct = std::env::var(name).ok();
    let file = || std::fs::read_to_string(std::env::var(format!("{name}_FILE")).ok()?).ok();
    let value = direct.or_else(file)?.trim().to_owned();
    (!value.is_empty()).then(|| SecretString::from(value))
}
