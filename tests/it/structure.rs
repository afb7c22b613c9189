//! The shape of the code: what the design says about files, packages and libraries, as tests.
//!
//! Sources are read as text, with comments and literals blanked ([`source`]); packages are read through cargo.

mod fences;
mod files;
mod packages;
mod source;
