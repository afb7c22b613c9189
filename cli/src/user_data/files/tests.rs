use serde_json::json;

use super::*;

fn directory(action: &str, preserve: bool) -> (tempfile::TempDir, OutputDir) {
    let dir = tempfile::tempdir().unwrap();
    let output = OutputDir { path: dir.path().join("out"), action: action.to_owned(), preserve };
    (dir, output)
}

fn content(output: &OutputDir, name: &str) -> String {
    let path = output.path.join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn sample() -> UserData {
    let mut data = UserData::new();
    data.message("Lab instructions: https://showroom-showroom-abc12.apps.example.test/");
    data.message("Grüße 😀");
    data.merge([
        ("lab_ui_url".to_owned(), json!("https://showroom-showroom-abc12.apps.example.test/")),
        ("gitea_user".to_owned(), json!("user-abc12")),
    ]);
    data.merge_user(
        "user-abc12",
        [
            ("user".to_owned(), json!("user-abc12")),
            ("librechat_user".to_owned(), json!("user-abc12@example.com")),
        ],
    );
    data.user_message("user-abc12", "Lab instructions: https://showroom-showroom-abc12.apps.example.test/");
    data
}

/// Bytes written by `agnosticd_user_info` for the same calls.
#[test]
fn files_are_those_of_the_plugin() {
    let (_dir, output) = directory("provision", false);
    output.write(&sample()).unwrap();
    assert_eq!(
        content(&output, "provision-user-info.yaml"),
        "---\n- \"Lab instructions: https://showroom-showroom-abc12.apps.example.test/\"\n\
         - \"Gr\\u00fc\\u00dfe \\ud83d\\ude00\"\n"
    );
    assert_eq!(
        content(&output, "provision-user-data.yaml"),
        "---\n\
         gitea_user: user-abc12\n\
         lab_ui_url: https://showroom-showroom-abc12.apps.example.test/\n\
         users:\n\
         \x20 user-abc12:\n\
         \x20   librechat_user: user-abc12@example.com\n\
         \x20   msg: 'Lab instructions: https://showroom-showroom-abc12.apps.example.test/'\n\
         \x20   user: user-abc12\n"
    );
    assert_eq!(content(&output, "user-data.yaml"), content(&output, "provision-user-data.yaml"));
    let link = fs::read_link(output.path.join("user-info.yaml")).unwrap();
    assert_eq!(link, Path::new("provision-user-info.yaml"));
    assert!(!output.path.join("provision-user-body.yaml").exists(), "no body, no file");
}

#[test]
fn another_action_leaves_the_provision_alone() {
    let (_dir, provision) = directory("provision", false);
    provision.write(&sample()).unwrap();
    let before = content(&provision, "provision-user-data.yaml");
    let destroy = OutputDir { action: "destroy".to_owned(), ..provision.clone() };
    destroy.write(&UserData::new()).unwrap();
    assert_eq!(content(&destroy, "destroy-user-info.yaml"), "---\n");
    assert_eq!(content(&destroy, "destroy-user-data.yaml"), "---\n");
    assert_eq!(content(&destroy, "user-data.yaml"), before);
}

#[test]
fn a_destroy_alone_makes_empty_files_of_the_provision() {
    let (_dir, output) = directory("destroy", false);
    output.write(&UserData::new()).unwrap();
    assert_eq!(content(&output, "user-info.yaml"), "");
    assert_eq!(content(&output, "user-data.yaml"), "");
}

#[test]
fn a_second_run_replaces_the_first_unless_it_is_to_be_preserved() {
    let (_dir, output) = directory("provision", false);
    output.write(&sample()).unwrap();
    let mut second = UserData::new();
    second.message("again");
    second.merge([("gitea_user".to_owned(), json!("other"))]);
    second.user_message("user-abc12", "again");

    let preserving = OutputDir { preserve: true, ..output.clone() };
    preserving.write(&second).unwrap();
    let info = content(&output, "provision-user-info.yaml");
    assert!(info.starts_with("---\n- \"Lab") && info.ends_with("- \"again\"\n"), "got {info}");
    let kept = content(&output, "provision-user-data.yaml");
    assert!(kept.contains("gitea_user: other\nlab_ui_url: https"), "got {kept}");
    assert!(
        kept.contains(
            "msg: 'Lab instructions: https://showroom-showroom-abc12.apps.example.test/\n\n      again'"
        ),
        "got {kept}"
    );

    output.write(&second).unwrap();
    assert_eq!(content(&output, "provision-user-info.yaml"), "---\n- \"again\"\n");
    let data = content(&output, "provision-user-data.yaml");
    assert_eq!(data, "---\ngitea_user: other\nusers:\n  user-abc12:\n    msg: again\n");
}

#[test]
fn bodies_are_always_appended() {
    let (_dir, output) = directory("provision", false);
    let mut data = UserData::new();
    data.body("first\nline");
    output.write(&data).unwrap();
    output.write(&data).unwrap();
    assert_eq!(content(&output, "provision-user-body.yaml"), "- \"first\\nline\"\n- \"first\\nline\"\n");
}

#[test]
fn passwords_are_not_for_everyone_but_existing_modes_are_kept() {
    let (_dir, output) = directory("provision", false);
    let mode = |name: &str| fs::metadata(output.path.join(name)).unwrap().permissions().mode() & 0o777;
    output.write(&sample()).unwrap();
    assert_eq!(mode("provision-user-data.yaml"), 0o660);
    fs::set_permissions(output.path.join("provision-user-data.yaml"), fs::Permissions::from_mode(0o664))
        .unwrap();
    output.write(&sample()).unwrap();
    assert_eq!(mode("provision-user-data.yaml"), 0o664, "as the framework has touched it");
    let left = fs::read_dir(&output.path)
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with('.'));
    assert_eq!(left.count(), 0, "no temporary files are left");
}

#[test]
fn errors_name_the_file() {
    let (dir, output) = directory("provision", true);
    fs::write(dir.path().join("out"), "a file in the way").unwrap();
    let error = output.write(&sample()).unwrap_err().to_string();
    assert!(error.starts_with("cannot create the output directory"), "got {error}");

    let (_dir, output) = directory("provision", true);
    fs::create_dir(&output.path).unwrap();
    fs::write(output.path.join("provision-user-data.yaml"), "- a list\n").unwrap();
    let error = output.write(&sample()).unwrap_err().to_string();
    assert!(error.ends_with("provision-user-data.yaml: it is no YAML map; delete it"), "got {error}");
}
