//! The program as a process: how soon it serves, and what it takes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::{log_of_50_mb, percentile, row, row_of_bytes};

const PROGRAM: &str = env!("CARGO_BIN_EXE_agent");
const MIB: u64 = 1 << 20;

/// A value of `/proc/<pid>/status`, in bytes; `None` when the process has ended.
fn memory(pid: u32, field: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}

/// From a file of 50 MB to the printed diagnosis, and the most memory on the way.
pub(crate) fn big_log() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), log_of_50_mb()).unwrap();
    let begun = Instant::now();
    let mut child = Command::new(PROGRAM)
        .args(["diagnose", "--log"])
        .arg(file.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut most = 0;
    let took = loop {
        most = most.max(memory(child.id(), "VmHWM").unwrap_or(0));
        if child.try_wait().unwrap().is_some() {
            break begun.elapsed();
        }
        std::thread::yield_now();
    };
    row("agent diagnose --log, 50 MB", took, Duration::from_millis(1_500));
    row_of_bytes("the same, most memory", most, 48 * MIB);
}

/// From start to the first answer, memory at rest, and the size of the program.
pub(crate) fn serving() {
    let mut times = Vec::new();
    let mut rest = 0;
    for _ in 0..10 {
        let data = tempfile::tempdir().unwrap();
        let begun = Instant::now();
        let mut child = Command::new(PROGRAM)
            .args(["serve", "--bind", "127.0.0.1", "--port", "0", "--allow-anonymous", "--data"])
            .arg(data.path())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(&line).ok())
            .find_map(|line| Some(line.get("address")?.as_str()?.to_owned()))
            .unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        times.push(begun.elapsed());
        rest = rest.max(memory(child.id(), "VmRSS").unwrap());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    row("start to the first answer, p50 of 10", percentile(&mut times, 50), Duration::from_millis(30));
    row_of_bytes("memory at rest", rest, 12 * MIB);
    row_of_bytes("size of the program", std::fs::metadata(PROGRAM).unwrap().len(), 15 * MIB);
}
