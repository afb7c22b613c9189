//! Known failures, as data.
//!
//! A signature is a record in `rules/signatures/*.yaml`: what a failing line looks like, which category it
//! belongs to, how certain it is, and what to say and propose. This module compiles the records, finds
//! them in streaming lines, and ranks what was found. It never sees a cluster or a model.

mod catalogue;
mod matcher;
mod ranking;
mod suggestion;

pub use catalogue::{Catalogue, Category, Signature, catalogue};
pub use matcher::{Hit, Matcher};
pub use ranking::{best, score};

#[cfg(test)]
mod tests;
