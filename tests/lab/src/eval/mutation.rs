//! Disturbances of a case: rules must find the cause wherever it stands and however it is dressed.

use std::fmt::Write as _;

use super::{case::Case, scene::Scene};

/// A way to disturb a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// None.
    None,
    /// The failure at the head, then hundreds of harmless lines.
    Head,
    /// Harmless lines before and after.
    Middle,
    /// Harmless lines before.
    Tail,
    /// Every line begins with a time, as `oc logs --timestamps` has it.
    Timestamps,
    /// Colours, and the line ends of Windows.
    Dressed,
    /// Other folders, registries and namespaces.
    Renamed,
    /// Other versions, ports and line numbers in the harmless parts; other exit codes.
    ExitCodes,
    /// No events can be read.
    NoEvents,
    /// The pods are gone, and with them their logs.
    NoLogs,
}

impl Mutation {
    /// Those that leave the cause readable: the expectation stays.
    pub const KEEPING: [Self; 8] = [
        Self::Head,
        Self::Middle,
        Self::Tail,
        Self::Timestamps,
        Self::Dressed,
        Self::Renamed,
        Self::ExitCodes,
        Self::None,
    ];
    /// Those that take evidence away: an issue is still filed, and says nothing that is not there.
    pub const TAKING: [Self; 2] = [Self::NoEvents, Self::NoLogs];

    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "as recorded",
            Self::Head => "cause at the head",
            Self::Middle => "cause in the middle",
            Self::Tail => "cause at the tail",
            Self::Timestamps => "time stamps",
            Self::Dressed => "colours, CRLF",
            Self::Renamed => "other names",
            Self::ExitCodes => "other exit codes",
            Self::NoEvents => "no events",
            Self::NoLogs => "pods gone",
        }
    }

    /// Disturbs the scene, and the expectation with it where names change.
    pub fn apply(self, scene: &mut Scene, case: &mut Case) {
        match self {
            Self::None => {}
            Self::Head => each_log(scene, |log| format!("{log}{}", noise(400))),
            Self::Middle => each_log(scene, |log| format!("{}{log}{}", noise(200), noise(200))),
            Self::Tail => each_log(scene, |log| format!("{}{log}", noise(400))),
            Self::Timestamps => each_log(scene, |log| {
                log.lines().enumerate().fold(String::new(), |mut text, (number, line)| {
                    let second = number % 60;
                    // Writing to a string cannot fail.
                    let _ = writeln!(text, "2026-11-21T07:41:{second:02}.123456789Z {line}");
                    text
                })
            }),
            Self::Dressed => each_log(scene, |log| {
                log.lines().fold(String::new(), |text, line| text + "\u{1b}[0;31m" + line + "\u{1b}[0m\r\n")
            }),
            Self::Renamed => rename(scene, case),
            Self::ExitCodes => {
                for ((kind, _), object) in &mut scene.objects {
                    if kind == "TaskRun" {
                        for step in object["status"]["steps"].as_array_mut().into_iter().flatten() {
                            let code = step["terminated"]["exitCode"].as_i64().unwrap_or(0);
                            if code != 0 && code != 137 {
                                step["terminated"]["exitCode"] = serde_json::json!(2);
                            }
                        }
                    }
                }
            }
            Self::NoEvents => scene.events.clear(),
            Self::NoLogs => {
                scene.logs.clear();
                scene.objects.retain(|(kind, _), _| kind != "Pod");
            }
        }
    }
}

fn each_log(scene: &mut Scene, change: impl Fn(&str) -> String) {
    for log in scene.logs.values_mut().filter(|log| !log.is_empty()) {
        *log = change(log);
    }
}

/// Lines of healthy builds, some of which talk about errors without having one.
fn noise(lines: usize) -> String {
    const LINES: [&str; 14] = [
        "Downloading error_code-2.1.jar (14 kB)",
        "  Preparing metadata (pyproject.toml): finished with status 'done'",
        "npm warn deprecated inflight@1.0.6: This module is not supported, and leaks memory.",
        "test error_is_reported ... ok",
        "0 errors, 0 warnings",
        "DEBUG cache: lookup of layer 5f70bf18 took 12 ms",
        "ok  \texample.com/app/internal/timeouts\t0.012s",
        "Copying blob sha256:cf46734847ab9b2b0ba817f4d1b6a7c8971822676c6b5a9c1bdbeb744e34ca74",
        "[INFO] Tests run: 5, Failures: 0, Errors: 0, Skipped: 0",
        "warning: unused variable: `retry`",
        "INFO: retry policy: 3 attempts, timeout 30s",
        "found 0 vulnerabilities",
        "-- Installing: /usr/local/lib/cmake/failure_report.cmake",
        "--- PASS: TestFailsOnTimeout (0.00s)",
    ];
    (0..lines).fold(String::new(), |mut text, number| {
        // A fixed walk through the lines that looks shuffled.
        let line = LINES[(number * 5 + number / 7) % LINES.len()];
        let _ = writeln!(text, "{line}");
        text
    })
}

/// Names that may be anything, here and in what is expected.
fn rename(scene: &mut Scene, case: &mut Case) {
    const NAMES: [(&str, &str); 7] = [
        ("/workspace/source", "/home/build/checkout-7"),
        ("quay.io/example", "ghcr.io/acme-tools"),
        ("registry.example:5000", "images.corp.internal:8443"),
        ("registry.example", "images.corp.internal"),
        ("gitea.example", "git.corp.internal"),
        ("compute-resources", "team-limits"),
        ("ci-record", "team-blue"),
    ];
    let change = |text: &str| NAMES.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    for log in scene.logs.values_mut() {
        *log = change(log);
    }
    for object in scene.objects.values_mut() {
        if let Ok(changed) = serde_json::from_str(&change(&object.to_string())) {
            *object = changed;
        }
    }
    for event in &mut scene.events {
        event.message = change(&event.message);
    }
    let expect = &mut case.expect;
    for text in expect.must.iter_mut().chain(&mut expect.must_not).chain(&mut expect.fix) {
        *text = change(text);
    }
}
