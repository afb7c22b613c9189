//! The program itself, as a process.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

pub(crate) struct Agent {
    child: Child,
    pub(crate) address: String,
    /// Its log lines so far.
    log: Arc<Mutex<Vec<String>>>,
}

/// `agent serve` between stand-in servers, on a free port.
pub(crate) fn serve(servers: &str, data: &Path) -> Vec<String> {
    let mut arguments: Vec<String> =
        ["serve", "--bind", "127.0.0.1", "--port", "0", "--owner", "o", "--repo", "r", "--rate", "100000"]
            .map(str::to_owned)
            .to_vec();
    for (name, path) in [("openshift", "openshift/mcp"), ("gitea", "gitea/mcp")] {
        arguments.extend([format!("--{name}-url"), format!("{servers}/{path}")]);
        arguments.extend([format!("--{name}-transport"), "streamable-http".to_owned()]);
    }
    arguments.extend(["--data".to_owned(), data.display().to_string()]);
    arguments
}

impl Agent {
    pub(crate) fn start(servers: &str, data: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_agent"));
        command.args(serve(servers, data)).arg("--allow-anonymous");
        Self::run(command)
    }

    /// Start, and wait until it says where it serves.
    pub(crate) fn run(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(Vec::new()));
        let mut address = None;
        for line in lines.by_ref().map_while(Result::ok) {
            let said: Option<Value> = serde_json::from_str(&line).ok();
            address = said.and_then(|said| Some(said.get("address")?.as_str()?.to_owned()));
            log.lock().unwrap().push(line);
            if address.is_some() {
                break;
            }
        }
        let address = address.unwrap_or_else(|| panic!("it ended: {:#?}", log.lock().unwrap()));
        // Somebody has to read on, or the agent blocks on a full pipe.
        let rest = Arc::clone(&log);
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| rest.lock().unwrap().push(line));
        });
        Self { child, address: format!("http://{address}"), log }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ask it to end, and wait until it has.
    pub(crate) fn stop(mut self) -> ExitStatus {
        kill_process(self.pid(), Signal::TERM).unwrap();
        self.child.wait().unwrap()
    }
}
