//! What can go wrong with the Kubernetes API, told by object and operation.

use tenant_kit::cause::innermost;
use tenant_workflow::step::{Failure, StepError};

/// A call to the Kubernetes API that failed.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {object}")]
pub struct ClusterError {
    /// What was tried: `get`, `apply`, `delete`, `list`, `watch`.
    pub operation: &'static str,
    /// On which object or kind.
    pub object: String,
    /// Why it failed.
    #[source]
    pub cause: Cause,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The API server answered with an error; its own words.
    #[error("the API server answered {code}: {message}")]
    Answered {
        /// HTTP status.
        code: u16,
        /// The status' message.
        message: String,
        /// The status' reason, such as `NotFound`.
        reason: String,
    },
    /// No proper answer came.
    #[error("no answer from the API server: {0}")]
    Unreachable(String),
    /// An answer that is not what the API promises.
    #[error("an answer that is not understood: {0}")]
    Malformed(String),
}

impl Cause {
    pub(super) fn from_kube(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Answered {
                code: status.code,
                message: first_line(&status.message, status.code),
                reason: status.reason.clone(),
            },
            kube::Error::SerdeError(cause) => Self::Malformed(cause.to_string()),
            other => Self::Unreachable(innermost(other)),
        }
    }

    /// HTTP status of the answer, if there was one.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Answered { code, .. } => Some(*code),
            Self::Unreachable(_) | Self::Malformed(_) => None,
        }
    }
}

/// A router's error page is no message: its status says it all.
fn first_line(message: &str, code: u16) -> String {
    if message.trim_start().starts_with('<') {
        return format!("a page instead of an API answer (status {code})");
    }
    message.lines().next().unwrap_or_default().to_owned()
}

impl ClusterError {
    /// Whether the answer was 401.
    pub fn is_unauthorized(&self) -> bool {
        self.cause.code() == Some(401)
    }

    /// Whether the answer was 403.
    pub fn is_forbidden(&self) -> bool {
        self.cause.code() == Some(403)
    }

    /// Whether the answer was 404, of the object or of its kind.
    pub fn is_not_found(&self) -> bool {
        self.cause.code() == Some(404)
    }

    /// Whether the answer was 409.
    pub fn is_conflict(&self) -> bool {
        self.cause.code() == Some(409)
    }

    /// Whether the host of the API server does not exist (any more).
    pub fn is_unknown_host(&self) -> bool {
        matches!(&self.cause, Cause::Unreachable(text)
            if text.contains("Name or service not known") || text.contains("failed to lookup address"))
    }
}

impl From<ClusterError> for StepError {
    fn from(error: ClusterError) -> Self {
        let (failure, hint) = match &error.cause {
            Cause::Answered { code: 401, .. } => {
                (Failure::Denied, Some("the token is not valid (any more): get a fresh one and run again"))
            }
            Cause::Answered { code: 403, .. } => (
                Failure::Denied,
                Some("the token needs more rights: `tenant` sets up tenants as a cluster admin"),
            ),
            Cause::Answered { code: 404, .. } => {
                (Failure::Usage, Some("the cluster does not serve this kind: is its operator installed?"))
            }
            Cause::Answered { code: 429, .. } => {
                (Failure::Busy, Some("the API server is overloaded: run again later"))
            }
            Cause::Unreachable(_) => {
                (Failure::Service, Some("check the address of the API server and the network"))
            }
            Cause::Answered { .. } | Cause::Malformed(_) => (Failure::Service, None),
        };
        let what = error.to_string();
        let step = StepError::new(failure, what).because(error.cause);
        match hint {
            Some(hint) => step.hint(hint),
            None => step,
        }
    }
}
