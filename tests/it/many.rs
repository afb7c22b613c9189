//! Many tenants in one process: none stops the others, and the end says what became of each.

use serde_json::Value;
use tenant_cli::exit::ExitCode;
use tenant_lab::faults::{Behaviour, StandIn};

use crate::world::{World, order_file};

#[tokio::test]
async fn one_failed_tenant_stops_none_of_the_others() {
    let world = World::shared().await;
    let guids = ["many1", "many2", "many3"];
    let file = world.write("guids.txt", "# an event\nmany1\nmany2   # the one that fails\nmany3\nmany1\n");
    world.misbehave(StandIn::Litellm, Behaviour::Failing(500), "many2");
    let all = |command: &str| {
        world.program().arg(command).arg("--guids-from").arg(&file).vars(world.platform()).within("90s")
    };
    let ended = all("provision").vars(&order_file("order.yml")).run().expect(ExitCode::Service);
    let ended = ended.says(&["2 of 3 tenants done", "many2 (exit code 6): litellm-key: ", "hint: "]);
    let heads: Vec<_> = ended.stdout.lines().filter(|line| line.starts_with("# tenant ")).collect();
    assert_eq!(heads.len(), 2, "the data of those that are done, and of no other: {ended}");

    world.misbehave(StandIn::Litellm, Behaviour::Normal, "many2");
    let again = all("provision").vars(&order_file("order.yml")).args(["--output", "json"]).run();
    let again = again.expect(ExitCode::Done);
    let lines: Vec<Value> = again.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = lines.last().expect("there is a summary");
    assert_eq!((&summary["of"], &summary["data"]["done"]), (&"summary".into(), &3.into()), "{again}");
    for guid in guids {
        let own =
            |kind: &str| lines.iter().filter(|line| line["kind"] == kind && line["guid"] == guid).count();
        assert_eq!((own("run-started"), own("run-finished"), own("result")), (1, 1, 1), "{guid}: {again}");
    }

    all("destroy").run().expect(ExitCode::Done).says(&["3 of 3 tenants done"]);
    for guid in guids {
        let left = world.traces(guid).await;
        assert!(left.is_empty(), "{guid}: there is still\n  {}", left.join("\n  "));
    }
}

#[tokio::test]
async fn an_impossible_guid_among_many_touches_nothing() {
    let world = World::shared().await;
    let run = world.program().args(["provision", "--guid", "many8", "--guid", "Many_9"]);
    let ended = run.vars(world.platform()).vars(&order_file("order.yml")).run();
    ended.expect(ExitCode::Usage).says(&["Many_9"]);
    assert_eq!(world.traces("many8").await, Vec::<String>::new());
}

#[tokio::test]
async fn each_tenant_has_a_folder_of_its_own_for_its_data() {
    let world = World::shared().await;
    let folder = world.folder().join("many-output");
    let run = |command: &str| {
        let run =
            world.program().args([command, "--guid", "many4", "--guid", "many5", "--only", "litellm-key"]);
        run.vars(world.platform()).vars(&order_file("order.yml")).arg("--output-dir").arg(&folder)
    };
    run("provision").run().expect(ExitCode::Done);
    for guid in ["many4", "many5"] {
        let path = folder.join(guid).join("provision-user-data.yaml");
        let data =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(data.contains(&format!("virtkey-{guid}")), "{data}");
    }
    let one_file = run("provision").args(["--result-file", "all.json"]).run();
    one_file.expect(ExitCode::Usage).says(&["--result-file", "--output-dir"]);
    run("destroy").run().expect(ExitCode::Done);
}
