//! Whether the process behind a Lease still runs, where that can be told: on the same machine, in the same
//! process namespace. A run that was killed and started again need not wait for its own ghost.

use std::fs;

/// Marks this process: machine since its boot, process namespace, process id, and when it was started. `None`
/// where the system does not tell.
pub(super) fn mark() -> Option<String> {
    let pid = std::process::id();
    Some(format!("{} {pid} {}", surroundings()?, started(pid)?))
}

/// Whether a marked process is certainly gone.
pub(super) fn is_gone(mark: &str) -> bool {
    let mut words = mark.rsplitn(3, ' ');
    let (start, pid, place) = (words.next(), words.next(), words.next());
    let (Some(start), Some(pid), Some(place)) = (start, pid.and_then(|pid| pid.parse().ok()), place) else {
        return false;
    };
    surroundings().is_some_and(|here| here == place) && started(pid).as_deref() != Some(start)
}

/// Where a process id means something.
fn surroundings() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), namespace.display()))
}

/// When a process was started, in ticks since boot: field 22 of `/proc/<pid>/stat`, counted after the name,
/// which may hold anything (proc(5)). `None` for one that is no more, or only waits to be collected.
fn started(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?;
    (!matches!(state, "Z" | "X")).then(|| fields.nth(18).map(str::to_owned)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_runs_and_a_namesake_is_another() {
        let mark = mark().unwrap();
        assert!(!is_gone(&mark), "{mark}");
        let (other, _) = mark.rsplit_once(' ').unwrap();
        assert!(is_gone(&format!("{other} 1")), "same id, started at another time");
        assert!(!is_gone(&format!("elsewhere {mark}")), "another machine's processes are not ours to judge");
        assert!(!is_gone("what?"));
    }
}
