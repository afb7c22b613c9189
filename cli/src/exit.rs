//! Exit codes of `tenant`: part of the public contract (README.adoc, section "Exit codes";
//! agnosticd-compat.md 5.4).

use tenant_workflow::step::Failure;

/// How a run ended, for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Done, or nothing to do.
    Done = 0,
    /// Anything not covered below.
    Failed = 1,
    /// The command line or the order cannot be used; nothing was touched.
    Usage = 2,
    /// Not authenticated, or not allowed.
    Denied = 3,
    /// Not ready in time; a re-run resumes.
    TimedOut = 4,
    /// Destroy left something behind; run it again.
    Leftovers = 5,
    /// A service failed.
    Service = 6,
    /// Somebody else holds what is needed, or asks for less; try later.
    Busy = 75,
    /// Stopped by SIGINT; a re-run resumes.
    Interrupted = 130,
    /// Stopped by SIGTERM; a re-run resumes.
    Terminated = 143,
}

impl ExitCode {
    /// How bad it is beside others: the code of several tenants is that of the worst. An interruption comes first,
    /// as it says that not all was tried.
    pub fn severity(self) -> usize {
        const MILDEST_FIRST: [ExitCode; 10] = [
            ExitCode::Done,
            ExitCode::Busy,
            ExitCode::TimedOut,
            ExitCode::Service,
            ExitCode::Leftovers,
            ExitCode::Denied,
            ExitCode::Usage,
            ExitCode::Failed,
            ExitCode::Interrupted,
            ExitCode::Terminated,
        ];
        MILDEST_FIRST.iter().position(|code| *code == self).unwrap_or(MILDEST_FIRST.len())
    }
}

impl From<Failure> for ExitCode {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Usage => Self::Usage,
            Failure::Denied => Self::Denied,
            Failure::TimedOut => Self::TimedOut,
            Failure::Leftover => Self::Leftovers,
            Failure::Service => Self::Service,
            Failure::Busy => Self::Busy,
            Failure::Interrupted => Self::Interrupted,
            Failure::Internal => Self::Failed,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}
