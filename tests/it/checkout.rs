//! The checkout the suite was built from.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The top of the repository.
pub(crate) fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the package `acceptance` lies one level below the top").to_owned()
}

/// The text of a file, by its path from the top.
pub(crate) fn read(path: &str) -> String {
    let text = std::fs::read_to_string(root().join(path));
    text.unwrap_or_else(|error| panic!("{path} cannot be read: {error}"))
}

/// Every file under version control that is still there, as paths from the top.
pub(crate) fn tracked() -> Vec<String> {
    // a checkout may belong to somebody else than the user who runs the tests, as in CI
    let listed = output("git", &["-c", "safe.directory=*", "ls-files", "-z"]);
    let paths = listed.split('\0').filter(|path| !path.is_empty());
    paths.filter(|path| root().join(path).exists()).map(str::to_owned).collect()
}

/// What a program prints when run at the top of the repository; its complaint fails the test.
pub(crate) fn output(program: &str, arguments: &[&str]) -> String {
    let done = Command::new(program).args(arguments).current_dir(root()).output();
    let done = done.unwrap_or_else(|error| panic!("{program} cannot be run: {error}"));
    let complaint = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{program} {}: {}\n{complaint}", arguments.join(" "), done.status);
    String::from_utf8(done.stdout).expect("programs of the tool chain print UTF-8")
}

/// The cargo this suite runs under.
pub(crate) fn cargo(arguments: &[&str]) -> String {
    output(env!("CARGO"), arguments)
}
