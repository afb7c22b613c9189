use std::fs;

use serde_json::json;

use super::*;

fn extra(text: &str) -> Argument {
    Argument::Extra(text.to_owned())
}

fn refusal(argument: Argument) -> String {
    match read(&[argument]) {
        Err(error) => error.to_string(),
        Ok(variables) => panic!("read as {variables:?}"),
    }
}

#[test]
fn later_arguments_replace_names_whole() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("vars.yml");
    fs::write(&file, "guid: x1\nnested: {a: 1, b: 2}\nflag: true\n").unwrap();
    let variables =
        read(&[extra("guid=early flag=no"), Argument::File(file.clone()), extra("{\"nested\": {\"a\": 3}}")])
            .unwrap();
    assert_eq!(variables["guid"].value, json!("x1"));
    assert_eq!(variables["guid"].origin.to_string(), format!("{}:1", file.display()));
    assert_eq!(variables["nested"].value, json!({"a": 3}), "maps are replaced, not merged");
    assert_eq!(variables["nested"].origin.to_string(), "-e number 2");
    assert_eq!(variables["flag"].value, json!(true), "types of files are kept");
}

#[test]
fn json_that_is_no_yaml_is_read_as_json() {
    let variables = read(&[extra("{\n\t\"a\": \"\\ud83d\\ude00 \\/\"\n}")]).unwrap();
    assert_eq!(variables["a"].value, json!("😀 /"));
}

#[test]
fn every_refusal_names_its_place_and_a_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let shown = |name: &str| dir.path().join(name).display().to_string();
    for (argument, expected) in [
        (
            extra("@nowhere.yml"),
            "cannot read the variables file nowhere.yml: no such file; check the path after `@`".to_owned(),
        ),
        (
            extra("@-"),
            "-e names no file; write `-e @path/to/vars.yml` (standard input is not read)".to_owned(),
        ),
        (extra("./vars.yml"), "-e looks like a path; write `-e @./vars.yml` to read it".to_owned()),
        (
            extra("[1, 2]"),
            "-e:1:1: a map of variables is expected here, not a list; write `name: value` lines".to_owned(),
        ),
        (
            extra("guid"),
            "-e: word 1 is not `name=value`; quote values with spaces: -e 'name=\"two words\"'".to_owned(),
        ),
        (
            Argument::File(path("latin1.yml", b"a: \xe9\n")),
            format!("{} is not UTF-8 text; variables files are YAML or JSON", shown("latin1.yml")),
        ),
        (
            Argument::File(path("vault.yml", b"$ANSIBLE_VAULT;1.1;AES256\n6162\n")),
            format!(
                "{0} is encrypted by ansible-vault; decrypt it first (`ansible-vault view {0}`)",
                shown("vault.yml")
            ),
        ),
        (
            Argument::File(path("twice.yml", b"guid: a\nb: 1\nguid: c\n")),
            format!("{}:3:1: key `guid` is repeated (first in line 1); keep one", shown("twice.yml")),
        ),
    ] {
        assert_eq!(refusal(argument), expected);
    }
    let broken = refusal(Argument::File(path("broken.yml", b"a: [1\nb: 2\n")));
    assert!(broken.starts_with(&format!("{}:2", shown("broken.yml"))), "got {broken}");
    let directory = refusal(Argument::File(dir.path().to_owned()));
    assert!(directory.contains("it is a directory"), "got {directory}");
}
