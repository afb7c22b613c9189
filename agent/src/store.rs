//! All reports in memory, with their changes as a stream; the journal is behind it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::broadcast;

use crate::journal::{Durability, Entry, Journal};
use crate::report::{Outcome, Record, Report};

/// Reports kept in memory; the oldest finished ones go first.
const MOST: usize = 2_000;
/// Within this time after a report, the same report is a duplicate and not a new failure.
const COOL_DOWN: SignedDuration = SignedDuration::from_mins(60);

/// What accepting a report led to.
#[derive(Debug)]
pub enum Accepted {
    /// A new record; it has to be worked on.
    New(Box<Record>, Durability),
    /// The same report came before.
    Again(Box<Record>, Durability),
}

/// What opening a report again led to.
#[derive(Debug)]
pub enum Reopened {
    /// It is being worked on.
    Pending,
    /// It is diagnosed and waits for the tracker.
    Queued(Box<Record>),
    /// It was finished and is open again; it has to be worked on.
    Again(Box<Record>),
}

/// The records and who watches them.
#[derive(Debug)]
pub struct Store {
    records: Mutex<Index>,
    journal: Journal,
    changes: broadcast::Sender<String>,
}

#[derive(Debug, Default)]
struct Index {
    by_id: HashMap<String, Record>,
    by_key: HashMap<String, String>,
    order: Vec<String>,
}

impl Store {
    /// A store over what the journal brought back. Returns the ids that are not finished.
    pub fn new(journal: Journal, records: Vec<Record>) -> (Self, Vec<String>) {
        let (changes, _) = broadcast::channel(256);
        let store = Self { records: Mutex::default(), journal, changes };
        let open = records.iter().filter(|r| !r.outcome.is_final()).map(|r| r.id.clone()).collect();
        for record in records {
            store.index().insert(record);
        }
        (store, open)
    }

    /// The journal behind it.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Accept a report: durable when this returns, unless the journal says otherwise.
    pub async fn accept(&self, report: Report, key: String, now: Timestamp) -> Accepted {
        let (record, known, entry) = {
            let mut index = self.index();
            let known = index.by_key.get(&key).and_then(|id| index.by_id.get(id)).cloned();
            let known = known.filter(|r| now.duration_since(r.accepted) < COOL_DOWN);
            let (record, known) = if let Some(mut record) = known {
                record.recurrence += 1;
                index.by_id.insert(record.id.clone(), record.clone());
                (record, true)
            } else {
                let record = Record::new(id(), report, key, now);
                index.insert(record.clone());
                (record, false)
            };
            let entry = self.journal.submit(&record);
            (record, known, entry)
        };
        let durability = self.kept(&record, entry).await;
        let record = Box::new(record);
        if known { Accepted::Again(record, durability) } else { Accepted::New(record, durability) }
    }

    /// Open a finished report again. `None` if the id is not known. Two at once open it once.
    pub async fn reopen(&self, id: &str) -> Option<Reopened> {
        let (record, entry) = {
            let mut index = self.index();
            let record = index.by_id.get_mut(id)?;
            match record.outcome {
                Outcome::Pending => return Some(Reopened::Pending),
                Outcome::Queued => return Some(Reopened::Queued(Box::new(record.clone()))),
                _ => {}
            }
            let again =
                Record::new(id.to_owned(), record.report.clone(), record.key.clone(), record.accepted);
            *record = Record { recurrence: record.recurrence, ..again };
            (record.clone(), self.journal.submit(record))
        };
        self.kept(&record, entry).await;
        Some(Reopened::Again(Box::new(record)))
    }

    /// Change a record and keep the change. `None` if the id is not known.
    pub async fn update(&self, id: &str, change: impl FnOnce(&mut Record)) -> Option<Record> {
        let (record, entry) = {
            let mut index = self.index();
            let record = index.by_id.get_mut(id)?;
            change(record);
            (record.clone(), self.journal.submit(record))
        };
        self.kept(&record, entry).await;
        Some(record)
    }

    /// Wait for the disk, then tell who watches. Entries are handed to the journal while the index is locked,
    /// so that the newest state of a record is also the last one in the file.
    async fn kept(&self, record: &Record, entry: Entry) -> Durability {
        let durability = entry.kept().await;
        // Nobody watching is fine.
        let _watchers = self.changes.send(record.id.clone());
        durability
    }

    /// A record by id.
    pub fn get(&self, id: &str) -> Option<Record> {
        self.index().by_id.get(id).cloned()
    }

    /// The newest records, newest first.
    pub fn newest(&self, count: usize) -> Vec<Record> {
        let index = self.index();
        index.order.iter().rev().filter_map(|id| index.by_id.get(id)).take(count).cloned().collect()
    }

    /// Reports that are not finished.
    pub fn open(&self) -> usize {
        self.index().by_id.values().filter(|r| !r.outcome.is_final()).count()
    }

    /// Ids of records as they change.
    pub fn changes(&self) -> broadcast::Receiver<String> {
        self.changes.subscribe()
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index {
    fn insert(&mut self, record: Record) {
        self.by_key.insert(record.key.clone(), record.id.clone());
        self.order.push(record.id.clone());
        self.by_id.insert(record.id.clone(), record);
        if self.order.len() > MOST
            && let Some(at) =
                self.order.iter().position(|id| self.by_id.get(id).is_none_or(|r| r.outcome.is_final()))
        {
            let id = self.order.remove(at);
            if let Some(old) = self.by_id.remove(&id)
                && self.by_key.get(&old.key) == Some(&id)
            {
                self.by_key.remove(&old.key);
            }
        }
    }
}

fn id() -> String {
    use secrecy::ExposeSecret;
    tenant_kit::secret::random_hex(8).expose_secret().to_owned()
}
