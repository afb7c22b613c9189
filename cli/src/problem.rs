//! Why a command could not do its work: an error, its class (hence the exit code), and what to do about it.

use std::error::Error;

use tenant_workflow::step::{Failure, StepError};

use crate::{
    access,
    cluster::{AccessError, ClusterError},
    order::{SourceError, VarError},
    recipe::RecipeFileError,
    settings::OrderError,
};

/// A command's failure before, or beside, its steps.
#[derive(Debug)]
pub struct Problem {
    /// Class.
    pub failure: Failure,
    /// The error; its chain is printed.
    pub error: Box<dyn Error + Send + Sync>,
    /// What the reader can do now.
    pub hint: Option<String>,
}

impl Problem {
    /// A failure of this class.
    pub fn new(failure: Failure, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { failure, error: error.into(), hint: None }
    }

    /// A mistake in the order or on the command line.
    pub fn usage(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { failure: Failure::Usage, error: error.into(), hint: None }
    }

    /// A failure of this machine: a file that cannot be written.
    pub fn local(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { failure: Failure::Internal, error: error.into(), hint: None }
    }

    /// Adds what the reader can do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<StepError> for Problem {
    fn from(mut error: StepError) -> Self {
        Self { failure: error.failure, hint: error.hint.take(), error: Box::new(error) }
    }
}

impl From<ClusterError> for Problem {
    fn from(error: ClusterError) -> Self {
        StepError::from(error).into()
    }
}

macro_rules! usage {
    ($($error:ty),+ $(,)?) => {
        $(impl From<$error> for Problem {
            fn from(error: $error) -> Self {
                Self::usage(error)
            }
        })+
    };
}

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        let nowhere = matches!(error, AccessError::Kubeconfig { path: None, .. });
        let problem = Self::usage(error);
        if nowhere {
            problem.hint("name the cluster: --kubeconfig, --api-url with --token-file, or KUBECONFIG")
        } else {
            problem
        }
    }
}

usage!(
    OrderError,
    crate::names::NameError,
    RecipeFileError,
    SourceError,
    VarError,
    access::SettingsError,
    crate::order::workloads::WorkloadError,
    tenant_kit::http::ClientError,
    tenant_workflow::plan::PlanError,
    tenant_workflow::recipe::RecipeError,
);
