//! The stand-ins for what cannot run on one machine.
