//! Names that are known to be valid: an RFC 1123 label each, at most 63 characters of `a-z`, `0-9` and `-`,
//! with no `-` at either end. Kubernetes accepts such a name for everything, label values included.

use std::fmt;

use serde::Serialize;

/// Most characters of a DNS label (RFC 1123), and of a Kubernetes label value.
pub(super) const MAX_LENGTH: usize = 63;

/// What makes a text no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing in it.
    #[error("it must not be empty")]
    Empty,
    /// Too many characters.
    #[error("it must have at most {MAX_LENGTH} characters, not {0}")]
    Length(usize),
    /// A character that is not allowed.
    #[error("it must consist of `a-z`, `0-9` and `-`, without {0:?}")]
    Character(char),
    /// A `-` at the start or at the end.
    #[error("it must start and end with a letter or digit")]
    Edge,
}

/// Checks that `text` is an RFC 1123 label.
///
/// # Errors
/// The first thing that is wrong with it.
pub(super) fn check(text: &str) -> Result<(), Fault> {
    if text.is_empty() {
        return Err(Fault::Empty);
    }
    if let Some(wrong) = text.chars().find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-')) {
        return Err(Fault::Character(wrong));
    }
    if text.len() > MAX_LENGTH {
        return Err(Fault::Length(text.len()));
    }
    if text.starts_with('-') || text.ends_with('-') {
        return Err(Fault::Edge);
    }
    Ok(())
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Checks the text.
            ///
            /// # Errors
            /// What makes it no name.
            pub fn new(text: &str) -> Result<Self, Fault> {
                check(text).map(|()| Self(text.to_owned()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    )*};
}

names! {
    /// Id of an order.
    Guid;
    /// Login of a tenant's user.
    Username;
    /// Name of a namespace.
    NamespaceName;
    /// First label of a Route's host.
    HostLabel;
    /// Name of an object other tools select by.
    ObjectName;
}
