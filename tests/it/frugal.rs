//! What is sent: nothing that would change nothing, and hardly anything twice.

use std::collections::BTreeSet;

use tenant_cli::exit::ExitCode;
use tenant_lab::proxy::Exchange;

use crate::world::World;

/// Requests that a run sends whatever it finds: it takes the lease and gives it back, notes in the record that it has
/// begun and how it has ended, and logs in at Keycloak.
const ALWAYS: [(&str, &str, usize); 4] = [
    ("POST", "/namespaces/tenant-system/leases", 1),
    ("DELETE", "/namespaces/tenant-system/leases/", 1),
    ("PATCH", "/namespaces/tenant-system/secrets/tenant-", 2),
    ("POST", "/protocol/openid-connect/token", 1),
];

fn is_read(exchange: &Exchange) -> bool {
    exchange.method == "GET"
}

/// A run that a busy machine makes last for five seconds renews its lease.
fn renews(exchange: &Exchange) -> bool {
    matches!(exchange.method.as_str(), "GET" | "PUT")
        && exchange.path.contains("/namespaces/tenant-system/leases/")
}

#[tokio::test]
async fn a_second_run_writes_nothing_and_reads_little_twice() {
    let world = World::shared().await;
    let proxy = world.proxy(Vec::new());
    world.through(&proxy, "provision", "frugal").run().expect(ExitCode::Done);
    let first = proxy.exchanges().len();
    world.through(&proxy, "provision", "frugal").run().expect(ExitCode::Done);
    let mut second = proxy.exchanges().split_off(first);
    second.retain(|exchange| !renews(exchange));

    let mut writes: Vec<&Exchange> = second.iter().filter(|exchange| !is_read(exchange)).collect();
    for (method, path, times) in ALWAYS {
        let before = writes.len();
        writes.retain(|write| write.method != method || !write.path.contains(path));
        assert_eq!(before - writes.len(), times, "{method} …{path}:\n{}", proxy.account());
    }
    assert!(writes.is_empty(), "a second run wrote:\n{}", lines(&writes));

    // a watch goes on where a list has ended
    let lists = |exchange: &&Exchange| is_read(exchange) && !exchange.path.contains("watch=true");
    let reads: Vec<&Exchange> = second.iter().filter(lists).collect();
    let needed: BTreeSet<_> = reads.iter().map(|read| (read.service, without_query(&read.path))).collect();
    // no more than an eighth more than there are things to read
    assert!(
        reads.len() * 8 <= needed.len() * 9,
        "{} reads of {} things:\n{}",
        reads.len(),
        needed.len(),
        lines(&reads)
    );
    world.destroy_without_trace("frugal").await;
}

fn without_query(path: &str) -> &str {
    path.split('?').next().unwrap_or_default()
}

fn lines(exchanges: &[&Exchange]) -> String {
    exchanges.iter().map(|exchange| exchange.to_string() + "\n").collect()
}
