//! (skeleton)

pub mod order;
pub mod names;
