//! Working on a report again.

use super::*;

async fn retried(service: &Arc<Service>, id: &str) -> StatusCode {
    send(service, Request::post(format!("/reports/{id}/retry")), "").await.0
}

#[tokio::test]
async fn a_finished_report_is_worked_on_again_and_an_open_one_is_not() {
    let service = open();
    report(&service, r#"{"namespace":"n","pod_name":"p"}"#).await;
    let id = service.store.newest(1)[0].id.clone();
    assert_eq!(retried(&service, "0").await, StatusCode::NOT_FOUND);
    assert_eq!(retried(&service, &id).await, StatusCode::ACCEPTED);
    service.tasks.close();
    service.tasks.wait().await;
    assert_eq!(service.store.get(&id).map(|r| r.outcome), Some(Outcome::NoEvidence));
    service.store.update(&id, |r| r.outcome = Outcome::Pending).await;
    assert_eq!(retried(&service, &id).await, StatusCode::CONFLICT);
    service.store.update(&id, |r| r.outcome = Outcome::Queued).await;
    let woken = service.investigator.wake.notified();
    assert_eq!(retried(&service, &id).await, StatusCode::ACCEPTED);
    // The investigation that waits for the tracker goes on at once.
    woken.await;
}

#[tokio::test]
async fn a_caller_that_waits_is_told_what_is_known_when_the_service_ends() {
    let service = open();
    let room = service.investigator.room.acquire_many(128).await.expect("nothing runs");
    let waiting = tokio::spawn({
        let service = Arc::clone(&service);
        async move { report(&service, r#"{"namespace":"n","pod_name":"p"}"#).await }
    });
    let mut changes = service.store.changes();
    if service.store.newest(1).is_empty() {
        changes.recv().await.expect("accepted");
    }
    service.closing.cancel();
    let (status, value) = waiting.await.expect("answered");
    assert_eq!((status, &value["outcome"]), (StatusCode::OK, &json!("pending")), "{value}");
    drop(room);
}
