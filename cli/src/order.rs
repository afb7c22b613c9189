//! The order: the variables a platform hands over for one tenant, read as Ansible would read them.
//!
//! An order is what AgnosticV renders for a catalog item: dozens of variables, some of them templates over
//! others, most of them not for us. [`source`] reads them from the command line and from files, [`template`]
//! renders references between them when a value is asked for, [`vars`] hands out typed values, [`known`] is
//! the table of the names we understand, and [`workloads`] translates role names into steps.
//!
//! Owner of `minijinja` and `strsim`. Not done here: what the values are used for; names are derived in
//! [`crate::names`].

pub mod known;
pub mod lenient;
pub mod source;
pub mod template;
pub mod vars;
pub mod workloads;

pub use source::{Argument, SourceError};
pub use vars::{VarError, Vars};

#[cfg(test)]
mod tests;
