//! The built program by itself: what it says without a cluster. (That this package has an integration test is
//! also what makes `cargo test` build `tenant` for the acceptance suite.)

use std::process::{Command, Output};

fn tenant(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tenant")).args(arguments).env_clear().output().expect("tenant starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn help_teaches_commands_cluster_and_exit_codes() {
    let help = text(&tenant(&["--help"]).stdout);
    for word in [
        "provision",
        "destroy",
        "status",
        "plan",
        "render",
        "list",
        "K8S_AUTH_HOST",
        "Exit codes",
        "-e @order.yml",
    ] {
        assert!(help.contains(word), "`{word}` is not in\n{help}");
    }
}

#[test]
fn every_command_has_help_on_stdout() {
    for command in ["provision", "destroy", "status", "plan", "render", "list", "variables", "completions"] {
        let output = tenant(&[command, "--help"]);
        assert!(output.status.success(), "{command}: {}", text(&output.stderr));
        assert!(text(&output.stdout).contains("Usage: tenant"), "{command}: {}", text(&output.stdout));
    }
}

#[test]
fn a_wrong_command_line_ends_with_the_code_for_it() {
    for wrong in [&["provisoin"][..], &["provision", "--timeout", "soon"], &["destroy", "--token", "x"]] {
        let output = tenant(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty(), "{wrong:?}: {}", text(&output.stdout));
    }
}
