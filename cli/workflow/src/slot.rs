//! A typed fact that one step finds out and others read.

use std::sync::OnceLock;

use crate::step::{Failure, StepError, StepId};

/// A fact, filled by exactly one step and set once.
///
/// Steps share slots (usually as fields of one struct of facts behind an `Arc`): the step that fills a slot
/// holds it for writing, those that name this step in [`needs`](crate::step::Step::needs) for reading. Errors
/// name the slot and never show the value, which may be a secret.
#[derive(Debug)]
pub struct Slot<T> {
    name: &'static str,
    filled_by: StepId,
    value: OnceLock<T>,
}

impl<T> Slot<T> {
    /// An empty slot called `name`, to be filled by the step `filled_by`.
    pub const fn new(name: &'static str, filled_by: StepId) -> Self {
        Self { name, filled_by, value: OnceLock::new() }
    }

    /// The value, or an error that names the slot and the step that should have filled it.
    ///
    /// For readers that cannot go on without it: an empty slot is a need the reader did not declare, or a
    /// step that ended well and left it empty.
    pub fn get(&self) -> Result<&T, StepError> {
        self.peek().ok_or_else(|| {
            let Self { name, filled_by, .. } = self;
            StepError::new(Failure::Internal, format!("read {name}, which step `{filled_by}` has not filled"))
        })
    }

    /// The value if there is one. For readers that can do without: probes, and users of a step that may be
    /// skipped.
    pub fn peek(&self) -> Option<&T> {
        self.value.get()
    }
}

impl<T: PartialEq> Slot<T> {
    /// Sets the value and hands it back. Setting an equal value again is fine, as steps may be applied
    /// twice; a different one is a defect and an error.
    pub fn fill(&self, value: T) -> Result<&T, StepError> {
        match self.value.set(value) {
            Err(other) if self.peek() != Some(&other) => {
                let Self { name, filled_by, .. } = self;
                let what = format!("fill {name} of step `{filled_by}` a second time, with another value");
                Err(StepError::new(Failure::Internal, what))
            }
            _ => self.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_slot_names_itself_and_its_step() {
        let slot: Slot<u16> = Slot::new("the Gitea address", "gitea-instance");
        assert_eq!(slot.peek(), None);
        let error = slot.get().unwrap_err();
        assert_eq!(error.failure, Failure::Internal);
        assert_eq!(error.to_string(), "read the Gitea address, which step `gitea-instance` has not filled");
    }

    #[test]
    fn the_first_value_stays() {
        let slot = Slot::new("the key", "litellm-key");
        assert_eq!(slot.fill("s3cret").unwrap(), &"s3cret");
        assert_eq!(slot.fill("s3cret").unwrap(), &"s3cret", "an equal value is no second value");
        let error = slot.fill("0ther").unwrap_err().to_string();
        assert_eq!(error, "fill the key of step `litellm-key` a second time, with another value");
        assert_eq!(slot.get().unwrap(), &"s3cret");
    }
}
