//! The acceptance suite: what this repository promises, checked against the code, the built programs and the lab.

mod checkout;
mod readme;
mod structure;
