//! The acceptance suite: what this repository promises, checked against the code, the built programs and the lab.

mod ansible;
mod catalogs;
mod checkout;
mod collections;
mod doctor;
mod extend;
mod faults;
mod forecast;
mod isolation;
mod lifecycle;
mod looking;
mod many;
mod orphans;
mod program;
mod readme;
mod refusals;
mod results;
mod secrecy;
mod selection;
mod signals;
mod structure;
mod stuck;
mod versions;
mod world;
