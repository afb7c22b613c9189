//! Child processes: started with a log and a record, stopped by group, cleaned up after a crash.
//!
//! A record is a small file per process, written right after the start, so that whoever finds the
//! directory of a crashed lab can end what it left behind. It holds the process's start time, so a
//! stranger who got the same number later is never killed. Children also die with the lab by themselves
//! where util-linux's `setpriv` exists (parent death signal); the records are for when it does not.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{self, File},
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, mpsc},
    thread,
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde::{Deserialize, Serialize};

use crate::platform::parking::Guarded;

/// What to start.
#[derive(Debug)]
pub struct Program {
    /// Unique in the lab; names the log and the record.
    pub name: String,
    /// The executable.
    pub path: PathBuf,
    /// Its arguments, without secrets.
    pub arguments: Vec<OsString>,
    /// Where it runs, and its home.
    pub directory: PathBuf,
    /// Variables added to the environment.
    pub environment: Vec<(String, String)>,
}

/// The processes of one lab.
pub struct Processes {
    records: PathBuf,
    logs: PathBuf,
    running: Guarded<BTreeMap<String, Child>>,
    starter: Starter,
}

impl Processes {
    /// Keeps records in `directory/processes` and logs in `directory/logs`.
    ///
    /// # Errors
    /// When the two folders cannot be made.
    pub fn new(directory: &Path) -> io::Result<Arc<Self>> {
        let (records, logs) = (directory.join("processes"), directory.join("logs"));
        fs::create_dir_all(&records)?;
        fs::create_dir_all(&logs)?;
        Ok(Arc::new(Self { records, logs, running: Guarded::default(), starter: Starter::new()? }))
    }

    /// Starts a program in a process group of its own, its output going to its log.
    ///
    /// # Errors
    /// When it cannot be started or recorded.
    pub fn start(&self, program: &Program) -> io::Result<()> {
        let log = File::options().create(true).append(true).open(self.log(&program.name))?;
        let mut command = Command::new(&program.path);
        if let Some(setpriv) = &self.starter.setpriv {
            command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "--"]).arg(&program.path);
        }
        command
            .args(&program.arguments)
            .current_dir(&program.directory)
            // what a program keeps for its user is the lab's, and goes with it
            .env("HOME", &program.directory)
            .envs(program.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        let child = self.starter.start(command)?;
        let recorded = Record::of(child.id()).and_then(|record| record.write(&self.record(&program.name)));
        self.running.with(|running| running.insert(program.name.clone(), child));
        if recorded.is_err() {
            self.stop(&program.name);
        }
        recorded
    }

    /// Ends a process and its group at once, and waits for it; false if none has that name.
    ///
    /// Everything in a lab is thrown away, so nothing is given time to close its files.
    pub fn stop(&self, name: &str) -> bool {
        let Some(mut child) = self.running.with(|running| running.remove(name)) else { return false };
        kill_group(&child);
        let _ = child.wait();
        let _ = fs::remove_file(self.record(name));
        true
    }

    /// Ends everything.
    pub fn stop_all(&self) {
        self.running.with(|running| running.values().for_each(kill_group));
        for name in self.names() {
            self.stop(&name);
        }
    }

    /// How a process ended, if it did.
    pub fn ended(&self, name: &str) -> Option<ExitStatus> {
        self.running.with(|running| running.get_mut(name)?.try_wait().ok().flatten())
    }

    /// The names of all started processes, sorted.
    pub fn names(&self) -> Vec<String> {
        self.running.with(|running| running.keys().cloned().collect())
    }

    /// The process number of a started process.
    pub fn number(&self, name: &str) -> Option<u32> {
        self.running.with(|running| running.get(name).map(Child::id))
    }

    /// Where a process's output goes.
    pub fn log(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }

    fn record(&self, name: &str) -> PathBuf {
        self.records.join(format!("{name}.json"))
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.stop_all();
    }
}

fn kill_group(child: &Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // An error means that the group is gone already.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// Ends what a crashed lab left running in `directory`; returns the names of what it ended.
pub fn clean(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory.join("processes")) else { return Vec::new() };
    let mut ended = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if Record::read(&path).is_ok_and(|record| record.kill()) {
            ended.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
        }
        let _ = fs::remove_file(&path);
    }
    ended.sort();
    ended
}

/// Identifies one process for good: numbers are reused, a start time within one boot is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The process number.
    pub pid: u32,
    /// Clock ticks from boot to the process's start, as `/proc/PID/stat` has it.
    started: u64,
    boot: String,
}

impl Record {
    /// The record of a running process.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn of(pid: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let started = started(&stat).ok_or_else(|| io::Error::other("unexpected /proc/PID/stat"))?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned();
        Ok(Self { pid, started, boot })
    }

    /// Whether exactly this process still runs (a zombie counts: its number is not free yet).
    pub fn alive(&self) -> bool {
        Self::of(self.pid).is_ok_and(|now| now == *self)
    }

    /// Asks the process to end; false if it does not run any more.
    pub fn terminate(&self) -> bool {
        self.alive() && self.number().is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok())
    }

    /// Kills the process and its group, if it leads one; false if it does not run any more.
    pub fn kill(&self) -> bool {
        self.alive()
            && self.number().is_some_and(|pid| {
                let group = kill_process_group(pid, Signal::KILL).is_ok();
                kill_process(pid, Signal::KILL).is_ok() || group
            })
    }

    fn number(&self) -> Option<Pid> {
        i32::try_from(self.pid).ok().and_then(Pid::from_raw)
    }

    /// Reads a record.
    ///
    /// # Errors
    /// When it cannot be read or is torn.
    pub fn read(path: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(path)?)?)
    }

    /// Puts a record in place at once.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let partial = path.with_extension("partial");
        fs::write(&partial, serde_json::to_vec(self)?)?;
        fs::rename(partial, path)
    }
}

/// Field 22 of `/proc/PID/stat` (proc(5)); the name in field 2 may hold spaces and parentheses.
fn started(stat: &str) -> Option<u64> {
    let after_name = &stat[stat.rfind(')')? + 1..];
    after_name.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// Starts commands from one thread that lives as long as the lab: the parent death signal is sent when
/// the starting *thread* ends (prctl(2)), and threads of an async runtime come and go.
struct Starter {
    setpriv: Option<PathBuf>,
    requests: mpsc::Sender<(Command, mpsc::Sender<io::Result<Child>>)>,
}

impl Starter {
    fn new() -> io::Result<Self> {
        let (requests, inbox) = mpsc::channel::<(Command, mpsc::Sender<io::Result<Child>>)>();
        thread::Builder::new().name("lab-starter".into()).spawn(move || {
            for (mut command, reply) in inbox {
                let _ = reply.send(command.spawn());
            }
        })?;
        let setpriv = Command::new("setpriv").args(["--pdeathsig", "KILL", "--", "true"]).status();
        let setpriv = setpriv.is_ok_and(|status| status.success()).then(|| PathBuf::from("setpriv"));
        Ok(Self { setpriv, requests })
    }

    fn start(&self, command: Command) -> io::Result<Child> {
        let (reply, answer) = mpsc::channel();
        let gone = || io::Error::other("the starter thread has ended");
        self.requests.send((command, reply)).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(directory: &Path, name: &str) -> Program {
        Program {
            name: name.into(),
            path: "sleep".into(),
            arguments: vec!["600".into()],
            directory: directory.into(),
            environment: Vec::new(),
        }
    }

    #[test]
    fn a_stopped_process_is_gone_and_its_record_too() {
        let directory = tempfile::tempdir().unwrap();
        let processes = Processes::new(directory.path()).unwrap();
        processes.start(&sleeper(directory.path(), "sleeper")).unwrap();
        let record = Record::of(processes.number("sleeper").unwrap()).unwrap();
        assert!(record.alive());
        assert!(processes.stop("sleeper"));
        assert!(!record.alive());
        assert!(!processes.stop("sleeper"), "stopped twice");
        assert_eq!(clean(directory.path()), Vec::<String>::new());
    }

    #[test]
    fn cleaning_ends_recorded_processes_and_spares_strangers() {
        let directory = tempfile::tempdir().unwrap();
        let records = directory.path().join("processes");
        fs::create_dir_all(&records).unwrap();
        let mut left = Command::new("sleep").arg("600").process_group(0).spawn().unwrap();
        let mut stranger = Command::new("sleep").arg("600").process_group(0).spawn().unwrap();
        Record::of(left.id()).unwrap().write(&records.join("left.json")).unwrap();
        let reused = Record { started: 1, ..Record::of(stranger.id()).unwrap() };
        reused.write(&records.join("reused.json")).unwrap();
        fs::write(records.join("torn.json"), b"{\"pid\":").unwrap();

        assert_eq!(clean(directory.path()), ["left"]);
        assert!(!left.wait().unwrap().success());
        assert_eq!(stranger.try_wait().unwrap(), None, "a stranger was killed");
        assert_eq!(fs::read_dir(&records).unwrap().count(), 0);
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }

    #[test]
    fn start_times_survive_odd_program_names() {
        let stat = "77 (a) b) S 1 77 77 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 4711 9 10";
        assert_eq!(started(stat), Some(4711));
        assert_eq!(started("77 (x"), None);
    }
}
