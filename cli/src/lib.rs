//! (skeleton)

pub mod order;
