//! One run of a program, and what it took from the machine.

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _},
    process::{Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};

use super::connections::{self, Connections};

/// How often the peak of memory is read. It only grows, so that just what a program takes in its last moments
/// is missed.
const SAMPLE: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };

/// Connections are counted only every so many samples: they stay open for a while, and counting takes longer.
const COUNT_EVERY: u32 = 10;

/// `/proc/<pid>/stat` counts processor time in these (`USER_HZ`, 100 on every Linux we run on; proc(5)).
const TICK: Duration = Duration::from_millis(10);

/// A program that has ended well.
pub(super) struct Finished {
    /// From its start to its end.
    pub(super) wall: Duration,
    /// Processor time, user's and kernel's, in steps of 10 ms.
    pub(super) cpu: Duration,
    /// The most memory it had at once, bytes.
    pub(super) peak: u64,
    /// Peer → the most connections to it at once.
    pub(super) connections: Connections,
    /// What it printed.
    pub(super) stdout: String,
}

/// Runs a command to its end. Blocks.
///
/// # Errors
/// When it cannot be started, or fails: the message holds what it said.
pub(super) fn run(command: &mut Command) -> anyhow::Result<Finished> {
    let (mut stdout, mut stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
    command.stdin(Stdio::null()).stdout(stdout.try_clone()?).stderr(stderr.try_clone()?);
    let begun = Instant::now();
    let mut child = command.spawn().context("start the program")?;
    let pid = Pid::from_child(&child);
    let ended = pidfd_open(pid, PidfdFlags::empty()).context("watch the program")?;
    let (mut peak, mut connections) = (0, Connections::new());
    for sample in 0_u32.. {
        peak = memory(pid).unwrap_or(peak);
        if sample % COUNT_EVERY == COUNT_EVERY - 1 {
            for (peer, open) in connections::open(pid.as_raw_nonzero().get()) {
                let most: &mut usize = connections.entry(peer).or_default();
                *most = open.max(*most);
            }
        }
        let mut watched = [PollFd::new(&ended, PollFlags::IN)];
        if poll(&mut watched, Some(&SAMPLE)).context("wait for the program")? > 0 {
            break;
        }
    }
    let wall = begun.elapsed();
    // it has ended and nobody has asked how: its entry is there until `wait`
    let cpu = processor_time(pid).context("read the program's processor time")?;
    let status = child.wait()?;
    let (stdout, stderr) = (text(&mut stdout)?, text(&mut stderr)?);
    check(status, &stderr)?;
    Ok(Finished { wall, cpu, peak, connections, stdout })
}

fn check(status: ExitStatus, stderr: &str) -> anyhow::Result<()> {
    if !status.success() {
        bail!("the program ended with {status}:\n{stderr}");
    }
    Ok(())
}

fn text(file: &mut File) -> anyhow::Result<String> {
    let mut text = String::new();
    file.rewind()?;
    file.read_to_string(&mut text)?;
    Ok(text)
}

/// `VmHWM` of proc(5), bytes.
fn memory(pid: Pid) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// `utime` and `stime` of proc(5), the fields 14 and 15. The name in field 2 may hold anything, blanks and
/// parentheses included.
fn processor_time(pid: Pid) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    Some(TICK * (ticks()? + ticks()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_measured_and_its_failure_is_told() {
        let finished = run(
            Command::new("sh").args(["-c", "echo out; i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done"])
        );
        let finished = finished.unwrap();
        assert_eq!(finished.stdout, "out\n");
        assert!(finished.peak > 100_000, "a shell in {} bytes", finished.peak);
        assert!(finished.cpu <= finished.wall + TICK, "{:?} in {:?}", finished.cpu, finished.wall);
        let Err(error) = run(Command::new("sh").args(["-c", "echo why >&2; exit 3"])) else {
            panic!("exit 3 passed for success")
        };
        assert!(error.to_string().contains("why"), "{error}");
    }
}
