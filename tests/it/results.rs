//! What a run hands over: user data files as the plugin `agnosticd_user_info` leaves them, one result file, JSON lines.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use insta::{assert_snapshot, with_settings};
use serde_json::{Value, json};
use tenant_cli::exit::ExitCode;

use crate::world::{World, order_file};

/// What differs from run to run.
fn filters() -> Vec<(&'static str, &'static str)> {
    vec![
        (r"127\.0\.0\.1:\d+", "[address]"),
        (r"apps\.test-[0-9a-f]{8}\.lab\.test", "[domain]"),
        (r"sk-[0-9A-Za-z_-]{16,}", "[key]"),
        (r"\b[0-9a-f]{64}\b", "[hash]"),
        (r"(password: )[0-9A-Za-z_-]{16,}", "$1[password]"),
    ]
}

fn mode(path: &Path) -> u32 {
    let metadata = fs::symlink_metadata(path);
    metadata.unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode() & 0o777
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{} cannot be read: {error}", path.display()))
}

#[tokio::test]
async fn user_data_files() {
    let world = World::shared().await;
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("output");
    let run = world.provision("files1", "order.yml").arg("--output-dir").arg(&output).run();
    let ended = run.expect(ExitCode::Done);
    let info = read(&output.join("provision-user-info.yaml"));
    let data = read(&output.join("provision-user-data.yaml"));
    with_settings!({filters => filters()}, {
        assert_snapshot!("user_info", info);
        assert_snapshot!("user_data", data);
    });
    for (link, target) in
        [("user-info.yaml", "provision-user-info.yaml"), ("user-data.yaml", "provision-user-data.yaml")]
    {
        let points =
            fs::read_link(output.join(link)).unwrap_or_else(|error| panic!("{link}: {error}: {ended}"));
        assert_eq!(points.file_name(), Path::new(target).file_name(), "{link}");
        assert_eq!(mode(&output.join(target)) & 0o002, 0, "{target} can be written by everybody");
    }

    // the second run leaves the same files, byte by byte
    world.provision("files1", "order.yml").arg("--output-dir").arg(&output).run().expect(ExitCode::Done);
    assert_eq!(read(&output.join("provision-user-info.yaml")), info);
    assert_eq!(read(&output.join("provision-user-data.yaml")), data);

    let run = world.destroy("files1").arg("--output-dir").arg(&output).run();
    run.expect(ExitCode::Done);
    assert_eq!(read(&output.join("destroy-user-info.yaml")), "---\n");
    assert_eq!(read(&output.join("destroy-user-data.yaml")), "---\n");
    assert_eq!(
        read(&output.join("provision-user-data.yaml")),
        data,
        "the provision's data survive a destroy"
    );
}

#[tokio::test]
async fn the_directory_of_the_order() {
    let world = World::shared().await;
    let folder = tempfile::tempdir().unwrap();
    let vars =
        world.write("output-dir.json", &json!({"output_dir": folder.path().join("deep/er")}).to_string());
    // one step that needs nothing: the files are there all the same
    let run = world.provision("files2", "order.yml").vars(&vars).args(["--only", "console-embed"]).run();
    run.expect(ExitCode::Done);
    let data = read(&folder.path().join("deep/er/user-data.yaml"));
    assert!(data.starts_with("---\nopenshift_api_url: "), "{data}");
    world.destroy_without_trace("files2").await;
}

#[tokio::test]
async fn one_result_file() {
    let world = World::shared().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("result.json");
    let program = world.provision("result1", "order.yml").args(["--only", "litellm-key"]);
    program.arg("--user-info=result").arg("--result-file").arg(&file).run().expect(ExitCode::Done);
    assert_eq!(mode(&file), 0o600, "others can read the result");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "something besides the result was written");
    let result: Value = serde_json::from_str(&read(&file)).unwrap();
    let keys: Vec<_> = result.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["messages", "body", "data", "users"]);
    assert_eq!(result["data"]["litellm_key_alias"], "virtkey-result1");
    assert!(result["data"]["litellm_virtual_key"].as_str().unwrap().starts_with("sk-"));
    world.destroy_without_trace("result1").await;
}

#[tokio::test]
async fn json_is_one_document_per_line_and_ends_with_the_result() {
    let world = World::shared().await;
    let ended = world.provision("json1", "order.yml").args(["-o", "json"]).run().expect(ExitCode::Done);
    let lines: Vec<Value> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line:?}")))
        .collect();
    for line in &lines {
        assert_eq!(line["v"], 1, "{line}");
        assert_eq!(line["guid"], "json1", "{line}");
    }
    let kind = |line: &Value| line["kind"].as_str().unwrap_or_default().to_owned();
    assert_eq!(kind(&lines[0]), "run-started");
    let [.., finished, result] = lines.as_slice() else { panic!("{ended}") };
    assert_eq!((kind(finished), kind(result)), ("run-finished".to_owned(), "result".to_owned()));
    assert_eq!(result["of"], "provision");
    assert_eq!(result["data"]["data"]["litellm_key_alias"], "virtkey-json1");
    assert_eq!(result["data"]["users"]["user-json1"]["data"]["user"], "user-json1");
    assert_eq!(lines.iter().filter(|line| kind(line) == "step-finished").count(), 10, "{ended}");
    assert!(ended.stderr.is_empty(), "besides the events: {ended}");

    let ended = world.destroy("json1").args(["-o", "json"]).run().expect(ExitCode::Done);
    let last: Value = serde_json::from_str(ended.stdout.lines().last().unwrap_or_default()).unwrap();
    assert_eq!((kind(&last).as_str(), &last["result"]), ("run-finished", &json!("done")), "{ended}");
}

#[tokio::test]
async fn quiet_is_data_and_nothing_else() {
    let world = World::shared().await;
    let program = world.provision("quiet1", "order.yml").args(["--quiet", "--only", "litellm-key"]);
    let ended = program.run().expect(ExitCode::Done);
    assert!(ended.stdout.starts_with("---\nlitellm_api_base_url: "), "{ended}");
    assert_eq!(ended.stderr.lines().count(), 0, "{ended}");
    let bare = world.program().args(["destroy", "--guid", "quiet1", "-q"]).vars(world.platform());
    let ended = bare.vars(&order_file("order.yml")).run().expect(ExitCode::Done);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""));
}
