//! One run of the program under test, directly or through a proxy.

use std::{fmt, process::Stdio};

use anyhow::Context as _;
use tokio::process::Command;

use super::Matrix;
use crate::proxy::Proxy;

/// `--timeout` of a run: no good one comes near it, and one that hangs ends by it.
const LIMIT: &str = "60s";

/// What the program is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Provision,
    Destroy,
}

impl fmt::Display for Verb {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Provision => "provision",
            Self::Destroy => "destroy",
        })
    }
}

/// How a run ended by itself.
pub(super) struct Ended {
    /// Its exit code; `None` after a signal.
    pub(super) code: Option<i32>,
    pub(super) stderr: String,
}

/// How a run through a proxy ended.
pub(super) enum Struck {
    Ended(Ended),
    /// The proxy asked for it.
    Killed,
}

impl Matrix {
    /// A run that goes to the services directly.
    pub(super) async fn directly(&self, verb: Verb, guid: &str) -> anyhow::Result<Ended> {
        match self.run(verb, guid, None).await? {
            Struck::Ended(ended) => Ok(ended),
            Struck::Killed => anyhow::bail!("tenant {verb} was killed without a proxy"),
        }
    }

    /// A run; one through a proxy is killed when the proxy asks for it.
    pub(super) async fn run(&self, verb: Verb, guid: &str, proxy: Option<&Proxy>) -> anyhow::Result<Struck> {
        let (vars, env) = match proxy {
            Some(proxy) => (proxy.vars_file(), proxy.env()),
            None => (self.direct.as_path(), self.lab.env()),
        };
        let mut command = Command::new(&self.program);
        command.args([verb.to_string().as_str(), "--guid", guid, "--timeout", LIMIT]);
        if verb == Verb::Provision {
            command.arg("-e").arg(format!("@{}", self.order.display()));
        }
        command.arg("-e").arg(format!("@{}", vars.display()));
        command.env_clear().env("PATH", "/usr/bin:/bin").envs(env);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("run {}", self.program.display()))?;

        let ended = async {
            let output = child.wait_with_output().await?;
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            Ok(Struck::Ended(Ended { code: output.status.code(), stderr }))
        };
        let Some(mut killing) = proxy.map(Proxy::killing) else { return ended.await };
        // dropping what waits for the child kills it
        tokio::select! {
            ended = ended => ended,
            Ok(_) = killing.wait_for(Option::is_some) => Ok(Struck::Killed),
        }
    }
}
