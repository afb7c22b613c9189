//! Nothing accepted is lost, whatever the file looks like after a crash.

use super::*;
use crate::report::{Outcome, Report};
use jiff::Timestamp;
use proptest::prelude::*;

fn record(id: &str) -> Record {
    let report = Report { namespace: "n".into(), pod_name: format!("pod-{id}"), ..Report::default() };
    Record::new(id.to_owned(), report, format!("key-{id}"), Timestamp::from_second(1_000).expect("valid"))
}

fn framed(record: &Record) -> Vec<u8> {
    frame::build(&serde_json::to_vec(record).expect("json")).expect("small")
}

fn ids(records: &[Record]) -> Vec<&str> {
    records.iter().map(|r| r.id.as_str()).collect()
}

#[tokio::test]
async fn what_was_appended_comes_back_and_the_newest_state_counts() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (journal, empty) = Journal::open(dir.path()).expect("opens");
    assert!(empty.is_empty());
    assert_eq!(journal.append(&record("a")).await, Durability::Disk);
    journal.append(&record("b")).await;
    journal.append(&Record { outcome: Outcome::Created, ..record("a") }).await;
    let (_, records) = Journal::open(dir.path()).expect("opens again");
    assert_eq!(ids(&records), ["a", "b"]);
    assert_eq!(records[0].outcome, Outcome::Created);
    assert_eq!(Journal::left(dir.path()), records, "and can be read where nothing can be written");
}

#[tokio::test]
async fn many_at_once_share_a_sync() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (journal, _) = Journal::open(dir.path()).expect("opens");
    let records: Vec<_> = (0..500).map(|i| record(&format!("{i:03}"))).collect();
    let kept = futures::future::join_all(records.iter().map(|r| journal.append(r))).await;
    assert!(kept.iter().all(|k| *k == Durability::Disk));
    let syncs = journal.health().syncs.load(Ordering::Relaxed);
    assert!(syncs < 250, "{syncs} syncs for 500 entries");
    assert_eq!(Journal::open(dir.path()).expect("opens").1.len(), 500);
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_an_error_and_memory_is_announced() {
    let file = tempfile::NamedTempFile::new().expect("temporary file");
    assert!(Journal::open(&file.path().join("below")).is_err());
    let journal = Journal::in_memory();
    assert_eq!(journal.append(&record("a")).await, Durability::Memory);
    assert!(journal.health().degraded.load(Ordering::Relaxed));
}

#[tokio::test]
async fn a_rewrite_keeps_every_unfinished_record() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("journal");
    let finished = |i: i32| Record { outcome: Outcome::Created, ..record(&format!("f{i:05}")) };
    let mut bytes = framed(&record("open"));
    for i in 0..1_500 {
        bytes.extend(framed(&finished(i)));
    }
    std::fs::write(&path, &bytes).expect("written");
    let file = OpenOptions::new().append(true).open(&path).expect("opens");
    let health = Arc::new(Health::default());
    let mut writer = Writer::new(path, file, bytes.len() as u64, health);
    writer.compact().expect("rewritten");
    writer.commit(&framed(&record("later"))).expect("still writable");
    let (_, records) = Journal::open(dir.path()).expect("opens");
    assert_eq!(records.len(), KEEP_FINISHED + 2);
    assert!(ids(&records).contains(&"open") && ids(&records).contains(&"later"));
}

proptest! {
    #[test]
    fn a_tail_torn_or_overwritten_anywhere_costs_only_what_was_not_synced(cut in 0usize..2_000, noise in any::<Vec<u8>>()) {
        let frames: Vec<_> = (0..5).map(|i| framed(&record(&i.to_string()))).collect();
        let whole: Vec<u8> = frames.concat();
        let cut = cut.min(whole.len());
        let mut bytes = whole[..cut].to_vec();
        bytes.extend(&noise);
        let found = frame::read(&bytes);
        let mut complete = 0;
        let mut end = 0;
        for frame in &frames {
            end += frame.len();
            complete += usize::from(end <= cut);
        }
        prop_assert!(found.payloads.len() >= complete, "{complete} frames were complete");
        prop_assert!(found.end <= bytes.len());
    }

    #[test]
    fn damage_in_the_middle_costs_only_what_it_hits(at in 0usize..1_000, length in 1usize..300, byte in any::<u8>()) {
        let frames: Vec<_> = (0..5).map(|i| framed(&record(&i.to_string()))).collect();
        let mut bytes: Vec<u8> = frames.concat();
        let (from, to) = (at.min(bytes.len()), (at + length).min(bytes.len()));
        bytes[from..to].fill(byte);
        let mut end = 0;
        let mut untouched = 0;
        for frame in &frames {
            let begin = end;
            end += frame.len();
            untouched += usize::from(end <= from || begin >= to);
        }
        let found = frame::read(&bytes);
        prop_assert!(found.payloads.len() >= untouched, "{} of {untouched}", found.payloads.len());
    }
}
